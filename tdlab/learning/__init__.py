"""From samples to a predictor: learners, each declared proper or improper."""

from tdlab.learning.base import Fit, Learner
from tdlab.learning.registry import LearnerRecord, learner, learners

__all__ = ["Fit", "Learner", "LearnerRecord", "learner", "learners"]
