"""The moment estimator as a predictor: every Hermite coefficient by its own average.

Solves     polynomial targets of bounded degree from any number of samples, without solving anything
Method     c_alpha = mean of y phi_alpha(x), after least squares has taken the low degrees out of y;
           each degree shrunk by the factor that its own sampling error calls for
Guarantee  unbiased before shrinking; risk e/(1 + e) of a degree's variance after it, e = E|c_hat -
           c|^2/|c|^2 = (kappa C(d+2,3) - 1)/n for a traceless cubic target
Cost       n N products and 8 N bytes, N = C(d + degree, degree)
Source     the plug-in of E[y He_k(x)]/k!; the shrinkage is James and Stein's idea with the error
           estimated from the samples
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tdlab.algorithms.base import Budget
from tdlab.errors import InputError, check_integer
from tdlab.learning.base import Fit, Learner, too_few
from tdlab.learning.polynomial_regression import regress, regression_refuses
from tdlab.networks import HermitePolynomial
from tdlab.networks.hermite import hermite_basis, hermite_kernels


@dataclass(frozen=True)
class MomentPredictor(Learner):
    """Averages of y phi_alpha(x), shrunk degree by degree.

    Parameters
    ----------
    degree : int
    residualise : int
        Degrees up to this one are fitted by least squares and taken out of y first; 0 takes out
        the mean. What they explain would only be noise in the averages of higher degrees.
    shrink : bool
    """

    degree: int = 3
    residualise: int = 0
    shrink: bool = True

    name = "moment-predictor"
    proper = False
    version = 1
    samples = "kappa C(d+2, 3), kappa > 1 falling to 1 as d grows, for half of a cubic's variance"
    guarantee = "risk ratio e/(1 + e), e = (kappa C(d+2, 3) - 1)/n for a traceless cubic target"
    cost = "O(n C(d + degree, degree))"
    source = "the empirical E[y He_k(x)]/k!; James and Stein (1961) for the shrinkage"

    def __post_init__(self) -> None:
        check_integer(f"learner '{self.name}', option 'degree'", self.degree, 1)
        what = f"learner '{self.name}', option 'residualise'"
        if check_integer(what, self.residualise, 0) > self.degree:
            raise InputError(f"{what}: got {self.residualise}, wanted at most {self.degree}")

    def refuses(self, n: int, dim: int) -> str:
        few = too_few(self, n, 2, "an average and its error")
        return few or regression_refuses(n, dim, self.residualise)

    def _fit(self, X: np.ndarray, y: np.ndarray, rng: np.random.Generator, budget: Budget) -> Fit:
        (n, dim), basis = X.shape, hermite_basis(X.shape[1], self.degree)
        low, _ = regress(X, y, self.residualise, 0.0)
        rest = y - HermitePolynomial(low, dim, self.residualise).predict(X)
        coefficients = basis.combine(X, rest) / n
        coefficients[: len(low)] = low
        factors = np.ones(self.degree + 1)
        if self.shrink:
            for k in range(self.residualise + 1, self.degree + 1):
                block = basis.block(k)
                factors[k] = shrinkage(X, rest, coefficients[block], k)
                coefficients[block] *= factors[k]
        shown = ", ".join(f"{f:.2f}" for f in factors[self.residualise + 1 :])
        message = f"Averages of {n} samples, degrees shrunk by {shown or 'nothing'}."
        predictor = HermitePolynomial(coefficients, dim, self.degree)
        chosen = tuple((f"shrinkage of degree {k}", float(f)) for k, f in enumerate(factors))
        return self._done(predictor, dim, message, chosen=chosen)


def shrinkage(X: np.ndarray, y: np.ndarray, averages: np.ndarray, degree: int) -> float:
    """The factor f in [0, 1] for which E |f c_hat - c|^2 is least, estimated without bias.

    f = |c|^2 / E|c_hat|^2, and E|c_hat|^2 = |c|^2 + (E y^2 K_k(x, x) - |c|^2)/n, K_k the kernel of
    the degree: all of it shows in the samples.
    """
    squares = (X**2).sum(axis=1)
    diagonal = hermite_kernels(squares, 2.0 * squares, X.shape[1], degree)[degree]
    n, found = len(y), float(averages @ averages)
    if found == 0.0:
        return 0.0
    spread = float(np.mean(y**2 * diagonal))
    return float(np.clip((n * found - spread) / ((n - 1) * found), 0.0, 1.0))
