"""How the trials of a cell ended, and of which curve it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tdlab.lab.spec.curves import Curve


def titled(problem: str, null: bool) -> str:
    """How a problem, or its null, is printed."""
    return f"{problem} (null)" if null else problem


@dataclass(frozen=True)
class CellCounts:
    """A cell and how its trials ended.

    Attributes
    ----------
    id : int
        Row in the store.
    cell : str
        First 16 digits of the digest.
    curve : str
        Digest of all but (dim, rank).
    what : Curve
        The identities of problem and method: what groups and pairs cells.
    problem, method, ensemble : str
        Names; of a null, of what it is the null of.
    dim, rank, order : int
    n : int or None
    null : bool
    target : int
        Trials that the latest specification asks for, 0 if the cell is not in it.
    outcomes : dict of str to int
        Trials by outcome, all eight.
    prefix : dict of str to int
        The same for indices 0, 1, 2, ... up to the first that is missing: conclusions use these,
        so that what ends fast does not bias them.
    seconds : float
        Mean time of a trial.
    schedule : str
        What the method's own rules make of this dimension, if it has any.
    """

    id: int
    cell: str
    curve: str
    what: Curve
    problem: str
    method: str
    ensemble: str
    dim: int
    rank: int
    order: int
    n: int | None
    null: bool
    target: int
    outcomes: dict[str, int]
    prefix: dict[str, int]
    seconds: float
    schedule: str = ""

    @property
    def title(self) -> str:
        """The problem's name, that of a null as such."""
        return titled(self.problem, self.null)

    @property
    def done(self) -> int:
        """Trials stored."""
        return sum(self.outcomes.values())


def asked_for(cells: Iterable[CellCounts]) -> list[CellCounts]:
    """Cells of the latest specification, and those that other versions of its methods have here.

    Cells of an earlier form of the specification are no such ones.
    """
    cells = list(cells)
    versions = {cell.what.line: cell.what.version for cell in cells if cell.target > 0}
    return [
        cell
        for cell in cells
        if cell.target > 0 or versions.get(cell.what.line, cell.what.version) != cell.what.version
    ]


class Twins:
    """The nulls beside planted cells: the same problem, method, dimension, rank and n."""

    def __init__(self, counts: Iterable[CellCounts]) -> None:
        self._cells = {self._key(cell, cell.what.problem_id): cell for cell in counts if cell.null}

    def of(self, cell: CellCounts) -> CellCounts | None:
        """The null of a planted cell."""
        if cell.null:
            return None
        return self._cells.get(self._key(cell, cell.what.twin_id))

    @staticmethod
    def _key(cell: CellCounts, problem: str) -> tuple[str, str, int, int, int | None]:
        return problem, cell.what.series, cell.dim, cell.rank, cell.n
