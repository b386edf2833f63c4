"""Orthonormal coordinates of Sym^m(R^d): one number for each distinct entry.

The monomials alpha of degree m, scaled by sqrt(m!/alpha!), are an orthonormal basis of Sym^m, so
that |w^{(x)m}| = |w|^m holds in N = C(d+m-1, m) coordinates in place of d^m.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np


@dataclass(frozen=True, eq=False)
class Forms:
    """Coordinates of Sym^degree(R^dim).

    Attributes
    ----------
    indices : (N, degree) int array
        Sorted index tuples in lexicographic order, N = C(dim + degree - 1, degree).
    scales : (N,) array
        Square roots of the numbers of their permutations.
    """

    dim: int
    degree: int
    indices: np.ndarray
    scales: np.ndarray

    @staticmethod
    @lru_cache(maxsize=64)
    def of(dim: int, degree: int) -> Forms:
        """The coordinates, kept for the next call."""
        tuples = list(itertools.combinations_with_replacement(range(dim), degree))
        indices = np.array(tuples, dtype=np.int64).reshape(len(tuples), degree)
        # Runs of equal indices of a sorted tuple: 1/alpha! is the product of 1/(length so far).
        counts = np.full(len(indices), float(math.factorial(degree)))
        run = np.ones(len(indices))
        for place in range(1, degree):
            run = np.where(indices[:, place] == indices[:, place - 1], run + 1.0, 1.0)
            counts /= run
        return Forms(dim, degree, indices, np.sqrt(counts))

    @property
    def places(self) -> np.ndarray:
        """Positions (N,) of the entries in a full array of shape (dim,) * degree, increasing."""
        return self.indices @ (self.dim ** np.arange(self.degree, dtype=np.int64)[::-1])

    def lift(self, rows: np.ndarray) -> np.ndarray:
        """w^{(x)degree} for each row w, real or complex, of a (b, dim) array: a (b, N) array."""
        out = np.ones((len(rows), len(self.scales)), dtype=rows.dtype) * self.scales
        for mode in range(self.degree):
            out *= rows[:, self.indices[:, mode]]
        return out

    def children(self) -> np.ndarray:
        """(N, dim) positions in Sym^{degree+1} of index tuples with one index more."""
        return _children(self.dim, self.degree)


@lru_cache(maxsize=64)
def _children(dim: int, degree: int) -> np.ndarray:
    low, high = Forms.of(dim, degree), Forms.of(dim, degree + 1)
    places = high.places
    out = np.empty((len(low.scales), dim), dtype=np.int64)
    strides = dim ** np.arange(degree + 1, dtype=np.int64)[::-1]
    for j in range(dim):
        grown = np.sort(np.c_[low.indices, np.full(len(low.scales), j)], axis=1)
        out[:, j] = np.searchsorted(places, grown @ strides)
    return out


def size(dim: int, degree: int) -> int:
    """N = C(dim + degree - 1, degree)."""
    return math.comb(dim + degree - 1, degree)
