"""The axes of a scan: ranks and numbers of samples, in the units of the theory."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from tdlab.errors import InputError, check_choice, check_integer, check_real
from tdlab.theory import r_id

MAX_RANK = 10**9
MAX_SAMPLES = 10**10
_MAX_STEPS = 10**4
_RANGE_KEYS = ("from", "to", "steps", "unit", "scale")
_VALUE_KEYS = ("values", "unit")
_SCALES = ("linear", "log")
RANK_UNITS = ("d", "d^1.5", "r_id")
SAMPLE_UNITS = ("r*d", "C(d+k,k)", "d^j, as in d^2")


def ranks_at(what: str, value: Any, dim: int, order: int) -> list[int]:
    """Ranks at one dimension, ascending and distinct; ``what`` is the name that messages use."""

    def unit(name: str) -> float:
        check_choice(f"{what}.unit", name, RANK_UNITS)
        return {"d": float(dim), "d^1.5": dim**1.5, "r_id": r_id(dim, order)}[name]

    return _points(what, value, unit, MAX_RANK, "rank", dim, "'d' | 'd^1.5' | 'r_id'")


def samples_at(what: str, value: Any, dim: int, rank: int, degree: int) -> list[int | None]:
    """Numbers of samples at one (dim, rank), ascending and distinct; [None] for "exact".

    Units are rank * dim, C(dim + degree, degree) and powers of dim.
    """
    if value == "exact":
        return [None]

    def unit(name: str) -> float:
        if name == "r*d":
            return float(rank * dim)
        if name == "C(d+k,k)":
            return float(math.comb(dim + degree, degree))
        power = re.fullmatch(r"d\^(\d{1,2}(?:\.\d{1,6})?)", name) if isinstance(name, str) else None
        if not power:
            raise InputError(f"{what}.unit: got {name!r}, wanted one of {', '.join(SAMPLE_UNITS)}")
        # Far above the largest number of samples, and still a double.
        return float(dim) ** float(power[1]) if float(power[1]) * math.log(dim) < 600.0 else 1e260

    names = "'r*d' | 'C(d+k,k)' | 'd^j'"
    return list(_points(what, value, unit, MAX_SAMPLES, "samples", dim, names, ", or 'exact'"))


def _points(
    what: str,
    value: Any,
    unit: Any,
    largest: int,
    kind: str,
    dim: int,
    names: str,
    other: str = "",
) -> list[int]:
    if isinstance(value, list) and value:
        found = {check_integer(what, one, 1) for one in value}
    elif isinstance(value, dict):
        scale = unit(value["unit"]) if "unit" in value else 1.0
        points = [point * scale for point in _multiples(what, value)]
        # Half a rank rounds to even: 2.5 gives 2.
        found = {round(min(point, 2.0 * largest)) for point in points}
        if min(found) < 1:
            raise InputError(f"{what}: got {kind} {min(found)} at dim {dim}, wanted {kind} >= 1")
    else:
        raise InputError(
            f"{what}: got {value!r}, wanted a list of integers, "
            f"{{from, to, steps, unit = {names}}} or {{values, unit}}{other}"
        )
    if max(found) > largest:
        raise InputError(f"{what}: got {max(found)}, wanted at most {largest}")
    return sorted(found)


def _multiples(what: str, table: Mapping[str, Any]) -> list[float]:
    """The points of a range or list, in its unit."""
    if "values" in table:
        for key in table:
            check_choice(f"{what}: key", key, _VALUE_KEYS)
        values = table["values"]
        if not isinstance(values, list) or not values or len(values) > _MAX_STEPS:
            raise InputError(f"{what}.values: got {values!r}, wanted a list of numbers")
        return [check_real(f"{what}.values", one, 0.0) for one in values]
    for key in table:
        check_choice(f"{what}: key", key, _RANGE_KEYS)
    for key in ("from", "to", "steps"):
        if key not in table:
            raise InputError(f"{what}: got no key {key!r}, wanted from, to and steps")
    low = check_real(f"{what}.from", table["from"], 0.0)
    high = check_real(f"{what}.to", table["to"], low)
    steps = check_integer(f"{what}.steps", table["steps"], 1)
    if steps > _MAX_STEPS:
        raise InputError(f"{what}.steps: got {steps}, wanted at most {_MAX_STEPS}")
    shares = [i / max(steps - 1, 1) for i in range(steps)]
    if check_choice(f"{what}.scale", table.get("scale", "linear"), _SCALES) == "linear":
        step = (high - low) / max(steps - 1, 1)
        return [low + i * step for i in range(steps)]
    if low == 0.0:
        raise InputError(f"{what}.from: got 0 on a logarithmic scale, wanted a number > 0")
    return [low * (high / low) ** share for share in shares]
