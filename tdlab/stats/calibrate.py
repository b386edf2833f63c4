"""Do intervals cover, and what do they cost? Simulated scans on curves whose r* is known.

Each scan draws ln r* evenly between 20 and 120, so that tested ranks fall anywhere beside it, and
runs `tdlab.stats.search.adaptive` on coins of the truth's bias. Beside it a grid that knows where
to look: ranks from r*/2 to 2 r* (15, or as close as its interval is to be), as many trials as make
that as narrow. A trial costs (rank/r*)^2, three times that if it fails: local search takes time
like rank^2, and longest where it does not succeed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np

from tdlab.errors import check_choice, check_integer
from tdlab.stats.scaling import fit_exponent
from tdlab.stats.search.adaptive import Search
from tdlab.stats.search.rule import Rule
from tdlab.stats.threshold.estimate import estimate
from tdlab.stats.threshold.record import Threshold, ThresholdStatus
from tdlab.stats.threshold.starts import candidates
from tdlab.stats.truths import TRUTHS, Truth

LOWEST, HIGHEST = 20.0, 120.0
FAILURE_COST = 3.0
_TOP = 600
_GRID_STEP, _GRID_SPAN = 0.1, math.log(2.0)
_GRID_SCANS = 60
_CHUNK = 20
# Numbers of dimensions, the factor between them, and b in r* = d^1.5 (1 + b/d).
_DESIGNS = (
    *((count, 1.4, 0.0) for count in range(4, 9)),
    (8, 32 ** (1 / 7), 0.0),
    (8, 32 ** (1 / 7), 2.0),
)


@dataclass(frozen=True)
class Scan:
    """One simulated scan: the truth's rank, what was reported, and its price."""

    r_star: float
    found: Threshold
    trials: int
    cost: float
    reason: str

    @property
    def covers(self) -> bool:
        """Whether the reported interval, or bound, holds r*; that there is none is a miss."""
        if self.found.status is ThresholdStatus.LAPSE_LIMITED:
            return False
        low = 0.0 if self.found.lower is None else self.found.lower
        high = math.inf if self.found.upper is None else self.found.upper
        return low <= self.r_star <= high

    @property
    def half_width(self) -> float:
        """Of ln r*; infinite where there is no interval."""
        if self.found.lower is None or self.found.upper is None:
            return math.inf
        return math.log(self.found.upper / self.found.lower) / 2


@dataclass(frozen=True)
class Row:
    """What one truth's scans say.

    Attributes
    ----------
    truth : str
    scans : int
    coverage, error : float
        Share of intervals and bounds that hold r*, and its standard error.
    bounded : float
        Share of scans whose interval has two ends.
    quantised, budget : float
        Shares of intervals that are one gap between ranks, and of scans that ended at the budget.
    half_width : float
        Median.
    trials, cost : float
        Means.
    grid_trials, grid_cost : float
        Of a grid of known range that is as precise (median half-width).
    promised : bool
    """

    truth: str
    scans: int
    coverage: float
    error: float
    bounded: float
    quantised: float
    budget: float
    half_width: float
    trials: float
    cost: float
    grid_trials: float
    grid_cost: float
    promised: bool


@dataclass(frozen=True)
class ExponentRow:
    """Coverage of exponent intervals at r* = d^1.5 (1 + b/d).

    Attributes
    ----------
    dims : int
    span : float
        Largest dimension over the smallest.
    drift : float
        b.
    fits : int
    coverage, error : float
        Of the plain power law, and its standard error.
    half_width : float
        Median.
    drift_coverage, drift_half_width : float
        Of the fit with a term b/d; nan where the dimensions are too few for it.
    """

    dims: int
    span: float
    drift: float
    fits: int
    coverage: float
    error: float
    half_width: float
    drift_coverage: float
    drift_half_width: float


@dataclass(frozen=True)
class Calibration:
    """Thresholds by truth, exponents by number of dimensions."""

    rows: tuple[Row, ...]
    exponents: tuple[ExponentRow, ...]


def calibrate(
    scans: int = 2000,
    truths: Sequence[str] | None = None,
    rule: Rule | None = None,
    seed: int = 0,
    workers: int = 1,
) -> Calibration:
    """Simulate scans on known curves.

    Parameters
    ----------
    scans : int
        Of each truth, and fits of each number of dimensions.
    truths : sequence of str, optional
        Names in `TRUTHS`; all if not given.
    rule : Rule, optional
        Half-width 0.05 and at most 2000 trials, if not given.
    seed : int
    workers : int
        Processes; they change nothing in the result.

    Raises
    ------
    InputError
        For an unknown truth or numbers below 1.

    Examples
    --------
    >>> from tdlab.stats.calibrate import calibrate
    >>> found = calibrate(scans=4, truths=["step"])
    >>> found.rows[0].coverage, found.rows[0].quantised
    (1.0, 1.0)
    """
    check_integer("scans", scans, 1)
    check_integer("seed", seed, 0)
    check_integer("workers", workers, 1)
    names = [truth.name for truth in TRUTHS]
    for name in truths or ():
        check_choice("truth", name, names)
    chosen = [i for i, name in enumerate(names) if truths is None or name in truths]
    rule = rule or Rule(budget_trials=2000)
    jobs = [
        (i, seed, first, min(_CHUNK, scans - first), rule)
        for i in chosen
        for first in range(0, scans, _CHUNK)
    ]
    everything: dict[int, list[Scan]] = {}
    for (i, *_), part in zip(jobs, _mapped(jobs, workers), strict=True):
        everything.setdefault(i, []).extend(part)
    rows = tuple(_row(TRUTHS[i], found, seed) for i, found in everything.items())
    pools = [found for i, found in everything.items() if TRUTHS[i].promised]
    exponents = (
        tuple(_exponents(pools, *design, scans, seed) for design in _DESIGNS) if pools else ()
    )
    return Calibration(rows, exponents)


def _mapped(jobs: Sequence[tuple[int, int, int, int, Rule]], workers: int) -> Iterator[list[Scan]]:
    if workers == 1:
        yield from (_chunk(*job) for job in jobs)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_chunk, *zip(*jobs, strict=True))


def _chunk(truth: int, seed: int, first: int, count: int, rule: Rule) -> list[Scan]:
    return [
        simulate(TRUTHS[truth], rule, np.random.default_rng([seed, truth, first + i]))
        for i in range(count)
    ]


def simulate(truth: Truth, rule: Rule, rng: np.random.Generator) -> Scan:
    """One adaptive scan on coins of the truth's bias."""
    r_star = _draw(rng)
    ranks = np.array(candidates(_TOP, rule.half_width, lambda rank: True))
    chance = dict(zip(ranks.tolist(), truth.curve(np.log(ranks / r_star)), strict=True))
    search = Search(ranks.tolist(), rule)
    while fresh := search.advance():
        tossed = rng.random(len(fresh))
        for (rank, index), toss in zip(fresh, tossed, strict=True):
            search.record(rank, index, bool(toss < chance[rank]))
    tested, successes, trials = search.counts()
    return Scan(
        r_star,
        search.threshold(),
        int(trials.sum()),
        _cost(tested / r_star, successes, trials),
        search.reason,
    )


def _draw(rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(math.log(LOWEST), math.log(HIGHEST))))


def _cost(ratio: np.ndarray, successes: np.ndarray, trials: np.ndarray) -> float:
    return float(ratio**2 @ (successes + FAILURE_COST * (trials - successes)))


def _row(truth: Truth, scans: Sequence[Scan], seed: int) -> Row:
    coverage = float(np.mean([scan.covers for scan in scans]))
    half = float(np.median([scan.half_width for scan in scans]))
    grid_trials, grid_cost = _equal_grid(truth, half, seed)
    return Row(
        truth.name,
        len(scans),
        coverage,
        math.sqrt(max(coverage * (1 - coverage), 1 / len(scans)) / len(scans)),
        float(np.mean([math.isfinite(scan.half_width) for scan in scans])),
        float(np.mean(["quantised" in scan.found.flags for scan in scans])),
        float(np.mean([scan.reason == "budget" for scan in scans])),
        half,
        float(np.mean([scan.trials for scan in scans])),
        float(np.mean([scan.cost for scan in scans])),
        grid_trials,
        grid_cost,
        truth.promised,
    )


def _equal_grid(truth: Truth, half: float, seed: int) -> tuple[float, float]:
    """Trials and cost of the grid whose median half-width is ``half``.

    The variance falls as one over the trials, nearly: a few steps of that rule, then the ranks that
    would be between two numbers of trials a rank are interpolated by it.
    """
    if not math.isfinite(half):
        return math.nan, math.nan
    # Where the curve is steeper than the grid the interval is a gap: half a gap must be narrower.
    number = 1 + round(2 * _GRID_SPAN / min(_GRID_STEP, 1.5 * half))
    each = 20.0
    for step in range(5):
        count = max(2, round(each))
        rng = np.random.default_rng([seed, 999, step])
        scans = [_grid_scan(truth, number, count, rng) for _ in range(_GRID_SCANS)]
        reached = float(np.median([scan.half_width for scan in scans]))
        factor = (reached / half) ** 2 if math.isfinite(reached) else 4.0
        each = count * min(max(factor, 0.25), 4.0)
        if abs(factor - 1) < 0.1 or (factor < 1 and count == 2) or each > 5000:
            break
    scale = each / count
    return (
        scale * float(np.mean([scan.trials for scan in scans])),
        scale * float(np.mean([scan.cost for scan in scans])),
    )


def _grid_scan(truth: Truth, number: int, count: int, rng: np.random.Generator) -> Scan:
    """A fixed grid of ``number`` ranks about r*, ``count`` trials a rank."""
    r_star = _draw(rng)
    step = 2 * _GRID_SPAN / (number - 1)
    places = np.linspace(-_GRID_SPAN, _GRID_SPAN, number) + rng.uniform(-0.5, 0.5) * step
    ranks = np.unique(np.round(r_star * np.exp(places)).astype(np.int64))
    trials = np.full(len(ranks), count)
    successes = rng.binomial(trials, truth.curve(np.log(ranks / r_star)))
    found = estimate(ranks, successes, trials)
    cost = _cost(ranks / r_star, successes, trials)
    return Scan(r_star, found, int(trials.sum()), cost, "grid")


def _exponents(
    pools: Sequence[Sequence[Scan]], count: int, ratio: float, drift: float, fits: int, seed: int
) -> ExponentRow:
    """Fits of r* = d^1.5 (1 + drift/d) over ``count`` dimensions from 8 on, a factor apart.

    Each takes the intervals of scans of one truth, moved to where r* is at each dimension.
    """
    rng = np.random.default_rng([seed, 998, count, round(100 * ratio), round(100 * drift)])
    dims = np.round(8 * ratio ** np.arange(count)).astype(int)
    plain, curved = [], []
    for _ in range(fits):
        pool = pools[int(rng.integers(len(pools)))]
        thresholds = [
            _moved(pool[int(rng.integers(len(pool)))], dim**1.5 * (1 + drift / dim))
            for dim in dims.astype(float).tolist()
        ]
        fit = fit_exponent(dims, thresholds)
        if fit.lower is not None and fit.upper is not None:
            plain.append((fit.lower, fit.upper))
        if fit.drift is not None:
            curved.append((fit.drift.lower, fit.drift.upper))
    share, half = _held(plain)
    error = math.sqrt(max(share * (1 - share), 1 / fits) / fits)
    return ExponentRow(
        count, float(dims[-1] / dims[0]), drift, len(plain), share, error, half, *_held(curved)
    )


def _held(intervals: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Share of intervals that hold 1.5, and their median half-width."""
    if not intervals:
        return math.nan, math.nan
    low, high = np.array(intervals).T
    return float(np.mean((low <= 1.5) & (high >= 1.5))), float(np.median(high - low)) / 2


def _moved(scan: Scan, r_star: float) -> Threshold:
    """The threshold of a scan as it would be about another rank."""
    factor = r_star / scan.r_star
    found = scan.found

    def times(value: float | None) -> float | None:
        return None if value is None else value * factor

    bracketed = found.status is ThresholdStatus.BRACKETED
    return Threshold(
        found.status,
        times(found.estimate) if bracketed else None,
        times(found.lower),
        times(found.upper),
        found.level,
        found.plateau,
        found.method,
        found.flags,
        found.message,
    )
