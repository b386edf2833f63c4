"""The rank of a symmetric matrix: eigenvalues say all of it."""

from __future__ import annotations

import math

import numpy as np

from tdlab.algorithms._noise import noise_gain
from tdlab.algorithms._rank_bounds import gap
from tdlab.algorithms._rank_exact import Told
from tdlab.algorithms._rank_table import RankRow, standing_out
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
    shown = gap(values)
    if level:
        rank = int(np.argmax(np.array(left) <= level))
        message = f"{rank} terms leave a residual of {left[rank]:.2g}, within the stated noise of "
        return Told(rank, level, "stated noise", f"{message}{level:.2g}, and no fewer do."), rows
    if shown is not None and (shown < dim or level == 0.0):
        return Told(shown, 0.0, "exact", f"{shown} eigenvalues are not zero."), rows
    out = standing_out(rows)
    if out is None:
        message = (
            f"All {dim} eigenvalues are not zero, and they fall off without a gap: no rank stands "
            "out. State the rank, or the noise level."
        )
        return Told(None, 0.0, "", message), rows
    rank, factor, after = out
    return Told(rank, left[rank], "drop", drop_sentence(rank, factor, after)), rows


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
