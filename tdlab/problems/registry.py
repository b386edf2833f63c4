"""The problems by name: built-in ones, and those that other packages register.

A package adds a problem with an entry point in the group ``tdlab.problems``: its name is the kind
that specifications ask for, its value ``module:Class``. Built-ins win over plug-ins of the same
name, and a plug-in that cannot be used disturbs no other problem (`tdlab.plugins`).
"""

from __future__ import annotations

from typing import Any

from tdlab.plugins import Registry, class_fault
from tdlab.problems.base import Problem

_BUILT_IN = {
    "boosted": "tdlab.problems.boosted:Boosted",
    "two-layer": "tdlab.problems.two_layer:TwoLayer",
}


def _fault(found: Any) -> str:
    if isinstance(found, type) and not issubclass(found, Problem):
        return f"the class {found.__name__}, wanted one derived from tdlab.problems.Problem"
    return class_fault(found, ("kind", "read", "draw", "small"))


registry = Registry("problem", _BUILT_IN, _fault)


def problem_class(kind: str) -> type[Problem]:
    """The class of that kind; `InputError` with the known ones otherwise.

    Examples
    --------
    >>> problem_class("boosted").__name__
    'Boosted'
    """
    return registry.load(kind)
