"""The default: methods from the cheapest that may work to the strongest, each answer verified.

Solves     any tensor of order 2 to 6 that one of its methods solves
Method     ``eigen`` at order 2; ``jennrich`` for rank <= dim; at even orders ``spm``; to rank
           3.3 dim (at order 3) a few quick starts of ``homotopy``, ``koszul-young`` (to about
           1.75 dim) and ``homotopy`` with the penalty that stands unequal coefficients; then slow
           ``homotopy``, turn by turn for equal coefficients and for any. An answer is taken when
           it fits; a method that cannot take the order or the rank is passed over
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
from tdlab.algorithms.base import Budget, Decomposition, Method, Status
from tdlab.algorithms.eigen import Eigen
from tdlab.algorithms.homotopy import Homotopy
from tdlab.algorithms.jennrich import Jennrich
from tdlab.algorithms.koszul_young import KoszulYoung
from tdlab.algorithms.spm import SPM
from tdlab.errors import check_integer
from tdlab.streams import Part, own_stream
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
    orders: ClassVar[tuple[int, ...]] = (2, 3, 4, 5, 6)
    version: ClassVar[int] = 4
    guarantee: ClassVar[str] = "that of koszul-young to about 1.75 dim"
    cost: ClassVar[str] = "that of the methods it runs"
    source: ClassVar[str] = "this library"
    settles_noise: ClassVar[bool] = True

    steps: int = 60000

    def __post_init__(self) -> None:
        check_integer("method 'auto', option 'steps'", self.steps, 1)

    def reach(self, dim: int, order: int) -> int:
        """The furthest of its methods."""
        return max(method.reach(dim, order) or 0 for method in self._ladder(dim, dim, order))

    def limit(self, dim: int, order: int) -> int | None:
        """Any rank, but at order 2, where no matrix needs more terms than dimensions."""
        return Eigen().limit(dim, order) if order == 2 else None

    def _ladder(self, dim: int, rank: int, order: int) -> list[Method]:
        if order == 2:
            return [Eigen()]
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
        # bound those of a failed fit agree anyway), so every penalty gets its turns, each twice as
        # long as the last: at most six times the cost of the best one alone. Where quick paths
        # could have succeeded and did not, coefficients differ, and nuclear goes first.
        penalties = (
            ("nuclear", "equal", "ridge") if len(ladder) > 2 else ("equal", "ridge", "nuclear")
        )
        left, turn = self.steps, min(_FIRST_TURN, -(-self.steps // 3))
        while left > 0:
            for penalty in penalties:
                if left > 0:
                    ladder.append(Homotopy(penalty=penalty, steps=min(turn, left)))
                    left -= turn
            turn *= 2
        return ladder

    def run(
        self, tensor: SymmetricTensor, rank: int, *, rng: np.random.Generator, budget: Budget
    ) -> Decomposition:
        rng = own_stream(rng, Part.METHOD)
        tried: list[Decomposition] = []
        story: list[str] = []
        for method in self._ladder(tensor.dim, rank, tensor.order):
            limit = method.limit(tensor.dim, tensor.order)
            if limit is not None and rank > limit:
                continue
            result = method.run(tensor, rank, rng=rng, budget=budget)
            if result.residual > budget.exact and tensor.order > 2:
                result = under_noise(method, tensor, result, rng, budget, tried)
            tried.append(result)
            story.append(f"{_label(method)} (residual {result.residual:.1e})")
            if tried[-1].success or budget.expired:
                break
        # Under noise an earlier fit that nothing confirmed may be closer by a hair.
        best = min(tried, key=lambda result: (not result.success, result.residual))
        status, message = best.status, best.message
        if budget.expired and not best.success:
            status, message = Status.TIME_LIMIT, "Stopped by max_seconds."
        elif status is Status.STAGNATED and tensor.order > 2:
            message = "No method fitted before its budget ended: raise `steps`, or lower the rank."
        return dataclasses.replace(
            best,
            method=self.name,
            status=status,
            message=f"{message} Tried: {', '.join(story)}.",
            nit=sum(t.nit for t in tried),
            seconds=budget.seconds,
        )


def _label(method: Method) -> str:
    """The name, with what distinguishes one attempt from another."""
    if isinstance(method, Homotopy):
        return f"{method.name} {method.penalty} {method.steps} steps"
    return method.name
