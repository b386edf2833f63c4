"""What an experiment claims, and whether the trials of a store bear it out.

A specification may carry a table [claim] with its statement, source and expectation, and checks:
conditions on measured intervals that code evaluates. A check holds where every interval that it
selects lies on the stated side, fails where one lies wholly on the other, and is undecided
otherwise: a scan too small to tell says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tdlab.errors import InputError, check_choice, check_real

if TYPE_CHECKING:
    from tdlab.lab.store import Store

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
# One interval on the wrong side is enough to fail; all on the right one are needed to hold.
_SEVERITY = ("fails", "undecided", "holds")
_CLAIM_KEYS = ("statement", "source", "expectation", "check")
_CHECK_KEYS = ("text", "quantity", "where", "unit", "level", "above", "below")
_WHERE_KEYS = (
    "problem", "method", "dim", "rank", "null", "x_from", "x_to", "ld_from", "ld_to", "n",
)  # fmt: skip
# A threshold belongs to a curve at one dimension, an exponent to a curve.
_CURVE_KEYS = {
    "threshold": ("problem", "method", "dim", "n"),
    "exponent": ("problem", "method", "n"),
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
    """

    statement: str
    source: str
    expectation: str
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class Verdict:
    """A check against a store.

    Attributes
    ----------
    check : Check
    status : str
        "holds", "fails", "undecided", or "no data".
    intervals : tuple of (str, float, float, float)
        What was measured: where, value, low, high (95%).
    """

    check: Check
    status: str
    intervals: tuple[tuple[str, float, float, float], ...]

    @property
    def worst(self) -> tuple[str, float, float, float] | None:
        """The interval that decides: of those with the worst verdict, the one nearest to the wrong
        side of either bound or furthest beyond it."""
        above, below = self.check.above, self.check.below

        def key(one: tuple[str, float, float, float]) -> tuple[int, float]:
            _, _, low, high = one
            sides = [] if above is None else [low - above]
            margin = min(sides if below is None else [*sides, below - high])
            return _SEVERITY.index(_side(self.check, low, high)), margin

        return min(self.intervals, key=key, default=None)


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
    return Claim(texts[0], texts[1], texts[2], found)


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


def judge(claim: Claim, store: Store) -> list[Verdict]:
    """Every check of a claim against the trials of a store."""
    from tdlab.lab.measures import measured

    verdicts = []
    for check in claim.checks:
        intervals = tuple(measured(check, store))
        verdicts.append(Verdict(check, _status(check, intervals), intervals))
    return verdicts


def _side(check: Check, low: float, high: float) -> str:
    """Where one interval lies."""
    above, below = check.above, check.below
    if (above is not None and high <= above) or (below is not None and low >= below):
        return "fails"
    right = (above is None or low > above) and (below is None or high < below)
    return "holds" if right else "undecided"


def _status(check: Check, intervals: tuple[tuple[str, float, float, float], ...]) -> str:
    found = {_side(check, low, high) for _, _, low, high in intervals}
    return min(found, key=_SEVERITY.index, default="no data")
