"""Are inputs standard Gaussian, as Hermite moments and learners take them to be?

Solves     a warning where the mean or the covariance of X is not that of N(0, I), with the figures
Tests      exact at every n and d, for x ~ N(0, I) with n rows:  n |mean|^2 is chi-square with d
           degrees of freedom;  sum_i x_ij^2 is chi-square with n;  <x_j, x_k>/|x_j| over rows is
           standard Gaussian (given column j);  the entries above the diagonal of the Cholesky
           factor of X^T X are independent standard Gaussians (Bartlett 1933), if n >= d
Guarantee  Gaussian inputs warn with probability below 1e-6: four tests at 2e-7 each. A deviation
           must also be larger than 1%: less does no harm, however many samples show it
Cost       n d^2 products, one pass
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from tdlab.errors import InputWarning
from tdlab.tensors.samples import chunk_slices

_CHANCE = 2e-7
_HARMLESS = 0.01


class GaussianCheck:
    """Adds up mean and covariance of inputs that come in chunks."""

    def __init__(self, dim: int) -> None:
        self.n = 0
        self._sums, self._squares = np.zeros(dim), np.zeros((dim, dim))

    def add(self, samples: np.ndarray) -> None:
        """Rows (m, d) in double precision."""
        self.n += len(samples)
        with np.errstate(over="ignore", invalid="ignore"):
            self._sums += samples.sum(axis=0)
            self._squares += samples.T @ samples

    def deviations(self) -> list[str]:
        """What is not as N(0, I) has it, in words; empty where all is."""
        from scipy.stats import chi2, norm

        n, squares = self.n, self._squares
        dim = len(squares)
        if n == 0 or not np.isfinite(squares).all():
            return ["entries too large to square"] if n else []
        mean, sizes = self._sums / n, np.diagonal(squares)
        told = []
        worst = int(np.argmax(np.abs(mean)))
        length = float(mean @ mean)
        if chi2.sf(n * length, dim) < _CHANCE and math.sqrt(length) > _HARMLESS:
            told.append(f"a mean of {mean[worst]:.3g} in column {worst}, wanted 0")
        chances = 2.0 * dim * np.minimum(chi2.sf(sizes, n), chi2.cdf(sizes, n))
        chances[np.abs(sizes / n - 1.0) <= _HARMLESS] = 1.0
        worst = int(np.argmin(chances))
        if chances[worst] < _CHANCE:
            told.append(f"a mean square of {sizes[worst] / n:.3g} in column {worst}, wanted 1")
        if dim > 1 and sizes.all():
            told += self._correlated(n, norm, chi2)
        return told

    def _correlated(self, n: int, norm: Any, chi2: Any) -> list[str]:
        lengths = np.sqrt(np.diagonal(self._squares))
        cosines = self._squares / lengths[:, None] / lengths
        above = np.triu_indices(len(cosines), 1)
        place = int(np.argmax(np.abs(cosines[above])))
        first, second = int(above[0][place]), int(above[1][place])
        largest = float(cosines[first, second])
        # <x_j, x_k> / |x_j| is the cosine times |x_k|, whose own size the other test judges.
        scores = np.abs(self._squares[above]) / lengths[above[0]]
        told = 2.0 * len(scores) * norm.sf(scores.max()) < _CHANCE
        if not told and n >= len(cosines):
            try:
                factor = np.linalg.cholesky(self._squares)
            except np.linalg.LinAlgError:
                told = True  # Columns that depend on one another: impossible among n >= d rows.
            else:
                total = float((np.tril(factor, -1) ** 2).sum())
                told = chi2.sf(total, len(scores)) < _CHANCE
        if not told or abs(largest) <= _HARMLESS:
            return []
        return [f"columns {first} and {second} with cosine {largest:.2f}, wanted 0"]

    def warn(self, what: str = "X") -> None:
        """An `InputWarning` where the inputs are not standard Gaussian."""
        told = self.deviations()
        if told:
            warnings.warn(
                f"{what}: got {'; '.join(told)} ({self.n} rows). Inputs are taken to be standard "
                "Gaussian, N(0, I): on others moments are not Hermite moments, and risks are not "
                "those of these data. Whiten them: (X - X.mean(0)) @ "
                "numpy.linalg.inv(numpy.linalg.cholesky(numpy.cov(X.T))).T",
                InputWarning,
                stacklevel=3,
            )


def warn_unless_gaussian(X: np.ndarray, what: str = "X") -> None:
    """Compare the rows of X (n, d) with N(0, I), in chunks, and warn with the figures."""
    check = GaussianCheck(X.shape[1])
    for rows in chunk_slices(0, len(X), X.shape[1]):
        check.add(np.asarray(X[rows], dtype=np.float64))
    check.warn(what)
