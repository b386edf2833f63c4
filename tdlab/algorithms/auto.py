"""The default: the algebraic method where it applies, local search beyond it.

Solves     any order-3 tensor; verifies each answer by its residual before it accepts it
Guarantee  that of ``jennrich`` for rank <= dim; none beyond
Cost       that of what it runs; a failed attempt at ``jennrich`` adds milliseconds
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tdlab.algorithms.base import Budget, Decomposition, Method
from tdlab.algorithms.jennrich import Jennrich
from tdlab.algorithms.lm import LevenbergMarquardt
from tdlab.tensors import SymmetricTensor


@dataclass(frozen=True)
class Auto:
    """Try methods from the cheapest on until one fits; say in the message what was tried."""

    name: ClassVar[str] = "auto"
    orders: ClassVar[tuple[int, ...]] = (3,)
    version: ClassVar[int] = 1
    guarantee: ClassVar[str] = "that of jennrich for rank <= dim"
    cost: ClassVar[str] = "that of the methods it runs"
    source: ClassVar[str] = "this library"

    def reach(self, dim: int, order: int) -> int:
        """The furthest of its methods."""
        return max(method.reach(dim, order) or 0 for method in _LADDER)

    def limit(self, dim: int, order: int) -> None:
        """Any rank."""
        return None

    def run(
        self, tensor: SymmetricTensor, rank: int, *, rng: np.random.Generator, budget: Budget
    ) -> Decomposition:
        tried: list[Decomposition] = []
        for method in _LADDER:
            limit = method.limit(tensor.dim, tensor.order)
            if limit is not None and rank > limit:
                continue
            tried.append(method.run(tensor, rank, rng=rng, budget=budget))
            if tried[-1].success or budget.expired:
                break
        best = min(tried, key=lambda result: result.residual)
        story = ", ".join(f"{t.method} (residual {t.residual:.1e})" for t in tried)
        return dataclasses.replace(
            best,
            method=self.name,
            message=f"{best.message} Tried: {story}.",
            nit=sum(t.nit for t in tried),
            seconds=budget.seconds,
        )


_LADDER: tuple[Method, ...] = (Jennrich(), LevenbergMarquardt())
