"""The default: methods from the cheapest that may work to the strongest, each answer verified.

Solves     any tensor of order 2 to 16 that one of its methods solves; above 6 by pencils only
Method     ``eigen`` at order 2; ``jennrich`` for rank <= dim; ``hankel``, at order 3 to dim 20;
           at even orders ``spm``; to rank 3.3 dim (at order 3) a few quick starts of ``homotopy``,
           ``koszul-young`` (to about 1.75 dim) and ``homotopy`` with the penalty that stands
           unequal coefficients; then slow ``homotopy``, turn by turn for equal coefficients and for
           any. An answer is taken when it fits; a method that cannot take the order or the rank is
           passed over. Where nobody stated the noise, short descents from many starts, or repeated
           runs, tell after the quick methods whether a fit that is not exact may stand (`settle`)
Guarantee  that of ``koszul-young`` within its range; none beyond
Cost       that of the method that fits, and the failed attempts before it: milliseconds for the
           first, less than the last one's budget for all
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tdlab.algorithms.base import Budget, Decomposition, Method, Status, finish
from tdlab.algorithms.descent.small import fits_in
from tdlab.algorithms.methods.eigen import Eigen
from tdlab.algorithms.methods.hankel import Hankel
from tdlab.algorithms.methods.homotopy import Homotopy
from tdlab.algorithms.methods.jennrich import Jennrich
from tdlab.algorithms.methods.koszul_young import KoszulYoung
from tdlab.algorithms.methods.spm import SPM
from tdlab.algorithms.noise import refit
from tdlab.algorithms.ranks.bounds import span
from tdlab.algorithms.refusals import needed_bytes, refusal
from tdlab.algorithms.settle import settle
from tdlab.algorithms.settling.complex import complex_terms
from tdlab.algorithms.settling.descents import search
from tdlab.algorithms.threads import LARGEST_ENTRIES
from tdlab.errors import check_integer
from tdlab.streams import Part, own_stream
from tdlab.tensors import SymmetricTensor

# Beyond it Koszul-Young's joint kernel, (d^2/2)^2 doubles and O(d^6) flops, costs more than it is
# worth, and quick paths succeed to higher ranks.
_LARGE = 80
# Dimension up to which pencils of order 3 cost no more than a quick start.
_PENCILS = 20
# Share of the largest eigenvalue of a random contraction above which none is taken for zero.
_SPANNED = 1e-10
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
    orders: ClassVar[tuple[int, ...]] = tuple(range(2, 17))
    version: ClassVar[int] = 6
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
        if order > 6:
            return [Hankel()]
        ladder: list[Method] = [Jennrich()]
        if order > 3 or dim <= _PENCILS:
            # Linear algebra, in milliseconds: it also tells terms that are complex or coincide.
            ladder.append(Hankel())
        if order % 2 == 0:
            # Within its range it is as fast as a quick start, and stands any coefficients.
            ladder.append(SPM())
        quick = rank <= 3.3 * dim or dim >= _LARGE or order > 3
        if quick:
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
        penalties = ("nuclear", "equal", "ridge") if quick else ("equal", "ridge", "nuclear")
        left, turn = self.steps, min(_FIRST_TURN, -(-self.steps // 3))
        while left > 0:
            for penalty in penalties:
                if left > 0:
                    ladder.append(Homotopy(penalty=penalty, steps=min(turn, left)))
                    left -= turn
            turn *= 2
        return ladder

    def required_bytes(self, tensor: SymmetricTensor) -> int:
        """That of the least of its methods: it passes over the others."""
        return min(
            needed_bytes(method, tensor)
            for method in self._ladder(tensor.dim, tensor.dim, tensor.order)
        )

    def run(
        self, tensor: SymmetricTensor, rank: int, *, rng: np.random.Generator, budget: Budget
    ) -> Decomposition:
        rng = own_stream(rng, Part.METHOD)
        if budget.noise == 0.0 and tensor.order > 2 and tensor.dim**tensor.order <= LARGEST_ENTRIES:
            own = rng.spawn(1)[0]
            inner, basis = (tensor, None) if _fills(tensor, own) else span(tensor, own)
            if basis is not None and 1 < inner.dim < tensor.dim:
                # Terms in a subspace are a tensor of that subspace, where all costs less.
                return self._lifted(tensor, basis, self._climb(inner, rank, rng, budget), budget)
        return self._climb(tensor, rank, rng, budget)

    def _lifted(
        self, tensor: SymmetricTensor, basis: np.ndarray, inside: Decomposition, budget: Budget
    ) -> Decomposition:
        """The result within a subspace as one of the whole space."""
        if len(inside.components) == 0:
            empty = inside.components.reshape(0, tensor.dim)
            return dataclasses.replace(inside, components=empty)
        rows = inside.components @ basis
        if not inside.success or inside.noise > 0.0:
            return dataclasses.replace(inside, components=rows)
        whole = finish(
            self,
            tensor,
            inside.rank,
            dataclasses.replace(budget, exact=max(budget.exact, inside.residual)),
            components=rows,
            weights=inside.weights,
            nit=inside.nit,
            history=inside.history,
        )
        told = inside.message[inside.message.find(" Tried: ") :]
        return dataclasses.replace(whole, message=whole.message + told)

    def _climb(
        self, tensor: SymmetricTensor, rank: int, rng: np.random.Generator, budget: Budget
    ) -> Decomposition:
        """Up the ladder."""
        tried: list[Decomposition] = []
        story: list[str] = []
        over: Decomposition | None = None

        def take(result: Decomposition, label: str) -> bool:
            """Whether the answer is there."""
            tried.append(result)
            story.append(f"{label} (residual {result.residual:.1e})")
            return result.success or _answers(result) or budget.expired

        ladder = [
            method
            for method in self._ladder(tensor.dim, rank, tensor.order)
            if not refusal(method, tensor, rank)
        ]
        quick = _quick(ladder, tensor.dim, rank, tensor.order)
        repeats = estimate = budget.estimate and tensor.order > 2
        for place, method in enumerate(ladder):
            result = method.run(tensor, rank, rng=rng, budget=budget)
            if budget.noise:
                result = refit(method, tensor, result, budget)
            if result.success or place < quick or budget.expired:
                if take(result, _label(method)):
                    break
                continue
            if place == quick and estimate:
                if take(result, _label(method)):
                    break
                found = search(self, tensor, rank, rng, budget, tried)
                if found is not None:
                    repeats = False
                    shown, ends = found
                    if take(shown, "short descents from many starts") or ends:
                        over = shown if ends else None
                        break
                    continue
                del tried[-1], story[-1]
            elif place == quick and tensor.order > 2:
                found = complex_terms(self, tensor, rank, rng, budget)
                if found is not None:
                    take(found, "complex descents")
                    break
            if repeats:
                result = settle(method, tensor, result, rng, budget, tried, polished=True)
            if take(result, _label(method)):
                break
        # Under noise an earlier fit that nothing confirmed may be closer by a hair.
        best = min(tried, key=lambda r: (not r.success, not _answers(r), r.residual))
        status, told = best.status, [best.message]
        if status is Status.DEGENERATE:
            # What pencils say of a limit of sums is more than what a descent shows of it.
            told += [t.message for t in tried if t.status is status]
        if budget.expired and not (best.success or _answers(best)):
            status, told = Status.TIME_LIMIT, ["Stopped by max_seconds.", *told]
        elif status is Status.STAGNATED and tensor.order > 2 and best is not over:
            told = ["No method fitted before its budget ended: raise `steps`, or lower the rank."]
        message = _sentences(told)
        return dataclasses.replace(
            best,
            method=self.name,
            status=status,
            message=f"{message} Tried: {', '.join(story)}.",
            nit=sum(t.nit for t in tried),
            seconds=budget.seconds,
        )


def _fills(tensor: SymmetricTensor, rng: np.random.Generator) -> bool:
    """Whether one random contraction shows at once that the terms span the whole space."""
    matrix = tensor.contract(*rng.standard_normal((tensor.order - 2, tensor.dim)))
    sizes = np.abs(np.linalg.eigvalsh(matrix))
    return bool(sizes.min() > _SPANNED * sizes.max())


def _sentences(messages: list[str]) -> str:
    """Each sentence of the messages once, less the advice to use this method."""
    said = [one for text in messages for one in re.split(r"(?<=[.:!]) +(?=[A-Z])", text) if one]
    return " ".join(one for one in dict.fromkeys(said) if "method='auto'" not in one)


def _answers(result: Decomposition) -> bool:
    """Whether a fit that is no success ends the search: runs agree on it, or no fit is exact."""
    if result.status in (Status.APPROXIMATION, Status.COMPLEX):
        return True
    return result.status is Status.DEGENERATE and result.agreement > 1


def _quick(ladder: list[Method], dim: int, rank: int, order: int) -> int:
    """Place of the last method to run before short descents are tried: the first where the problem
    is too large for these, or has independent components, which Jennrich's algorithm would find."""
    if not fits_in(dim, rank, order):
        return 0
    names = [method.name for method in ladder]
    for name in ("hankel",) if rank <= dim else ("koszul-young", "homotopy", "hankel"):
        if name in names:
            return names.index(name)
    return 0


def _label(method: Method) -> str:
    """The name, with what distinguishes one attempt from another."""
    if isinstance(method, Homotopy):
        return f"{method.name} {method.penalty} {method.steps} steps"
    return method.name
