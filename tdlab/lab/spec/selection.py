"""The cells that a ``where`` selects: before a run among planned ones, after it among stored ones.

A ``where`` is a conjunction of equalities and of ranges in the units of the theory. Methods and
problems are selected by what they are (`tdlab.lab.spec.picks`), never by what they are called.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from tdlab.lab.spec.curves import Curve
from tdlab.lab.spec.picks import Pick, facts_of_method, facts_of_problem
from tdlab.theory import r_id, r_ld

if TYPE_CHECKING:
    from tdlab.lab.spec.cells import Cell
    from tdlab.lab.spec.file import ScanSpec


class Point(Protocol):
    """What a cell says of itself, planned or stored."""

    @property
    def what(self) -> Curve: ...
    @property
    def dim(self) -> int: ...
    @property
    def rank(self) -> int: ...
    @property
    def order(self) -> int: ...
    @property
    def n(self) -> int | None: ...
    @property
    def null(self) -> bool: ...


@dataclass(frozen=True)
class Planned:
    """A cell that a profile asks for.

    Attributes
    ----------
    what : Curve
    dim, rank, order : int
    n : int or None
    null : bool
    trials : int
        0 where rounds decide.
    """

    what: Curve
    dim: int
    rank: int
    order: int
    n: int | None
    null: bool
    trials: int


def planned(spec: ScanSpec) -> list[Planned]:
    """Every cell that a scan may run within the range of its method."""

    def point(cell: Cell, rank: int, trials: int) -> Planned:
        return Planned(
            cell.what,
            cell.dim,
            rank,
            cell.problem.order,
            cell.samples,
            cell.problem.null,
            trials,
        )

    grid = [point(cell, cell.rank, spec.trials) for cell in spec.cells if cell.supported]
    rounds = [point(one.cell, rank, 0) for one in spec.targets for rank in one.ranks]
    return grid + rounds


def lies_in(cell: Point, where: Mapping[str, Any]) -> bool:
    """Whether dim_from <= d <= dim_to, x_from <= r/r_id <= x_to and ld_from <= r/d^(k/2) <= ld_to,
    the last two to half a rank."""
    if not where.get("dim_from", 0) <= cell.dim <= where.get("dim_to", math.inf):
        return False
    # A rank is a rounded multiple: 0.2 d^1.5 = 17.9 is met by 18.
    for name, scale in (("x", r_id), ("ld", r_ld)):
        low, high = where.get(f"{name}_from", 0.0), where.get(f"{name}_to", math.inf)
        unit = scale(cell.dim, cell.order)
        if not low * unit - 0.5 <= cell.rank <= high * unit + 0.5:
            return False
    return True


def selected(cell: Point, where: Mapping[str, Any]) -> bool:
    """Whether a cell is one of those that a ``where`` names; planted ones unless it says null."""
    for key, value in {"null": False, **where}.items():
        if isinstance(value, Pick):
            facts = (
                facts_of_method(cell.what.method)
                if key == "method"
                else (facts_of_problem(cell.what.problem))
            )
            if not value.meets(facts):
                return False
        elif key in ("dim", "rank", "n", "null") and getattr(cell, key) != value:
            return False
    return lies_in(cell, where)
