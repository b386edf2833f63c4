"""The tables of a specification, each on its own: [[problem]] and [[method]], checked and read.

A mistake is an `InputError` whose one line names the file, the table and the key. Formulas are
parsed, never evaluated.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import numpy as np

from tdlab.algorithms.registry import get_method, method_names
from tdlab.algorithms.registry import registry as method_registry
from tdlab.errors import InputError, check_choice, check_integer, check_real
from tdlab.lab.spec.adaptive import ADAPTIVE, adaptive_ranks, adaptive_samples
from tdlab.lab.spec.axes import ranks_at, samples_at
from tdlab.lab.spec.cells import DEFAULT_KIND, MethodChoice, Problem
from tdlab.lab.spec.curves import Labelled, method_facts, tell_apart
from tdlab.lab.spec.identity import digest
from tdlab.learning.base import Learner
from tdlab.learning.registry import learner, learner_names, told_options
from tdlab.learning.registry import registry as learner_registry
from tdlab.networks.two_layer import TwoLayerNetwork
from tdlab.problems.registry import problem_class
from tdlab.stats.search.rule import Rule

_MAX_DIM = 10**6

# What every kind of problem takes, beside its own options.
_PROBLEM_KEYS = ("kind", "label", "id", "dims", "ranks", "samples", "null", "dense")
# What a table is called: no option of a method.
_CALLED_KEYS = ("label", "id")
# What a decomposition method is asked for, beside its own options.
_TERM_KEYS = ("width", "terms")
# Has Hermite components in every degree up to 5: whatever order a learner asks for, if any has it.
_ANY_ACTIVATION = "x**4 + x**5"
_ANY_TEACHER: dict[str, Any] = {
    "rank": 1,
    "activation": _ANY_ACTIVATION,
    "teacher": TwoLayerNetwork(np.ones((1, 1)), activation=_ANY_ACTIVATION),
}


def read_problem(
    file: str, where: str, table: Mapping[str, Any], rule: Rule
) -> tuple[
    Problem, list[tuple[int, int, int | None]], list[tuple[int, tuple[int, ...], int | None]]
]:
    """The problem of one table, its points (dim, rank, n), its thresholds (dim, ranks, n)."""
    what = f"{file}: {where}"
    with _within(f"{what}: kind" if "kind" in table else what):
        cls = problem_class(table.get("kind", DEFAULT_KIND))
    known = [one.name for one in dataclasses.fields(cast(Any, cls))]
    check_keys(file, where, table, (*_PROBLEM_KEYS, *known))
    adaptive = table.get("ranks", ADAPTIVE) == ADAPTIVE
    if "dims" not in table:
        raise InputError(f"{what}: got no key 'dims', wanted one")
    with _within(what):
        law, named = cls.read({key: table[key] for key in known if key in table})
        samples = table.get("samples", "exact")
        if table.get("noise") and samples == "exact":
            raise InputError(
                f"noise: got {table['noise']}, wanted 0: the exact tensor averages noise out"
            )
        if table.get("dense") is True and samples != "exact":
            raise InputError("dense: got true with samples, wanted false: learners see no tensor")
        if adaptive and table.get("null"):
            raise InputError("null: got true, wanted `ranks`: a null has no threshold to adapt to")
        for key in ("null", "dense"):
            if not isinstance(table.get(key, False), bool):
                raise InputError(f"{key}: got {table[key]!r}, wanted true or false")
    label = text_of(what, "label", table.get("label", named))
    own = text_of(what, "id", table["id"]) if "id" in table else ""

    dims = table["dims"]
    if not isinstance(dims, list) or not dims:
        raise InputError(f"{what}.dims: got {dims!r}, wanted a list of integers")
    points: list[tuple[int, int, int | None]] = []
    thresholds: list[tuple[int, tuple[int, ...], int | None]] = []
    for dim in dims:
        dim = check_integer(f"{what}.dims", dim, 2)
        if dim > _MAX_DIM:
            raise InputError(f"{what}.dims: got {dim}, wanted at most {_MAX_DIM}")
        if adaptive:
            ranks = adaptive_ranks(law, dim, rule)
            numbers = adaptive_samples(f"{what}.samples", samples, dim, law.degree)
            thresholds += [(dim, ranks, n) for n in numbers]
            continue
        for rank in ranks_at(f"{what}.ranks", table["ranks"], dim, law.order):
            with _within(what):
                law.check(dim, rank)
            for n in samples_at(f"{what}.samples", samples, dim, rank, law.degree):
                points.append((dim, rank, n))
    problem = Problem.of(label, law, dense=table.get("dense", False))
    return dataclasses.replace(problem, id=own), points, thresholds


def read_methods(file: str, tables: list[tuple[str, Mapping[str, Any]]]) -> list[MethodChoice]:
    """The methods, each once, with labels that are told apart."""
    found: list[tuple[MethodChoice, Any, str]] = []
    for where, table in tables:
        if "name" not in table:
            raise InputError(f"{file}: {where}: got no key 'name', wanted a method's name")
        with _within(f"{file}: {where}"):
            choice, cls = _choice(table)
        if any(choice.identity == other.identity for other, _, _ in found):
            raise InputError(f"{file}: {where}: got '{choice.name}' with the same options twice")
        what = f"{file}: {where}"
        if "id" in table:
            own = text_of(what, "id", table["id"])
            if own in (*method_names(), *learner_names()):
                raise InputError(f"{what}: got id {own!r}, the name of a method, wanted another")
            if any(own == other.id for other, _, _ in found):
                raise InputError(f"{what}: got id {own!r} twice, wanted one table with it")
            choice = dataclasses.replace(choice, id=own)
        label = text_of(what, "label", table["label"]) if "label" in table else ""
        found.append((choice, cls, label))
    names = [choice.name for choice, _, _ in found]
    labelled: list[MethodChoice] = []
    for choice, cls, label in found:
        if label:
            choice = dataclasses.replace(choice, label=label)
        elif names.count(choice.name) > 1:
            defaults = {f.name: f.default for f in dataclasses.fields(cls)}
            own = [f"{k}={v}" for k, v in choice.options if defaults[k] != v]
            if choice.width != 1.0:
                own.append(f"width={choice.width:g}")
            terms = {other.fixed for other, _, _ in found if other.name == choice.name}
            if choice.fixed and len(terms) > 1:
                own.append(f"terms={choice.fixed}")
            if own:
                choice = dataclasses.replace(choice, label=f"{choice.name}({', '.join(own)})")
        labelled.append(choice)
    names = tell_apart(
        Labelled(digest(each.identity), each.label, method_facts(each.identity))
        for each in labelled
    )
    return [dataclasses.replace(each, label=names[digest(each.identity)]) for each in labelled]


def _choice(table: Mapping[str, Any]) -> tuple[MethodChoice, Any]:
    """What one [[method]] table asks for, and its class."""
    name = check_choice("method", table["name"], [*method_names(), *learner_names()])
    options = {key: value for key, value in table.items() if key not in ("name", *_CALLED_KEYS)}
    if _decomposes(name):
        asked = {key: options.pop(key) for key in _TERM_KEYS if key in options}
        if len(asked) > 1:
            raise InputError("terms: got it beside width, wanted one of the two")
        width = check_real("width", asked.get("width", 1.0), 0.0)
        if width == 0.0:
            raise InputError("width: got 0, wanted a number > 0")
        fixed = check_integer("terms", asked["terms"], 1) if "terms" in asked else 0
        made: Any = get_method(name, options)
        told: set[str] = set()
    else:
        # A trial tells the learner these of its teacher; here they only let it be made.
        facts = told_options(name, **_ANY_TEACHER)
        told, width, fixed = set(facts), 1.0, 0
        for key in told & set(options):
            raise InputError(f"learner '{name}': got option {key!r}, which a trial tells it")
        made = learner(name, **options, **facts)
    values = {f.name: getattr(made, f.name) for f in dataclasses.fields(made) if f.name not in told}
    learns = isinstance(made, Learner)
    choice = MethodChoice(
        name, name, made.version, tuple(sorted(values.items())), learns, width, fixed
    )
    return choice, type(made)


def _decomposes(name: str) -> bool:
    """Whether a name is that of a method; built-in learners win over plug-in methods."""
    if name in method_registry.built_in or name not in learner_names():
        return True
    if name in method_names() and name not in learner_registry.built_in:
        raise InputError(
            f"method: got {name!r}, which plug-ins register as a method and as a learner, wanted "
            "a name of one of the two"
        )
    return False


def tables_of(file: str, table: Mapping[str, Any], key: str) -> list[tuple[str, Mapping[str, Any]]]:
    """The tables [key] or [[key]], each with the name messages use for it."""
    value = table.get(key)
    if isinstance(value, dict):
        return [(key, value)]
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return [(f"{key}[{position}]", item) for position, item in enumerate(value, start=1)]
    got = f"no key {key!r}" if value is None else repr(value)
    raise InputError(f"{file}: {key}: got {got}, wanted a table [{key}] or tables [[{key}]]")


def check_keys(file: str, where: str, table: Mapping[str, Any], known: tuple[str, ...]) -> None:
    """Refuse a key that is not among the known ones; an empty ``where`` is the top level."""
    for key in table:
        check_choice(f"{file}: {where}: key" if where else f"{file}: key", key, known)


def check_finite(what: str, value: Any) -> None:
    """Reject NaN and infinities wherever they are."""
    if isinstance(value, dict):
        for key, item in value.items():
            check_finite(f"{what}: {key}", item)
    elif isinstance(value, list):
        for item in value:
            check_finite(what, item)
    elif isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{what}: got {value}, wanted a finite number")


def text_of(file: str, key: str, value: Any) -> str:
    """Text on one line, stripped."""
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise InputError(f"{file}: {key}: got {value!r}, wanted non-empty text on one line")
    return value.strip()


@contextmanager
def _within(where: str) -> Iterator[None]:
    """Say where in the file an inner check failed."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
