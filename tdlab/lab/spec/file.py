"""Scan specifications: TOML text to a frozen, validated description of every cell.

Everything is checked here, once; a mistake is an `InputError` whose one line names the file, the
key, what it got and what it wants. Formulas are parsed, never evaluated.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import tomllib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tdlab.errors import InputError, check_choice, check_integer, check_real
from tdlab.lab.spec.adaptive import Target, adaptive_rule
from tdlab.lab.spec.cells import Cell, MethodChoice, Problem
from tdlab.lab.spec.choosing import check_where, choose
from tdlab.lab.spec.claims import Claim, parse_claim, picked
from tdlab.lab.spec.curves import Labelled, tell_apart
from tdlab.lab.spec.identity import digest
from tdlab.lab.spec.selection import planned
from tdlab.lab.spec.tables import (
    check_finite,
    check_keys,
    read_methods,
    read_problem,
    tables_of,
    text_of,
)
from tdlab.stats.search.rule import Rule

_MAX_TRIALS = 10**8
_MAX_CELLS = 10**6

_SPEC_KEYS = (
    "name", "description", "seed", "trials", "time_limit", "adaptive", "problem", "method", "claim",
    "profile",
)  # fmt: skip
_PROFILE_KEYS = ("trials", "time_limit", "adaptive", "dims", "ranks", "samples")
QUICK = "quick"


@dataclass(frozen=True)
class ScanSpec:
    """A validated scan.

    Attributes
    ----------
    name, description : str
    seed : int
        Root of every random stream.
    trials : int
        Of each cell.
    time_limit : float
        Seconds a trial.
    cells : tuple of Cell
        Of the fixed grids. Without repetition, in the order of the file.
    targets : tuple of Target
        Thresholds that adaptive rounds locate.
    rule : Rule
        For these.
    source : str
        The TOML text.
    claim : Claim or None
        What the scan is to show, with checks that code evaluates.
    profile : str
        "quick" is the file as it stands; others are its tables [profile.NAME].
    own_seed : int
        That of the file: another one was given in its place where ``seed`` differs.
    """

    name: str
    description: str
    seed: int
    trials: int
    time_limit: float
    cells: tuple[Cell, ...]
    targets: tuple[Target, ...]
    rule: Rule
    source: str
    claim: Claim | None = None
    profile: str = QUICK
    own_seed: int = 0

    @property
    def slug(self) -> str:
        """The name as a file name.

        >>> from tdlab.lab.spec.file import slug
        >>> slug("Phase diagram: x³ / isotropic")
        'Phase-diagram-x3-isotropic'
        """
        return slug(self.name)

    @property
    def digest(self) -> str:
        """SHA-256 of the text, the profile's name where it is not "quick", and another seed."""
        named = "" if self.profile == QUICK else f"\n# profile {self.profile}"
        named += "" if self.seed == self.own_seed else f"\n# seed {self.seed}"
        return hashlib.sha256((self.source + named).encode()).hexdigest()


def slug(name: str) -> str:
    """Letters, digits, dots, dashes and underscores of a name; "scan" if none is left."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-.")[:100] or "scan"


def read_spec(path: str | Path, profile: str = QUICK, seed: int | None = None) -> ScanSpec:
    """Read and validate a TOML file; ``seed`` stands in place of its own."""
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: got bytes that are not UTF-8 ({error.reason})") from None
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    return parse_spec(text, file=str(path), default_name=path.stem, profile=profile, seed=seed)


def parse_spec(
    text: str,
    *,
    file: str = "spec",
    default_name: str = "scan",
    profile: str = QUICK,
    seed: int | None = None,
) -> ScanSpec:
    """Validate TOML text; ``file`` is the name that messages use.

    A table [profile.NAME] replaces trials, time_limit and the table adaptive, and dims, ranks and
    samples of every problem.

    Examples
    --------
    >>> from tdlab.lab.spec.file import parse_spec
    >>> spec = parse_spec('''
    ... trials = 5
    ... [problem]
    ... activation = "x**3"
    ... ensemble = "sphere"
    ... dims = [5, 6]
    ... ranks = {from = 0.5, to = 1.0, steps = 2, unit = "d"}
    ... [[method]]
    ... name = "jennrich"
    ... ''')
    >>> [(cell.dim, cell.rank) for cell in spec.cells]
    [(5, 2), (5, 5), (6, 3), (6, 6)]
    """
    spec = _parsed(text, file, default_name, profile, seed)
    if spec.claim is not None:
        _check_claim(spec, file, default_name)
    return spec


def _check_claim(spec: ScanSpec, file: str, default_name: str) -> None:
    """Refuse checks that name nothing: the sizes of another profile are something."""
    assert spec.claim is not None
    points = planned(spec)
    lost = [check for check in spec.claim.checks if not choose(check, points)]
    if lost:
        for other in (QUICK, *tomllib.loads(spec.source).get("profile", {})):
            if other != spec.profile:
                points += planned(_parsed(spec.source, file, default_name, other))
    for number, check in enumerate(spec.claim.checks, start=1):
        check_where(f"{file}: claim.check[{number}]", check, points)


def _parsed(
    text: str, file: str, default_name: str, profile: str, other_seed: int | None = None
) -> ScanSpec:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{file}: not valid TOML: {_one_line(error)}") from None
    except RecursionError:
        raise InputError(f"{file}: not valid TOML: nested too deeply") from None
    check_finite(file, table)
    check_keys(file, "", table, _SPEC_KEYS)
    table = _profiled(file, table, profile)
    claim = parse_claim(f"{file}: claim", table["claim"]) if "claim" in table else None
    own_seed = _seed(f"{file}: seed", table.get("seed", 0))
    seed = own_seed if other_seed is None else _seed("seed", other_seed)
    trials = check_integer(f"{file}: trials", table.get("trials", 20), 1)
    time_limit = check_real(f"{file}: time_limit", table.get("time_limit", 60.0), 0.0)
    if time_limit == 0.0:
        raise InputError(f"{file}: time_limit: got 0, wanted seconds > 0")
    name = text_of(file, "name", table.get("name", default_name))
    description = table.get("description", "")
    if not isinstance(description, str):
        raise InputError(f"{file}: description: got {description!r}, wanted text")

    methods = read_methods(file, tables_of(file, table, "method"))
    rule = adaptive_rule(file, table)
    draft = _Draft(file, seed, trials, time_limit, methods)
    draft.read(tables_of(file, table, "problem"), rule)
    draft.check(table)
    if claim is not None:
        claim = picked(f"{file}: claim", claim, methods, draft.problems)
    return ScanSpec(
        name,
        description,
        seed,
        trials,
        time_limit,
        tuple(draft.cells.values()),
        tuple(draft.targets.values()),
        rule,
        text,
        claim,
        profile,
        own_seed,
    )


def _seed(what: str, value: Any) -> int:
    seed = check_integer(what, value, 0)
    if seed >= 2**64:
        raise InputError(f"{what}: got {seed}, wanted an integer below 2^64")
    return seed


@dataclass
class _Draft:
    """The cells and targets of a scan while its problems are read."""

    file: str
    seed: int
    trials: int
    time_limit: float
    methods: list[MethodChoice]
    cells: dict[str, Cell] = field(default_factory=dict)
    targets: dict[tuple[str, int], Target] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    answered: set[MethodChoice] = field(default_factory=set)

    def read(self, tables: list[tuple[str, Mapping[str, Any]]], rule: Rule) -> None:
        """The cells and targets of all problems."""
        parts = [
            (where, table, *read_problem(self.file, where, table, rule)) for where, table in tables
        ]
        labels: dict[str, str] = {}
        ids: set[str] = set()
        for where, _, problem, *_ in parts:
            if problem.id and problem.id in ids:
                raise InputError(
                    f"{self.file}: {where}: got id {problem.id!r} twice, wanted one table with it"
                )
            ids.add(problem.id)
            first = labels.setdefault(digest(problem.identity), problem.label)
            if first != problem.label:
                raise InputError(
                    f"{self.file}: {where}: got problem {first!r} again as {problem.label!r}, "
                    "wanted one label"
                )
        names = tell_apart(
            Labelled(digest(problem.identity), problem.label, problem.identity)
            for _, _, problem, *_ in parts
        )
        for where, table, problem, points, thresholds in parts:
            named = dataclasses.replace(problem, label=names[digest(problem.identity)])
            self.problems.append(named)
            self._add(where, named, points, thresholds, null=table.get("null", False))

    def _add(
        self,
        where: str,
        problem: Problem,
        points: list[tuple[int, int, int | None]],
        thresholds: list[tuple[int, tuple[int, ...], int | None]],
        null: bool,
    ) -> None:
        problems = [problem, dataclasses.replace(problem, null=True)] if null else [problem]
        own = [each for each in self.methods if each.answers((*points, *thresholds)[0][2])]
        self.answered.update(own)
        size = len(self.cells) + len(problems) * len(points) * len(own)
        if size > _MAX_CELLS or size * self.trials > _MAX_TRIALS:
            raise InputError(
                f"{self.file}: {where}: got {size} cells of {self.trials} trials, wanted at most "
                f"{_MAX_CELLS} cells and {_MAX_TRIALS} trials"
            )
        for each in problems:
            for dim, rank, n in points:
                for method in own:
                    cell = self._cell(each, dim, rank, n, method)
                    self.cells.setdefault(cell.digest, cell)
        for dim, ranks, n in thresholds:
            for method in own:
                self._add_target(self._cell(problem, dim, ranks[0], n, method), ranks)

    def _cell(
        self, problem: Problem, dim: int, rank: int, n: int | None, method: MethodChoice
    ) -> Cell:
        return Cell(problem, dim, rank, n, method, self.seed, self.time_limit)

    def _add_target(self, cell: Cell, ranks: tuple[int, ...]) -> None:
        own = tuple(rank for rank in ranks if dataclasses.replace(cell, rank=rank).supported)
        if own:
            cell = dataclasses.replace(cell, rank=own[0])
            self.targets.setdefault((cell.curve, cell.dim), Target(cell, own))

    def check(self, table: Mapping[str, Any]) -> None:
        """Refuse a scan whose parts contradict each other, or of which nothing can be run."""
        both = self.targets.keys() & {(cell.curve, cell.dim) for cell in self.cells.values()}
        if both:
            dim = min(dim for _, dim in both)
            raise InputError(
                f"{self.file}: problem: got a grid and adaptive ranks at dim {dim}, wanted one of "
                "them"
            )
        if "adaptive" in table and not self.targets:
            raise InputError(
                f"{self.file}: adaptive: got no problem without `ranks` that a method supports, "
                "wanted one"
            )
        if "trials" in table and not self.cells:
            raise InputError(
                f"{self.file}: trials: got {self.trials} and adaptive ranks only, wanted "
                "adaptive.budget_trials"
            )
        for method in self.methods:
            if method not in self.answered:
                wanted = "samples = [...]" if method.learner else "samples = 'exact'"
                raise InputError(
                    f"{self.file}: method: got '{method.name}' and no problem that it takes, "
                    f"wanted one with {wanted}"
                )
        if not self.targets and not any(cell.supported for cell in self.cells.values()):
            names = ", ".join(sorted({method.label for method in self.methods}))
            orders = ", ".join(sorted({str(cell.problem.order) for cell in self.cells.values()}))
            raise InputError(
                f"{self.file}: every cell is outside the range of its method (methods {names}, "
                f"tensor order {orders}), wanted at least one that a method supports"
            )


def _profiled(file: str, table: dict[str, Any], profile: str) -> dict[str, Any]:
    """The table with what a profile replaces."""
    profiles = table.get("profile", {})
    if not isinstance(profiles, dict) or not all(isinstance(p, dict) for p in profiles.values()):
        raise InputError(f"{file}: profile: got {profiles!r}, wanted tables [profile.NAME]")
    for name, one in profiles.items():
        check_keys(file, f"profile.{name}", one, _PROFILE_KEYS)
    if QUICK in profiles:
        raise InputError(f"{file}: profile: got 'quick', wanted the file itself to be that")
    if profile == QUICK:
        return table
    chosen = profiles[check_choice(f"{file}: profile", profile, [QUICK, *profiles])]
    whole = {key: chosen[key] for key in ("trials", "time_limit", "adaptive") if key in chosen}
    parts = {key: value for key, value in chosen.items() if key not in whole}
    problems = [{**one, **parts} for _, one in tables_of(file, table, "problem")]
    return {**table, **whole, "problem": problems}


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
