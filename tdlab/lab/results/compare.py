"""Methods side by side: what they recover and how long they take, on the same instances.

Times are compared within instances: the ratio of a reference's time to a method's on the instances
that both recover, its median over them, and the interval of that median. Where several
references recover an instance the fastest stands for them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tdlab.errors import check_choice
from tdlab.lab.spec.shard import refuse_lone_shard
from tdlab.lab.store.counts import CellCounts, asked_for
from tdlab.lab.store.reader import COLUMNS, Store
from tdlab.stats.binomial import interval, median_interval

_ENDED = ("recovered", "failed")
_CENSORED = ("timeout", "memory", "crashed")
# Libraries that a user could pick instead, by the names of their methods.
_PEERS = ("tensorly-", "pyttb-")

# Problem by its digest, dim, rank, n.
_Point = tuple[str, int, int, int | None]


@dataclass(frozen=True)
class Comparison:
    """One method at one point of a scan.

    Attributes
    ----------
    problem : str
    dim, rank : int
    n : int or None
    method : str
    trials, recovered, censored : int
        Censored trials count among ``trials``.
    low, high : float
        95% interval of the share recovered, with censored trials as failures.
    seconds : float
        Median time of the method where it recovers; NaN if it never does.
    ratio, ratio_low, ratio_high : float
        Reference's time over this method's, median and 95% interval; NaN without a common success.
    pairs : int
        Instances that both recover.
    residual : float
        Median relative residual of trials that ended.
    """

    problem: str
    dim: int
    rank: int
    n: int | None
    method: str
    trials: int
    recovered: int
    censored: int
    low: float
    high: float
    seconds: float
    ratio: float
    ratio_low: float
    ratio_high: float
    pairs: int
    residual: float


def compare(store: Store, against: Sequence[str] = ()) -> list[Comparison]:
    """Compare the methods of a store at every planted point.

    Parameters
    ----------
    store : Store
    against : names of methods, or what they are called in the scan
        References, all methods of such a name; the fastest that recovers an instance is the one.
        Peers (methods of other libraries) if none is named, and the first method of the scan if
        there is no peer.

    Raises
    ------
    InputError
        For a reference that the store does not have, and for a single shard.
    """
    refuse_lone_shard(store)
    cells = {cell.cell: cell for cell in asked_for(store.counts()) if not cell.null}
    methods: dict[str, CellCounts] = {}
    for cell in cells.values():
        methods.setdefault(cell.what.series, cell)
    references = _references(list(methods.values()), against)
    # Per point and method: index -> (outcome, seconds, residual), contiguous prefixes only.
    points: dict[_Point, dict[str, dict[int, tuple[str, float, float]]]] = {}
    first: dict[_Point, CellCounts] = {}
    at = {name: COLUMNS.index(name) for name in COLUMNS}
    for row in store.rows():
        cell = cells.get(row[at["cell"]])
        if cell is None or row[at["index"]] >= sum(cell.prefix.values()):
            continue
        if row[at["outcome"]] not in (*_ENDED, *_CENSORED):
            continue
        seconds, residual = row[at["meta_method_seconds"]], row[at["residual"]]
        point = (cell.what.problem_id, cell.dim, cell.rank, cell.n)
        first.setdefault(point, cell)
        trials = points.setdefault(point, {})
        trials.setdefault(cell.what.series, {})[row[at["index"]]] = (
            row[at["outcome"]],
            math.nan if seconds is None else seconds,
            math.nan if residual is None else residual,
        )
    found = []
    # The exact tensor, without n, comes first.
    for point in sorted(points, key=lambda one: (first[one].problem, *one[1:3], one[3] or 0)):
        here = points[point]
        fastest = _fastest([here[series] for series in references if series in here])
        for series in methods:
            if series in here:
                name = methods[series].method
                found.append(_row(first[point], name, here[series], fastest))
    return found


def _references(methods: Sequence[CellCounts], against: Sequence[str]) -> list[str]:
    """The series of the references, of one cell for each method."""
    known = list(dict.fromkeys([*(m.method for m in methods), *(_registered(m) for m in methods)]))
    for name in against:
        check_choice("against", name, known)
    chosen = [m for m in methods if m.method in against or _registered(m) in against]
    peers = [m for m in methods if _registered(m).startswith(_PEERS)]
    return [m.what.series for m in chosen or peers or methods[:1]]


def _registered(cell: CellCounts) -> str:
    return cell.what.method["name"]


def _fastest(references: Sequence[dict[int, tuple[str, float, float]]]) -> dict[int, float]:
    """Time of the fastest reference on each instance that one recovers."""
    best: dict[int, float] = {}
    for trials in references:
        for index, (outcome, seconds, _) in trials.items():
            if outcome == "recovered":
                best[index] = min(seconds, best.get(index, math.inf))
    return best


def _row(
    point: CellCounts,
    method: str,
    trials: dict[int, tuple[str, float, float]],
    fastest: dict[int, float],
) -> Comparison:
    won = {
        index: seconds for index, (outcome, seconds, _) in trials.items() if outcome == _ENDED[0]
    }
    censored = sum(outcome in _CENSORED for outcome, _, _ in trials.values())
    low, high = interval(len(won), len(trials))
    ratios = [fastest[index] / seconds for index, seconds in won.items() if index in fastest]
    middle, left, right = median_interval(ratios) if ratios else (math.nan,) * 3
    residuals = [residual for _, _, residual in trials.values() if residual == residual]
    return Comparison(
        problem=point.problem,
        dim=point.dim,
        rank=point.rank,
        n=point.n,
        method=method,
        trials=len(trials),
        recovered=len(won),
        censored=censored,
        low=float(low),
        high=float(high),
        seconds=float(np.median(list(won.values()))) if won else math.nan,
        ratio=middle,
        ratio_low=left,
        ratio_high=right,
        pairs=len(ratios),
        residual=float(np.median(residuals)) if residuals else math.nan,
    )
