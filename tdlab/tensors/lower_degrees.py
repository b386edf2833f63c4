"""What is left of y without its Hermite degrees 0..j, fitted on samples other than its own.

Solves     y has variance from lower degrees, which is noise to a moment of order k > j
Method     least squares on the C(d+j, j) orthonormal Hermite features of degree <= j by LSQR, whose
           products run over chunks: p(x) = sum_q <B_q, He_q(x)> / sqrt(q!), B_q symmetric. By
           cross-fitting: the polynomial that is taken from one fold is fitted on the others
Guarantee  with folds >= 2 the moment stays unbiased: given the other folds p is a fixed polynomial
           of degree < k, and E[p(x) He_k(x)] = 0. On the same samples (folds=1) the fit takes some
           C(d+j, j)/n of the moment with it
Cost       folds x some tens of steps of 4 n d^j flops; a few arrays of n doubles
Sources    Paige and Saunders (1982); cross-fitting: Chernozhukov et al. (2018, arXiv 1608.00060)
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from tdlab.errors import InputError
from tdlab.tensors.dense import DenseTensor
from tdlab.tensors.power_sums import hermite_combination, hermite_sums, pairings
from tdlab.tensors.samples import chunk_slices

_TOLERANCE = 1e-9
_MAX_STEPS = 200


def fit_residuals(X: Any, y: np.ndarray, degree: int, folds: int) -> np.ndarray:
    """y less its least-squares polynomial of degree <= ``degree``, (n,), by cross-fitting.

    Parameters
    ----------
    X : (n, d) array or memory map, y : (n,) array
    degree : int, 0 to 4
    folds : int
        Consecutive blocks of samples; 1 fits on the samples themselves.

    Raises
    ------
    InputError
        If a fit has fewer than two samples a feature: its predictions would be noise.

    Examples
    --------
    >>> import numpy as np
    >>> from tdlab.tensors.lower_degrees import fit_residuals
    >>> X = np.random.default_rng(0).standard_normal((100, 2))
    >>> rest = fit_residuals(X, 2.0 + X[:, 0] * X[:, 1], degree=2, folds=2)
    >>> float(np.abs(rest).max()) < 1e-6
    True
    """
    n, dim = X.shape
    features = math.comb(dim + degree, degree)
    edges = [round(n * fold / folds) for fold in range(folds + 1)]
    fewest = n if folds == 1 else n - max(b - a for a, b in itertools.pairwise(edges))
    if fewest < 2 * features:
        raise InputError(
            f"residualise: got {degree} with {fewest} samples a fit, wanted at least "
            f"{2 * features} for the {features} Hermite features of degree <= {degree} at "
            f"dimension {dim}"
        )
    rest = np.empty(n)
    for first, last in itertools.pairwise(edges):
        train = [(0, n)] if folds == 1 else [(0, first), (last, n)]
        own = _Features(X, [(first, last)], degree)
        rest[first:last] = y[first:last] - own.matvec(_least_squares(X, y, train, degree))
    return rest


def _least_squares(X: Any, y: np.ndarray, ranges: list[tuple[int, int]], degree: int) -> np.ndarray:
    from scipy.sparse.linalg import LinearOperator, lsqr

    features = _Features(X, ranges, degree)
    operator = LinearOperator(
        shape=features.shape,
        dtype=np.dtype(np.float64),
        matvec=features.matvec,  # type: ignore[call-arg] (stub)
        rmatvec=features.rmatvec,  # type: ignore[call-arg] (stub)
    )
    target = np.concatenate([y[first:last] for first, last in ranges])
    # The columns are orthonormal in expectation, so that a few steps suffice.
    return lsqr(operator, target, atol=_TOLERANCE, btol=_TOLERANCE, iter_lim=_MAX_STEPS)[0]


class _Features:
    """The features He_q(x_i)/sqrt(q!) of ranges of samples, as an operator.

    Coefficients are full arrays d^q: they start at zero and change by symmetric ones, so LSQR keeps
    them symmetric, and their norm is the norm of the polynomial in L^2 of the Gaussian.
    """

    def __init__(self, X: Any, ranges: list[tuple[int, int]], degree: int) -> None:
        self._X, self._ranges = X, ranges
        self._dim, self._degree = X.shape[1], degree
        self._sizes = [self._dim**q for q in range(degree + 1)]
        self.shape = (sum(last - first for first, last in ranges), sum(self._sizes))

    def _chunks(self) -> Any:
        start = 0
        for first, last in self._ranges:
            for part in chunk_slices(first, last, self._dim):
                stop = start + part.stop - part.start
                yield np.asarray(self._X[part], dtype=np.float64), slice(start, stop)
                start = stop

    def matvec(self, coefficients: np.ndarray) -> np.ndarray:
        forms = self._forms(np.ravel(coefficients))
        out = np.zeros(self.shape[0])
        for samples, part in self._chunks():
            for form in forms:
                out[part] += _evaluate(form, samples)
        return out

    def rmatvec(self, values: np.ndarray) -> np.ndarray:
        values = np.ravel(values)[:, None]
        sums = [hermite_sums(self._dim, q) for q in range(self._degree + 1)]
        for samples, part in self._chunks():
            for one in sums:
                for power in one:
                    power.add(samples, values[part])
        metric = np.eye(self._dim)
        moments = [
            hermite_combination([power.arrays() for power in one], metric)
            / math.sqrt(math.factorial(q))
            for q, one in enumerate(sums)
        ]
        return np.concatenate([moment.ravel() for moment in moments])

    def _forms(self, coefficients: np.ndarray) -> list[DenseTensor | np.ndarray]:
        """The polynomial as forms of degree 0, 1, ..., from its Hermite coefficients.

        <B, He_q(x)> = sum_j (-1)^j pairings(q, j) (tr^j B)(x, ..., x).
        """
        forms: list[Any] = [np.zeros((self._dim,) * q) for q in range(self._degree + 1)]
        parts = np.split(coefficients, np.cumsum(self._sizes)[:-1])
        for q, part in enumerate(parts):
            array = part.reshape((self._dim,) * q) / math.sqrt(math.factorial(q))
            for j in range(q // 2 + 1):
                forms[q - 2 * j] += (-1) ** j * pairings(q, j) * array
                if j < q // 2:
                    array = np.trace(array, axis1=-2, axis2=-1)
        return [DenseTensor._trusted(form) if form.ndim >= 2 else form for form in forms]


def _evaluate(form: DenseTensor | np.ndarray, samples: np.ndarray) -> np.ndarray | float:
    if isinstance(form, DenseTensor):
        return form.evaluate(samples)
    return samples @ form if form.ndim == 1 else float(form)
