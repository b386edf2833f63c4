"""Whether the trials of a store bear a claim out: each check, and the statement.

A check selects k intervals. At error a it

holds      where all of them lie on the stated side at level 1 - a: each has to, so none is a lucky
           pick
fails      where one lies wholly on the other side at level 1 - a/k (Bonferroni: of many intervals
           chance alone puts one there), or all of them do at level 1 - a
undecided  otherwise: a scan too small to tell says so, and what has no interval decides nothing

The checks of an experiment are one family (Holm 1979): of m checks with data the first are decided
at a = .05/m, and each one decided leaves .05/(m - 1), .05/(m - 2), ... for the others. A true check
of one bound fails at error a with probability a/2 at most, one of two bounds with a, however its
intervals depend on each other, and so does a false one of one bound that holds: so that with 95% no
check of the experiment fails that is true. (The bound for m checks whose decisions may go either
way is Bonferroni's; that the steps keep it is shown for independent ones, Shaffer 1980.)

The statement ends as one of `Statement`. Checks of the instrument decide nothing of it: they say
whether the methods did what they have to do before the others mean anything. A broken method thus
leaves a statement undecided, and does not refute it, unless the statement is about the method.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from tdlab.theory import window

if TYPE_CHECKING:
    from tdlab.lab.results.measures import Interval
    from tdlab.lab.spec.claims import Check, Claim
    from tdlab.lab.spec.selection import Planned
    from tdlab.lab.store.reader import CellCounts, Store

_SEVERITY = ("fails", "undecided", "holds")
ERROR = 0.05
NO_DATA = "not tested here"


class Statement(StrEnum):
    """What an experiment says of its statement."""

    AGREES = "agrees"
    DISAGREES = "disagrees"
    NOT_VISIBLE = "not visible at these sizes"
    NOT_TESTED = "not tested here"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Conclusion:
    """The verdict on a statement, and why.

    Attributes
    ----------
    statement : Statement
    reason : str
    """

    statement: Statement
    reason: str


@dataclass(frozen=True)
class Verdict:
    """A check against a store.

    Attributes
    ----------
    check : Check
    status : str
        "holds", "fails", "undecided", or "not tested here": nothing it selects has a trial.
    intervals : tuple of Interval
        What was measured, at ``level``; the one that decides comes first.
    lacking : tuple of Interval
        What the check selects and could not judge, each with its ``lack``.
    beyond : int
        Intervals that lie wholly on the wrong side at ``level``.
    level : float
        1 - a, a the error that the family leaves to this check.
    wide : float
        1 - a/k, at which one interval on the wrong side is enough.
    surely : tuple of str
        Which lie there at that level.
    """

    check: Check
    status: str
    intervals: tuple[Interval, ...]
    lacking: tuple[Interval, ...]
    beyond: int
    level: float
    wide: float
    surely: tuple[str, ...]

    @property
    def worst(self) -> Interval | None:
        """The interval that decides: of those with the worst verdict, the one nearest to the wrong
        side of either bound or furthest beyond it."""
        return self.intervals[0] if self.intervals else None

    @property
    def reasons(self) -> str:
        """Why intervals are lacking: "too few trials (2), no fit (1)"."""
        counts = Counter(one.lack for one in self.lacking)
        return ", ".join(f"{lack} ({count})" for lack, count in counts.items())


def judge(claim: Claim, store: Store) -> list[Verdict]:
    """Every check of a claim against the trials of a store, as one family."""
    found = {i: _at(check, store, ERROR) for i, check in enumerate(claim.checks)}
    tested = [i for i, one in found.items() if one.status != NO_DATA]
    decided: set[int] = set()
    while len(decided) < len(tested):
        error = ERROR / (len(tested) - len(decided))
        fresh = set()
        for i in tested:
            if i in decided:
                continue
            found[i] = _at(claim.checks[i], store, error)
            if found[i].status in ("holds", "fails"):
                fresh.add(i)
        if not fresh:
            break
        decided |= fresh
    return list(found.values())


def _at(check: Check, store: Store, error: float) -> Verdict:
    """One check at an error of its own."""
    from tdlab.lab.results.measures import measured

    found = list(measured(check, store, 1.0 - error))
    count = _judged(found)
    wide = found
    # Another level matters only where an interval lies beyond a bound, and costs as much again.
    if count > 1 and any(_side(check, one) == "fails" for one in found):
        wide = list(measured(check, store, 1.0 - error / count))
    return verdict(check, found, wide, error)


def verdict(
    check: Check, found: Sequence[Interval], wide: Sequence[Interval], error: float = ERROR
) -> Verdict:
    """One check on its intervals at level 1 - error, and on the same ones at 1 - error/k."""
    intervals = [one for one in found if not one.lack]
    lacking = tuple(one for one in found if one.lack)
    sides = [_side(check, one) for one in intervals]
    surely = tuple(one.where for one in wide if not one.lack and _side(check, one) == "fails")
    count = _judged(found)
    if not count:
        status = NO_DATA
    elif surely or sides.count("fails") == count:
        status = "fails"
    elif sides.count("holds") == count:
        status = "holds"
    else:
        status = "undecided"
    intervals.sort(key=lambda one: (one.where not in surely, _margin(check, one)))
    return Verdict(
        check=check,
        status=status,
        intervals=tuple(intervals),
        lacking=lacking,
        beyond=sides.count("fails"),
        level=1.0 - error,
        wide=1.0 - error / max(count, 1),
        surely=surely,
    )


def conclude(visible: bool, verdicts: Sequence[Verdict]) -> Conclusion:
    """What the checks say of the statement; ``visible`` is what its sizes say before them."""
    tested = [one for one in verdicts if one.status != NO_DATA]
    instrument = [one for one in tested if one.check.of == "instrument"]
    claimed = [one for one in tested if one.check.of == "claim"]
    if not visible:
        return Conclusion(Statement.NOT_VISIBLE, "no cell of this profile is one it can show in")
    if not claimed:
        return Conclusion(Statement.NOT_TESTED, "no check of the claim has a trial here")
    for status in ("fails", "undecided"):
        faulty = [one.check.text for one in instrument if one.status == status]
        if faulty:
            reason = f"the instrument is not shown to work, {status}: {faulty[0]}"
            return Conclusion(Statement.UNDECIDED, reason)
    counts = Counter(one.status for one in claimed)
    untested = sum(one.check.of == "claim" for one in verdicts) - len(claimed)
    shown = ", ".join(f"{number} {status}" for status, number in counts.items())
    reason = f"of its checks {shown}" + (f", {untested} not tested here" if untested else "")
    if counts["fails"]:
        return Conclusion(Statement.DISAGREES, reason)
    if counts["holds"] == len(claimed):
        return Conclusion(Statement.AGREES, reason)
    return Conclusion(Statement.UNDECIDED, reason)


def _judged(found: Sequence[Interval]) -> int:
    """Of how many intervals a check speaks: all but those that the method's range excludes."""
    from tdlab.lab.results.measures import OUT_OF_RANGE

    return sum(one.lack != OUT_OF_RANGE for one in found)


def _side(check: Check, one: Interval) -> str:
    """Where one interval lies."""
    above, below = check.above, check.below
    if (above is not None and one.high <= above) or (below is not None and one.low >= below):
        return "fails"
    right = (above is None or one.low > above) and (below is None or one.high < below)
    return "holds" if right else "undecided"


def _margin(check: Check, one: Interval) -> tuple[int, float]:
    """Severity, and the distance to the wrong side of the nearer bound (negative: beyond it)."""
    sides = [] if check.above is None else [one.low - check.above]
    margin = min(sides if check.below is None else [*sides, check.below - one.high])
    return _SEVERITY.index(_side(check, one)), margin


def windows(counts: Iterable[CellCounts]) -> list[str]:
    """Where d^(k/2) < r < r_id, with constants 1, is empty, or how many widths tried lie in it."""
    ranks: dict[int, dict[int, set[int]]] = {}
    for cell in counts:
        if not cell.null:
            ranks.setdefault(cell.order, {}).setdefault(cell.dim, set()).add(cell.rank)
    lines = []
    for order, dims in sorted(ranks.items()):
        name = f"d^{order / 2:g} < r < r_id, constants 1,"
        empty = [dim for dim in sorted(dims) if window(dim, order) is None]
        if empty:
            shown = ", ".join(map(str, empty))
            lines.append(f"{name} is empty at d = {shown}: not testable there")
        for dim in sorted(set(dims) - set(empty)):
            low, high = window(dim, order) or (0.0, 0.0)
            inside = sum(low < rank < high for rank in dims[dim])
            lines.append(
                f"{name} at d = {dim} is {low:.4g} < r < {high:.4g}: {inside} of the "
                f"{len(dims[dim])} widths tried lie in it"
            )
    return lines


def visible(claim: Claim, points: Iterable[Planned]) -> bool:
    """Whether a profile has cells in which the statement can show, from its sizes alone."""
    from tdlab.lab.spec.selection import selected

    if claim.visible is None:
        return True
    where = dict(claim.visible)
    return any(selected(point, where) for point in points)
