"""What the ALS of other libraries shares: starts until one fits, and modes averaged to rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tdlab.algorithms.base import Budget, Decomposition, Status, finish
from tdlab.tensors import SymmetricTensor

# Sweeps run in chunks so that the clock can stop them between two.
CHUNK = 50

_STUCK = (
    "ALS stopped improving: it swamps above a rank of two or three times the dimension. "
    "Try method='auto'."
)


def best_start(
    method: Any,
    tensor: SymmetricTensor,
    rank: int,
    budget: Budget,
    descend: Callable[[list[float]], list[np.ndarray]],
) -> Decomposition:
    """The best of ``method.restarts`` starts, or the first that fits.

    Parameters
    ----------
    method : a method with the option ``restarts``
    descend : function of the history of residuals, one a chunk of sweeps
        Appends to it, and returns the factors that one start ends at.
    """
    history: list[float] = []
    results: list[Decomposition] = []
    for _ in range(method.restarts):
        factors = descend(history)
        late = budget.expired
        results.append(
            finish(
                method,
                tensor,
                rank,
                budget,
                components=_symmetric_rows(factors),
                status=Status.TIME_LIMIT if late else Status.STAGNATED,
                message="Stopped by max_seconds." if late else _STUCK,
                nit=len(history) * CHUNK,
                history=tuple(history),
            )
        )
        if results[-1].success or late:
            break
    return min(results, key=lambda result: result.residual)


def _symmetric_rows(factors: list[np.ndarray]) -> np.ndarray:
    """Unit rows (rank, dim): the average of a column over the modes, signs aligned to the first."""
    aligned = []
    for factor in factors:
        unit = factor / np.maximum(np.linalg.norm(factor, axis=0), 1e-300)
        if aligned:
            unit = unit * np.where((unit * aligned[0]).sum(axis=0) < 0.0, -1.0, 1.0)
        aligned.append(unit)
    return np.mean(aligned, axis=0).T
