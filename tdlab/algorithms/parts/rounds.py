"""Rounds of spectral candidates: draw from what is left, fit all jointly, deflate, draw again.

Solves     what any source of candidate directions leaves to do: duplicates, missing components,
           wrong ones, accuracy
Cost       a round: its candidates, and one joint least squares of ``_gram.refine``
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tdlab.algorithms.base import Budget, Decomposition, Status, finish
from tdlab.algorithms.descent.gram import refine
from tdlab.algorithms.parts.candidates import distinct
from tdlab.tensors import SymmetricTensor

_SAME = 0.85
_DROPPED = 0.2


def fit_in_rounds(
    method: Any,
    tensor: SymmetricTensor,
    rank: int,
    draw: Callable[[SymmetricTensor, int], np.ndarray],
    rng: np.random.Generator,
    budget: Budget,
    incomplete: str,
) -> Decomposition:
    """Fit ``rank`` components from candidates; the history is of residuals after each round.

    Parameters
    ----------
    method : a method with the option ``rounds``
    draw : function of a residual tensor and the number of components missing
        Unit rows (any number, d), best where the tensor is large.
    incomplete : str
        What a result says that does not fit.
    """
    found, weights = np.empty((0, tensor.dim)), np.empty(0)
    best: tuple[float, np.ndarray, np.ndarray] = (np.inf, found, weights)
    history: list[float] = []
    for _ in range(method.rounds):
        if len(found) == rank:
            # At a stationary point R(w, w, .) = 0 everywhere, but the residual's slice R(w) is
            # large where a row stands in for others.
            slices = tensor.minus(found, weights).contract(found)
            worst = np.linalg.norm(slices, axis=(1, 2)) * rng.uniform(0.5, 1.0, rank)
            kept = np.argsort(worst)[: rank - max(1, int(_DROPPED * rank))]
            found, weights = found[kept], weights[kept]
        need = rank - len(found)
        rest = tensor.minus(found, weights)
        rows = draw(rest, need)
        if len(rows) == 0 or budget.expired:
            break
        new = rows[distinct(rows, rest.evaluate(rows), _SAME, need)]
        found, weights, squared = refine(tensor, np.vstack([found, new]), budget)
        history.append(float(np.sqrt(squared)))
        if squared < best[0]:
            best = (squared, found, weights)
        if squared <= budget.target**2 or budget.expired:
            break
        # Rows that the fit has merged stand for one component.
        kept = distinct(found, weights, _SAME)
        found, weights = found[kept], weights[kept]
    late = budget.expired
    return finish(
        method,
        tensor,
        rank,
        budget,
        components=best[1],
        weights=best[2],
        status=Status.TIME_LIMIT if late else Status.STAGNATED,
        message="Stopped by max_seconds." if late else incomplete,
        nit=len(history),
        history=tuple(history),
    )
