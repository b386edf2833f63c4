"""The one exception for bad input, and the checks that raise it.

Validation happens once, at the edge: public functions call these, inner code does not.
A message is one line that says what, got, and wanted.
"""

from __future__ import annotations

import operator
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np


class InputError(ValueError):
    """Bad input from a user; its message is one line: what, got, wanted."""


class InputWarning(UserWarning):
    """Input that is accepted but is not what results assume; the message says what, got, wanted."""


def check_integer(what: str, value: Any, minimum: int) -> int:
    """Return ``value`` as an int of at least ``minimum``, or raise `InputError`.

    >>> check_integer("rank", 3, 1)
    3
    >>> check_integer("rank", 0, 1)
    Traceback (most recent call last):
        ...
    tdlab.errors.InputError: rank: got 0, wanted an integer >= 1
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise InputError(f"{what}: got {value!r}, wanted an integer >= {minimum}") from None
    if number < minimum:
        raise InputError(f"{what}: got {number}, wanted an integer >= {minimum}")
    return number


def check_real(what: str, value: Any, minimum: float) -> float:
    """Return ``value`` as a finite float of at least ``minimum``, or raise `InputError`."""
    try:
        if isinstance(value, str | bytes | bool):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError):
        raise InputError(f"{what}: got {value!r}, wanted a number >= {minimum:g}") from None
    if not minimum <= number < float("inf"):
        raise InputError(f"{what}: got {number!r}, wanted a finite number >= {minimum:g}")
    return number


def check_array(what: str, value: Any, shape: tuple[int | str, ...]) -> np.ndarray:
    """Return ``value`` as a finite float64 array of the given shape.

    Entries of ``shape`` are sizes, or names for sizes that are free.
    """
    import numpy as np

    wanted = "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "fiu":
            raise TypeError
        array = np.asarray(array, dtype=np.float64)
    except (TypeError, ValueError):
        kind = getattr(value, "dtype", type(value).__name__)
        raise InputError(f"{what}: got {kind}, wanted a real array of shape {wanted}") from None
    fits = array.ndim == len(shape) and all(
        isinstance(size, str) or size == got for size, got in zip(shape, array.shape, strict=True)
    )
    if not fits:
        raise InputError(f"{what}: got shape {array.shape}, wanted {wanted}")
    if 0 in array.shape:
        raise InputError(f"{what}: got an empty array of shape {array.shape}, wanted sizes >= 1")
    if np.ma.is_masked(value):
        missing = int(np.ma.getmaskarray(value).sum())
        raise InputError(f"{what}: got {missing} masked entries, wanted none")
    if not np.isfinite(array).all():
        bad = np.argwhere(~np.isfinite(array))
        where = ", ".join(map(str, bad[0]))
        raise InputError(
            f"{what}: got {len(bad)} NaN or infinite entries (first at [{where}]), "
            "wanted finite numbers"
        )
    return array


def check_choice(what: str, value: Any, choices: Iterable[str]) -> str:
    """Return ``value`` if it is one of ``choices``; else raise with the nearest ones."""
    choices = list(choices)
    if isinstance(value, str) and value in choices:
        return value
    near = get_close_matches(str(value), choices, n=1, cutoff=0.5)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise InputError(f"{what}: got {value!r}, wanted one of {', '.join(choices)}{hint}")
