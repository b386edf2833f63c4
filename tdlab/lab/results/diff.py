"""Two stores side by side: how far methods reach and how long they take, before and after.

Curves are the same where the problem, n, and the method with all its options are, whatever their
labels: these are only printed. Seeds, time limits and the method's version may differ; where the
version does, it is named. Trials of the same (seed, problem, dim, rank, index) met the same
instance, whatever the version or limit: there the comparison is paired.

Reach: the thresholds with their intervals; on common instances the share of B among those that only
one of the two recovers. If A and B were equally good it would be 1/2, so its exact interval is the
sign test (McNemar 1947), with all ranks of a dimension taken together.
Time: on common instances that both recover, the median of A's time over B's and its interval; the
median time of each side alone with its interval in any case.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tdlab.errors import InputError, check_choice
from tdlab.lab.results.agreement import agreement
from tdlab.lab.results.sides import grouped, labels, methods, side
from tdlab.lab.results.summary import threshold_rows
from tdlab.lab.store.counts import CellCounts
from tdlab.lab.store.reader import CENSORED, VERSIONS, Store, open_store
from tdlab.lab.trial.run import TrialResult

_COUNTED = ("recovered", "failed", *CENSORED)


@dataclass(frozen=True)
class Reach:
    """The rank of even odds, as `Store.thresholds` has it, and the median time.

    Attributes
    ----------
    r_star, low, high : float or None
    status : str
    trials : int
    recovered : int
        At the ranks that both sides have.
    seconds, seconds_low, seconds_high : float
        Median time of the method where it recovers, at these ranks, with its 95% interval (under
        six recovered: the range); NaN if it never does.
    """

    r_star: float | None
    low: float | None
    high: float | None
    status: str
    trials: int
    recovered: int
    seconds: float
    seconds_low: float
    seconds_high: float


@dataclass(frozen=True)
class Difference:
    """One method on one problem at one dimension, in store A and in store B.

    Attributes
    ----------
    problem : str
        Label in A.
    n : int or None
    method : str
        Label in A, and that in B where it is another.
    version_a, version_b : int
        Of the method.
    dim : int
    a, b : Reach
    pairs : int
        Instances that both met, in trials that count.
    only_a, only_b : int
        Of these, what one recovers and the other does not.
    share_low, share_high : float
        95% interval (exact) of the share of ``only_b`` among both; (0, 1) without any.
    verdict : str
        ``A reaches further`` or ``B reaches further`` where that interval leaves out 1/2, or,
        without common instances, where the intervals of r* are disjoint; else ``no difference
        seen``. Empty where a side has no trial that counts.
    both : int
        Instances that both recover.
    faster, faster_low, faster_high : float
        A's time over B's on these: median and 95% interval; NaN without any.
    """

    problem: str
    n: int | None
    method: str
    version_a: int
    version_b: int
    dim: int
    a: Reach
    b: Reach
    pairs: int
    only_a: int
    only_b: int
    share_low: float
    share_high: float
    verdict: str
    both: int
    faster: float
    faster_low: float
    faster_high: float


@dataclass(frozen=True)
class Comparison:
    """What two stores have in common, and what not.

    Attributes
    ----------
    differences : tuple of Difference
        In the order of A.
    only_in_a, only_in_b : tuple of (problem, method, dim)
    same_trials : int
        Trials (cell, index) that both stores have.
    changed : tuple of str
        Those of them that one kind of processor ran, that ended by themselves in both and differ,
        as CELL:INDEX.
    elsewhere : int
        Trials of the same cells that ended by themselves on two kinds of processor.
    other_outcomes : tuple of str
        Those of them that ended otherwise.
    other_numbers : tuple of str
        Those that ended the same, with a number that differs by more than `processor.TOLERANCE`.
    """

    differences: tuple[Difference, ...]
    only_in_a: tuple[tuple[str, str, int], ...]
    only_in_b: tuple[tuple[str, str, int], ...]
    same_trials: int
    changed: tuple[str, ...]
    elsewhere: int
    other_outcomes: tuple[str, ...]
    other_numbers: tuple[str, ...]


def diff(a: str | Path, b: str | Path, versions: str = "newest") -> Comparison:
    """Compare two stores, or, for the same store twice, its earlier cells with its present ones.

    Parameters
    ----------
    a, b : paths
        Of stores that have at least one method, with the same options, on one problem at one
        dimension in common.
    versions : str
        "newest": of each method the newest version on each side. "all": each of A's with each of
        B's.

    Raises
    ------
    InputError
        If they have nothing in common, or one is a single shard.
    """
    check_choice("versions", versions, VERSIONS)
    with open_store(a) as first, open_store(b) as second:
        same = first.path.samefile(second.path)
        mine = side(first, not same, versions)
        its = side(second, True, versions)
        groups_a, groups_b = grouped(mine, versions), grouped(its, versions)
        keys = [key for key in groups_a if key in groups_b]
        if not keys:
            if same:
                raise InputError(f"stores: got {a} twice, wanted one with earlier cells, or two")
            raise InputError(
                f"stores: got {methods(mine)} in {a} and {methods(its)} in {b}, wanted the same "
                "method with the same options on the same problem and dimension in both"
            )
        called_a, called_b = labels(mine), labels(its)
        differences = [
            _difference(first, second, (one, called_a), (other, called_b))
            for key in keys
            for one in groups_a[key]
            for other in groups_b[key]
        ]
        same_trials = agreement(first, second, mine, its)
    return Comparison(
        tuple(differences),
        tuple(_names(groups_a[key][-1], called_a) for key in groups_a if key not in groups_b),
        tuple(_names(groups_b[key][-1], called_b) for key in groups_b if key not in groups_a),
        *same_trials,
    )


def _names(cells: Sequence[CellCounts], called: dict[str, str]) -> tuple[str, str, int]:
    return cells[0].problem, called[cells[0].what.line], cells[0].dim


def _difference(
    first: Store,
    second: Store,
    a_side: tuple[Sequence[CellCounts], dict[str, str]],
    b_side: tuple[Sequence[CellCounts], dict[str, str]],
) -> Difference:
    from tdlab.stats.binomial import interval, median_interval

    (mine, called_a), (its, called_b) = a_side, b_side
    trials_a = {cell.rank: _counted(first, cell) for cell in mine}
    trials_b = {cell.rank: _counted(second, cell) for cell in its}
    ranks = sorted(trials_a.keys() & trials_b.keys())
    pairs: list[tuple[TrialResult, TrialResult]] = []
    if mine[0].what.seed == its[0].what.seed:
        for rank in ranks:
            common = trials_a[rank].keys() & trials_b[rank].keys()
            pairs += [(trials_a[rank][index], trials_b[rank][index]) for index in sorted(common)]
    won = [(x.outcome == "recovered", y.outcome == "recovered") for x, y in pairs]
    only_a, only_b = won.count((True, False)), won.count((False, True))
    low, high = interval(only_b, only_a + only_b, method="clopper-pearson")
    ratios = [
        x.method_seconds / y.method_seconds
        for (x, y), both in zip(pairs, won, strict=True)
        if both == (True, True) and x.method_seconds and y.method_seconds
    ]
    middle, left, right = median_interval(ratios) if ratios else (math.nan,) * 3
    a = _reach(mine, [trials_a[rank] for rank in ranks])
    b = _reach(its, [trials_b[rank] for rank in ranks])
    problem, method, dim = _names(mine, called_a)
    other = called_b[its[0].what.line]
    if other != method:
        method = f"{method} (B: {other})"
    return Difference(
        problem=problem,
        n=mine[0].n,
        method=method,
        version_a=mine[0].what.version,
        version_b=its[0].what.version,
        dim=dim,
        a=a,
        b=b,
        pairs=len(pairs),
        only_a=only_a,
        only_b=only_b,
        share_low=float(low),
        share_high=float(high),
        verdict=_verdict(a, b, len(pairs), float(low), float(high)),
        both=len(ratios),
        faster=middle,
        faster_low=left,
        faster_high=right,
    )


def _counted(store: Store, cell: CellCounts) -> dict[int, TrialResult]:
    """Trials of a cell that conclusions use, by index."""
    length = sum(cell.prefix.values())
    return {
        index: result
        for index, result, _ in store.results(cell.id)
        if index < length and result.outcome in _COUNTED
    }


def _reach(cells: Sequence[CellCounts], trials: Iterable[dict[int, TrialResult]]) -> Reach:
    """Threshold of cells that differ in rank; times of the given trials."""
    from tdlab.stats.binomial import median_interval

    (row,) = threshold_rows(cells)
    times = [
        result.method_seconds
        for results in trials
        for result in results.values()
        if result.outcome == "recovered" and result.method_seconds is not None
    ]
    middle, left, right = median_interval(times) if times else (math.nan,) * 3
    facts: dict[str, Any] = {name: row[name] for name in ("r_star", "low", "high", "status")}
    return Reach(
        **facts,
        trials=row["trials"],
        recovered=len(times),
        seconds=middle,
        seconds_low=left,
        seconds_high=right,
    )


def _verdict(a: Reach, b: Reach, pairs: int, low: float, high: float) -> str:
    if not a.trials or not b.trials:
        return ""
    if pairs:
        further_b, further_a = low > 0.5, high < 0.5
    else:
        further_b = a.high is not None and b.low is not None and a.high < b.low
        further_a = b.high is not None and a.low is not None and b.high < a.low
    if further_a or further_b:
        return f"{'B' if further_b else 'A'} reaches further"
    return "no difference seen"
