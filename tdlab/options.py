"""Options of methods and learners: the fields of their dataclasses, checked by type."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

from tdlab.errors import InputError


def checked_options(what: str, cls: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with integers turned to floats where floats are wanted.

    Raises
    ------
    InputError
        For an option that the class does not have, one of a wrong type, or one left out that has
        no default.
    """
    checked = dict(options)
    hints = get_type_hints(cls)
    fields = dataclasses.fields(cls)
    known = [f.name for f in fields]
    for key, value in checked.items():
        if key not in known:
            wanted = ", ".join(known) if known else "no options"
            raise InputError(f"{what}: got option {key!r}, wanted {wanted}")
        checked[key] = _coerce(f"{what}, option '{key}'", value, hints[key])
    for one in fields:
        if one.name not in checked and one.default is dataclasses.MISSING:
            raise InputError(f"{what}: got no option '{one.name}', wanted it")
    return checked


def _coerce(what: str, value: Any, hint: Any) -> Any:
    """Check an option's type; integers serve as floats, nothing else is converted."""
    allowed = get_args(hint) or (hint,)
    if isinstance(value, bool):
        fits = bool in allowed
    elif isinstance(value, int) and float in allowed and int not in allowed:
        return float(value)
    else:
        fits = any(value is None if t is type(None) else isinstance(value, t) for t in allowed)
    if not fits:
        wanted = " or ".join("None" if t is type(None) else t.__name__ for t in allowed)
        raise InputError(f"{what}: got {value!r}, wanted {wanted}")
    return value
