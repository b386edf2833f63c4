"""Numbers of terms in sentences."""

from __future__ import annotations


def n_terms(count: int, verb: str = "") -> str:
    """The number with its noun, and a verb that agrees with it.

    >>> n_terms(1, "fit"), n_terms(2, "leave"), n_terms(3)
    ('1 term fits', '2 terms leave', '3 terms')
    """
    noun = f"{count} term" if count == 1 else f"{count} terms"
    if not verb:
        return noun
    return f"{noun} {verb}s" if count == 1 else f"{noun} {verb}"
