"""What an experiment claims: the table [claim] of a specification.

It has a statement, its source, what to expect, and checks: conditions on measured intervals that
code evaluates (`tdlab.lab.results.verdicts`). A check is of the claim, or of the instrument: of
what has to be true of the methods before the scan says anything of the claim. ``visible`` names the
cells in which the statement can show at all, a predicate on sizes that is evaluated before a trial
runs. ``window = true`` says that the claim is about widths between d^(k/2) and r_id, so that
verdicts tell where the scan has any.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tdlab.errors import InputError, check_choice, check_real
from tdlab.lab.spec.picks import pick_method, pick_problem
from tdlab.lab.spec.quantities import QUANTITIES, WHERE_KEYS

if TYPE_CHECKING:
    from tdlab.lab.spec.cells import MethodChoice, Problem

UNITS = ("1", "d", "d^1.5", "d^(k/2)", "r_id")
OF = ("claim", "instrument")
_CLAIM_KEYS = ("statement", "source", "expectation", "check", "visible", "window")
_CHECK_KEYS = ("text", "of", "quantity", "where", "unit", "level", "above", "below", "truth")


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
        leaves ``level`` of the variance): the keys of `tdlab.lab.spec.quantities.QUANTITIES`.
    where : tuple of (str, value)
        Cells: problem and method (as `tdlab.lab.spec.picks.Pick`), dim, rank, n, null;
        x_from <= r/r_id <= x_to and ld_from <= r/d^(k/2) <= ld_to, to half a rank. Which of them a
        quantity takes is declared beside it.
    unit : str
        Of a threshold.
    level : float or None
        Of "trivial-dim", in (0, 1).
    above, below : float or None
        Bounds on the interval.
    of : str
        "claim", or "instrument": what has to hold before the claim can be judged.
    truth : float or None
        For which the chance that the check holds is computed (`tdlab.lab.results.chances`).
    """

    text: str
    quantity: str
    where: tuple[tuple[str, Any], ...]
    unit: str
    level: float | None
    above: float | None
    below: float | None
    of: str = "claim"
    truth: float | None = None


@dataclass(frozen=True)
class Claim:
    """What an experiment is about.

    Attributes
    ----------
    statement, source, expectation : str
    checks : tuple of Check
    visible : tuple of (str, value) or None
        Cells in which the statement can show, as in a check's ``where``; None if in any.
    window : bool
        Whether it is about d^(k/2) < r < r_id.
    """

    statement: str
    source: str
    expectation: str
    checks: tuple[Check, ...]
    visible: tuple[tuple[str, Any], ...] | None = None
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
    visible = None
    if "visible" in table:
        visible = _where(f"{what}.visible", table["visible"], WHERE_KEYS)
    return Claim(texts[0], texts[1], texts[2], found, visible, window)


def _where(what: str, table: Any, known: tuple[str, ...]) -> tuple[tuple[str, Any], ...]:
    if not isinstance(table, dict):
        raise InputError(f"{what}: got {table!r}, wanted a table")
    for key, value in table.items():
        check_choice(f"{what}: key", key, known)
        if key.endswith(("_from", "_to")):
            check_real(f"{what}.{key}", value, 0.0)
    return tuple(sorted(table.items()))


def _check(what: str, table: Mapping[str, Any]) -> Check:
    for key in table:
        check_choice(f"{what}: key", key, _CHECK_KEYS)
    quantity = check_choice(f"{what}.quantity", table.get("quantity"), list(QUANTITIES))
    kind = QUANTITIES[quantity]
    of = check_choice(f"{what}.of", table.get("of", "claim"), OF)
    where = _where(f"{what}.where", table.get("where", {}), kind.keys)
    bounds = {
        side: check_real(f"{what}.{side}", table[side], float("-inf"))
        for side in ("above", "below")
        if side in table
    }
    if not bounds:
        raise InputError(f"{what}: got no bound, wanted above, below or both")
    unit = check_choice(f"{what}.unit", table.get("unit", "1"), UNITS)
    if "unit" in table and not kind.unit:
        raise InputError(f"{what}.unit: got {unit!r} with {quantity!r}, wanted it of a threshold")
    truth = None
    if "truth" in table:
        if not kind.truth:
            raise InputError(f"{what}.truth: got it with {quantity!r}, wanted none: not computed")
        truth = check_real(f"{what}.truth", table["truth"], 0.0)
        if kind.truth == "share" and truth > 1.0:
            raise InputError(f"{what}.truth: got {truth}, wanted a share, from 0 to 1")
    level = table.get("level")
    if (level is not None) != kind.level:
        raise InputError(f"{what}.level: got {level!r} with {quantity!r}, wanted it of trivial-dim")
    if level is not None and not 0.0 < check_real(f"{what}.level", level, 0.0) < 1.0:
        raise InputError(f"{what}.level: got {level!r}, wanted a number in (0, 1)")
    return Check(
        text=_text(f"{what}.text", table.get("text", "")),
        of=of,
        quantity=quantity,
        where=where,
        unit=unit,
        level=level,
        above=bounds.get("above"),
        below=bounds.get("below"),
        truth=truth,
    )


def picked(
    what: str, claim: Claim, methods: Sequence[MethodChoice], problems: Sequence[Problem]
) -> Claim:
    """The claim with its methods and problems as picks; `InputError` where one names nothing."""

    def resolved(where: str, table: tuple[tuple[str, Any], ...]) -> tuple[tuple[str, Any], ...]:
        found = dict(table)
        if "method" in found:
            found["method"] = pick_method(f"{where}.method", found["method"], methods)
        if "problem" in found:
            found["problem"] = pick_problem(f"{where}.problem", found["problem"], problems)
        return tuple(found.items())

    checks = tuple(
        replace(check, where=resolved(f"{what}.check[{number}].where", check.where))
        for number, check in enumerate(claim.checks, start=1)
    )
    visible = claim.visible and resolved(f"{what}.visible", claim.visible)
    return replace(claim, checks=checks, visible=visible)


def _text(what: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{what}: got {value!r}, wanted text")
    return " ".join(value.split())
