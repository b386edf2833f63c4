"""The points of a scan: a problem at (dim, rank), a method, and what identifies them together."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from tdlab.errors import InputError
from tdlab.lab.spec.curves import Curve
from tdlab.lab.spec.identity import SCHEMA_VERSION, digest

if TYPE_CHECKING:
    from tdlab.problems import Problem as Law


DEFAULT_KIND = "two-layer"


@dataclass(frozen=True)
class Problem:
    """A problem of any kind, or its null twin.

    Attributes
    ----------
    label : str
        Only printed; no part of the identity, and the null's is that of its planted problem.
    kind : str
        Its name (`tdlab.problems.registry`).
    options : tuple of (str, value)
        Those of its options that are not at their default, sorted by name.
    null : bool
        Its control: as large, and with nothing to find.
    dense : bool
        Methods are given the array of entries instead of the planted terms: what a user has.
    id : str
        By which a claim of the same file may select it; no part of the identity.
    """

    label: str
    kind: str
    options: tuple[tuple[str, Any], ...]
    null: bool = False
    dense: bool = False
    id: str = ""

    @classmethod
    def of(cls, label: str, law: Law, *, null: bool = False, dense: bool = False) -> Problem:
        """That of a law of instances."""
        # The type of dataclass instances is no part of an abstract class.
        fields = dataclasses.fields(cast(Any, law))
        values = {one.name: getattr(law, one.name) for one in fields}
        own = {one.name for one in fields if values[one.name] != one.default}
        options = tuple(sorted((name, values[name]) for name in own))
        return cls(label, law.kind, options, null, dense)

    @cached_property
    def law(self) -> Law:
        """What draws its instances."""
        from tdlab.problems.registry import problem_class

        made: Callable[..., Law] = problem_class(self.kind)
        return made(**dict(self.options))

    @property
    def order(self) -> int:
        """Of the tensor that is decomposed."""
        return self.law.order

    @property
    def identity(self) -> dict[str, Any]:
        """What makes it this problem: what is at its default is absent."""
        found = self.drawn
        if self.kind != DEFAULT_KIND:
            found["kind"] = self.kind
        return found

    @property
    def drawn(self) -> dict[str, Any]:
        """What names the stream of its instances.

        Without the kind: two kinds with the same options would draw alike, and so in pairs.
        """
        found = {**dict(self.options), "null": self.null}
        if self.dense and not self.null:
            found["dense"] = True
        return found


@dataclass(frozen=True)
class MethodChoice:
    """A method with every option spelled out.

    Attributes
    ----------
    label : str
        Only printed: the name, with the options that differ where the scan has the method more than
        once, or what the specification calls it.
    name : str
    version : int
    options : tuple of (str, value)
        All options, sorted by name, defaults included.
    learner : bool
        Whether it learns from samples; else it decomposes the exact tensor.
    width : float
        Terms that a decomposition method is asked for, in units of the rank (rounded up).
    fixed : int
        Terms that it is asked for whatever the rank; 0 where ``width`` says it.
    id : str
        By which a claim of the same file may select it; no part of the identity.
    """

    label: str
    name: str
    version: int
    options: tuple[tuple[str, Any], ...]
    learner: bool = False
    width: float = 1.0
    fixed: int = 0
    id: str = ""

    @property
    def identity(self) -> dict[str, Any]:
        """What makes it this method."""
        found = {"name": self.name, "version": self.version, "options": dict(self.options)}
        if self.learner:
            found["learner"] = True
        if self.width != 1.0:
            found["width"] = self.width
        if self.fixed:
            found["terms"] = self.fixed
        return found

    def terms(self, rank: int) -> int:
        """Terms that are asked for where the teacher has ``rank``."""
        # 1.1 * 30 is a little above 33.
        return self.fixed or max(math.ceil(self.width * rank - 1e-9), 1)

    def answers(self, samples: int | None) -> bool:
        """Whether it works from that many samples, or from the exact tensor (None)."""
        if not self.learner:
            return samples is None
        from tdlab.learning.registry import learner_class

        return learner_class(self.name).needs_samples == (samples is not None)


@dataclass(frozen=True)
class Cell:
    """One point of a scan: trials of it differ in their index only.

    Attributes
    ----------
    problem : Problem
    dim, rank : int
    samples : int or None
        None for the exact (population) tensor.
    method : MethodChoice
    seed : int
    time_limit : float
        Seconds a trial; part of the identity, because it decides what a timeout means.
    """

    problem: Problem
    dim: int
    rank: int
    samples: int | None
    method: MethodChoice
    seed: int
    time_limit: float

    @cached_property
    def curve(self) -> str:
        """Digest of all but (dim, rank): cells of one curve belong in one figure."""
        return digest(
            {
                "schema": SCHEMA_VERSION,
                "seed": self.seed,
                "time_limit": self.time_limit,
                "problem": self.problem.identity,
                "n": self.samples,
                "method": self.method.identity,
            }
        )

    @cached_property
    def what(self) -> Curve:
        """What it has in common with the other cells of its curve."""
        return Curve.of(self.curve, self.identity, self.problem.label, self.method.label)

    @property
    def identity(self) -> dict[str, Any]:
        """What makes it this cell; its digest names it in stores and exports."""
        return {
            "schema": SCHEMA_VERSION,
            "seed": self.seed,
            "time_limit": self.time_limit,
            "problem": self.problem.identity,
            "dim": self.dim,
            "rank": self.rank,
            "n": self.samples,
            "method": self.method.identity,
        }

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the identity."""
        return digest(self.identity)

    @cached_property
    def instance_digest(self) -> str:
        """Digest of what the instance depends on: neither the method nor the samples."""
        return digest({"problem": self.problem.drawn, "dim": self.dim, "rank": self.rank})

    @cached_property
    def method_digest(self) -> str:
        """Digest of the method, its version and options."""
        return digest(self.method.identity)

    @property
    def schedule(self) -> str:
        """What the method's own rules make of this dimension: no exponent crosses a change."""
        if self.method.learner:
            return ""
        from tdlab.algorithms.registry import get_method

        method = get_method(self.method.name, dict(self.method.options))
        rules = getattr(method, "schedule", None)
        return "" if rules is None else str(rules(self.dim))

    @property
    def supported(self) -> bool:
        """Whether the method accepts this order and rank at all."""
        if self.method.learner:
            return True
        from tdlab.algorithms.registry import get_method

        method = get_method(self.method.name, dict(self.method.options))
        if self.problem.order not in method.orders:
            return False
        limit = method.limit(self.dim, self.problem.order)
        return limit is None or self.method.terms(self.rank) <= limit


def cell_from(identity: Mapping[str, Any]) -> Cell:
    """The cell of an identity, with names for display made up; its digest is the identity's.

    Raises
    ------
    InputError
        If this version does not know all that the identity says.
    """
    problem, method = dict(identity["problem"]), identity["method"]
    kind = problem.pop("kind", DEFAULT_KIND)
    null, dense = problem.pop("null"), problem.pop("dense", False)
    options = _frozen(method["options"])
    try:
        found = Cell(
            Problem("replayed", kind, _frozen(problem), null, dense),
            identity["dim"],
            identity["rank"],
            identity["n"],
            MethodChoice(
                method["name"],
                method["name"],
                method["version"],
                options,
                method.get("learner", False),
                method.get("width", 1.0),
                method.get("terms", 0),
            ),
            identity["seed"],
            identity["time_limit"],
        )
        found.problem.law  # noqa: B018  that there is one is part of knowing it
        known = found.digest == digest(identity)
    except TypeError:
        known = False
    if not known:
        raise InputError("cell: got one that this version of tdlab does not know, wanted its own")
    return found


def _frozen(options: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Options as a cell holds them: sorted, and lists as tuples."""
    return tuple(sorted((k, tuple(v) if isinstance(v, list) else v) for k, v in options.items()))
