"""Which planned cells a check looks at; one that looks at nothing is refused when it is read.

A check that selects nothing in any profile of its file would never fail: it is a mistake.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tdlab.errors import InputError
from tdlab.lab.spec.picks import Pick
from tdlab.lab.spec.quantities import QUANTITIES
from tdlab.lab.spec.selection import Planned, selected

if TYPE_CHECKING:
    from tdlab.lab.spec.claims import Check


def choose(check: Check, points: Iterable[Planned]) -> list[Planned]:
    """The planned cells that a check looks at; nulls for the quantities that are fitted to them."""
    quantity = QUANTITIES[check.quantity]
    where = dict(check.where)
    if quantity.nulls:
        where["null"] = True
    return [point for point in points if selected(point, where) and quantity.has(point)]


def check_where(what: str, check: Check, points: list[Planned]) -> None:
    """Raise `InputError` unless a check names something among the cells of all profiles."""
    where = dict(check.where)
    for key, value in where.items():
        if key.endswith(("_from", "_to")) or isinstance(value, Pick):
            continue
        known = list(dict.fromkeys(getattr(point, key) for point in points))
        if value in known and isinstance(value, bool) == (key == "null"):
            continue
        if key != "null" or not isinstance(value, bool):
            shown = ", ".join(map(str, sorted(known, key=lambda one: (one is None, one))[:20]))
            raise InputError(f"{what}.where.{key}: got {value!r}, wanted one of {shown}")
    found = choose(check, points)
    if not found:
        raise InputError(
            f"{what}.where: got {_spelled(where)}, which no cell of any profile meets"
            f"{_reason(check, where, points)}, wanted one that does"
        )
    if check.quantity == "gain":
        twins = {(one.what.problem_id, one.dim, one.rank) for one in points if one.null}
        if not any((one.what.twin_id, one.dim, one.rank) in twins for one in found):
            raise InputError(
                f"{what}: got a gain over nulls that the scan has not, wanted null = true in the "
                "problem"
            )


def _reason(check: Check, where: Mapping[str, Any], points: list[Planned]) -> str:
    quantity = QUANTITIES[check.quantity]
    if (quantity.nulls or where.get("null")) and not any(point.null for point in points):
        return ": the scan has no nulls"
    if quantity.lack and not any(quantity.has(point) for point in points):
        return f": {quantity.lack}"
    return ""


def _spelled(where: Mapping[str, Any]) -> str:
    return (
        "{"
        + ", ".join(
            f"{key} = {value if isinstance(value, Pick) else repr(value)}"
            for key, value in where.items()
        )
        + "}"
    )
