"""Which trials of a scan to run next: thresholds located by rounds, all of them at once.

A fixed grid is one closed round, asked for index by index over all cells. Adaptive thresholds ask
for rounds of their own (`tdlab.stats.search.adaptive`); those of one curve, a problem and a method,
begin at ascending dimensions, each where the smaller ones point. Nothing here runs or stores
anything: trials are handed out, outcomes are handed in, and what is handed out depends on the
outcomes alone, not on the number of workers nor on the order in which trials end.
"""

from __future__ import annotations

from collections.abc import Sequence

from tdlab.lab.spec.adaptive import Target
from tdlab.lab.spec.cells import Cell
from tdlab.stats.search.adaptive import Search
from tdlab.stats.search.rule import Rule
from tdlab.stats.threshold.starts import Anchor, extrapolate

# Outcomes that tell on which side of one half a rank is. What did not end counts as a failure
# here: the reported interval covers both readings, and no further trial would tell them apart.
_SUCCESS = {
    "recovered": True,
    "failed": False,
    "timeout": False,
    "memory": False,
    "crashed": False,
}


class _Curve:
    """The thresholds of one curve, at ascending dimensions."""

    def __init__(self, targets: Sequence[Target], rule: Rule) -> None:
        self._targets = sorted(targets, key=lambda target: target.cell.dim)
        self._rule = rule
        self.searches: list[Search] = []
        self._at: dict[int, Search] = {}

    @property
    def done(self) -> bool:
        begun = len(self.searches) == len(self._targets)
        return begun and all(search.done for search in self.searches)

    def advance(self) -> list[tuple[Cell, int]]:
        fresh: list[tuple[Cell, int]] = []
        position = 0
        while position < len(self._targets) and self._begun(position):
            target = self._targets[position]
            fresh += [(target.at(rank), index) for rank, index in self.searches[position].advance()]
            position += 1
        return fresh

    def record(self, cell: Cell, index: int, success: bool | None, seconds: float) -> None:
        self._at[cell.dim].record(cell.rank, index, success, seconds)

    def _begun(self, position: int) -> bool:
        """Begin a threshold when the one before has shown where it is."""
        if position < len(self.searches):
            return True
        if position and not self.searches[-1].settled:
            return False
        known: list[tuple[int, Anchor]] = [
            (target.cell.dim, search.anchor)
            for target, search in zip(self._targets, self.searches, strict=False)
            if search.anchor is not None
        ]
        dim = self._targets[position].cell.dim
        start = extrapolate([d for d, _ in known], [anchor for _, anchor in known], dim)
        self.searches.append(Search(self._targets[position].ranks, self._rule, start))
        self._at[dim] = self.searches[-1]
        return True


class Allocation:
    """The adaptive thresholds of a scan.

    Parameters
    ----------
    targets : sequence of Target
    rule : Rule
        For each of them.

    Examples
    --------
    >>> from tdlab.lab.spec.file import parse_spec
    >>> spec = parse_spec('''
    ... [adaptive]
    ... half_width = 0.2
    ... [problem]
    ... activation = "x**3"
    ... ensemble = "sphere"
    ... dims = [6, 9]
    ... [[method]]
    ... name = "lm"
    ... ''')
    >>> allocation = Allocation(spec.targets, spec.rule)
    >>> [(cell.dim, cell.rank, index) for cell, index in allocation.advance()]
    [(6, 4, 0), (6, 4, 1), (6, 4, 2)]
    """

    def __init__(self, targets: Sequence[Target], rule: Rule) -> None:
        by_curve: dict[str, list[Target]] = {}
        for target in targets:
            by_curve.setdefault(target.cell.curve, []).append(target)
        self._curves = [_Curve(group, rule) for group in by_curve.values()]
        self._touched = list(self._curves)
        self._curve_of = {
            target.cell.curve: curve
            for curve, group in zip(self._curves, by_curve.values(), strict=True)
            for target in group
        }

    @property
    def done(self) -> bool:
        """Whether no further trial will be asked for."""
        return all(curve.done for curve in self._curves)

    def advance(self) -> list[tuple[Cell, int]]:
        """Trials (cell, index) that may run now and were not handed out before."""
        fresh: list[tuple[Cell, int]] = []
        while self._touched:
            curve = self._touched.pop(0)
            fresh += curve.advance()
        return fresh

    def record(self, cell: Cell, index: int, outcome: str, seconds: float) -> None:
        """Take the outcome of a trial that was handed out."""
        curve = self._curve_of[cell.curve]
        curve.record(cell, index, _SUCCESS.get(outcome), seconds)
        if curve not in self._touched:
            self._touched.append(curve)
