"""Intervals of what a store measured: the quantities that claims are about."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tdlab.theory import r_id, r_ld

if TYPE_CHECKING:
    from tdlab.lab.claims import Check
    from tdlab.lab.store import CellCounts, Store

# A gain is of two medians, each of them held with this: then both are with 95%.
_BOTH = 0.975
Interval = tuple[str, float, float, float]


def measured(check: Check, store: Store) -> Iterator[Interval]:
    """(where, value, low, high) of each cell, curve or fit that the filter of a check selects."""
    quantity, where = check.quantity, dict(check.where)
    if quantity == "exponent":
        yield from _exponents(where, store)
    elif quantity == "threshold":
        yield from _thresholds(where, check.unit, store)
    elif quantity == "recovered":
        yield from _recovered(where, store)
    elif quantity == "correlation":
        yield from _correlations(where, store)
    elif quantity == "null-law":
        yield from _null_law(where, store)
    elif check.level is not None:
        yield from _trivial_dims(where, check.level, store)
    else:
        yield from _risks(where, store, over_null=quantity == "gain")


def _selected(cell: CellCounts, where: Mapping[str, Any]) -> bool:
    # A rank is a rounded multiple: 0.2 d^1.5 = 17.9 is met by 18.
    for name, scale in (("x", r_id), ("ld", r_ld)):
        low, high = where.get(f"{name}_from", 0.0), where.get(f"{name}_to", math.inf)
        unit = scale(cell.dim, cell.order)
        if not low * unit - 0.5 <= cell.rank <= high * unit + 0.5:
            return False
    names = {"problem": cell.problem.removesuffix("/null"), "method": cell.method}
    names |= {"dim": cell.dim, "rank": cell.rank, "n": cell.n, "null": cell.null}
    wanted = {key: value for key, value in where.items() if not key.endswith(("_from", "_to"))}
    if "null" not in wanted:
        wanted["null"] = False
    return all(names[key] == value for key, value in wanted.items())


def _name(cell: CellCounts) -> str:
    n = "" if cell.n is None else f", n = {cell.n}"
    return f"{cell.problem}, {cell.method}, d = {cell.dim}, r = {cell.rank}{n}"


def risk_ratios(store: Store) -> dict[tuple[str, str], list[float]]:
    """Risk ratios of trials that ended, by (cell, method); streamed, so only these are held."""
    return _values("risk_ratio", store)


def correlations(store: Store) -> dict[tuple[str, str], list[float]]:
    """Squared correlations with a component larger than the others, by (cell, method).

    Of trials that ended, and of problems that have such a component.
    """
    from tdlab.lab.store import DIGEST_CHARACTERS

    kept = {
        digest[:DIGEST_CHARACTERS]
        for digest, identity in store.identities().values()
        if identity["problem"].get("boost") and not identity["problem"]["null"]
    }
    return {key: found for key, found in _values("recovered", store).items() if key[0] in kept}


def _values(column: str, store: Store) -> dict[tuple[str, str], list[float]]:
    from tdlab.lab.store import COLUMNS

    cell, value, method = (COLUMNS.index(name) for name in ("cell", column, "method"))
    found: dict[tuple[str, str], list[float]] = {}
    for row in store.rows():
        if row[value] is not None:
            found.setdefault((row[cell], row[method]), []).append(row[value])
    return found


def _correlations(where: Mapping[str, Any], store: Store) -> Iterator[Interval]:
    from tdlab.lab.store import CENSORED
    from tdlab.stats.bounded_mean import mean_interval

    found = correlations(store)
    for cell in store.counts():
        values = found.get((cell.cell, cell.method))
        if values is None or not _selected(cell, where):
            continue
        # Censored trials might have had any correlation.
        censored = sum(cell.outcomes[outcome] for outcome in CENSORED)
        low = mean_interval([*values, *[0.0] * censored])[1]
        high = mean_interval([*values, *[1.0] * censored])[2]
        yield _name(cell), mean_interval(values)[0], low, high


def _median_risk(
    cell: CellCounts, values: list[float], level: float = 0.95
) -> tuple[float, float, float]:
    """Median of the trials that ended, and the interval of all: others might have any risk."""
    from tdlab.lab.store import CENSORED
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


def _risks(where: Mapping[str, Any], store: Store, *, over_null: bool) -> Iterator[Interval]:
    from tdlab.lab.store import CENSORED

    ratios = risk_ratios(store)
    cells = store.counts()
    nulls = {
        (cell.problem.removesuffix("/null"), cell.method, cell.dim, cell.rank, cell.n): cell
        for cell in cells
        if cell.null
    }
    for cell in cells:
        values = ratios.get((cell.cell, cell.method), [])
        stopped = any(cell.outcomes[outcome] for outcome in CENSORED)
        if not (values or stopped) or not _selected(cell, where):
            continue
        if not over_null:
            yield _name(cell), *_median_risk(cell, values)
            continue
        middle, low, high = _median_risk(cell, values, _BOTH)
        twin = nulls.get((cell.problem, cell.method, cell.dim, cell.rank, cell.n))
        beside = [] if twin is None else ratios.get((twin.cell, twin.method), [])
        if twin is None or not beside:
            continue
        null_middle, null_low, null_high = _median_risk(twin, beside, _BOTH)
        if null_middle <= 0.0:
            continue
        if not math.isfinite(low + high) or null_low <= 0.0:
            yield _name(cell), 1 - middle / null_middle, -math.inf, math.inf
            continue
        yield _name(cell), 1 - middle / null_middle, 1 - high / null_low, 1 - low / null_high


def _recovered(where: Mapping[str, Any], store: Store) -> Iterator[Interval]:
    from tdlab.lab.store import CENSORED
    from tdlab.stats.binomial import interval

    for cell in store.counts():
        won, lost = cell.prefix["recovered"], cell.prefix["failed"]
        censored = sum(cell.prefix[outcome] for outcome in CENSORED)
        if not won + lost + censored or not _selected(cell, where):
            continue
        # Censored trials might have gone either way.
        low = interval(won, won + lost + censored)[0]
        high = interval(won + censored, won + lost + censored)[1]
        yield _name(cell), won / (won + lost + censored), float(low), float(high)


def _thresholds(where: Mapping[str, Any], unit: str, store: Store) -> Iterator[Interval]:
    from tdlab.lab.summary import threshold_rows

    order = {cell.problem: cell.order for cell in store.counts()}
    for row in threshold_rows(store.counts()):
        if any(row[key] != value for key, value in where.items() if key in row):
            continue
        # Out of the method's range there is no threshold; a scan too small for one is undecided.
        if row["status"] == "unsupported":
            continue
        d, k = row["dim"], order[row["problem"]]
        scale = {"1": 1.0, "d": d, "d^1.5": d**1.5, "d^(k/2)": d ** (k / 2), "r_id": r_id(d, k)}
        low = 0.0 if row["low"] is None else row["low"]
        high = math.inf if row["high"] is None else row["high"]
        value = math.nan if row["r_star"] is None else row["r_star"]
        name = f"{row['problem']}, {row['method']}, d = {d}"
        yield name, value / scale[unit], low / scale[unit], high / scale[unit]


def _exponents(where: Mapping[str, Any], store: Store) -> Iterator[Interval]:
    from tdlab.lab.summary import exponent_rows

    for row in exponent_rows(store.counts()):
        if any(row[key] != value for key, value in where.items() if key in row):
            continue
        # A curve whose fit is refused says nothing, and a check on all curves must not hold of it.
        value = math.nan if row["exponent"] is None else row["exponent"]
        low = -math.inf if row["low"] is None else row["low"]
        high = math.inf if row["high"] is None else row["high"]
        yield f"{row['problem']}, {row['method']}", value, low, high


def _null_law(where: Mapping[str, Any], store: Store) -> Iterator[Interval]:
    from tdlab.stats.null_law import fit_null_law

    ratios = risk_ratios(store)
    # The power grows with d: one fit of several dimensions would have too narrow an interval.
    groups: dict[tuple[str, str, int], list[tuple[float, float]]] = {}
    for cell in store.counts():
        if not cell.null or not _selected(cell, {**where, "null": True}):
            continue
        x = cell.rank / r_id(cell.dim, cell.order)
        for value in ratios.get((cell.cell, cell.method), []):
            key = (cell.problem.removesuffix("/null"), cell.method, cell.dim)
            groups.setdefault(key, []).append((x, value))
    for (problem, method, dim), points in groups.items():
        fit = fit_null_law([x for x, _ in points], [ratio for _, ratio in points])
        if fit is not None:
            yield f"{problem}, {method}, d = {dim}", fit.power, fit.low, fit.high


def _trivial_dims(where: Mapping[str, Any], level: float, store: Store) -> Iterator[Interval]:
    """By the null law: the interval is that of the power at one d, which grows with d."""
    from tdlab.stats.null_law import dimension_that_looks_trivial

    # r_id is that of order 3 there.
    cubic = {cell.problem.removesuffix("/null") for cell in store.counts() if cell.order == 3}
    for name, *powers in _null_law(where, store):
        if name.rsplit(", ", 2)[0] not in cubic:
            continue
        # A larger power compresses more: the dimension grows with it.
        middle, low, high = (dimension_that_looks_trivial(power, level) for power in powers)
        yield name, middle, low, high
