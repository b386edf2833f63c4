"""Linear regression: what a network leaks to it is no evidence of learning its weights.

Solves     y ~ c + <v, x> by least squares, of minimum norm where n <= d
Cost       O(n d min(n, d))
Source     least squares; for iid weights and x^3 it explains about 60% of the variance
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tdlab.algorithms.base import Budget
from tdlab.learning.base import Fit, Learner
from tdlab.networks import HermitePolynomial


@dataclass(frozen=True)
class Linear(Learner):
    """Least squares on 1 and x."""

    name = "linear"
    proper = False
    version = 1
    samples = "d + 1"
    guarantee = "the best affine function as n / d grows"
    cost = "O(n d^2)"
    source = "least squares"

    def _fit(self, X: np.ndarray, y: np.ndarray, rng: np.random.Generator, budget: Budget) -> Fit:
        n, dim = X.shape
        features = np.column_stack([np.ones(n), X])
        coefficients = np.linalg.lstsq(features, y, rcond=None)[0]
        predictor = HermitePolynomial(coefficients, dim, 1)
        return self._done(predictor, dim, f"Least squares on {dim + 1} features, {n} samples.")
