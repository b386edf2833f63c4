"""What an experiment claims: the table [claim] of a specification.

It has a statement, its source, what to expect, and checks: conditions on measured intervals that
code evaluates (`tdlab.lab.verdicts`). ``window = true`` says that the claim is about widths between
d^(k/2) and r_id, so that verdicts tell where the scan has any.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tdlab.errors import InputError, check_choice, check_real

QUANTITIES = (
    "risk",
    "gain",
    "recovered",
    "correlation",
    "threshold",
    "exponent",
    "null-law",
    "trivial-dim",
)
UNITS = ("1", "d", "d^1.5", "d^(k/2)", "r_id")
_CLAIM_KEYS = ("statement", "source", "expectation", "check", "window")
_CHECK_KEYS = ("text", "quantity", "where", "unit", "level", "above", "below")
_WHERE_KEYS = (
    "problem", "method", "dim", "rank", "null", "x_from", "x_to", "ld_from", "ld_to", "n",
)  # fmt: skip
# A threshold belongs to a curve at one dimension, an exponent to a curve.
_CURVE_KEYS = {
    "threshold": ("problem", "method", "dim", "n"),
    "exponent": ("problem", "method", "n"),
    # Fitted to nulls, whatever is asked.
    "null-law": tuple(key for key in _WHERE_KEYS if key != "null"),
    "trivial-dim": tuple(key for key in _WHERE_KEYS if key != "null"),
}


@dataclass(frozen=True)
class Check:
    """One condition.

    Attributes
    ----------
    text : str
        What it means, for a person.
    quantity : str
        "risk" (median risk ratio of a cell; trials that a limit stopped might have any), "gain"
        (over the null twin), "recovered" (share of trials that recover everything), "correlation"
        (mean squared one with a component larger than the others), "threshold" (r* in ``unit``),
        "exponent" (of r* in d), "null-law" (q of (1 - r/r_id)^q, fitted to the nulls), or
        "trivial-dim" (the dimension at which by that law a failing learner of r = d^(3/2) units
        leaves ``level`` of the variance).
    where : tuple of (str, value)
        Cells: problem, method, dim, rank, n, null; x_from <= r/r_id <= x_to and
        ld_from <= r/d^(k/2) <= ld_to, to half a rank. Of a threshold only problem, method, dim and
        n; of an exponent those without dim.
    unit : str
        Of a threshold.
    level : float or None
        Of "trivial-dim", in (0, 1).
    above, below : float or None
        Bounds on the interval.
    """

    text: str
    quantity: str
    where: tuple[tuple[str, Any], ...]
    unit: str
    level: float | None
    above: float | None
    below: float | None


@dataclass(frozen=True)
class Claim:
    """What an experiment is about.

    Attributes
    ----------
    statement, source, expectation : str
    checks : tuple of Check
    window : bool
        Whether it is about d^(k/2) < r < r_id.
    """

    statement: str
    source: str
    expectation: str
    checks: tuple[Check, ...]
    window: bool = False


def parse_claim(what: str, table: Any) -> Claim:
    """A [claim] table; `InputError` with ``what`` in front for anything else."""
    if not isinstance(table, dict):
        raise InputError(f"{what}: got {table!r}, wanted a table [claim]")
    for key in table:
        check_choice(f"{what}: key", key, _CLAIM_KEYS)
    texts = [_text(f"{what}.{key}", table.get(key, "")) for key in _CLAIM_KEYS[:3]]
    checks = table.get("check", [])
    if not isinstance(checks, list) or not all(isinstance(one, dict) for one in checks):
        raise InputError(f"{what}.check: got {checks!r}, wanted tables [[claim.check]]")
    found = tuple(_check(f"{what}.check[{i}]", one) for i, one in enumerate(checks, start=1))
    window = table.get("window", False)
    if not isinstance(window, bool):
        raise InputError(f"{what}.window: got {window!r}, wanted true or false")
    return Claim(texts[0], texts[1], texts[2], found, window)


def _check(what: str, table: Mapping[str, Any]) -> Check:
    for key in table:
        check_choice(f"{what}: key", key, _CHECK_KEYS)
    quantity = check_choice(f"{what}.quantity", table.get("quantity"), QUANTITIES)
    where = table.get("where", {})
    if not isinstance(where, dict):
        raise InputError(f"{what}.where: got {where!r}, wanted a table")
    for key in where:
        check_choice(f"{what}.where: key", key, _CURVE_KEYS.get(quantity, _WHERE_KEYS))
    bounds = {
        side: check_real(f"{what}.{side}", table[side], float("-inf"))
        for side in ("above", "below")
        if side in table
    }
    if not bounds:
        raise InputError(f"{what}: got no bound, wanted above, below or both")
    unit = check_choice(f"{what}.unit", table.get("unit", "1"), UNITS)
    if "unit" in table and quantity != "threshold":
        raise InputError(f"{what}.unit: got {unit!r} with {quantity!r}, wanted it of a threshold")
    level = table.get("level")
    if (level is not None) != (quantity == "trivial-dim"):
        raise InputError(f"{what}.level: got {level!r} with {quantity!r}, wanted it of trivial-dim")
    if level is not None and not 0.0 < check_real(f"{what}.level", level, 0.0) < 1.0:
        raise InputError(f"{what}.level: got {level!r}, wanted a number in (0, 1)")
    return Check(
        text=_text(f"{what}.text", table.get("text", "")),
        quantity=quantity,
        where=tuple(sorted(where.items())),
        unit=unit,
        level=level,
        above=bounds.get("above"),
        below=bounds.get("below"),
    )


def _text(what: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{what}: got {value!r}, wanted text")
    return " ".join(value.split())
