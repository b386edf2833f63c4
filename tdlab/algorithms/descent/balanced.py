"""Fits in the coordinates in which the fitted components are orthonormal: for moments of data.

Solves     T ~ sum_i s_i w_i^{(x)k}, r <= d, where what is left is not alike in all directions:
           a plain least-squares fit gives a weak component away for the noise of a strong one
Method     go to the r leading singular directions of the flattening (d | d^{k-1}), whiten, fit;
           repeat {change coordinates so that the fit is the r unit vectors, fit again} until it
           stays there. The fixed point is equivariant under all linear maps of the span, as
           independent component analysis asks of whitening by a second moment, not at hand here
Guarantee  exact without noise; none with it
Cost       small descents in r dimensions
Sources    Anandkumar, Ge, Hsu, Kakade and Telgarsky (2014), arXiv 1210.7559, for whitening; Cardoso
           (1998) for equivariance; the iteration is this library's
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tdlab.algorithms.descent import small as _small
from tdlab.algorithms.descent.even import spectrum
from tdlab.tensors import DenseTensor, SymmetricTensor

_ROUNDS = 20
_STILL = 1e-6
_FIRST, _DESCENT = 100, 30


@dataclass(frozen=True, eq=False)
class BalancedFit:
    """Rows (r, d) and signs (r,) of the terms, and the relative residual in their coordinates."""

    rows: np.ndarray
    signs: np.ndarray
    residual: float


def balanced_fit(
    tensor: SymmetricTensor, rank: int, rng: np.random.Generator, stop: Callable[[], bool]
) -> BalancedFit | None:
    """One fit from a random start, or None where the iteration leads nowhere."""
    order = tensor.order
    flat = tensor.dense().reshape(tensor.dim, -1)
    left, values, _ = np.linalg.svd(flat, full_matrices=False)
    if values[rank - 1] <= 1e-12 * values[0]:
        return None
    # A term of coefficient a along a unit vector has the singular value |a|: in these coordinates
    # independent terms have about equal ones.
    frame = left[:, :rank] / values[:rank] ** (1.0 / order)
    inner = tensor.rotate(frame.T)
    signs = np.ones(rank)
    if order % 2 == 0:
        positive = int((spectrum(inner, rank).values > 0).sum())
        signs = np.where(np.arange(rank) < positive, 1.0, -1.0)
    target = _small.SmallTensor.of(inner)
    start = _small.random_rows(rank, rank, order, rng)
    fit = _small.descend(target, start, signs, iterations=_FIRST, stop=stop)
    for _ in range(_ROUNDS):
        rows = fit.rows * target.norm ** (1.0 / order)
        if stop() or not np.isfinite(rows).all() or np.linalg.cond(rows) > 1e6:
            return None
        if np.abs(rows - np.eye(rank)).max() < _STILL:
            # <w_i, frame_j> = delta_ij on the span of the leading directions.
            return BalancedFit(rows @ np.linalg.pinv(frame), signs, fit.residual)
        frame = frame @ np.linalg.inv(rows)
        inner = tensor.rotate(frame.T)
        target = _small.SmallTensor.of(DenseTensor._trusted(inner.dense()))
        unit = np.eye(rank) / target.norm ** (1.0 / order)
        fit = _small.descend(target, unit, signs, iterations=_DESCENT, stop=stop)
    return None
