"""The chance that a check which is true holds with the trials of a scan: before any is run.

A check that would hold with one chance in two says little when it does not. The chance is computed
for one truth, ``truth`` of the check or what stands in its place here, as if cells were
independent, at the error that the family leaves to the first check that is decided:

recovered    of each trial the chance to recover everything: .95 for a lower bound, .05 for an upper
risk, gain   the share of trials (of both, for a gain) on the stated side: .95
correlation  the mean, halfway from the bound to its end, of the most variable law that has it
threshold    r*, in the unit of the check; needs ``truth``: simulated scans of a logistic of width
             .05 in ln r

Exponents and what is fitted to nulls have no such chance: their scatter between sizes is not known
before.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from tdlab.lab.spec.choosing import choose
from tdlab.lab.spec.selection import Planned

if TYPE_CHECKING:
    from tdlab.lab.spec.claims import Check

_RIGHT = 0.95
_WIDTH = 0.05
_SCANS = 200


def chance(check: Check, points: Sequence[Planned], error: float) -> float | None:
    """The chance that a true check holds at level 1 - error; None where it is not computed."""
    cells = choose(check, points)
    if not cells or any(not cell.trials for cell in cells):
        return None
    if check.quantity == "threshold":
        return _threshold(check, cells, error)
    if check.quantity not in ("recovered", "risk", "gain", "correlation"):
        return None
    total = 1.0
    for cell in cells:
        total *= _cell(check, cell.trials, error)
    return total


def truth_of(check: Check) -> float | None:
    """For which truth the chance is computed."""
    above, below = check.above, check.below
    if check.truth is not None or check.quantity in ("risk", "gain"):
        return _RIGHT if check.truth is None else check.truth
    if above is not None and below is not None:
        return (above + below) / 2.0
    if check.quantity == "recovered":
        return _RIGHT if above is not None else 1.0 - _RIGHT
    if check.quantity == "correlation":
        return (1.0 + (above or 0.0)) / 2.0 if above is not None else (below or 0.0) / 2.0
    return None


def _cell(check: Check, trials: int, error: float) -> float:
    truth = truth_of(check)
    assert truth is not None
    bounds = (check.above, check.below)
    if check.quantity in ("risk", "gain"):
        # Each of the two medians of a gain has half of the error.
        each = error / 2.0 if check.quantity == "gain" else error
        held = _binomial(trials, truth, lambda count: _median_holds(count, trials, each))
        return held**2 if check.quantity == "gain" else held
    if check.quantity == "recovered":
        return _binomial(trials, truth, lambda count: _share_holds(count, trials, error, bounds))
    return _binomial(trials, truth, lambda count: _mean_holds(count, trials, error, bounds))


def _binomial(trials: int, share: float, holds: Callable[[int], bool]) -> float:
    """The probability of the counts that hold."""
    return sum(
        math.comb(trials, count) * share**count * (1.0 - share) ** (trials - count)
        for count in range(trials + 1)
        if holds(count)
    )


@cache
def _median_holds(right: int, trials: int, error: float) -> bool:
    """Whether the median's interval lies on a side where that many values do."""
    from tdlab.stats.binomial import median_interval

    if 2.0 ** (1 - trials) > error:
        return False
    return median_interval([1.0] * right + [0.0] * (trials - right), 1.0 - error)[1] == 1.0


def _within(low: float, high: float, bounds: tuple[float | None, float | None]) -> bool:
    above, below = bounds
    return (above is None or low > above) and (below is None or high < below)


@cache
def _share_holds(
    count: int, trials: int, error: float, bounds: tuple[float | None, float | None]
) -> bool:
    from tdlab.stats.binomial import interval

    low, high = interval(count, trials, 1.0 - error)
    return _within(float(low), float(high), bounds)


@cache
def _mean_holds(
    count: int, trials: int, error: float, bounds: tuple[float | None, float | None]
) -> bool:
    from tdlab.stats.bounded_mean import mean_interval

    _, low, high = mean_interval([1.0] * count + [0.0] * (trials - count), 1.0 - error)
    return _within(low, high, bounds)


def _threshold(check: Check, cells: Sequence[Planned], error: float) -> float | None:
    if check.truth is None:
        return None
    curves: dict[tuple[str, int], list[Planned]] = {}
    for cell in cells:
        curves.setdefault((cell.what.digest, cell.dim), []).append(cell)
    rng = np.random.default_rng(0)
    total = 1.0
    for group in curves.values():
        total *= _curve(check, sorted(group, key=lambda cell: cell.rank), error, rng)
    return total


def _curve(check: Check, cells: Sequence[Planned], error: float, rng: np.random.Generator) -> float:
    """How many of some simulated scans of one curve at one dimension hold."""
    from tdlab.lab.results.measures import unit_of
    from tdlab.stats.threshold.estimate import estimate

    unit = unit_of(check.unit, cells[0].dim, cells[0].order)
    ranks = [cell.rank for cell in cells]
    place = np.log(np.array(ranks) / (check.truth or 1.0) / unit) / _WIDTH
    shares = 1.0 / (1.0 + np.exp(np.clip(place, -700.0, 700.0)))
    trials = [cell.trials for cell in cells]
    held = 0
    known: dict[tuple[int, ...], bool] = {}
    for _ in range(_SCANS):
        wins = tuple(map(int, rng.binomial(trials, shares)))
        if wins not in known:
            found = estimate(ranks, wins, trials, level=1.0 - error)
            low = 0.0 if found.lower is None else found.lower / unit
            high = math.inf if found.upper is None else found.upper / unit
            bare = found.lower is None and found.upper is None
            known[wins] = not bare and _within(low, high, (check.above, check.below))
        held += known[wins]
    return held / _SCANS
