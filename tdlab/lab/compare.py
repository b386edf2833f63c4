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
from tdlab.lab.shard import refuse_lone_shard
from tdlab.lab.store import COLUMNS, Store
from tdlab.stats.binomial import interval, median_interval

_ENDED = ("recovered", "failed")
_CENSORED = ("timeout", "memory", "crashed")
# Libraries that a user could pick instead.
_PEERS = ("tensorly-", "pyttb-")

# Problem, dim, rank, n.
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
    against : labels of methods
        References; the fastest that recovers an instance is the one. Peers (methods of other
        libraries) if none is named, and the first method of the scan if there is no peer.

    Raises
    ------
    InputError
        For a reference that the store does not have, and for a single shard.
    """
    refuse_lone_shard(store)
    # Cells of an earlier form of the specification take no part.
    cells = {cell.cell: cell for cell in store.counts() if not cell.null and cell.target > 0}
    labels = list(dict.fromkeys(cell.method for cell in cells.values()))
    for label in against:
        check_choice("against", label, labels)
    references = list(against) or [m for m in labels if m.startswith(_PEERS)] or labels[:1]
    # Per point and method: index -> (outcome, seconds, residual), contiguous prefixes only.
    points: dict[_Point, dict[str, dict[int, tuple[str, float, float]]]] = {}
    at = {name: COLUMNS.index(name) for name in COLUMNS}
    for row in store.rows():
        cell = cells.get(row[at["cell"]])
        if cell is None or row[at["index"]] >= sum(cell.prefix.values()):
            continue
        if row[at["outcome"]] not in (*_ENDED, *_CENSORED):
            continue
        seconds, residual = row[at["meta_method_seconds"]], row[at["residual"]]
        trials = points.setdefault((cell.problem, cell.dim, cell.rank, cell.n), {})
        trials.setdefault(cell.method, {})[row[at["index"]]] = (
            row[at["outcome"]],
            math.nan if seconds is None else seconds,
            math.nan if residual is None else residual,
        )
    found = []
    order = {label: position for position, label in enumerate(labels)}
    # The exact tensor, without n, comes first.
    for point, methods in sorted(points.items(), key=lambda item: (*item[0][:3], item[0][3] or 0)):
        fastest = _fastest([methods[label] for label in references if label in methods])
        for method in sorted(methods, key=order.__getitem__):
            found.append(_row(point, method, methods[method], fastest))
    return found


def _fastest(references: Sequence[dict[int, tuple[str, float, float]]]) -> dict[int, float]:
    """Time of the fastest reference on each instance that one recovers."""
    best: dict[int, float] = {}
    for trials in references:
        for index, (outcome, seconds, _) in trials.items():
            if outcome == "recovered":
                best[index] = min(seconds, best.get(index, math.inf))
    return best


def _row(
    point: _Point,
    method: str,
    trials: dict[int, tuple[str, float, float]],
    fastest: dict[int, float],
) -> Comparison:
    problem, dim, rank, n = point
    won = {
        index: seconds for index, (outcome, seconds, _) in trials.items() if outcome == _ENDED[0]
    }
    censored = sum(outcome in _CENSORED for outcome, _, _ in trials.values())
    low, high = interval(len(won), len(trials))
    ratios = [fastest[index] / seconds for index, seconds in won.items() if index in fastest]
    middle, left, right = median_interval(ratios) if ratios else (math.nan,) * 3
    residuals = [residual for _, _, residual in trials.values() if residual == residual]
    return Comparison(
        problem=problem,
        dim=dim,
        rank=rank,
        n=n,
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
