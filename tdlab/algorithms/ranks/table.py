"""Fits of growing rank side by side: what each leaves, who else finds it, and what noise allows.

Solves     the rows of `tdlab.estimate_rank`'s table: residual, agreement, null, gain
Method     in small spaces three runs of eight starts each on the distinct entries; else two greedy
           paths, which add the largest value of the remainder and refit all, a short annealing and
           damped Gauss-Newton from a random start; the same on a Gaussian tensor of equal norm
Cost       four searches a rank and two for the null
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from tdlab.algorithms.base import EXACT_FIT, Budget, Decomposition, finish, fit_weights
from tdlab.algorithms.descent.exact import close_fits, searchable
from tdlab.algorithms.descent.loop import CERTAIN, EXACT, Descent, Effort, Target
from tdlab.algorithms.front import decompose
from tdlab.algorithms.noise import gain_of_one_more
from tdlab.algorithms.parts.candidates import power_steps, random_units
from tdlab.algorithms.registry import get_method
from tdlab.metrics import match
from tdlab.tensors import SymmetricTensor, gaussian_tensor

# Runs agree where their residuals differ by less than a hundredth and their components have
# cosines of .99; exact ones at ranks where the fit is unique.
_ALIKE, _SAME = 1.01, 0.99
_RUNS, _STARTS_EACH = 3, 8
_PATH_STARTS, _LEAP = 8, 4
# Steps over which the loss must fall by a thousandth.
_FLAT = 5


@dataclass(frozen=True)
class RankRow:
    """One rank.

    Attributes
    ----------
    rank : int
    residual : float
        Relative, of the best run.
    agreement : float
        Share of the runs that end in that very fit.
    null : float or None
        Residual of as many terms for a Gaussian tensor of equal norm, by the same searches.
    gain : float or None
        What one term more takes of the remainder's square, in units of the most that it takes of
        noise: above 1 the remainder holds more than isotropic noise.
    largest : float
        Largest coefficient over the tensor's norm; terms far above 1 cancel each other.
    """

    rank: int
    residual: float
    agreement: float
    null: float | None
    gain: float | None
    largest: float


@dataclass
class Path:
    """Greedy fits of rank 1, 2, ...: each adds one component to the last and refits all."""

    tensor: SymmetricTensor
    rng: np.random.Generator
    clock: Budget
    fits: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)

    def reach(self, rank: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Rows and coefficients at a rank; None where the clock ends before."""
        dim = self.tensor.dim
        while len(self.fits) < rank:
            rows, weights = self.fits[-1] if self.fits else (np.empty((0, dim)), np.empty(0))
            rest = self.tensor.minus(rows, weights)
            starts = random_units(_PATH_STARTS, dim, self.rng)
            tops = power_steps(rest.mttkrp, starts, 20, self.clock)
            heights = rest.evaluate(tops)
            best = int(np.argmax(np.abs(heights)))
            rows, weights = refine(
                self.tensor,
                np.vstack([rows, tops[best]]),
                np.append(weights, heights[best]),
                self.clock,
            )
            if self.clock.expired:
                return None
            self.fits.append((rows, weights))
        return self.fits[rank - 1]


def refine(
    tensor: SymmetricTensor, rows: np.ndarray, weights: np.ndarray, clock: Budget, steps: int = 60
) -> tuple[np.ndarray, np.ndarray]:
    """Joint least squares from unit rows (r, d) and coefficients (r,) of fixed signs."""
    if len(rows) == 0:
        return rows, weights
    scale = tensor.norm() / math.sqrt(len(rows))
    signs = np.where(weights < 0.0, -1.0, 1.0)
    sizes = np.clip(np.abs(weights) / scale, 1e-3, 1e3) ** (1.0 / tensor.order)
    target = Target(tensor, scale, signs)
    descent = Descent(target, rows * sizes[:, None], Effort(clock, steps))
    losses = [descent.loss]
    while not descent.effort.spent:
        near = descent.residual_sq < CERTAIN
        descent.step(0.0, 100, 0.05, single=not near, floor=1e-8 if near else 1e-4)
        losses.append(descent.loss)
        flat = len(losses) > _FLAT and losses[-1] > 0.999 * losses[-1 - _FLAT]
        if flat or descent.residual_sq < EXACT or descent.damping > 1e6:
            break
    found = np.asarray(descent.rows)
    return found / np.linalg.norm(found, axis=1)[:, None], target.weights(found)


@dataclass
class Table:
    """Rows by rank, made on request.

    Attributes
    ----------
    tensor : SymmetricTensor
    rng : Generator
    clock : Budget
        No row is begun after its end.
    tell : callable
        Takes a sentence on each row.
    """

    tensor: SymmetricTensor
    rng: np.random.Generator
    clock: Budget
    tell: Callable[[str], None]
    rows: dict[int, RankRow] = field(default_factory=dict)
    best: dict[int, Decomposition] = field(default_factory=dict)

    def __post_init__(self) -> None:
        tensor = self.tensor
        self.null = gaussian_tensor(tensor.dim, tensor.order, rng=self.rng)
        self.paths = [Path(tensor, stream, self.clock) for stream in self.rng.spawn(2)]
        self.null_path = Path(self.null, self.rng.spawn(1)[0], self.clock)

    def add(self, rank: int, fit: Decomposition | None = None) -> RankRow | None:
        """The row of a rank, where a ``fit`` from elsewhere is one run more; None out of time."""
        if rank in self.rows:
            return self.rows[rank]
        if self.clock.expired:
            return None
        runs = self._runs(self.tensor, rank, self.paths)
        if self.clock.expired and fit is None:
            # Runs that were cut short say nothing of the rank.
            return None
        if fit is not None:
            runs.append(fit)
        best = min(runs, key=lambda run: run.residual)
        if fit is not None and fit.residual <= EXACT_FIT:
            # Below that, residuals through Gram matrices do not tell which is better.
            best = fit
        alike = sum(self._same(run, best) for run in runs) / len(runs)
        nulls = [] if self.clock.expired else self._runs(self.null, rank, [self.null_path])
        if self.clock.expired:
            nulls = []
        gain = 0.0 if best.residual <= EXACT_FIT else self._gain(best)
        row = RankRow(
            rank=rank,
            residual=best.residual,
            agreement=alike,
            null=min((run.residual for run in nulls), default=None),
            gain=gain,
            largest=float(np.abs(best.weights).max(initial=0.0)) / self.tensor.norm(),
        )
        self.rows[rank], self.best[rank] = row, best
        self.tell(
            f"rank {rank}: residual {row.residual:.2e}, {alike:.0%} of {len(runs)} runs agree"
        )
        return row

    def _gain(self, fit: Decomposition) -> float | None:
        if self.clock.expired:
            return None
        return gain_of_one_more(self.tensor, fit.components, fit.weights, self.clock)

    def _same(self, run: Decomposition, best: Decomposition) -> bool:
        if run.residual > _ALIKE * max(best.residual, EXACT_FIT):
            return False
        if len(run.components) != len(best.components):
            return False
        matched = match(run.components, best.components, self.tensor.order, _SAME)
        return matched.recovered == 1.0

    def _runs(self, tensor: SymmetricTensor, rank: int, paths: list[Path]) -> list[Decomposition]:
        """Independent searches of one rank, the two kinds of them alternating where time ends."""
        if searchable(tensor.dim, tensor.order, rank):
            count = _RUNS * _STARTS_EACH
            ends = close_fits(tensor, rank, self.rng, self.clock, count)
            runs = [
                min(ends[first : first + _STARTS_EACH], key=lambda end: end.residual)
                for first in range(0, count, _STARTS_EACH)
            ]
            return [self._judge(tensor, rank, run.rows, run.weights) for run in runs]
        ends = []
        for path in paths:
            # A path takes one step per rank: too long where ranks were left out.
            reached = path.reach(rank) if rank <= len(path.fits) + _LEAP else None
            ends.append(self._anneal(tensor, rank) if reached is None else reached)
        ends.append(self._anneal(tensor, rank))
        if len(paths) > 1:
            start = random_units(rank, tensor.dim, self.rng)
            ends.append(refine(tensor, start, fit_weights(tensor, start), self.clock, steps=200))
        return [self._judge(tensor, rank, *end) for end in ends]

    def _anneal(self, tensor: SymmetricTensor, rank: int) -> tuple[np.ndarray, np.ndarray]:
        """A short homotopy, refined."""
        method = get_method("homotopy", {"steps": 200})
        found = decompose(
            tensor, rank, method, rng=self.rng, noise=0.0, max_seconds=self.clock.left
        )
        return refine(tensor, found.components, found.weights, self.clock)

    def _judge(
        self, tensor: SymmetricTensor, rank: int, rows: np.ndarray, weights: np.ndarray
    ) -> Decomposition:
        return finish(
            get_method("lm", {}), tensor, rank, Budget(), components=rows, weights=weights
        )


def ranks_to_show(largest: int) -> list[int]:
    """Every rank to 10, then about ten a doubling: 1 ... 10, 11, 12, 13, 14, 16, 18 ..."""
    ranks, rank = [], 1.0
    while rank <= largest:
        ranks.append(int(rank))
        rank = rank + 1 if rank < 10 else max(rank + 1, math.floor(1.1 * rank))
    return ranks


def standing_out(rows: dict[int, RankRow]) -> tuple[int, float, float] | None:
    """The last rank whose term lowers the residual far more than those after it.

    Residuals are taken relative to the null's, so that what any tensor gives counts for nothing.
    Returns the rank, the factor of its term, and the largest factor of up to three after it.
    """
    share = {0: 1.0}
    for rank, row in rows.items():
        if row.null:
            share[rank] = max(row.residual, EXACT_FIT) / row.null
    told = None
    for rank in sorted(rows):
        if not {rank - 1, rank, rank + 1} <= share.keys():
            continue
        factor = share[rank - 1] / share[rank]
        after = [
            share[later - 1] / share[later]
            for later in range(rank + 1, rank + 4)
            if {later - 1, later} <= share.keys()
        ]
        clear = factor > _CLEAR * max(*after, 1.0) and share[rank] < _FAR_BELOW
        if clear and rows[rank].agreement > 0.5:
            told = (rank, factor, max(after))
    return told


# One term takes all but (1/8)^2 of what is left, and what is left is below a tenth of the null's.
_CLEAR, _FAR_BELOW = 8.0, 0.1
