"""Moment matrices: which moment each entry is, sums over equal moments, and their expansion back.

A multi-index of degree n is a sorted list i_1 <= ... <= i_n; its number is sum_t C(i_t + t - 1, t),
the colexicographic rank, which does not depend on the dimension.
"""

import numba
import numpy as np


@numba.njit(cache=True)
def moment_numbers(left, right, binomials, out):
    """Fill ``out[a, b]`` with the number of the product of monomials ``left[a]`` and ``right[b]``.

    ``left`` is (p, m), ``right`` (q, n), rows sorted; ``binomials[i, t] = C(i, t)``.
    """
    m, n = left.shape[1], right.shape[1]
    for a in range(left.shape[0]):
        for b in range(right.shape[0]):
            i = 0
            j = 0
            number = 0
            for t in range(m + n):
                if j == n or (i < m and left[a, i] <= right[b, j]):
                    value = left[a, i]
                    i += 1
                else:
                    value = right[b, j]
                    j += 1
                number += binomials[value + t, t + 1]
            out[a, b] = number


@numba.njit(cache=True)
def add_up(matrix, weights, index, out):
    """out[index[a, b]] += weights[a] weights[b] matrix[a, b], over all entries."""
    for a in range(matrix.shape[0]):
        scale = weights[a]
        for b in range(matrix.shape[1]):
            out[index[a, b]] += scale * weights[b] * matrix[a, b]


@numba.njit(cache=True)
def expand(moments, weights, index, factor, out):
    """out[a, b] += factor weights[a] weights[b] moments[index[a, b]]."""
    for a in range(out.shape[0]):
        scale = factor * weights[a]
        for b in range(out.shape[1]):
            out[a, b] += scale * weights[b] * moments[index[a, b]]


@numba.njit(cache=True)
def add_up_product(left, right, weights, index, out):
    """`add_up` of the (N, N) matrix left right^T, for (N, p) factors, without forming it."""
    for a in range(left.shape[0]):
        for b in range(right.shape[0]):
            entry = 0.0
            for k in range(left.shape[1]):
                entry += left[a, k] * right[b, k]
            out[index[a, b]] += weights[a] * weights[b] * entry


@numba.njit(cache=True)
def expand_times(moments, weights, index, right, out):
    """out += M right for the moment matrix M and an (N, p) block, without forming M."""
    for a in range(out.shape[0]):
        for b in range(out.shape[0]):
            entry = weights[a] * weights[b] * moments[index[a, b]]
            for k in range(out.shape[1]):
                out[a, k] += entry * right[b, k]


def warm_up() -> None:
    """Compile (or load from the disk cache) every kernel of this module."""
    lists = np.zeros((1, 1), dtype=np.int64)
    index = np.zeros((1, 1), dtype=np.int32)
    moment_numbers(lists, lists, np.ones((3, 3), dtype=np.int64), index)
    add_up(np.ones((1, 1)), np.ones(1), index, np.zeros(1))
    expand(np.ones(1), np.ones(1), index, 1.0, np.zeros((1, 1)))
    block = np.ones((1, 1))
    add_up_product(block, block, np.ones(1), index, np.zeros(1))
    expand_times(np.ones(1), np.ones(1), index, block, np.zeros((1, 1)))
