"""Binary forms whose sums of r powers are a family: one with real terms.

Solves     w_1, ..., w_r in R^2 with T = sum_i a_i w_i^{(x)k}, for r at which the forms of degree r
           that are apolar to T are a family, as r > (k+1)/2 or r > border rank
Method     Sylvester: the w_i of each sum are the roots of an apolar form of degree r without
           multiple roots. Random members of the family, then ever smaller moves of the member
           whose roots are nearest to the real line, until all are real
Guarantee  none; every sum found is exact
Cost       companion eigenproblems of size r, at most some thousands
Sources    Sylvester (1851); Comas and Seiguer (2011) for the ranks; Brachat et al. (2010)
"""

from __future__ import annotations

import numpy as np

from tdlab.algorithms.parts.apolar import numerical_rank
from tdlab.tensors import SymmetricTensor
from tdlab.tensors.packed import Forms

_POPULATION = 128
_ROUNDS = 40
_REAL = 1e-7
# Roots at a smaller angle are nearly multiple, and the terms at them nearly cancel.
_APART = 0.02


def real_terms(tensor: SymmetricTensor, rank: int, rng: np.random.Generator) -> np.ndarray | None:
    """Unit rows (rank, 2) of real terms that fit; None where no member found has real roots."""
    matrix = tensor.catalecticant(rank)
    left, values, _ = np.linalg.svd(matrix)
    family = left[:, numerical_rank(values) :]
    if family.shape[1] == 0:
        return None
    scales = Forms.of(2, rank).scales
    centre, width, best = np.zeros(family.shape[1]), 1.0, np.inf
    found: tuple[float, np.ndarray] | None = None
    for _ in range(_ROUNDS):
        members = centre + width * rng.standard_normal((_POPULATION, len(centre)))
        members /= np.linalg.norm(members, axis=1, keepdims=True)
        roots = _roots(members @ family.T * scales)
        heights = _heights(roots)
        real = heights.max(axis=1) < _REAL
        if real.any():
            angles = np.sort(np.arctan(np.real(roots[real])), axis=1)
            gaps = np.diff(np.c_[angles, angles[:, :1] + np.pi], axis=1).min(axis=1)
            widest = int(np.argmax(gaps))
            if found is None or gaps[widest] > found[0]:
                found = (float(gaps[widest]), np.real(roots[real][widest]))
                centre = members[real][widest]
            if found[0] > _APART:
                break
            width = max(0.7 * width, 1e-3)
            continue
        total = heights.sum(axis=1)
        lowest = int(np.argmin(total))
        if total[lowest] < best:
            best, centre = float(total[lowest]), members[lowest]
        else:
            width = max(0.7 * width, 1e-3)
    if found is None or found[0] < 1e-6:
        return None
    rows = np.c_[np.ones(rank), found[1]]
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _roots(coefficients: np.ndarray) -> np.ndarray:
    """Roots (b, r) of sum_j c_j t^j for each row of (b, r + 1) coefficients."""
    count, size = coefficients.shape
    companion = np.zeros((count, size - 1, size - 1))
    companion[:, 1:, :-1] = np.eye(size - 2)
    companion[:, :, -1] = -coefficients[:, :-1] / coefficients[:, -1:]
    return np.linalg.eigvals(companion)


def _heights(roots: np.ndarray) -> np.ndarray:
    """How far each root is from the real line, on the sphere of directions (1, t)."""
    return np.abs(np.imag(roots)) / (1.0 + np.abs(roots) ** 2)
