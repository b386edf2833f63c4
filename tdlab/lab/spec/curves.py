"""What a curve is and what it is called.

A curve is all of a cell but its dimension and rank: the problem, the number of samples, the method,
the seed and the time limit. Whatever groups, pairs or selects cells does so by the digests of
these; a label is what somebody calls them, and names are labels that are told apart: two problems,
or two methods, never share one.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

from tdlab.lab.spec.identity import digest

_DIGITS = 6


@dataclass(frozen=True)
class Curve:
    """What cells of one curve have in common.

    Attributes
    ----------
    digest : str
    problem, method : dict
        Their identities.
    n : int or None
    seed : int
    time_limit : float
    problem_label, method_label : str
        What they are called; only printed.
    asked : bool
        Whether the latest specification asks for cells of it.
    problem_name, method_name : str
        The labels, told apart from those of others.
    """

    digest: str
    problem: Mapping[str, Any]
    method: Mapping[str, Any]
    n: int | None
    seed: int
    time_limit: float
    problem_label: str
    method_label: str
    asked: bool = True
    problem_name: str = ""
    method_name: str = ""

    @classmethod
    def of(
        cls, key: str, identity: Mapping[str, Any], problem: str, method: str, asked: bool = True
    ) -> Curve:
        """The curve of a cell with that identity."""
        return cls(
            key, identity["problem"], identity["method"], identity["n"], identity["seed"],
            identity["time_limit"], problem, method, asked, problem, method,
        )  # fmt: skip

    @property
    def null(self) -> bool:
        """Whether the problem is a null twin."""
        return bool(self.problem["null"])

    @property
    def version(self) -> int:
        """Of the method."""
        return self.method["version"]

    @cached_property
    def problem_id(self) -> str:
        """Digest of the problem, whether it is planted or null."""
        return digest({**self.problem, "null": False})

    @cached_property
    def twin_id(self) -> str:
        """``problem_id`` of its null, which has no planted terms to make dense."""
        return digest(
            {key: value for key, value in {**self.problem, "null": False}.items() if key != "dense"}
        )

    @cached_property
    def series(self) -> str:
        """Digest of the method with its version, options, seed and limit: a line of a figure."""
        return digest({"method": self.method, "seed": self.seed, "time_limit": self.time_limit})

    @cached_property
    def line(self) -> str:
        """Digest of problem, n and method, whatever version, seed or time limit."""
        method = {key: value for key, value in self.method.items() if key != "version"}
        return digest({"problem": self.problem, "n": self.n, "method": method})

    def owns(self, other: Curve) -> bool:
        """Whether another curve is of the same problem, or of the null of it."""
        return other.problem_id == (self.twin_id if other.null else self.problem_id)

    @property
    def facts(self) -> dict[str, Any]:
        """What may tell the method from others of the same label, the telling facts first."""
        return method_facts(self.method) | {"seed": self.seed, "time_limit": self.time_limit}


def method_facts(method: Mapping[str, Any]) -> dict[str, Any]:
    """Name, options, width, terms and version of a method's identity."""
    return {
        "name": method["name"],
        **method["options"],
        "width": method.get("width", 1.0),
        "terms": method.get("terms", 0),
        "version": method["version"],
    }


class Labelled(NamedTuple):
    """Something with a label, and what may tell it from others of the same label.

    Attributes
    ----------
    key : hashable
        Its identity.
    label : str
    facts : dict
    asked : bool
        Of several with one label, the only one that is asked for keeps it bare.
    """

    key: Hashable
    label: str
    facts: Mapping[str, Any]
    asked: bool = True


def tell_apart(things: Iterable[Labelled]) -> dict[Hashable, str]:
    """A name for each key, no two equal: its label, with what differs where others have it too.

    Of several labels of one key the first stands.

    >>> lm = {"name": "lm", "restarts": 1}, {"name": "lm", "restarts": 5}
    >>> tell_apart([Labelled(1, "ours", lm[0]), Labelled(2, "ours", lm[1]), Labelled(3, "als", {})])
    {1: 'ours(restarts=1)', 2: 'ours(restarts=5)', 3: 'als'}
    """
    first: dict[Hashable, Labelled] = {}
    for thing in things:
        first.setdefault(thing.key, thing)
    groups: dict[str, list[Labelled]] = {}
    for thing in first.values():
        groups.setdefault(thing.label, []).append(thing)
    names: dict[Hashable, str] = {}
    taken: set[str] = set()
    for thing in first.values():
        group = groups[thing.label]
        alone = thing.asked and sum(other.asked for other in group) == 1
        name = thing.label if len(group) == 1 or alone else _spelled(thing, group)
        if name in taken:
            key = thing.key if isinstance(thing.key, str) else digest({"key": str(thing.key)})
            name = f"{name}#{key[:_DIGITS]}"
        names[thing.key] = name
        taken.add(name)
    return names


def _spelled(thing: Labelled, group: Sequence[Labelled]) -> str:
    """A label with the facts in which things of that label differ, in brackets."""
    kind = thing.facts.get("name")
    parts = [str(kind)] if len({other.facts.get("name") for other in group}) > 1 else []
    same = [other.facts for other in group if other.facts.get("name") == kind]
    for key, value in thing.facts.items():
        part = f"{key}={int(value) if _whole(value) else value}"
        if any(facts.get(key) != value for facts in same) and part not in thing.label:
            parts.append(part)
    if not parts:
        return thing.label
    if thing.label.endswith(")") and "(" in thing.label:
        return f"{thing.label[:-1]}, {', '.join(parts)})"
    return f"{thing.label}({', '.join(parts)})"


def _whole(value: Any) -> bool:
    return isinstance(value, float) and value.is_integer()


def named(curves: Sequence[Curve]) -> list[Curve]:
    """The curves with their names, in the given order: labels of earlier ones stand."""
    planted = [curve for curve in curves if not curve.null]
    problems = tell_apart(
        Labelled(curve.problem_id, curve.problem_label, curve.problem, curve.asked)
        for curve in planted
    )
    # A null is called as what it is the null of.
    nulls: dict[Hashable, str] = {}
    for curve in planted:
        nulls.setdefault(curve.twin_id, problems[curve.problem_id])
    lone = [curve for curve in curves if curve.null and curve.problem_id not in nulls]
    nulls |= tell_apart(
        Labelled(curve.problem_id, curve.problem_label, curve.problem, curve.asked)
        for curve in lone
    )
    methods = tell_apart(
        Labelled(curve.series, curve.method_label, curve.facts, curve.asked) for curve in curves
    )
    return [
        replace(
            curve,
            problem_name=(nulls if curve.null else problems)[curve.problem_id],
            method_name=methods[curve.series],
        )
        for curve in curves
    ]
