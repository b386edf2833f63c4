"""The predictors to beat: the mean, and the best function of |x|.

Solves     nothing; a learner that does no better has learned nothing
Method     the mean of y; least squares on the orthonormal polynomials of |x|^2, which are Laguerre
           polynomials L_j^{(d/2-1)}(|x|^2 / 2), up to half the degree
Source     E(y | |x|) as the trivial predictor of networks with even parts: with x^2 in the
           activation the norm alone can explain most of the variance
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tdlab.algorithms.base import Budget
from tdlab.errors import check_integer
from tdlab.learning.base import Fit, Learner, constant
from tdlab.networks.radial import RadialPolynomial, radial_features


@dataclass(frozen=True)
class Trivial(Learner):
    """The sample mean of y."""

    name = "trivial"
    proper = False
    version = 1
    samples = "1"
    guarantee = "risk (1 + 1/n) Var(y): the bar that others must pass"
    cost = "O(n)"
    source = "the definition of the variance"

    def _fit(self, X: np.ndarray, y: np.ndarray, rng: np.random.Generator, budget: Budget) -> Fit:
        mean = float(y.mean())
        return self._done(constant(mean, X.shape[1]), X.shape[1], f"The mean of {len(y)} samples.")


@dataclass(frozen=True)
class NormTrivial(Learner):
    """Least squares on polynomials of |x|^2 up to ``degree`` // 2: an estimate of E(y | |x|).

    A polynomial network of that degree has such a conditional mean exactly.
    """

    degree: int = 6

    name = "norm-trivial"
    proper = False
    version = 1
    samples = "degree/2 + 1"
    guarantee = "the best function of |x| as n grows, for polynomial targets of that degree"
    cost = "O(n degree)"
    source = "E(y | |x|) of rotation-invariant inputs"

    def __post_init__(self) -> None:
        check_integer("learner 'norm-trivial', option 'degree'", self.degree, 0)

    def _fit(self, X: np.ndarray, y: np.ndarray, rng: np.random.Generator, budget: Budget) -> Fit:
        highest = min(self.degree // 2, len(y) - 1)
        features = radial_features(X, highest)
        coefficients = np.linalg.lstsq(features, y, rcond=None)[0]
        predictor = RadialPolynomial(tuple(map(float, coefficients)), X.shape[1])
        return self._done(predictor, X.shape[1], f"Polynomials of |x|^2 up to degree {highest}.")
