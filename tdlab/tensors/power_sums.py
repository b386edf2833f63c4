"""Weighted sums of powers, sum_i g_i x_i^{(x)q}, accumulated over chunks of samples.

Solves     the raw moments behind every Hermite moment: nothing of n d^q numbers is formed
Method     order >= 3: matrix products of packed monomials over cache-sized panels. The entry
           a_1 <= ... <= a_{q-2} <= b <= c sums a monomial of degree q - 2, times g, times x_b x_c.
           For a block of rows b the pairs (b, c >= b) are a panel; in colexicographic order the
           monomials with every a <= b are a prefix, so that only distinct entries are computed
Cost       2 C(d+q-1, q) flops a sample and d(d+1)/2 multiplications for the panels, against
           2 d^q flops and d^(q-1) for the plain Khatri-Rao product
Memory     the distinct entries, d^q/q! doubles, and a few panels of 512 KiB
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from scipy.linalg import get_blas_funcs

from tdlab._kernels import khatri_rao

_BLOCK_ROWS = 8
_PANEL_DOUBLES = 2**16  # 512 KiB of pairs: beside the other factors in a level-2 cache
_SIDE_DOUBLES = 2**20
_dgemm: Any = get_blas_funcs("gemm", dtype=np.float64)


class PowerSum:
    """Running sums sum_i g_ij x_i^{(x)order} for a batch of weights g_1, ..., g_b.

    Parameters
    ----------
    dim : int
    order : int, >= 0
    batch : int
    """

    def __init__(self, dim: int, order: int, batch: int = 1) -> None:
        self.dim, self.order, self.batch = dim, order, batch
        if order < 3:
            self._total = np.zeros((batch, *(dim,) * order))
            return
        self._left = colex_monomials(dim, order - 2)
        self._blocks = [
            (first, min(first + _BLOCK_ROWS, dim)) for first in range(0, dim, _BLOCK_ROWS)
        ]
        # Fortran order: dgemm then adds in place.
        self._sums = [
            [
                np.zeros((_prefix(hi, order - 2), _pairs(dim, lo, hi)), order="F")
                for _ in range(batch)
            ]
            for lo, hi in self._blocks
        ]

    def add(self, samples: np.ndarray, weights: np.ndarray) -> None:
        """Add samples (m, d) with weights (m, batch)."""
        if self.order == 0:
            self._total += weights.sum(axis=0)
        elif self.order == 1:
            self._total += weights.T @ samples
        elif self.order == 2:
            for total, column in zip(self._total, weights.T, strict=True):
                total += (column[:, None] * samples).T @ samples
        else:
            width = max(_pairs(self.dim, *self._blocks[0]), 1)
            step = min(max(64, _PANEL_DOUBLES // width), max(16, _SIDE_DOUBLES // len(self._left)))
            for first in range(0, len(samples), step):
                part = slice(first, first + step)
                self._add_panels(np.ascontiguousarray(samples[part].T), weights[part].T)

    def _add_panels(self, columns: np.ndarray, weights: np.ndarray) -> None:
        left = columns
        if self.order > 3:
            left = columns[self._left[:, 0]]
            for mode in range(1, self.order - 2):
                left *= columns[self._left[:, mode]]
        sides = [left * row for row in weights]
        panel = np.empty((_pairs(self.dim, *self._blocks[0]), columns.shape[1]))
        for (lo, hi), sums in zip(self._blocks, self._sums, strict=True):
            pairs = panel[: _pairs(self.dim, lo, hi)]
            khatri_rao.packed_khatri_rao(columns, _pairs(self.dim, 0, lo), pairs)
            for j, side in enumerate(sides):
                prefix = side[: _prefix(hi, self.order - 2)]
                # Transposes of C-ordered panels are Fortran-ordered views: nothing is copied.
                sums[j] = _dgemm(
                    1.0, prefix.T, pairs.T, beta=1.0, c=sums[j], trans_a=True, overwrite_c=True
                )

    def arrays(self) -> np.ndarray:
        """The sums as full symmetric arrays, (batch, d, ..., d)."""
        if self.order < 3:
            return self._total
        return np.stack([self._unpacked(j) for j in range(self.batch)])

    def _unpacked(self, j: int) -> np.ndarray:
        """Mirror the distinct entries: a tuple of indices is known by where its two largest are."""
        dim, order = self.dim, self.order
        number = _monomial_numbers(dim, order - 2)
        out = np.empty((dim,) * order)
        for (lo, hi), sums in zip(self._blocks, self._sums, strict=True):
            for row in range(lo, hi):
                start = _pairs(dim, lo, row)
                below = (slice(0, row + 1),) * (order - 2)
                # T[a_1, ..., a_{q-2}, row, c] for all a <= row <= c.
                part = sums[j][number[below], start : start + dim - row]
                for at_row, at_rest in itertools.permutations(range(order), 2):
                    place: list[Any] = [slice(0, row + 1)] * order
                    place[at_row], place[at_rest] = row, slice(row, None)
                    axis = at_rest - (at_rest > at_row)
                    out[tuple(place)] = np.moveaxis(part, -1, axis)
        return out


def colex_monomials(dim: int, degree: int) -> np.ndarray:
    """Sorted index lists (C(d+m-1, m), m) in colexicographic order: by the largest index first."""
    lists = itertools.combinations_with_replacement(range(dim), degree)
    return np.array(sorted(lists, key=lambda one: one[::-1]), dtype=np.intp).reshape(-1, degree)


def _monomial_numbers(dim: int, degree: int) -> np.ndarray:
    """The colexicographic number of each index list, sorted or not: a (d,) * m array."""
    indices = np.sort(np.indices((dim,) * degree), axis=0)
    # sum_t C(i_t + t - 1, t) over the sorted list.
    number = np.zeros((dim,) * degree, dtype=np.intp)
    for t in range(degree):
        table = np.array([math.comb(i + t, t + 1) for i in range(dim)], dtype=np.intp)
        number += table[indices[t]]
    return number


def _pairs(dim: int, lo: int, hi: int) -> int:
    """Pairs (b, c) with lo <= b < hi and b <= c < dim."""
    return (hi - lo) * dim - (hi * (hi - 1) - lo * (lo - 1)) // 2


def _prefix(size: int, degree: int) -> int:
    """Monomials of the degree in the first ``size`` variables."""
    return math.comb(size + degree - 1, degree)


def pairings(order: int, pairs: int) -> int:
    """Ways to choose that many disjoint pairs among ``order`` modes: k! / (2^j j! (k-2j)!)."""
    chosen = math.factorial(order) // math.factorial(order - 2 * pairs)
    return chosen // (2**pairs * math.factorial(pairs))


def shuffled(arrays: np.ndarray, last: int) -> np.ndarray:
    """Symmetric parts of a batch (b, d, ..., d), each symmetric in its ``last`` modes and the rest.

    The average over the C(k, last) places of the last modes.
    """
    order = arrays.ndim - 1
    if last in (0, order):
        return arrays
    total = np.zeros_like(arrays)
    sources = range(order - last + 1, order + 1)
    for places in itertools.combinations(range(1, order + 1), last):
        total += np.moveaxis(arrays, sources, places)
    total /= math.comb(order, last)
    return total


def symmetric_product(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Sym(A (x) B) for batches (b, d, ..., d), or (1, d, ..., d), of symmetric arrays."""
    flat = first.reshape(len(first), -1, 1) * second.reshape(len(second), 1, -1)
    shape = (len(flat), *first.shape[1:], *second.shape[1:])
    return shuffled(flat.reshape(shape), second.ndim - 1)


def hermite_combination(sums: list[np.ndarray], metric: np.ndarray) -> np.ndarray:
    """sum_i g_i He_q(x_i) from the power sums of orders q, q-2, q-4, ..., each (b, d, ..., d).

    He_q(x) = sum_j (-1)^j pairings(q, j) Sym(x^{q-2j} (x) I^j); the metric stands for I.
    """
    order = sums[0].ndim - 1
    total, identities = sums[0], np.ones(1)
    for j in range(1, len(sums)):
        identities = symmetric_product(identities, metric[None])
        term = symmetric_product(sums[j], identities)
        term *= (-1) ** j * pairings(order, j)
        total = total + term
    return total


def hermite_sums(dim: int, order: int, batch: int = 1) -> list[PowerSum]:
    """The running sums that `hermite_combination` takes."""
    return [PowerSum(dim, a, batch) for a in range(order, -1, -2)]
