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

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tdlab.errors import InputError
from tdlab.lab.identity import canonical_json
from tdlab.lab.processor import is_another, same_numbers, same_outcome
from tdlab.lab.shard import refuse_lone_shard
from tdlab.lab.store import CENSORED, DIGEST_CHARACTERS, CellCounts, Store, open_store
from tdlab.lab.summary import threshold_rows
from tdlab.lab.trial import TrialResult

_COUNTED = ("recovered", "failed", *CENSORED)
# What a store appends to the label of a curve of an earlier specification.
_OLD = re.compile(r"#[0-9a-f]{6}$")

# Problem, n, method without its version; both as canonical JSON.
_Curve = tuple[str, int | None, str]


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


@dataclass(frozen=True)
class _Cell:
    """A cell of one side, with what pairs it and the label that is printed."""

    counts: CellCounts
    digest: str
    curve: _Curve
    label: str
    seed: int
    version: int


def diff(a: str | Path, b: str | Path) -> Comparison:
    """Compare two stores, or, for the same store twice, its earlier cells with its present ones.

    Parameters
    ----------
    a, b : paths
        Of stores that have at least one method, with the same options, on one problem at one
        dimension in common.

    Raises
    ------
    InputError
        If they have nothing in common, or one is a single shard.
    """
    with open_store(a) as first, open_store(b) as second:
        same = first.path.samefile(second.path)
        mine, its = _side(first, present=not same), _side(second, present=True)
        groups_a, groups_b = _grouped(mine), _grouped(its)
        keys = [key for key in groups_a if key in groups_b]
        if not keys:
            if same:
                raise InputError(f"stores: got {a} twice, wanted one with earlier cells, or two")
            raise InputError(
                f"stores: got {_methods(mine)} in {a} and {_methods(its)} in {b}, wanted the same "
                "method with the same options on the same problem and dimension in both"
            )
        differences = []
        for key in keys:
            differences.append(_difference(first, second, groups_a[key], groups_b[key]))
        agreement = _agreement(first, second, mine, its)
    return Comparison(
        tuple(differences),
        tuple(_names(groups_a[key]) for key in groups_a if key not in groups_b),
        tuple(_names(groups_b[key]) for key in groups_b if key not in groups_a),
        *agreement,
    )


def _side(store: Store, present: bool) -> list[_Cell]:
    """Planted cells of the latest specification, or those of earlier ones."""
    refuse_lone_shard(store)
    identities = store.identities()
    found = []
    for counts in store.counts():
        if counts.null or (counts.target > 0) != present:
            continue
        digest, identity = identities[counts.id]
        method = dict(identity["method"])
        version = method.pop("version")
        curve = (canonical_json(identity["problem"]), counts.n, canonical_json(method))
        label = _OLD.sub("", counts.method)
        found.append(_Cell(counts, digest, curve, label, identity["seed"], version))
    return _told_apart(found)


def _told_apart(cells: list[_Cell]) -> list[_Cell]:
    """Cells of different curves whose short labels are equal keep those that the store has."""
    named: dict[tuple[str, int | None, str], set[_Curve]] = {}
    for cell in cells:
        key = (cell.counts.problem, cell.counts.n, cell.label)
        named.setdefault(key, set()).add(cell.curve)
    return [
        replace(cell, label=cell.counts.method)
        if len(named[cell.counts.problem, cell.counts.n, cell.label]) > 1
        else cell
        for cell in cells
    ]


def _grouped(cells: Iterable[_Cell]) -> dict[tuple[_Curve, int], list[_Cell]]:
    """Cells by curve and dimension; of several versions of a curve the newest."""
    newest: dict[_Curve, tuple[int, str]] = {}
    for cell in cells:
        mark = (cell.version, cell.counts.curve)
        newest[cell.curve] = max(newest.get(cell.curve, mark), mark)
    groups: dict[tuple[_Curve, int], list[_Cell]] = {}
    for cell in cells:
        if newest[cell.curve][1] == cell.counts.curve:
            groups.setdefault((cell.curve, cell.counts.dim), []).append(cell)
    first = {curve: position for position, (curve, _) in reversed([*enumerate(groups)])}
    return {key: groups[key] for key in sorted(groups, key=lambda key: (first[key[0]], key[1]))}


def _difference(
    first: Store, second: Store, mine: Sequence[_Cell], its: Sequence[_Cell]
) -> Difference:
    from tdlab.stats.binomial import interval, median_interval

    trials_a = {cell.counts.rank: _counted(first, cell) for cell in mine}
    trials_b = {cell.counts.rank: _counted(second, cell) for cell in its}
    ranks = sorted(trials_a.keys() & trials_b.keys())
    pairs: list[tuple[TrialResult, TrialResult]] = []
    if mine[0].seed == its[0].seed:
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
    problem, method, dim = _names(mine)
    if its[0].label != method:
        method = f"{method} (B: {its[0].label})"
    return Difference(
        problem=problem,
        n=mine[0].counts.n,
        method=method,
        version_a=mine[0].version,
        version_b=its[0].version,
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


def _counted(store: Store, cell: _Cell) -> dict[int, TrialResult]:
    """Trials of a cell that conclusions use, by index."""
    length = sum(cell.counts.prefix.values())
    return {
        index: result
        for index, result, _ in store.results(cell.counts.id)
        if index < length and result.outcome in _COUNTED
    }


def _reach(cells: Sequence[_Cell], trials: Iterable[dict[int, TrialResult]]) -> Reach:
    """Threshold of cells that differ in rank; times of the given trials."""
    from tdlab.stats.binomial import median_interval

    (row,) = threshold_rows([replace(cell.counts, method="") for cell in cells])
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


def _agreement(
    first: Store, second: Store, mine: Sequence[_Cell], its: Sequence[_Cell]
) -> tuple[int, tuple[str, ...], int, tuple[str, ...], tuple[str, ...]]:
    """Trials of cells that are the very same, those whose results are not; how many another
    kind of processor ran, and of these the ones of another outcome and of other numbers."""
    rows = {cell.digest: cell.counts.id for cell in its}
    both, elsewhere = 0, 0
    changed: list[str] = []
    outcomes: list[str] = []
    numbers: list[str] = []
    for cell in mine:
        if cell.digest not in rows:
            continue
        results = {index: found for index, found, _ in second.results(rows[cell.digest])}
        for index, result, _ in first.results(cell.counts.id):
            if index in results:
                both += 1
                pair = (result, results[index])
                # Whether a trial is censored depends on the machine and its load.
                if any(each.outcome in CENSORED for each in pair):
                    continue
                name = f"{cell.digest[:DIGEST_CHARACTERS]}:{index}"
                if is_another(*(each.kernel for each in pair)):
                    elsewhere += 1
                    if not same_outcome(*pair):
                        outcomes.append(name)
                    elif not same_numbers(*pair):
                        numbers.append(name)
                elif pair[0] != pair[1]:
                    changed.append(name)
    return both, tuple(changed), elsewhere, tuple(outcomes), tuple(numbers)


def _names(cells: Sequence[_Cell]) -> tuple[str, str, int]:
    cell = cells[0]
    return cell.counts.problem, cell.label, cell.counts.dim


def _methods(cells: Iterable[_Cell]) -> str:
    names = dict.fromkeys(f"{cell.counts.problem} {_spelled(cell)}" for cell in cells)
    shown = list(names)[:4]
    return ", ".join(shown) + ", ..." * (len(names) > len(shown)) if names else "nothing"


def _spelled(cell: _Cell) -> str:
    """A method with its options: equal labels may stand for different ones."""
    options = json.loads(cell.curve[2])["options"]
    shown = ", ".join(f"{name}={value}" for name, value in options.items())
    return f"{cell.label}({shown})" if shown and "(" not in cell.label else cell.label
