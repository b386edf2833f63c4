"""Intervals of what a store measured: the quantities that claims are about."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from tdlab.lab.spec.quantities import QUANTITIES
from tdlab.lab.spec.selection import selected
from tdlab.lab.store.counts import CellCounts, Twins
from tdlab.theory import r_id

if TYPE_CHECKING:
    from tdlab.lab.spec.claims import Check
    from tdlab.lab.store.reader import Store

OUT_OF_RANGE = "outside the method's range"
_FEW = "too few trials"
_EXCEPTIONS = "nothing but exceptions"


class Interval(NamedTuple):
    """What was measured of one cell, curve or fit.

    Attributes
    ----------
    where : str
    value, low, high : float
        The ends are infinite where nothing bounds them.
    lack : str
        Why there is no interval; empty where there is one.
    """

    where: str
    value: float
    low: float
    high: float
    lack: str = ""


def measured(check: Check, store: Store, level: float = 0.95) -> Iterator[Interval]:
    """The interval of each cell, curve or fit that a check selects, or why there is none.

    Left out are cells without a trial, and those whose quantity does not exist: recovery of a
    learner that has no weights.
    """
    return _MEASURES[QUANTITIES[check.quantity].measure](check, store, level)


def _lacking(where: str, lack: str) -> Interval:
    return Interval(where, math.nan, -math.inf, math.inf, lack)


def _bounded(where: str, value: float, low: float, high: float, lack: str = _FEW) -> Interval:
    """An interval, or the lack of one where nothing bounds it on either side."""
    bounded = math.isfinite(low) or math.isfinite(high)
    return Interval(where, value, low, high, "" if bounded else lack)


def _name(cell: CellCounts) -> str:
    return f"{cell.title}, {cell.method}, d = {cell.dim}, r = {cell.rank}{_from(cell.n)}"


def _from(n: int | None) -> str:
    return "" if n is None else f", n = {n}"


def risk_ratios(store: Store) -> dict[str, list[float]]:
    """Risk ratios of trials that ended, by cell; streamed, so only these are held."""
    return _values("risk_ratio", store)


def correlations(store: Store) -> dict[str, list[float]]:
    """Squared correlations with a component larger than the others, by cell.

    Of trials that ended, and of problems that have such a component.
    """
    kept = {cell.cell for cell in store.counts() if _has_a_larger_component(cell)}
    return {cell: found for cell, found in _values("recovered", store).items() if cell in kept}


def _has_a_larger_component(cell: CellCounts) -> bool:
    return cell.what.problem.get("kind") == "boosted" and not cell.null


def _values(column: str, store: Store) -> dict[str, list[float]]:
    from tdlab.lab.store.reader import COLUMNS

    cell, value = (COLUMNS.index(name) for name in ("cell", column))
    found: dict[str, list[float]] = {}
    for row in store.rows():
        if row[value] is not None:
            found.setdefault(row[cell], []).append(row[value])
    return found


def _without_data(cell: CellCounts) -> Iterator[Interval]:
    """Why a cell whose trials all count for nothing has none; nothing where they ended by
    themselves and have no such quantity."""
    if cell.outcomes["unsupported"]:
        yield _lacking(_name(cell), OUT_OF_RANGE)
    elif cell.outcomes["error"]:
        yield _lacking(_name(cell), _EXCEPTIONS)


def measure_correlation(check: Check, store: Store, level: float) -> Iterator[Interval]:
    """Mean squared correlation of each cell of a problem with a larger component."""
    from tdlab.lab.store.reader import CENSORED
    from tdlab.stats.bounded_mean import mean_interval

    found, where = correlations(store), dict(check.where)
    for cell in store.counts():
        if not cell.done or not _has_a_larger_component(cell) or not selected(cell, where):
            continue
        values = found.get(cell.cell, [])
        # Censored trials might have had any correlation.
        censored = sum(cell.outcomes[outcome] for outcome in CENSORED)
        if not values and not censored:
            yield from _without_data(cell)
            continue
        low = mean_interval([*values, *[0.0] * censored], level)[1]
        high = mean_interval([*values, *[1.0] * censored], level)[2]
        yield Interval(_name(cell), mean_interval(values)[0], low, high)


def _median_risk(
    cell: CellCounts, values: list[float], level: float = 0.95
) -> tuple[float, float, float]:
    """Median of the trials that ended, and the interval of all: others might have any risk."""
    from tdlab.lab.store.reader import CENSORED
    from tdlab.stats.binomial import median_interval

    censored = sum(cell.outcomes[outcome] for outcome in CENSORED)
    if not values:
        return math.nan, -math.inf, math.inf
    # The extremes of n values miss the median with probability 2^(1 - n): at 95% it takes six.
    if 2.0 ** (1 - len(values) - censored) > 1.0 - level:
        return median_interval(values)[0], -math.inf, math.inf
    low = median_interval(values + [0.0] * censored, level)[1]
    high = median_interval(values + [math.inf] * censored, level)[2]
    return median_interval(values)[0], low, high


def measure_risk(check: Check, store: Store, level: float) -> Iterator[Interval]:
    """Median risk ratio of each cell."""
    for cell, values, _ in _risks(check, store):
        if values is None:
            yield from _without_data(cell)
        else:
            yield _bounded(_name(cell), *_median_risk(cell, values, level))


def measure_gain(check: Check, store: Store, level: float) -> Iterator[Interval]:
    """1 - median risk over that of the null, of each cell that has one."""
    twins = Twins(store.counts())
    for cell, values, ratios in _risks(check, store):
        twin = twins.of(cell)
        beside = [] if twin is None else ratios.get(twin.cell, [])
        if values is None:
            yield from _without_data(cell)
        elif twin is None or not beside:
            yield _lacking(_name(cell), "no null beside it")
        else:
            yield _gain(cell, values, twin, beside, level)


def _risks(
    check: Check, store: Store
) -> Iterator[tuple[CellCounts, list[float] | None, dict[str, list[float]]]]:
    """(cell, its risk ratios, all of them) where a check looks; None where no trial counts."""
    from tdlab.lab.store.reader import CENSORED

    ratios, where = risk_ratios(store), dict(check.where)
    for cell in store.counts():
        if not cell.done or not selected(cell, where):
            continue
        values = ratios.get(cell.cell, [])
        bare = not values and not any(cell.outcomes[outcome] for outcome in CENSORED)
        yield cell, None if bare else values, ratios


def _gain(
    cell: CellCounts, values: list[float], twin: CellCounts, beside: list[float], level: float
) -> Interval:
    # Both medians lie in their intervals with `level` where each of them does with half the risk.
    each = (1.0 + level) / 2.0
    middle, low, high = _median_risk(cell, values, each)
    null_middle, null_low, null_high = _median_risk(twin, beside, each)
    if null_middle <= 0.0:
        return _lacking(_name(cell), "a null without risk")
    if null_low <= 0.0 or not math.isfinite(low + high):
        return _lacking(_name(cell), _FEW)
    return Interval(_name(cell), 1 - middle / null_middle, 1 - high / null_low, 1 - low / null_high)


def measure_recovered(check: Check, store: Store, level: float) -> Iterator[Interval]:
    """Share of the trials of each cell that recover everything."""
    from tdlab.lab.store.reader import CENSORED
    from tdlab.stats.binomial import interval

    where = dict(check.where)
    for cell in store.counts():
        if not cell.done or not selected(cell, where):
            continue
        won, lost = cell.prefix["recovered"], cell.prefix["failed"]
        censored = sum(cell.prefix[outcome] for outcome in CENSORED)
        total = won + lost + censored
        if not total:
            yield from _without_data(cell)
            continue
        # Censored trials might have gone either way.
        low = interval(won, total, level)[0]
        high = interval(won + censored, total, level)[1]
        yield Interval(_name(cell), won / total, float(low), float(high))


def unit_of(name: str, dim: int, order: int) -> float:
    """A unit of thresholds, as a rank."""
    if name == "r_id":
        return r_id(dim, order)
    return float(dim) ** {"1": 0.0, "d": 1.0, "d^1.5": 1.5, "d^(k/2)": order / 2.0}[name]


def measure_threshold(check: Check, store: Store, level: float) -> Iterator[Interval]:
    """r* of each curve at each dimension, in the unit of the check."""
    from tdlab.lab.results.summary import threshold_rows

    for row in threshold_rows(store.counts(), level):
        if not selected(row["cell"], dict(check.where)):
            continue
        d, k = row["dim"], row["cell"].order
        name = f"{row['problem']}, {row['method']}, d = {d}{_from(row['n'])}"
        if row["low"] is None and row["high"] is None:
            # Out of the method's range there is no threshold; a plateau or a scan too small for
            # one leaves the check undecided.
            out = row["status"] == "unsupported"
            yield _lacking(name, OUT_OF_RANGE if out else row["status"].replace("-", " "))
            continue
        scale = unit_of(check.unit, d, k)
        low = 0.0 if row["low"] is None else row["low"]
        high = math.inf if row["high"] is None else row["high"]
        value = math.nan if row["r_star"] is None else row["r_star"]
        yield Interval(name, value / scale, low / scale, high / scale)


def measure_exponent(check: Check, store: Store, level: float) -> Iterator[Interval]:
    """The exponent of r* in d of each curve."""
    from tdlab.lab.results.summary import exponent_rows

    for row in exponent_rows(store.counts(), level):
        if not selected(row["cell"], dict(check.where)):
            continue
        value = math.nan if row["exponent"] is None else row["exponent"]
        low = -math.inf if row["low"] is None else row["low"]
        high = math.inf if row["high"] is None else row["high"]
        # A curve whose fit is refused says nothing, and a check on all curves must not hold of it.
        name = f"{row['problem']}, {row['method']}{_from(row['n'])}"
        yield _bounded(name, value, low, high, row["status"].replace("-", " "))


def _null_points(
    check: Check, store: Store
) -> list[tuple[CellCounts, dict[int, list[tuple[float, float]]]]]:
    """A cell, and (x, ratio) by dimension, of the nulls of each problem and method."""
    ratios, where = risk_ratios(store), {**dict(check.where), "null": True}
    groups: dict[tuple[str, str], tuple[CellCounts, dict[int, list[tuple[float, float]]]]] = {}
    for cell in store.counts():
        if not cell.done or not selected(cell, where):
            continue
        x = cell.rank / r_id(cell.dim, cell.order)
        _, group = groups.setdefault((cell.what.problem_id, cell.what.series), (cell, {}))
        points = group.setdefault(cell.dim, [])
        points += [(x, value) for value in ratios.get(cell.cell, [])]
    return list(groups.values())


def measure_null_law(check: Check, store: Store, level: float) -> Iterator[Interval]:
    """The power at each dimension: it grows with d, and one fit of several would hide that."""
    from tdlab.stats.null_law import fit_null_law

    for cell, group in _null_points(check, store):
        for dim, points in group.items():
            fit = fit_null_law([x for x, _ in points], [ratio for _, ratio in points], level)
            name = f"{cell.problem}, {cell.method}, d = {dim}"
            if fit is None:
                yield _lacking(name, "no fit")
            else:
                yield Interval(name, fit.power, fit.low, fit.high)


def measure_trivial_dim(check: Check, store: Store, level: float) -> Iterator[Interval]:
    """By the null law, its power extrapolated in x and d: one size for each problem and method."""
    from tdlab.stats.null_law import drifted, fit_null_law, fit_null_surface, trivial_interval

    assert check.level is not None
    share = check.level
    for cell, group in _null_points(check, store):
        # r_id is that of order 3 there.
        if cell.order != 3:
            continue
        flat = [(x, dim, ratio) for dim, points in group.items() for x, ratio in points]
        surface = fit_null_surface(*zip(*flat, strict=True)) if flat else None
        if surface is not None:
            name = f"{cell.problem}, {cell.method}, from d = {min(group)} to {max(group)}"
            yield Interval(name, *trivial_interval(surface.power, share))
            continue
        # Under three dimensions the drift is that of the literature, from the largest of them.
        dim = max(group)
        points = group[dim]
        fit = fit_null_law([x for x, _ in points], [ratio for _, ratio in points], level)
        name = f"{cell.problem}, {cell.method}, d = {dim}"
        if fit is None:
            yield _lacking(name, "no fit")
        else:
            yield Interval(name, *trivial_interval(drifted(fit, dim), share))


_MEASURES = {
    one.__name__: one
    for one in (
        measure_correlation,
        measure_risk,
        measure_gain,
        measure_recovered,
        measure_threshold,
        measure_exponent,
        measure_null_law,
        measure_trivial_dim,
    )
}
