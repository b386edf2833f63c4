"""What a claim names of its methods and problems: by what they are, or by an id of the same file.

``method = "lm"`` is every table of that name, ``method = {name = "lm", restarts = 2}`` those of
them with that option, ``method = "ours"`` the one table with ``id = "ours"``; ``problem`` is the
same with the keys of its table (``problem = {ensemble = "sphere"}``). A label names nothing: it is
printed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tdlab.errors import InputError, check_choice
from tdlab.lab.spec.curves import method_facts

if TYPE_CHECKING:
    from tdlab.lab.spec.cells import MethodChoice, Problem

# What is not in a problem's identity where it is at its default.
_DEFAULTS: dict[str, Any] = {
    "kind": "two-layer", "dense": False, "noise": 0.0, "signs": "positive", "boost": 0.0,
}  # fmt: skip
_UNWRITTEN = ("null", "version", "learner")


@dataclass(frozen=True)
class Pick:
    """Some methods, or problems, by their facts.

    Attributes
    ----------
    text : str
        As it is printed.
    facts : tuple of (str, value)
        All of which they have.
    """

    text: str
    facts: tuple[tuple[str, Any], ...]

    def __str__(self) -> str:
        return self.text

    def meets(self, facts: Mapping[str, Any]) -> bool:
        """Whether a method or problem with these facts is one of them."""
        return all(key in facts and _equal(facts[key], value) for key, value in self.facts)


def _equal(one: Any, other: Any) -> bool:
    # In Python true equals 1.
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def facts_of_method(identity: Mapping[str, Any]) -> dict[str, Any]:
    """What a pick may say of a method: its name, its options, width and terms."""
    facts = method_facts(identity)
    return _tuples({key: value for key, value in facts.items() if key not in _UNWRITTEN})


def _tuples(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Lists, as JSON and TOML have them, as tuples."""
    return {key: tuple(v) if isinstance(v, list) else v for key, v in facts.items()}


def facts_of_problem(identity: Mapping[str, Any]) -> dict[str, Any]:
    """What a pick may say of a problem, defaults included."""
    found = {key: value for key, value in identity.items() if key not in _UNWRITTEN}
    return {**_DEFAULTS, **_tuples(found)}


def pick_method(what: str, value: Any, methods: Sequence[MethodChoice]) -> Pick:
    """The methods of a specification that ``value`` names; `InputError` where it names none."""
    known = [(each.id, each.label, facts_of_method(each.identity)) for each in methods]
    names = list(dict.fromkeys(each.name for each in methods))
    if isinstance(value, str) and value in names and all(value != key for key, _, _ in known):
        return Pick(value, (("name", value),))
    return _pick(what, value, known, names, "name")


def pick_problem(what: str, value: Any, problems: Sequence[Problem]) -> Pick:
    """The problems of a specification that ``value`` names; `InputError` where it names none."""
    known = [(each.id, each.label, facts_of_problem(each.identity)) for each in problems]
    if isinstance(value, dict) and isinstance(value.get("activation"), str | list):
        from tdlab.networks.activation import Activation

        formula = Activation.parse(value["activation"])
        return _pick(
            what, value, known, [], "ensemble", {**value, "activation": formula.coefficients}
        )
    return _pick(what, value, known, [], "ensemble")


def _pick(
    what: str,
    value: Any,
    known: Sequence[tuple[str, str, Mapping[str, Any]]],
    names: Sequence[str],
    key: str,
    facts: Mapping[str, Any] | None = None,
) -> Pick:
    if isinstance(value, str):
        for own, _, facts in known:
            if own and own == value:
                return Pick(value, tuple(facts.items()))
        if any(label == value for _, label, _ in known):
            table = next(facts for _, label, facts in known if label == value)
            raise InputError(
                f"{what}: got {value!r}, a label, which is only printed, wanted an `id`, or a "
                f"table such as {_example(table, key)}"
            )
        ids = [own for own, _, _ in known if own]
        if not [*ids, *names]:
            raise InputError(
                f"{what}: got {value!r}, wanted the `id` of a table (none has one), or a table "
                f"such as {_example(known[0][2], key)}"
            )
        check_choice(what, value, [*ids, *names])
    if not isinstance(value, dict) or not value:
        raise InputError(f"{what}: got {value!r}, wanted an `id` or a table of keys and values")
    wanted = value if facts is None else facts
    if key == "name":
        check_choice(f"{what}.name", value.get("name"), list(names))
    for each in wanted:
        have = dict.fromkeys(
            k for _, _, f in known if f.get("name") == value.get("name") for k in f
        )
        check_choice(f"{what}: key", each, list(have))
    plain = _tuples(wanted)
    text = "{" + ", ".join(f"{k} = {v!r}" for k, v in value.items()) + "}"
    pick = Pick(text, tuple(plain.items()))
    if not any(pick.meets(each) for _, _, each in known):
        raise InputError(f"{what}: got {text}, wanted one of {_choices(plain, known)}")
    return pick


def _example(facts: Mapping[str, Any], key: str) -> str:
    # A kind of problem may have no law of weights; every problem has a kind.
    key = key if key in facts else "kind"
    return f"{{{key} = {str(facts[key])!r}}}"


def _choices(wanted: Mapping[str, Any], known: Iterable[tuple[str, str, Mapping[str, Any]]]) -> str:
    """What the tables have under the keys that were given."""
    shown = dict.fromkeys(
        "{" + ", ".join(f"{k} = {facts.get(k)!r}" for k in wanted) + "}" for _, _, facts in known
    )
    return ", ".join(list(shown)[:10])
