"""Least squares on all Hermite polynomials of bounded degree.

Solves     any polynomial target of that degree, whatever its width: exact from C(d+k, k) noiseless
           samples. It is improper: it finds a polynomial and no weights
Method     orthonormal Hermite features; of several solutions the one of least norm. Primal (N x N)
           where n > N features, else through the n x n kernel sum_k K_k(x, x') in closed form
Guarantee  risk 0 from n = N; below, about 1 - n/N of the variance for a target without structure
           (the projection on n random features); a spike near n = N under noise
Cost       O(n N min(n, N)), and 8 min(n, N)^2 bytes and features in blocks
Source     least squares in an orthonormal basis; the minimum-norm law and its spike: Hastie,
           Montanari, Rosset and Tibshirani (2022), arXiv 1903.08560
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import linalg

from tdlab.algorithms.base import Budget
from tdlab.errors import InputError, check_integer, check_real
from tdlab.learning.base import Fit, Learner
from tdlab.networks import HermitePolynomial
from tdlab.networks.hermite import HermiteBasis, hermite_basis, hermite_kernels
from tdlab.tensors import DenseTensor
from tdlab.tensors.gaussian_inputs import warn_unless_gaussian

_lstsq: Any = linalg.lstsq
_MAX_SIDE = 20_000
# Householder QR keeps the digits that normal equations square away near n = N.
_QR_DOUBLES = 2**26


@dataclass(frozen=True)
class PolynomialRegression(Learner):
    """Least squares, or ridge, on the orthonormal Hermite polynomials up to a degree.

    Parameters
    ----------
    degree : int
    ridge : float
        Penalty ``ridge`` * n |c|^2 on the coefficients; 0 is least squares of minimum norm.
    """

    degree: int = 3
    ridge: float = 0.0

    name = "polynomial-regression"
    proper = False
    version = 1
    samples = "C(d + degree, degree)"
    guarantee = "exact from C(d + degree, degree) noiseless samples at any width"
    cost = "O(n N min(n, N)), N = C(d + degree, degree)"
    source = "least squares; Hastie, Montanari, Rosset and Tibshirani (2022), arXiv 1903.08560"

    def __post_init__(self) -> None:
        check_integer(f"learner '{self.name}', option 'degree'", self.degree, 0)
        check_real(f"learner '{self.name}', option 'ridge'", self.ridge, 0.0)

    def refuses(self, n: int, dim: int) -> str:
        return regression_refuses(n, dim, self.degree)

    def _fit(self, X: np.ndarray, y: np.ndarray, rng: np.random.Generator, budget: Budget) -> Fit:
        coefficients, form = regress(X, y, self.degree, self.ridge)
        predictor = HermitePolynomial(coefficients, X.shape[1], self.degree)
        message = f"{form} least squares, {len(y)} samples, {len(coefficients)} features."
        return self._done(predictor, X.shape[1], message)


def regression_refuses(n: int, dim: int, degree: int) -> str:
    """Why `regress` takes no such problem, or ""."""
    features = math.comb(dim + degree, degree)
    if min(n, features) <= _MAX_SIDE:
        return ""
    return f"n: got {n} samples and {features} features, wanted at most {_MAX_SIDE} of one"


def regress(X: np.ndarray, y: np.ndarray, degree: int, ridge: float) -> tuple[np.ndarray, str]:
    """Coefficients in the order of `HermiteBasis`, and how they were found.

    Minimises |Phi c - y|^2 + ridge n |c|^2; at ridge = 0 the solution of minimum norm.
    """
    n, basis = len(X), hermite_basis(X.shape[1], degree)
    too_many = regression_refuses(n, X.shape[1], degree)
    if too_many:
        raise InputError(too_many)
    if n <= basis.size:
        return basis.combine(X, _dual(X, y, degree, ridge * n)), "kernel"
    if n * basis.size <= _QR_DOUBLES:
        features, values = basis.features(X), y
        if ridge > 0.0:
            features = np.vstack([features, math.sqrt(ridge * n) * np.eye(basis.size)])
            values = np.concatenate([y, np.zeros(basis.size)])
        # LAPACK's own threshold takes rounding for rank where features depend on one another.
        small = max(features.shape) * np.finfo(float).eps
        return np.asarray(_lstsq(features, values, cond=small, lapack_driver="gelsy")[0]), "primal"
    return _normal(X, y, basis, ridge * n), "primal"


def _dual(X: np.ndarray, y: np.ndarray, degree: int, penalty: float) -> np.ndarray:
    """alpha with (K + penalty I) alpha = y; of minimum norm where K is singular."""
    squares = (X**2).sum(axis=1)
    sums = squares[:, None] + squares
    kernel = sum(hermite_kernels(X @ X.T, sums, X.shape[1], degree))
    kernel = np.asarray(kernel)
    kernel[np.diag_indices(len(X))] += penalty
    try:
        factor = linalg.cho_factor(kernel, lower=True)
        alpha = linalg.cho_solve(factor, y)
        # K squares the condition number of the features: one step of refinement wins it back.
        alpha += linalg.cho_solve(factor, y - kernel @ alpha)
    except np.linalg.LinAlgError:
        # Repeated samples, or fewer dimensions than features: the pseudo-inverse.
        alpha = _lstsq(kernel, y, cond=1e-12)[0]
    return np.asarray(alpha)


def _normal(X: np.ndarray, y: np.ndarray, basis: HermiteBasis, penalty: float) -> np.ndarray:
    """Normal equations over blocks of samples, with two steps of refinement."""
    gram = np.zeros((basis.size, basis.size))
    right = np.zeros(basis.size)
    for rows, features in basis.chunks(X):
        gram += features.T @ features
        right += features.T @ y[rows]
    gram[np.diag_indices(basis.size)] += penalty
    try:
        factor = linalg.cho_factor(gram, lower=True)
    except np.linalg.LinAlgError:
        # Inputs on which features depend on one another: the pseudo-inverse.
        return np.asarray(_lstsq(gram, right, cond=1e-12)[0])
    coefficients = linalg.cho_solve(factor, right)
    for _ in range(2):
        rest = -penalty * coefficients
        for rows, features in basis.chunks(X):
            rest += features.T @ (y[rows] - features @ coefficients)
        coefficients += linalg.cho_solve(factor, rest)
    return np.asarray(coefficients)


def least_squares_tensor(X: np.ndarray, y: np.ndarray, order: int = 3) -> DenseTensor:
    """T_k of the least-squares polynomial of degree k: an estimate of E[y He_k(x)]/k!.

    Exact from C(d + k, k) noiseless samples of a polynomial target of that degree, where the
    moment tensor E_n[y He_k(x)]/k! still carries an error of C(d+2, 3) kappa / n.

    Parameters
    ----------
    X : (n, d) array, standard Gaussian rows
    y : (n,) array
    order : int, 2 or more

    Returns
    -------
    DenseTensor

    Examples
    --------
    >>> import tdlab
    >>> net = tdlab.sample_network(4, 5, rng=0)
    >>> X, y = net.sample(40, rng=1)
    >>> T = tdlab.least_squares_tensor(X, y)
    >>> res = tdlab.decompose(T, rank=5, rng=0)
    >>> tdlab.match(res.components, net.weights).recovered
    1.0
    """
    from tdlab.learning.base import check_samples

    X, y = check_samples(X, y)
    warn_unless_gaussian(X)
    order = check_integer("order", order, 2)
    coefficients, _ = regress(X, y, order, 0.0)
    entries = hermite_basis(X.shape[1], order).tensor_entries(coefficients, order)
    return DenseTensor._trusted(entries)
