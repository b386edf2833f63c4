"""From samples to a predictor: learners, each declared proper or improper.

``tdlab.learners()`` lists them: the package answers to the call, because its name is taken by
whichever import comes first.
"""

import sys
from types import ModuleType

from tdlab.learners.base import Fit, Learner
from tdlab.learners.registry import LearnerRecord, learner, learners

__all__ = ["Fit", "Learner", "LearnerRecord", "learner", "learners"]


class _CallableModule(ModuleType):
    def __call__(self) -> list[LearnerRecord]:
        return learners()


sys.modules[__name__].__class__ = _CallableModule
