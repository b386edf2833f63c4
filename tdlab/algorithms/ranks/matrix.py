"""The rank of a symmetric matrix: eigenvalues say all of it."""

from __future__ import annotations

import math

import numpy as np

from tdlab.algorithms.methods.eigen import told_rank
from tdlab.algorithms.noise import noise_gain
from tdlab.algorithms.ranks.exact import Told
from tdlab.algorithms.ranks.table import RankRow
from tdlab.tensors import SymmetricTensor, gaussian_tensor


def tell_matrix(
    tensor: SymmetricTensor, level: float | None, largest: int | None, rng: np.random.Generator
) -> tuple[Told, dict[int, RankRow]]:
    """The number of eigenvalues that are not zero, or not noise; a row for each rank to there.

    The best fit of rank r leaves the eigenvalues after the r largest (Eckart and Young 1936), so
    that every search ends in it.
    """
    dim = tensor.dim
    values, left = _spectrum(tensor)
    _, left_of_null = _spectrum(gaussian_tensor(dim, 2, rng=rng))
    rows = {}
    last = dim if largest is None else min(largest, dim)
    for rank in range(1, last + 1):
        # A matrix of rank r has r d - r (r - 1) / 2 parameters.
        free = math.comb(dim - rank + 1, 2)
        gain = 0.0
        if rank < dim and left[rank] > 0.0:
            fall = 1.0 - (left[rank + 1] / left[rank]) ** 2
            gain = fall * free / noise_gain(dim - rank, 2)
        rows[rank] = RankRow(rank, left[rank], 1.0, left_of_null[rank], gain, values[0])
    rank, noise, message = told_rank(tensor, level)
    evidence = "stated noise" if level else "noise" if noise else "exact"
    return Told(rank, noise, evidence, message), rows


def drop_sentence(rank: int, factor: float, after: float) -> str:
    """Why a rank stands out."""
    return (
        f"Term {rank} lowers the residual {factor:.3g}-fold, relative to a tensor without "
        f"structure, and the ones after it {after:.2g}-fold at the most."
    )


def _spectrum(tensor: SymmetricTensor) -> tuple[np.ndarray, list[float]]:
    """Absolute eigenvalues, falling, over the norm; and the norm of those after the r largest."""
    values = np.sort(np.abs(np.linalg.eigvalsh(tensor.dense())))[::-1] / tensor.norm()
    tails = np.sqrt(np.cumsum(values[::-1] ** 2))[::-1]
    return values, [*tails.tolist(), 0.0]
