"""The default: methods from the cheapest that may work to the strongest, each answer verified.

Solves     any tensor of order 3 to 6 that one of its methods solves
Method     ``jennrich`` for rank <= dim; at even orders ``spm``; to rank 3.3 dim (at order 3) a few
           quick starts of ``homotopy``, ``koszul-young`` (to about 1.75 dim) and ``homotopy`` with
           the penalty that stands unequal coefficients; then slow ``homotopy``, turn by turn for
           equal coefficients and for any. An answer is taken when it fits; a method that cannot
           take the order or the rank is passed over
Guarantee  that of ``koszul-young`` within its range; none beyond
Cost       that of the method that fits, and the failed attempts before it: milliseconds for the
           first, less than the last one's budget for all
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tdlab.algorithms._noise import under_noise
from tdlab.algorithms.base import EXACT_FIT, Budget, Decomposition, Method
from tdlab.algorithms.homotopy import Homotopy
from tdlab.algorithms.jennrich import Jennrich
from tdlab.algorithms.koszul_young import KoszulYoung
from tdlab.algorithms.spm import SPM
from tdlab.errors import check_integer
from tdlab.tensors import SymmetricTensor

# Beyond it Koszul-Young's joint kernel, (d^2/2)^2 doubles and O(d^6) flops, costs more than it is
# worth, and quick paths succeed to higher ranks.
_LARGE = 80
# Steps of the first slow attempt.
_FIRST_TURN = 2000


@dataclass(frozen=True)
class Auto:
    """Try methods in turn until one fits; say in the message what was tried.

    Parameters
    ----------
    steps : int
        Gauss-Newton steps of all slow attempts together: the budget where nothing fits.
    """

    name: ClassVar[str] = "auto"
    orders: ClassVar[tuple[int, ...]] = (3, 4, 5, 6)
    version: ClassVar[int] = 3
    guarantee: ClassVar[str] = "that of koszul-young to about 1.75 dim"
    cost: ClassVar[str] = "that of the methods it runs"
    source: ClassVar[str] = "this library"
    settles_noise: ClassVar[bool] = True

    steps: int = 20000

    def __post_init__(self) -> None:
        check_integer("method 'auto', option 'steps'", self.steps, 1)

    def reach(self, dim: int, order: int) -> int:
        """The furthest of its methods."""
        return max(method.reach(dim, order) or 0 for method in self._ladder(dim, dim, order))

    def limit(self, dim: int, order: int) -> None:
        """Any rank."""
        return None

    def _ladder(self, dim: int, rank: int, order: int) -> list[Method]:
        ladder: list[Method] = [Jennrich()]
        if order % 2 == 0:
            # Within its range it is as fast as a quick start, and stands any coefficients.
            ladder.append(SPM())
        if rank <= 3.3 * dim or dim >= _LARGE or order > 3:
            # Three paths of up to 40 stages: what succeeds at once succeeds here.
            ladder.append(Homotopy(steps=min(250, self.steps)))
            # Collinear components and widely unequal coefficients, up to about 1.75 dim.
            if dim <= _LARGE and order == 3:
                ladder.append(KoszulYoung())
            ladder.append(Homotopy(penalty="nuclear", steps=min(500, self.steps)))
        # Whether the coefficients agree does not show before the fit is exact (near the counting
        # bound those of a failed fit agree anyway), so both paths get their turns, each twice as
        # long as the last: at most four times the cost of the better one alone.
        left, turn = self.steps, min(_FIRST_TURN, (self.steps + 1) // 2)
        while left > 0:
            for penalty in ("equal", "ridge"):
                if left > 0:
                    ladder.append(Homotopy(penalty=penalty, steps=min(turn, left)))
                    left -= turn
            turn *= 2
        return ladder

    def run(
        self, tensor: SymmetricTensor, rank: int, *, rng: np.random.Generator, budget: Budget
    ) -> Decomposition:
        tried: list[Decomposition] = []
        for method in self._ladder(tensor.dim, rank, tensor.order):
            limit = method.limit(tensor.dim, tensor.order)
            if limit is not None and rank > limit:
                continue
            result = method.run(tensor, rank, rng=rng, budget=budget)
            if result.residual > EXACT_FIT:
                result = under_noise(method, tensor, result, rng, budget, tried)
            tried.append(result)
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
