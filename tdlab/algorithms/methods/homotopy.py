"""Penalty homotopy: damped Gauss-Newton along a path of shrinking coefficient penalties.

Solves     T = sum_i a_i w_i^{(x)k}, k = 3 to 6; at order 3 for iid rows up to about 0.9 r_id,
           r_id = (d+1)(d+2)/6
Method     add a penalty mu P(coefficients), follow its minimiser from mu ~ 1 to 1e-2 by two
           Levenberg-Marquardt steps a stage, polish at mu = 0. Two quick paths first; then a slow
           one and thermal cycles: renew a few rows, reheat, anneal again, keep the better
Guarantee  none; a slower path and more cycles reach further
Cost       a step: one MTTKRP and about 25 curvature products of 6 r^2 d flops, in single precision
Sources    this library; the penalties are the tensor's nuclear norm, ridge on its coefficients, and
           ridge with their spread held at a fixed weight
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tdlab.algorithms.base import EXACT_FIT, Budget, Decomposition, Status, finish
from tdlab.algorithms.descent.damped import ended
from tdlab.algorithms.descent.loop import PENALTIES, Descent, Effort, Target
from tdlab.errors import check_choice, check_integer, check_real
from tdlab.streams import Part, own_stream
from tdlab.tensors import SymmetricTensor
from tdlab.tensors.arrays import Array, diagonal, to_numpy
from tdlab.theory import r_id

_HOT = 0.1
# Weight at which cycles compare states: there the penalised loss orders them by how many true
# components they hold, long before any residual is small.
_COLD = 0.012


@dataclass(frozen=True)
class Homotopy:
    """Decompose a tensor far beyond its dimension by penalty homotopy.

    Parameters
    ----------
    penalty : {"ridge", "nuclear", "equal"}
        Of the slow starts and cycles. Ridge reaches far for any coefficients, nuclear stands
        widely unequal ones better, equal (a ridge that also holds the coefficients together)
        reaches furthest where they agree.
    norms : {"free", "unit"}
        "unit" keeps all coefficients equal along the path; the polish frees them.
    stages : int, optional
        Penalty weights of a slow path; 100 by default, 200 from d = 50.
    cycle : int, optional
        Penalty weights of a cycle; 60 by default to d = 20, then 80.
    renewed : float, optional
        Share of the rows that a cycle replaces; .6/d by default, within .01 and .03.
    patience : int
        Cycles without progress after which a fresh start is made.
    steps : int
        Gauss-Newton steps, all starts together: the budget.
    """

    name: ClassVar[str] = "homotopy"
    orders: ClassVar[tuple[int, ...]] = (3, 4, 5, 6)
    version: ClassVar[int] = 4
    guarantee: ClassVar[str] = "none; measured on iid components to 0.8 r_id and beyond"
    cost: ClassVar[str] = "one MTTKRP and about 25 products of 6 r^2 d flops a step"
    source: ClassVar[str] = "this library"

    penalty: str = "ridge"
    norms: str = "free"
    stages: int | None = None
    cycle: int | None = None
    renewed: float | None = None
    patience: int = 60
    steps: int = 20000

    def __post_init__(self) -> None:
        what = "method 'homotopy', option"
        check_choice(f"{what} 'penalty'", self.penalty, PENALTIES)
        check_choice(f"{what} 'norms'", self.norms, ("free", "unit"))
        if self.norms == "unit":
            # The common coefficient that minimises the loss is known in closed form for the ridge.
            check_choice(f"{what} 'penalty' with norms='unit'", self.penalty, ("ridge",))
        for option in ("stages", "cycle", "patience", "steps"):
            if getattr(self, option) is not None:
                check_integer(f"{what} '{option}'", getattr(self, option), 1)
        if self.renewed is not None:
            check_real(f"{what} 'renewed'", self.renewed, 0.0)

    def reach(self, dim: int, order: int) -> int:
        """Rank recovered in every trial of iid components, a share of r_id; at order 5 in most.

        Measured at order 3, d = 10 to 40; order 4, d = 10 and 15; order 6, d = 6 and 8; order 5,
        d = 8: in 25 of 28 trials of two sets of seeds.
        """
        return max(int({3: 0.75, 4: 0.6, 5: 0.5, 6: 0.2}[order] * r_id(dim, order)), 1)

    def limit(self, dim: int, order: int) -> None:
        """Any rank."""
        return None

    def _stages(self, dim: int) -> int:
        return self.stages or (100 if dim < 50 else 200)

    def _cycle(self, dim: int) -> int:
        return self.cycle or (60 if dim <= 20 else 80)

    def schedule(self, dim: int) -> str:
        """What a dimension makes of a slow path: a fixed effort is another method where it changes.

        Thresholds on two sides of a change enter no exponent together.
        """
        return f"{self._stages(dim)} stages, cycles of {self._cycle(dim)}"

    def run(
        self, tensor: SymmetricTensor, rank: int, *, rng: np.random.Generator, budget: Budget
    ) -> Decomposition:
        rng = own_stream(rng, Part.METHOD)
        # At unit mean squared coefficient the penalty weights mean the same for every tensor.
        target = Target.of(tensor, rank)
        effort = Effort(budget, self.steps)
        history: list[float] = []
        best: Descent | None = None
        starts = 0
        quick = _quick(tensor.dim, rank, tensor.order)
        stages = self._stages(tensor.dim)
        while not effort.spent:
            fast = starts < len(quick)
            run = Descent(
                target,
                tensor.lift(_random_rows(rank, tensor.dim, tensor.order, rng)),
                effort,
                PENALTIES["ridge" if fast and self.penalty == "equal" else self.penalty],
                history,
                unit=self.norms == "unit",
            )
            if fast:
                run.anneal(_schedule(quick[starts], 0.5, 0.01), tolerance=0.2)
                exact = run.polish(6)
            else:
                run.anneal(_schedule(stages, 1.0, _COLD))
                exact = self._cycles(run, tensor.lift, rng)
            starts += 1
            exact = exact or _ended(run, budget)
            if best is None or run.loss < best.loss:
                best = run
            if exact or best.residual_sq <= budget.noise**2:
                break
        late = budget.expired
        rows = None if best is None else to_numpy(best.rows)
        return finish(
            self,
            tensor,
            rank,
            budget,
            components=rows,
            weights=None if rows is None else target.weights(rows),
            status=Status.TIME_LIMIT if late else Status.STAGNATED,
            message=_advice(rank, tensor.dim, tensor.order, starts, late),
            nit=self.steps - effort.steps,
            history=tuple(history),
        )

    def _cycles(
        self, run: Descent, lift: Callable[[np.ndarray], Array], rng: np.random.Generator
    ) -> bool:
        """Thermal cycles from an annealed start; True once the fit is exact.

        A cycle that lowers the penalised loss at the cold end is kept, another undone.
        """
        rank, dim = run.rows.shape
        share = np.clip(0.6 / dim, 0.01, 0.03) if self.renewed is None else self.renewed
        count = max(1, round(share * rank))
        weights = np.geomspace(_HOT, _COLD, self._cycle(dim))
        best, polished, idle = np.inf, np.inf, 0
        kept, score = run.rows, _shortness(run)
        while True:
            value = run.penalised(_COLD)
            if value < best:
                idle = 0 if value < best * (1 - 1e-4) else idle + 1
                best, kept, score = value, run.rows, _shortness(run)
                if value < polished * (1 - 2e-3):
                    polished = value
                    if run.polish(6) or _ended(run, run.effort.budget):
                        return True
            else:
                idle += 1
            if idle >= self.patience or run.effort.spent:
                break
            run.reset(
                lift(_renew(to_numpy(kept), score, count, run.target.order, rng)),
                _HOT,
                unit=self.norms == "unit",
            )
            run.anneal(weights)
        run.reset(kept, 0.0)
        return run.polish()


def _ended(run: Descent, budget: Budget) -> bool:
    """Whether the dense finish makes an exact fit of a start that stalled near one, and takes it.

    Rows move only for an exact fit: cycles compare penalised losses, which it would raise.
    """
    target, rows = run.target, to_numpy(run.rows)
    norms = np.linalg.norm(rows, axis=1)
    if not norms.all():
        return False
    units, weights, steps = ended(
        target.tensor, rows / norms[:, None], target.weights(rows), budget, run.residual_sq**0.5
    )
    run.history.extend(steps)
    run.effort.steps -= len(steps)
    if not steps or steps[-1] > EXACT_FIT:
        return False
    sizes = (np.abs(weights) / target.scale) ** (1.0 / target.order)
    run.reset(target.tensor.lift(units * sizes[:, None]), 0.0)
    return True


def _advice(rank: int, dim: int, order: int, starts: int, late: bool) -> str:
    if late:
        return "Stopped by max_seconds."
    share = rank / r_id(dim, order)
    where = f"Rank {rank} is {share:.0%} of the counting bound at dimension {dim}. "
    if share >= 1.0:
        where += "There fits are not unique, and a larger rank may fit more easily. "
    return f"{starts} starts used up the steps. {where}Raise `steps`, or try method='auto'."


def _schedule(stages: int, start: float, stop: float) -> np.ndarray:
    """Penalty weights, most of them where components separate, mu = .1 to .01.

    Measured at d = 20, r = 71: more stages above .3 or below .003 change nothing; the same stages
    between .1 and .01 triple the share of starts that succeed.
    """
    knots = np.log([start, 0.1, stop])
    return np.exp(np.interp(np.linspace(0.0, 1.0, stages), [0.0, 0.15, 1.0], knots))


def _random_rows(rank: int, dim: int, order: int, rng: np.random.Generator) -> np.ndarray:
    """Directions uniform on the sphere with the coefficient 1/2 that a ridge of mu = 1 asks for."""
    return rng.standard_normal((rank, dim)) * (0.5 ** (1 / order) / np.sqrt(dim))


def _quick(dim: int, rank: int, order: int) -> tuple[int, ...]:
    """Stages of the quick paths to try first.

    Measured at order 3: paths of 16 stages are the fastest to rank 2 d, of 24 above; from about
    3.3 d (while d < 80) cycles from one slow start succeed sooner than any number of quick ones.
    """
    if order > 3:
        return (24, 40)
    if rank <= 2 * dim:
        return (16, 40)
    return (24, 40) if rank <= 3.3 * dim or dim >= 80 else ()


def _shortness(run: Descent) -> np.ndarray:
    """What marks a row as wrong: a low coefficient, or a low pull where norms are kept equal.

    A component that is not in T is paid for by others that cancel it, so the penalty keeps it
    short.
    """
    if run.unit:
        return to_numpy(run.pull)
    return np.log(np.maximum(to_numpy(diagonal(run.gram)), 1e-300))


def _renew(
    rows: np.ndarray, score: np.ndarray, count: int, order: int, rng: np.random.Generator
) -> np.ndarray:
    """Replace about the ``count`` rows of lowest score by random ones.

    Noise on the ranking makes successive choices differ.
    """
    noisy = score + 0.3 * score.std() * rng.standard_normal(len(rows))
    chosen = np.argsort(noisy)[:count]
    out = rows.copy()
    out[chosen] = _random_rows(count, rows.shape[1], order, rng)
    return out
