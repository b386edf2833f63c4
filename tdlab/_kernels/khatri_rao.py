"""Packed Khatri-Rao products: the pairs (j <= k) of a symmetric mode pair, a panel at a time.

A symmetric order-3 tensor has d(d+1)/2 distinct entries in its last two modes; multiplying only
those halves the flops and the bytes of an MTTKRP against the full d^2 Khatri-Rao product.
"""

import numba
import numpy as np


@numba.njit(cache=True)
def packed_khatri_rao(factors_t, first, out):
    """Fill ``out[p] = factors_t[j] * factors_t[k]`` for the pairs p = first, first+1, ...

    Pairs (j, k) with j <= k are numbered row by row: (0,0), (0,1), ..., (0,d-1), (1,1), ...
    ``factors_t`` is (d, r), ``out`` is (pairs in the panel, r); one multiply per entry written.
    """
    dim, rank = factors_t.shape
    # Row j starts at pair j*d - j(j-1)/2; walk to the row that holds `first`.
    j = 0
    start = 0
    while start + dim - j <= first:
        start += dim - j
        j += 1
    k = j + first - start
    for p in range(out.shape[0]):
        for i in range(rank):
            out[p, i] = factors_t[j, i] * factors_t[k, i]
        k += 1
        if k == dim:
            j += 1
            k = j


def warm_up() -> None:
    """Compile (or load from the disk cache) every kernel of this module."""
    packed_khatri_rao(np.ones((2, 1)), 0, np.empty((3, 1)))
