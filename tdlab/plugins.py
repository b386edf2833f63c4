"""Methods and learners by name: built-in ones, and those of other packages, each on its own.

A package registers a class with an entry point: its name is the method's, its value
``module:Class``. What one of them gets wrong is its own affair: it does not load, it loads no such
class, its name is taken, its metadata cannot be read. Nothing but asking for that name fails, with
the distribution, the entry point and the reason; lists leave it out and warn of it.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import distributions
from typing import Any, get_type_hints

from tdlab.errors import InputError, check_choice


class PluginWarning(UserWarning):
    """An entry point of another package that is left out, and why."""


@dataclass(frozen=True)
class Plugin:
    """An entry point of another package.

    Attributes
    ----------
    name, value : str
    distribution : str
        Name and version of the package that has it.
    """

    name: str
    value: str
    distribution: str

    def __str__(self) -> str:
        return f"entry point '{self.name} = {self.value}' of {self.distribution}"


class Registry:
    """Classes by name.

    Parameters
    ----------
    kind : str
        "method" or "learner", for messages.
    built_in : mapping of str to str
        Name -> "module:Class"; these win over plug-ins.
    check : function
        What is wrong with a class that a plug-in loads, or "".

    Examples
    --------
    >>> place = {"jennrich": "tdlab.algorithms.methods.jennrich:Jennrich"}
    >>> registry = Registry("method", place, lambda cls: "")
    >>> registry.load("jennrich").name
    'jennrich'
    """

    def __init__(self, kind: str, built_in: Mapping[str, str], check: Callable[[Any], str]) -> None:
        self.kind, self.built_in, self._check = kind, built_in, check
        self._loaded: dict[str, Any] = {}

    @property
    def group(self) -> str:
        """The entry-point group of its plug-ins."""
        return f"tdlab.{self.kind}s"

    def names(self) -> list[str]:
        """All names, sorted, also of plug-ins that may not load."""
        return sorted({*self.built_in, *(plugin.name for plugin in self.plugins())})

    def plugins(self) -> list[Plugin]:
        """Entry points of other packages, also those that are left out."""
        return [plugin for group, plugin in _found()[0] if group == self.group]

    def suppliers(self) -> dict[str, str]:
        """Name -> "distribution version" of every name that one plug-in alone has."""
        found: dict[str, str] = {}
        plugins = self.plugins()
        for plugin in plugins:
            same = sum(other.name == plugin.name for other in plugins)
            if same == 1 and plugin.name not in self.built_in:
                found[plugin.name] = plugin.distribution
        return found

    def load(self, name: Any) -> Any:
        """The class of that name.

        Raises
        ------
        InputError
            For a name that is not known, and for a plug-in that cannot be used, with the reason.
        """
        name = check_choice(self.kind, name, self.names())
        if name not in self._loaded:
            if name in self.built_in:
                self._loaded[name] = _attribute(self.built_in[name])
            else:
                self._loaded[name] = self._plugged(name)
        return self._loaded[name]

    def whole(self) -> Iterator[tuple[str, Any]]:
        """(name, class) of all that load; a `PluginWarning` for each of the others."""
        for fault in self.faults():
            warnings.warn(f"{fault}; it is left out", PluginWarning, stacklevel=2)
        for name in self.names():
            try:
                found = self.load(name)
            except InputError:
                continue
            yield name, found

    def faults(self) -> list[str]:
        """A line for each plug-in that cannot be used: distribution, entry point, reason."""
        found = [f"{self.kind}s: {text}" for text in _found()[1]]
        for name in dict.fromkeys(plugin.name for plugin in self.plugins()):
            if name in self.built_in:
                others = ", ".join(str(one) for one in self.plugins() if one.name == name)
                found.append(f"{self.kind} '{name}': got the {others}, but tdlab has that name")
                continue
            try:
                self.load(name)
            except InputError as error:
                found.append(str(error))
        return found

    def _plugged(self, name: str) -> Any:
        same = [plugin for plugin in self.plugins() if plugin.name == name]
        what = f"{self.kind} '{name}': got the {' and the '.join(map(str, same))}"
        if len(same) > 1:
            raise InputError(f"{what}, wanted one of that name: uninstall the others")
        try:
            found = _attribute(same[0].value)
            wrong = self._check(found)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # its code may raise anything, SystemExit too
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise InputError(f"{what}, which does not load ({reason}), wanted one that does") from (
                error
            )
        if wrong:
            raise InputError(f"{what}, which is {wrong}")
        return found


def class_fault(found: Any, attributes: tuple[str, ...]) -> str:
    """What is wrong with something that should be a frozen dataclass with these, or ""."""
    wanted = f"wanted a dataclass with {', '.join(attributes)}"
    if not isinstance(found, type) or not dataclasses.is_dataclass(found):
        kind = "a class" if isinstance(found, type) else type(found).__name__
        return f"{kind}, {wanted}"
    missing = [name for name in attributes if not hasattr(found, name)]
    if missing:
        return f"a dataclass without {', '.join(missing)}, {wanted}"
    get_type_hints(found)  # options are checked by their types: those must be known
    version = getattr(found, "version", 1)
    if not isinstance(version, int) or isinstance(version, bool):
        return f"a dataclass of version {version!r}, wanted an integer"
    return ""


def _attribute(place: str) -> Any:
    module, _, attribute = place.partition(":")
    return getattr(import_module(module), attribute)


@cache
def _found() -> tuple[list[tuple[str, Plugin]], list[str]]:
    """(group, plug-in) of every installed package, and packages whose metadata cannot be read."""
    plugins: list[tuple[str, Plugin]] = []
    unreadable: list[str] = []
    seen: set[str] = set()
    for package in distributions():
        try:
            # Most packages have nothing to do with tdlab: what is wrong with them is not ours.
            if "tdlab." not in (package.read_text("entry_points.txt") or ""):
                continue
        except Exception:
            continue
        name = "a package without a name"
        try:
            name = f"{package.metadata['Name']} {package.version}"
            # The first of a name on the path is the one that is imported.
            if name.split()[0].lower() in seen:
                continue
            seen.add(name.split()[0].lower())
            points = [point for point in package.entry_points if point.group.startswith("tdlab.")]
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            unreadable.append(f"got entry points of {name}, which cannot be read ({reason})")
            continue
        plugins += [(point.group, Plugin(point.name, point.value, name)) for point in points]
    return plugins, unreadable
