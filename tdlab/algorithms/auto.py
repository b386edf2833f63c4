"""The default: methods from the cheapest that may work to the strongest, each answer verified.

Solves     any order-3 tensor that one of its methods solves
Method     ``jennrich`` for rank <= dim; a few quick starts of ``homotopy``; ``koszul-young`` to
           about 1.75 dim; ``homotopy`` with the penalty that stands unequal coefficients; the slow
           ``homotopy``. An answer is taken when it fits; a method that cannot take the rank is
           passed over
Guarantee  that of ``koszul-young`` within its range; none beyond
Cost       that of the method that fits, and the failed attempts before it: milliseconds for the
           first, less than the last one's budget for all
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tdlab.algorithms.base import Budget, Decomposition, Method
from tdlab.algorithms.homotopy import Homotopy
from tdlab.algorithms.jennrich import Jennrich
from tdlab.algorithms.koszul_young import KoszulYoung
from tdlab.errors import check_integer
from tdlab.tensors import SymmetricTensor

# Beyond it the joint kernel, (d^2/2)^2 doubles and O(d^6) flops, costs more than it is worth.
_LARGEST_KOSZUL_YOUNG = 80


@dataclass(frozen=True)
class Auto:
    """Try methods in turn until one fits; say in the message what was tried.

    Parameters
    ----------
    steps : int
        Gauss-Newton steps of the last and slowest attempt: the budget where nothing fits.
    """

    name: ClassVar[str] = "auto"
    orders: ClassVar[tuple[int, ...]] = (3,)
    version: ClassVar[int] = 1
    guarantee: ClassVar[str] = "that of koszul-young to about 1.75 dim"
    cost: ClassVar[str] = "that of the methods it runs"
    source: ClassVar[str] = "this library"

    steps: int = 20000

    def __post_init__(self) -> None:
        check_integer("method 'auto', option 'steps'", self.steps, 1)

    def reach(self, dim: int, order: int) -> int:
        """The furthest of its methods."""
        return max(method.reach(dim, order) or 0 for method in self._ladder(dim))

    def limit(self, dim: int, order: int) -> None:
        """Any rank."""
        return None

    def _ladder(self, dim: int) -> list[Method]:
        ladder: list[Method] = [
            Jennrich(),
            # Three paths of 24, 40 and 40 stages: what succeeds at once succeeds here.
            Homotopy(steps=min(250, self.steps)),
            # Collinear components and widely unequal coefficients, up to about 1.75 dim.
            KoszulYoung(),
            Homotopy(penalty="nuclear", steps=min(500, self.steps)),
            Homotopy(steps=self.steps),
        ]
        if dim > _LARGEST_KOSZUL_YOUNG:
            ladder.pop(2)
        return ladder

    def run(
        self, tensor: SymmetricTensor, rank: int, *, rng: np.random.Generator, budget: Budget
    ) -> Decomposition:
        tried: list[Decomposition] = []
        for method in self._ladder(tensor.dim):
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
