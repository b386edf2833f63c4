"""The table [adaptive] of a specification, and the ranks that adaptive thresholds choose from."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tdlab.errors import InputError, check_choice, check_integer, check_real
from tdlab.lab.spec.axes import MAX_RANK, samples_at
from tdlab.lab.spec.cells import Cell
from tdlab.problems import Problem
from tdlab.stats.search.rule import Rule
from tdlab.stats.threshold.starts import candidates
from tdlab.theory import r_id

ADAPTIVE = "adaptive"
_KEYS = ("half_width", "budget_trials", "budget_hours", "batch")
# Half-widths of ln r*: finer ones need more trials than any scan has, coarser ones say nothing.
_FINEST, _COARSEST = 0.005, 0.5
_MAX_BUDGET = 10**6
_MAX_BATCH = 10**4
# Beyond r_id other weights fit as well; methods that know more than the tensor may go further.
_MULTIPLE = 2.0
_LEAST_TOP = 8


@dataclass(frozen=True)
class Target:
    """A threshold to be located.

    Attributes
    ----------
    cell : Cell
        One of its cells: the others differ in their rank.
    ranks : tuple of int
        Those that may be run, ascending.
    """

    cell: Cell
    ranks: tuple[int, ...]

    def at(self, rank: int) -> Cell:
        """The cell of a rank."""
        return dataclasses.replace(self.cell, rank=rank)


def adaptive_rule(file: str, table: Mapping[str, Any]) -> Rule:
    """The rule of a specification; the default one without a table [adaptive]."""
    own = table.get("adaptive", {})
    what = f"{file}: adaptive"
    if not isinstance(own, dict):
        raise InputError(f"{what}: got {own!r}, wanted a table [adaptive]")
    for key in own:
        check_choice(f"{what}: key", key, _KEYS)
    default = Rule()
    half_width = check_real(f"{what}.half_width", own.get("half_width", default.half_width), 0.0)
    if not _FINEST <= half_width <= _COARSEST:
        raise InputError(
            f"{what}.half_width: got {half_width:g}, wanted a number in [{_FINEST}, {_COARSEST}]: "
            "0.05 is about 5% of r*"
        )
    batch = check_integer(f"{what}.batch", own.get("batch", default.batch), 1)
    budget = check_integer(
        f"{what}.budget_trials", own.get("budget_trials", default.budget_trials), 1
    )
    for key, value, most in (("batch", batch, _MAX_BATCH), ("budget_trials", budget, _MAX_BUDGET)):
        if value > most:
            raise InputError(f"{what}.{key}: got {value}, wanted at most {most}")
    seconds = math.inf
    if "budget_hours" in own:
        seconds = 3600.0 * check_real(f"{what}.budget_hours", own["budget_hours"], 0.0)
        if seconds == 0.0:
            raise InputError(f"{what}.budget_hours: got 0, wanted hours > 0")
    return Rule(half_width, budget, seconds, batch)


def adaptive_ranks(law: Problem, dim: int, rule: Rule) -> tuple[int, ...]:
    """Ranks at which trials may be run, ascending, to twice the counting bound r_id.

    >>> from tdlab.problems.two_layer import TwoLayer
    >>> law, _ = TwoLayer.read({"activation": "He3", "ensemble": "isotropic"})
    >>> adaptive_ranks(law, 6, Rule(half_width=0.2))
    (7, 9, 11, 14, 18)
    """
    top = min(max(math.ceil(_MULTIPLE * r_id(dim, law.order)), _LEAST_TOP, 2 * dim), MAX_RANK)
    found = candidates(top, rule.half_width, lambda rank: law.exists(dim, rank))
    if not found:
        raise InputError(f"ranks: got none at dim {dim}, wanted {law.sizes}")
    return tuple(found)


def adaptive_samples(what: str, value: Any, dim: int, degree: int) -> list[int | None]:
    """Numbers of samples, which must not depend on the rank."""
    numbers = samples_at(what, value, dim, 1, degree)
    if numbers != samples_at(what, value, dim, 1000, degree):
        raise InputError(
            f"{what}: got multiples of the rank, wanted numbers that do not depend on it: the "
            "ranks are adaptive"
        )
    return numbers
