"""Whether the trials of a store bear a claim out.

A check selects k intervals. It

holds      where all of them lie on the stated side at 95%: each has to, so none is a lucky pick
fails      where one lies wholly on the other side at level 1 - .05/k (Bonferroni: of many intervals
           at 95% chance alone puts one there), or all of them do at 95%
undecided  otherwise: a scan too small to tell says so, and what has no interval decides nothing

Where the claim is true, one interval or another lies beyond one bound at level 1 - .05/k with
probability .025 at most, and so do all of them at 95%, however they depend on each other: a check
of one bound fails by chance at most once in 20 scans, one of two bounds at most once in 10.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tdlab.theory import window

if TYPE_CHECKING:
    from tdlab.lab.claims import Check, Claim
    from tdlab.lab.measures import Interval
    from tdlab.lab.store import CellCounts, Store

_SEVERITY = ("fails", "undecided", "holds")
_ERROR = 0.05


@dataclass(frozen=True)
class Verdict:
    """A check against a store.

    Attributes
    ----------
    check : Check
    status : str
        "holds", "fails", "undecided", or "no data".
    intervals : tuple of Interval
        What was measured, at 95%; the one that decides comes first.
    lacking : tuple of Interval
        What the check selects and could not judge, each with its ``lack``.
    beyond : int
        Intervals that lie wholly on the wrong side at 95%.
    level : float
        1 - .05/k, at which one interval on the wrong side is enough.
    surely : tuple of str
        Which lie there at that level.
    """

    check: Check
    status: str
    intervals: tuple[Interval, ...]
    lacking: tuple[Interval, ...]
    beyond: int
    level: float
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
    """Every check of a claim against the trials of a store."""
    from tdlab.lab.measures import measured

    def at(check: Check, level: float) -> list[Interval]:
        return list(measured(check, store, level))

    verdicts = []
    for check in claim.checks:
        found = at(check, 1.0 - _ERROR)
        count = _judged(found)
        wide = found
        # Other levels matter only where an interval lies beyond a bound, and cost as much again.
        if count > 1 and any(_side(check, one) == "fails" for one in found):
            wide = at(check, 1.0 - _ERROR / count)
        verdicts.append(verdict(check, found, wide))
    return verdicts


def verdict(check: Check, found: Sequence[Interval], wide: Sequence[Interval]) -> Verdict:
    """One check on its intervals at 95%, and on the same ones at level 1 - .05/k."""
    intervals = [one for one in found if not one.lack]
    lacking = tuple(one for one in found if one.lack)
    sides = [_side(check, one) for one in intervals]
    surely = tuple(one.where for one in wide if not one.lack and _side(check, one) == "fails")
    count = _judged(found)
    if not count:
        status = "no data"
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
        level=1.0 - _ERROR / max(count, 1),
        surely=surely,
    )


def _judged(found: Sequence[Interval]) -> int:
    """Of how many intervals a check speaks: all but those that the method's range excludes."""
    from tdlab.lab.measures import OUT_OF_RANGE

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
