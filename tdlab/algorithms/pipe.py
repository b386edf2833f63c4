"""PIPE: precondition, iterate by power steps, polish jointly, and again on the residual.

Solves     T = sum_i a_i w_i^{(x)3} of random w_i with rank up to a constant times d^{3/2}
Guarantee  none; power steps on the preconditioned harmonic part find random components directly
Cost       a round: 12 need + 64 starts, 30 MTTKRPs with them; then ~15 Gauss-Newton steps
Sources    this library; power steps as in Anandkumar, Ge and Janzamin (2017), arXiv 1411.1488

Candidates of one round are never complete, and joint least squares on those at hand sharpens
them, so that the residual shows the rest. A full set that does not fit holds wrong rows: the
fifth where the residual is largest goes, a little at random; every fourth
time three fifths go, which leaves local minima of small ranks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tdlab.algorithms._candidates import distinct, power_steps, random_units
from tdlab.algorithms._gram import refine
from tdlab.algorithms._precondition import plain, precondition
from tdlab.algorithms.base import EXACT_FIT, Budget, Decomposition, Status, finish
from tdlab.errors import check_integer
from tdlab.tensors import SymmetricTensor
from tdlab.tensors.residual import deflate

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
        Gauss-Newton steps a round.
    cg_steps : int
        Conjugate-gradient products of one of them.
    """

    name: ClassVar[str] = "pipe"
    orders: ClassVar[tuple[int, ...]] = (3,)
    version: ClassVar[int] = 1
    guarantee: ClassVar[str] = "none"
    cost: ClassVar[str] = "30 MTTKRPs with 12 r vectors and 15 joint steps of O(r^2 d), a round"
    source: ClassVar[str] = "this library"

    rounds: int = 20
    power: int = 30
    polish: int = 15
    cg_steps: int = 20

    def __post_init__(self) -> None:
        for option in ("rounds", "power", "polish", "cg_steps"):
            check_integer(f"method 'pipe', option '{option}'", getattr(self, option), 1)

    def reach(self, dim: int, order: int) -> int:
        """The dimension, from d = 10: a cautious claim for iid components, not a measured reach."""
        return dim if dim >= 10 else max(dim // 2, 1)

    def limit(self, dim: int, order: int) -> None:
        """Any rank."""
        return None

    def run(
        self, tensor: SymmetricTensor, rank: int, *, rng: np.random.Generator, budget: Budget
    ) -> Decomposition:
        rows, weights, squared = np.empty((0, tensor.dim)), np.empty(0), 1.0
        best: tuple[float, np.ndarray, np.ndarray] = (np.inf, rows, weights)
        history: list[float] = []
        for count in range(self.rounds):
            if len(rows) == rank:
                # At a stationary point R(w, w, .) = 0 everywhere, but the residual's slice R(w)
                # is large where a row stands in for others.
                slices = deflate(tensor, rows, weights).contract(rows)
                worst = np.linalg.norm(slices, axis=(1, 2)) * rng.uniform(0.5, 1.0, rank)
                kept = np.argsort(worst)[: rank - max(1, int(_DROPPED[count % 4] * rank))]
                rows, weights = rows[kept], weights[kept]
            new = self._candidates(tensor, rows, weights, rank - len(rows), rng, budget)
            rows, weights, squared = refine(
                tensor,
                np.vstack([rows, new]),
                budget,
                iterations=self.polish,
                cg_steps=self.cg_steps,
            )
            history.append(float(np.sqrt(squared)))
            if len(rows) == rank and squared < 1e-4:
                rows, weights, squared = refine(tensor, rows, budget)
                history.append(float(np.sqrt(squared)))
            if squared < best[0]:
                best = (squared, rows, weights)
            if best[0] <= max(budget.noise, EXACT_FIT) ** 2 or budget.expired:
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
        rest = deflate(tensor, rows, weights)
        # Fewer components than dimensions leave nothing to precondition by.
        frame = precondition(rest) if need > tensor.dim else plain(rest)
        starts = random_units(12 * need + 64, tensor.dim, rng)
        found = power_steps(frame.harmonic_mttkrp, starts, self.power, budget, block=2048)
        values = np.einsum("ij,ij->i", frame.harmonic_mttkrp(found), found)
        back = frame.back(found)
        return back[distinct(back, values, _SAME, need)]


_INEXACT = (
    "The rounds ended with components that do not fit: the rank is beyond what power steps find, "
    "or the components are not spread like random ones. Try method='auto', or more rounds."
)
