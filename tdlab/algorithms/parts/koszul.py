"""Equations of the components beyond the catalecticant's size: Koszul flattenings at odd orders.

Solves     S_{m+1} = span{w_i^{(x)(m+1)}} of T = sum_i a_i w_i^{(x)(2m+1)}, m >= 1, while
           2 r + N_{m-1} < 3 N_m, N_m = C(d+m-1, m): about 1.5 times the catalecticant's size
Method     with u_i = P w_i in R^3, X -> sum_i a_i (u_i x X(w_i^m)) (x) w_i^m has rank 2 r, so that
           X in its kernel has X(w_i^m) parallel to u_i: three forms of degree m + 1 vanish at w_i
Cost       a projection: one SVD of size 3 N_m
Sources    Oeding and Ottaviani (2013), arXiv 1103.0203, where P = 1 for ternary forms: the w_i are
           the eigenvectors of X; Landsberg and Ottaviani (2013), arXiv 1111.4567
"""

from __future__ import annotations

import numpy as np

from tdlab.algorithms.parts.apolar import contractions, multiples, numerical_rank
from tdlab.tensors import SymmetricTensor
from tdlab.tensors.packed import Forms, size

_PROJECTIONS = 12


def largest_rank(dim: int, order: int) -> int:
    """Largest r with 2 r + N_{m-1} < 3 N_m at order 2m + 1; 0 where there is none."""
    if order % 2 == 0 or dim < 3:
        return 0
    half = order // 2
    return (3 * size(dim, half) - size(dim, half - 1) - 1) // 2


def koszul_space(
    matrix: np.ndarray, tensor: SymmetricTensor, rank: int, rng: np.random.Generator
) -> np.ndarray | None:
    """Orthonormal basis (N_{m+1}, s) of the annihilator of the equations; None if there are none.

    Parameters
    ----------
    matrix : (N_{m+1}, N_m) array
        The catalecticant of the tensor, of order 2m + 1.
    """
    dim, half = tensor.dim, tensor.order // 2
    forms, high = Forms.of(dim, half), Forms.of(dim, half + 1)
    slices = contractions(matrix, high)
    equations = np.empty((len(high.scales), 0))
    for _ in range(_PROJECTIONS):
        frame = np.linalg.qr(rng.standard_normal((dim, 3)))[0]
        found = _equations(np.einsum("ajb,jp->pab", slices, frame), frame, forms, rank)
        if found is None:
            return None
        left, values, _ = np.linalg.svd(np.hstack([equations, found]), full_matrices=False)
        known = equations.shape[1]
        count = numerical_rank(values)
        equations = left[:, :count]
        # Every projection has all the equations where d = 3.
        if count == known or dim == 3:
            break
    if equations.shape[1] == 0:
        return None
    return np.linalg.qr(equations, mode="complete")[0][:, equations.shape[1] :]


def _equations(slices: np.ndarray, frame: np.ndarray, forms: Forms, rank: int) -> np.ndarray | None:
    """Forms (N_{m+1}, e) that vanish at the components, from slices (3, N_m, N_m)."""
    count = slices.shape[1]
    flat = np.zeros((3, count, 3, count))
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        flat[i, :, k, :] = slices[j]
        flat[i, :, j, :] = -slices[k]
    _, values, right = np.linalg.svd(flat.reshape(3 * count, 3 * count))
    kept = numerical_rank(values, 2 * rank)
    if kept > 2 * rank:
        return None
    fields = right[kept:].reshape(-1, 3, count)
    grown = [np.einsum("ajm,jp->pam", multiples(fields[:, q].T, forms), frame) for q in range(3)]
    # u x X, with u_p = <frame_p, x> and X_q = <fields_q, x^m>.
    return np.hstack([grown[k][j] - grown[j][k] for j, k in ((1, 2), (2, 0), (0, 1))])
