"""What the checks of a claim select: before a run among planned cells, after it among stored ones.

A ``where`` is a conjunction of equalities and of ranges in the units of the theory. One that names
nothing in any profile of its file is a mistake and is refused when the file is read: a check that
selects nothing would never fail.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from tdlab.errors import InputError, check_choice
from tdlab.theory import r_id, r_ld

if TYPE_CHECKING:
    from tdlab.lab.cells import Cell
    from tdlab.lab.claims import Check
    from tdlab.lab.spec import ScanSpec

_OF_NULLS = ("null-law", "trivial-dim")
_OF_CURVES = ("threshold", "exponent")


class Point(Protocol):
    """What a cell says of itself, planned or stored."""

    @property
    def problem(self) -> str: ...
    @property
    def method(self) -> str: ...
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
    problem, method : str
        Labels.
    dim, rank, order : int
    n : int or None
    null : bool
    larger : bool
        Whether the problem has a component larger than the others.
    trials : int
        0 where rounds decide.
    """

    problem: str
    method: str
    dim: int
    rank: int
    order: int
    n: int | None
    null: bool
    larger: bool
    trials: int


def planned(spec: ScanSpec) -> list[Planned]:
    """Every cell that a scan may run within the range of its method."""

    def point(cell: Cell, rank: int, trials: int) -> Planned:
        return Planned(
            cell.problem.label,
            cell.method.label,
            cell.dim,
            rank,
            cell.problem.order,
            cell.samples,
            cell.problem.null,
            cell.problem.kind == "boosted",
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
    names = _names(cell)
    wanted = {key: value for key, value in where.items() if key in names}
    if "null" not in wanted:
        wanted["null"] = False
    return lies_in(cell, where) and all(names[key] == value for key, value in wanted.items())


def _names(cell: Point) -> dict[str, Any]:
    return {
        "problem": cell.problem.removesuffix("/null"),
        "method": cell.method,
        "dim": cell.dim,
        "rank": cell.rank,
        "n": cell.n,
        "null": cell.null,
    }


def choose(check: Check, points: Iterable[Planned]) -> list[Planned]:
    """The planned cells that a check looks at; nulls for the quantities that are fitted to them."""
    where = dict(check.where)
    if check.quantity in _OF_NULLS:
        where["null"] = True
    found = [point for point in points if selected(point, where)]
    if check.quantity == "correlation":
        found = [point for point in found if point.larger]
    if check.quantity == "trivial-dim":
        found = [point for point in found if point.order == 3]
    return found


def check_where(what: str, check: Check, points: list[Planned]) -> None:
    """Raise `InputError` unless a check names something among the cells of all profiles."""
    where = dict(check.where)
    for key, value in where.items():
        if key.endswith(("_from", "_to")):
            continue
        known = list(dict.fromkeys(_names(point)[key] for point in points))
        if value in known and isinstance(value, bool) == (key == "null"):
            continue
        if key in ("problem", "method"):
            check_choice(f"{what}.where.{key}", value, known)
        elif key != "null" or not isinstance(value, bool):
            shown = ", ".join(map(str, sorted(known, key=lambda one: (one is None, one))[:20]))
            raise InputError(f"{what}.where.{key}: got {value!r}, wanted one of {shown}")
    found = choose(check, points)
    if not found:
        raise InputError(
            f"{what}.where: got {_spelled(where)}, which no cell of any profile meets"
            f"{_reason(check, where, points)}, wanted one that does"
        )
    if check.quantity == "gain":
        twins = {(one.problem.removesuffix("/null"), one.dim, one.rank) for one in _nulls(points)}
        if not any((one.problem, one.dim, one.rank) in twins for one in found):
            raise InputError(
                f"{what}: got a gain over nulls that the scan has not, wanted null = true in the "
                "problem"
            )


def _nulls(points: Iterable[Planned]) -> Iterator[Planned]:
    return (point for point in points if point.null)


def _reason(check: Check, where: Mapping[str, Any], points: list[Planned]) -> str:
    if check.quantity in _OF_NULLS and not any(_nulls(points)):
        return ": the scan has no nulls"
    if check.quantity == "correlation" and not any(point.larger for point in points):
        return ": no problem is boosted"
    if where.get("null") and not any(_nulls(points)):
        return ": the scan has no nulls"
    return ""


def _spelled(where: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{key} = {value!r}" for key, value in where.items()) + "}"
