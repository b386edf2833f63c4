"""PIPE: precondition, iterate by power steps, polish jointly, and again on the residual.

Solves     T = sum_i a_i w_i^{(x)3} of random w_i with rank up to a constant times d^{3/2}
Guarantee  none; power steps on the preconditioned harmonic part find random components directly
Cost       a round: 12 need + 64 starts, 30 MTTKRPs with them; then 15 to 60 Gauss-Newton steps
Sources    this library; power steps as in Anandkumar, Ge and Janzamin (2017), arXiv 1411.1488

Candidates of one round are never complete, and joint least squares on those at hand sharpens
them, so that the residual shows the rest. A full set that does not fit holds wrong rows: the
fifth where the residual is largest goes, a little at random; every fourth time three fifths go,
which leaves local minima of small ranks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tdlab.algorithms.base import Budget, Decomposition, Status, finish, fit_weights
from tdlab.algorithms.descent.loop import CERTAIN, Descent, Effort, Target
from tdlab.algorithms.parts.candidates import distinct, power_steps, random_units, unit
from tdlab.algorithms.parts.precondition import plain, precondition
from tdlab.errors import check_integer
from tdlab.streams import Part, own_stream
from tdlab.tensors import SymmetricTensor
from tdlab.tensors.arrays import to_numpy

_SAME = 0.85
_DROPPED = (0.2, 0.2, 0.2, 0.6)


@dataclass(frozen=True)
class Pipe:
    """Decompose an order-3 tensor of many random components.

    Parameters
    ----------
    rounds : int
        Rounds of candidates and polish at the most.
    power : int
        Power steps of a start.
    polish : int
        Gauss-Newton steps a round; up to four times as many while they pay.
    cg_steps : int
        Conjugate-gradient products of one of them.
    """

    name: ClassVar[str] = "pipe"
    orders: ClassVar[tuple[int, ...]] = (3,)
    version: ClassVar[int] = 2
    guarantee: ClassVar[str] = "none"
    cost: ClassVar[str] = (
        "30 MTTKRPs with 12 r vectors and 15 to 60 joint steps of O(r^2 d), a round"
    )
    source: ClassVar[str] = "this library"

    rounds: int = 40
    power: int = 30
    polish: int = 15
    cg_steps: int = 20

    def __post_init__(self) -> None:
        for option in ("rounds", "power", "polish", "cg_steps"):
            check_integer(f"method 'pipe', option '{option}'", getattr(self, option), 1)

    def reach(self, dim: int, order: int) -> int:
        """0.6 r_id up to d = 60, and .8 d^1.5 beyond: recovered by at least half of the trials.

        Largest such ranks of iid components, 6 trials each: 16, 54, 104 at d = 10, 20, 30; all of
        2 to 6 trials at (40, 170), (60, 371) and (100, 800).
        """
        return max(min((dim + 1) * (dim + 2) // 10, int(0.8 * dim**1.5)), 1)

    def limit(self, dim: int, order: int) -> None:
        """Any rank."""
        return None

    def run(
        self, tensor: SymmetricTensor, rank: int, *, rng: np.random.Generator, budget: Budget
    ) -> Decomposition:
        rng = own_stream(rng, Part.METHOD)
        rows, weights, squared = np.empty((0, tensor.dim)), np.empty(0), 1.0
        best: tuple[float, np.ndarray, np.ndarray] = (np.inf, rows, weights)
        history: list[float] = []
        for count in range(self.rounds):
            if len(rows) == rank:
                # At a stationary point R(w, w, .) = 0 everywhere, but the residual's slice R(w)
                # is large where a row stands in for others.
                slices = tensor.minus(rows, weights).contract(rows)
                worst = np.linalg.norm(slices, axis=(1, 2)) * rng.uniform(0.5, 1.0, rank)
                kept = np.argsort(worst)[: rank - max(1, int(_DROPPED[count % 4] * rank))]
                rows, weights = rows[kept], weights[kept]
            new = self._candidates(tensor, rows, weights, rank - len(rows), rng, budget)
            rows, weights, squared = self._polish(tensor, np.vstack([rows, new]), rank, budget)
            history.append(float(np.sqrt(squared)))
            if squared < best[0]:
                best = (squared, rows, weights)
            if best[0] <= budget.target**2 or budget.expired:
                break
            # Rows that the polish has merged stand for one component.
            kept = distinct(rows, weights, _SAME)
            rows, weights = rows[kept], weights[kept]
        late = budget.expired
        return finish(
            self,
            tensor,
            rank,
            budget,
            components=best[1],
            weights=best[2],
            status=Status.TIME_LIMIT if late else Status.STAGNATED,
            message="Stopped by max_seconds." if late else _INEXACT,
            nit=len(history),
            history=tuple(history),
        )

    def _candidates(
        self,
        tensor: SymmetricTensor,
        rows: np.ndarray,
        weights: np.ndarray,
        need: int,
        rng: np.random.Generator,
        budget: Budget,
    ) -> np.ndarray:
        """At most ``need`` directions, new to each other, from the residual of what is known."""
        rest = tensor.minus(rows, weights)
        # Fewer components than dimensions leave nothing to precondition by.
        frame = precondition(rest) if need > tensor.dim else plain(rest)
        starts = random_units(12 * need + 64, tensor.dim, rng)
        found = power_steps(frame.harmonic_mttkrp, starts, self.power, budget, block=2048)
        values = np.einsum("ij,ij->i", frame.harmonic_mttkrp(found), found)
        back = frame.back(found)
        return back[distinct(back, values, _SAME, need)]

    def _polish(
        self, tensor: SymmetricTensor, rows: np.ndarray, rank: int, budget: Budget
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """Joint least squares: unit rows, positive weights, squared relative residual.

        Loose steps while they lower the loss, to the end only where a full set is nearly exact.
        """
        fitted = fit_weights(tensor, rows)
        target = Target.of(tensor, len(rows))
        # A coefficient of zero is a stationary point of its row: keep every row alive.
        sizes = np.cbrt(np.clip(np.abs(fitted) / target.scale, 1e-3, 1e3))
        start = rows * (np.where(fitted < 0.0, -1.0, 1.0) * sizes)[:, None]
        descent = Descent(target, tensor.lift(start), Effort(budget, 4 * self.polish + 201))
        recent: list[float] = []
        for _ in range(4 * self.polish):
            recent.append(descent.residual_sq)
            # Fresh candidates are worth more than steps that gain less than 4% each.
            slow = len(recent) > self.polish and recent[-1] > 0.8 * recent[-6]
            if slow or budget.expired or recent[-1] < CERTAIN:
                break
            descent.step(0.0, self.cg_steps, 1e-2, single=True, floor=1e-6)
        if len(rows) == rank and descent.residual_sq < 1e-4:
            descent.polish()
        found, weights = to_numpy(descent.rows), to_numpy(target.weights(descent.rows))
        return unit(found), weights, descent.residual_sq


_INEXACT = (
    "The rounds ended with components that do not fit: the rank is beyond what power steps find, "
    "or the components are not spread like random ones. Try method='auto', or more rounds."
)
