"""Hermite polynomials P_k(t, s) of inner products, weighted by sample, in one pass.

P_k = t P_{k-1} - (k-1) s P_{k-2} is He_k(x) contracted with w^k for t = <x, w>, s = |w|^2. An
MTTKRP of a moment tensor needs two successive ones; fused, they cost one read and one write of t.
"""

import numba
import numpy as np


@numba.njit(cache=True)
def weighted_hermite(t, squares, coefficients, degree, back):
    """t[i, j] becomes c_i P_degree(t_ij, s_j), and back[j] += sum_i c_i P_{degree-1}(t_ij, s_j).

    ``t`` is (samples, r), ``squares`` and ``back`` (r,), ``coefficients`` (samples,), the degree 1
    to 4. One loop a degree, because the compiler vectorises no loop with a recursion in it.
    """
    samples, rank = t.shape
    for i in range(samples):
        c = coefficients[i]
        if degree == 1:
            for j in range(rank):
                back[j] += c
                t[i, j] *= c
        elif degree == 2:
            for j in range(rank):
                x = c * t[i, j]
                back[j] += x
                t[i, j] = x * t[i, j] - c * squares[j]
        elif degree == 3:
            for j in range(rank):
                x, s = t[i, j], squares[j]
                second = x * x - s
                back[j] += c * second
                t[i, j] = c * x * (second - 2.0 * s)
        else:
            for j in range(rank):
                x, s = t[i, j], squares[j]
                second = x * x - s
                third = x * (second - 2.0 * s)
                back[j] += c * third
                t[i, j] = c * (x * third - 3.0 * s * second)


def warm_up() -> None:
    """Compile (or load from the disk cache) every kernel of this module."""
    weighted_hermite(np.ones((1, 1)), np.ones(1), np.ones(1), 2, np.zeros(1))
