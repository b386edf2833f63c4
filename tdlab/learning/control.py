"""What the controls share: learners that are told the teacher, and move it."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from tdlab.algorithms.base import Budget
from tdlab.learning.base import Fit, Learner
from tdlab.networks import TwoLayerNetwork


@dataclass(frozen=True)
class Control(Learner):
    """A learner that needs no samples, because it knows what it should learn.

    Parameters
    ----------
    teacher : TwoLayerNetwork
    """

    teacher: TwoLayerNetwork

    proper = True
    samples = "none: it is told the teacher"
    needs_samples = False
    source = "a control, not a learner"

    def refuses(self, n: int, dim: int) -> str:
        if dim != self.teacher.dim:
            return f"X: got {dim} columns, wanted {self.teacher.dim}"
        return self._refuses_teacher()

    def _refuses_teacher(self) -> str:
        """Why nothing can be done to this teacher, or ""."""
        return ""

    def _fit(self, X: np.ndarray, y: np.ndarray, rng: np.random.Generator, budget: Budget) -> Fit:
        network, message = self._altered(rng)
        return self._done(network, self.teacher.dim, message)

    @abstractmethod
    def _altered(self, rng: np.random.Generator) -> tuple[TwoLayerNetwork, str]:
        """The teacher with something done to it, and what that is, for a person."""
