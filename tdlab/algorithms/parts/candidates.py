"""Candidate directions: batched power steps, removal of duplicates, the subspace power method."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tdlab.algorithms.base import Budget
from tdlab.tensors.arrays import Array, row_dots, to_numpy


def random_units(count: int, dim: int, rng: np.random.Generator) -> np.ndarray:
    """(count, dim) uniform unit rows."""
    return unit(rng.standard_normal((count, dim)))


def unit(rows: Array) -> Array:
    """Rows over their norms; rows of zeros stay."""
    return rows / (row_dots(rows, rows)[:, None] ** 0.5 + 1e-150)


def power_steps(
    action: Callable[[Array], Array],
    rows: np.ndarray,
    steps: int,
    budget: Budget,
    *,
    shift: float = 0.0,
    block: int = 4096,
    lift: Callable[[np.ndarray], Array] = np.asarray,
) -> np.ndarray:
    """``steps`` of x <- normalise(T(x, x, .) + shift x) for unit rows, in blocks of memory.

    ``lift`` takes a block to the array library and device of ``action``.
    """
    out = np.array(rows)
    for first in range(0, len(rows), block):
        part = lift(out[first : first + block])
        for _ in range(steps):
            if budget.expired:
                return out
            part = unit(action(part) + shift * part)
        out[first : first + block] = to_numpy(part)
    return out


def distinct(
    rows: np.ndarray, scores: np.ndarray, cosine: float, most: int | None = None
) -> np.ndarray:
    """Indices of rows by falling score, none within ``cosine`` of an earlier one."""
    order = np.argsort(-scores, kind="stable")
    free = np.ones(len(rows), dtype=bool)
    kept: list[int] = []
    for index in order:
        if free[index]:
            kept.append(int(index))
            if len(kept) == most:
                break
            free &= rows @ rows[index] < cosine
    return np.array(kept, dtype=int)


def subspace_power(
    basis: np.ndarray,
    starts: np.ndarray,
    steps: int,
    budget: Budget,
    *,
    shift: float = 0.1,
) -> tuple[np.ndarray, np.ndarray]:
    """Ascent of F(x) = |P (x x^T)|^2 for the projection P on a space of symmetric matrices.

    F = 1 exactly where x x^T lies in the space; a step is x <- normalise(P(x x^T) x + shift x).

    Parameters
    ----------
    basis : (k, d, d) array
        Orthonormal symmetric matrices.
    starts : (b, d) unit rows

    Returns
    -------
    rows : (b, d) array
    values : (b,) array
        F at the rows.
    """
    dim = basis.shape[1]
    flat = basis.reshape(len(basis), -1)
    # x' B_k x over the upper triangle, off-diagonal entries twice: half the flops of all d^2.
    upper, lower = np.triu_indices(dim)
    packed = flat.reshape(-1, dim, dim)[:, upper, lower] * np.where(upper == lower, 1.0, 2.0)
    rows = np.array(starts)
    for _ in range(steps):
        if budget.expired:
            break
        forms = (rows[:, upper] * rows[:, lower]) @ packed.T
        images = (forms @ flat).reshape(-1, dim, dim)
        rows = unit(np.einsum("bij,bj->bi", images, rows) + shift * rows)
    forms = (rows[:, upper] * rows[:, lower]) @ packed.T
    return rows, (forms**2).sum(axis=1)
