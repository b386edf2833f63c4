"""Scan specifications: TOML text to a frozen, validated description of every cell.

Everything is checked here, once; a mistake is an `InputError` whose one line names the file, the
key, what it got and what it wants. Formulas are parsed, never evaluated.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tdlab.algorithms.registry import get_method, method_names
from tdlab.errors import InputError, check_choice, check_integer, check_real
from tdlab.lab.adaptive import ADAPTIVE, adaptive_ranks, adaptive_rule, adaptive_samples
from tdlab.lab.allocate import Target
from tdlab.lab.axes import ranks_at, samples_at
from tdlab.lab.cells import Cell, MethodChoice, Problem
from tdlab.lab.claims import Claim, parse_claim
from tdlab.learners.base import Learner
from tdlab.learners.registry import learner, learner_names, told_options
from tdlab.networks.activation import Activation
from tdlab.networks.ensembles import check_ensemble_size, get_ensemble
from tdlab.networks.sampling import SIGNS
from tdlab.networks.two_layer import TwoLayerNetwork
from tdlab.stats.adaptive import Rule

MAX_TRIALS = 10**8
_MAX_CELLS = 10**6
_MAX_DIM = 10**6

_SPEC_KEYS = (
    "name", "description", "seed", "trials", "time_limit", "adaptive", "problem", "method", "claim",
    "profile",
)  # fmt: skip
_PROFILE_KEYS = ("trials", "time_limit", "adaptive", "dims", "ranks", "samples")
QUICK = "quick"
_PROBLEM_KEYS = (
    "label", "activation", "ensemble", "order", "dims", "ranks", "samples", "noise", "null",
    "dense", "signs", "boost",
)  # fmt: skip
# Has Hermite components in every degree up to 5: whatever order a learner asks for, if any has it.
_ANY_ACTIVATION = "x**4 + x**5"
_ANY_TEACHER: dict[str, Any] = {
    "rank": 1,
    "activation": _ANY_ACTIVATION,
    "teacher": TwoLayerNetwork(np.ones((1, 1)), activation=_ANY_ACTIVATION),
}


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

    @property
    def slug(self) -> str:
        """The name as a file name.

        >>> from tdlab.lab.spec import slug
        >>> slug("Phase diagram: x³ / isotropic")
        'Phase-diagram-x3-isotropic'
        """
        return slug(self.name)

    @property
    def digest(self) -> str:
        """SHA-256 of the text, and of the profile's name where it is not "quick"."""
        named = "" if self.profile == QUICK else f"\n# profile {self.profile}"
        return hashlib.sha256((self.source + named).encode()).hexdigest()


def slug(name: str) -> str:
    """Letters, digits, dots, dashes and underscores of a name; "scan" if none is left."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-.")[:100] or "scan"


def read_spec(path: str | Path, profile: str = QUICK) -> ScanSpec:
    """Read and validate a TOML file."""
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: got bytes that are not UTF-8 ({error.reason})") from None
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    return parse_spec(text, file=str(path), default_name=path.stem, profile=profile)


def parse_spec(
    text: str, *, file: str = "spec", default_name: str = "scan", profile: str = QUICK
) -> ScanSpec:
    """Validate TOML text; ``file`` is the name that messages use.

    A table [profile.NAME] replaces trials, time_limit and the table adaptive, and dims, ranks and
    samples of every problem.

    Examples
    --------
    >>> from tdlab.lab.spec import parse_spec
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
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{file}: not valid TOML: {_one_line(error)}") from None
    except RecursionError:
        raise InputError(f"{file}: not valid TOML: nested too deeply") from None
    _check_finite(file, table)
    _check_keys(file, "", table, _SPEC_KEYS)
    table = _profiled(file, table, profile)
    claim = parse_claim(f"{file}: claim", table["claim"]) if "claim" in table else None
    seed = check_integer(f"{file}: seed", table.get("seed", 0), 0)
    if seed >= 2**64:
        raise InputError(f"{file}: seed: got {seed}, wanted an integer below 2^64")
    trials = check_integer(f"{file}: trials", table.get("trials", 20), 1)
    time_limit = check_real(f"{file}: time_limit", table.get("time_limit", 60.0), 0.0)
    if time_limit == 0.0:
        raise InputError(f"{file}: time_limit: got 0, wanted seconds > 0")
    name = _text(file, "name", table.get("name", default_name))
    description = table.get("description", "")
    if not isinstance(description, str):
        raise InputError(f"{file}: description: got {description!r}, wanted text")

    methods = _methods(file, _tables(file, table, "method"))
    rule = adaptive_rule(file, table)
    cells: dict[str, Cell] = {}
    targets: dict[tuple[str, int], Target] = {}
    labels: dict[str, dict[str, Any]] = {}
    answered: set[MethodChoice] = set()
    for where, problem_table in _tables(file, table, "problem"):
        problem, points, thresholds = _problem(file, where, problem_table, rule)
        if labels.setdefault(problem.label, problem.identity) != problem.identity:
            raise InputError(
                f"{file}: {where}: got the label {problem.label!r} of another problem, wanted a "
                "`label` of its own"
            )
        problems = [problem]
        if problem_table.get("null", False):
            twin = dataclasses.replace(problem, label=f"{problem.label}/null", null=True)
            problems.append(twin)
        own = [each for each in methods if each.answers((*points, *thresholds)[0][2])]
        answered.update(own)
        size = len(problems) * len(points) * len(own)
        if (len(cells) + size) > _MAX_CELLS or (len(cells) + size) * trials > MAX_TRIALS:
            raise InputError(
                f"{file}: {where}: got {len(cells) + size} cells of {trials} trials, wanted at "
                f"most {_MAX_CELLS} cells and {MAX_TRIALS} trials"
            )
        for each in problems:
            for dim, rank, n in points:
                for method in own:
                    cell = Cell(each, dim, rank, n, method, seed, time_limit)
                    known = cells.setdefault(cell.digest, cell)
                    if known.problem.label != each.label:
                        raise InputError(
                            f"{file}: {where}: got problem {known.problem.label!r} again as "
                            f"{each.label!r} at dim {dim}, rank {rank}, wanted one label"
                        )
        for dim, ranks, n in thresholds:
            for method in own:
                cell = Cell(problem, dim, ranks[0], n, method, seed, time_limit)
                own_ranks = tuple(
                    rank for rank in ranks if dataclasses.replace(cell, rank=rank).supported
                )
                if own_ranks:
                    cell = dataclasses.replace(cell, rank=own_ranks[0])
                    targets.setdefault((cell.curve, dim), Target(cell, own_ranks))
    both = targets.keys() & {(cell.curve, cell.dim) for cell in cells.values()}
    if both:
        dim = min(dim for _, dim in both)
        raise InputError(
            f"{file}: problem: got a grid and adaptive ranks at dim {dim}, wanted one of them"
        )
    if "adaptive" in table and not targets:
        raise InputError(
            f"{file}: adaptive: got no problem without `ranks` that a method supports, wanted one"
        )
    if "trials" in table and not cells:
        raise InputError(
            f"{file}: trials: got {trials} and adaptive ranks only, wanted adaptive.budget_trials"
        )
    for method in methods:
        if method not in answered:
            wanted = "samples = [...]" if method.learner else "samples = 'exact'"
            raise InputError(
                f"{file}: method: got '{method.name}' and no problem that it takes, wanted one "
                f"with {wanted}"
            )
    if not targets and not any(cell.supported for cell in cells.values()):
        names = ", ".join(sorted({method.label for method in methods}))
        orders = ", ".join(sorted({str(cell.problem.order) for cell in cells.values()}))
        raise InputError(
            f"{file}: every cell is outside the range of its method (methods {names}, tensor order "
            f"{orders}), wanted at least one that a method supports"
        )
    return ScanSpec(
        name,
        description,
        seed,
        trials,
        time_limit,
        tuple(cells.values()),
        tuple(targets.values()),
        rule,
        text,
        claim,
        profile,
    )


def _profiled(file: str, table: dict[str, Any], profile: str) -> dict[str, Any]:
    """The table with what a profile replaces."""
    profiles = table.get("profile", {})
    if not isinstance(profiles, dict) or not all(isinstance(p, dict) for p in profiles.values()):
        raise InputError(f"{file}: profile: got {profiles!r}, wanted tables [profile.NAME]")
    for name, one in profiles.items():
        _check_keys(file, f"profile.{name}", one, _PROFILE_KEYS)
    if QUICK in profiles:
        raise InputError(f"{file}: profile: got 'quick', wanted the file itself to be that")
    if profile == QUICK:
        return table
    chosen = profiles[check_choice(f"{file}: profile", profile, [QUICK, *profiles])]
    whole = {key: chosen[key] for key in ("trials", "time_limit", "adaptive") if key in chosen}
    parts = {key: value for key, value in chosen.items() if key not in whole}
    problems = [{**one, **parts} for _, one in _tables(file, table, "problem")]
    return {**table, **whole, "problem": problems}


def _problem(
    file: str, where: str, table: Mapping[str, Any], rule: Rule
) -> tuple[
    Problem, list[tuple[int, int, int | None]], list[tuple[int, tuple[int, ...], int | None]]
]:
    """The problem of one table, its points (dim, rank, n), its thresholds (dim, ranks, n)."""
    _check_keys(file, where, table, _PROBLEM_KEYS)
    adaptive = table.get("ranks", ADAPTIVE) == ADAPTIVE
    for key in ("activation", "ensemble", "dims"):
        if key not in table:
            raise InputError(f"{file}: {where}: got no key {key!r}, wanted one")
    what = f"{file}: {where}"
    text = table["activation"]
    with _within(what):
        if not isinstance(text, str | list):
            raise InputError(f"activation: got {text!r}, wanted a formula or coefficients")
        activation = Activation.parse(text)
        if not isinstance(table["ensemble"], str):
            raise InputError(f"ensemble: got {table['ensemble']!r}, wanted a name")
        ensemble = get_ensemble(table["ensemble"])
        order = check_integer("order", table.get("order", activation.degree), 2)
        if order > activation.degree or not activation.mean_derivative(order, 1.0):
            raise InputError(
                f"order: got {order}, wanted a degree in which {text!r} has a Hermite component"
            )
        samples = table.get("samples", "exact")
        noise = check_real("noise", table.get("noise", 0.0), 0.0)
        if noise and samples == "exact":
            raise InputError(f"noise: got {noise}, wanted 0: the exact tensor averages noise out")
        if adaptive and table.get("null"):
            raise InputError("null: got true, wanted `ranks`: a null has no threshold to adapt to")
        signs = check_choice("signs", table.get("signs", "positive"), SIGNS)
        boost = check_real("boost", table.get("boost", 0.0), 0.0)
        for key in ("null", "dense"):
            if not isinstance(table.get(key, False), bool):
                raise InputError(f"{key}: got {table[key]!r}, wanted true or false")
    formula = text.strip() if isinstance(text, str) else str(activation)
    label = _text(what, "label", table.get("label", f"{formula}/{ensemble.name}"))
    if label.endswith("/null"):
        raise InputError(f"{what}.label: got {label!r}, wanted one not ending in '/null'")

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
            ranks = adaptive_ranks(ensemble, dim, order, rule)
            numbers = adaptive_samples(f"{what}.samples", samples, dim, activation.degree)
            thresholds += [(dim, ranks, n) for n in numbers]
            continue
        for rank in ranks_at(f"{what}.ranks", table["ranks"], dim, order):
            with _within(what):
                check_ensemble_size(ensemble, dim, rank)
            for n in samples_at(f"{what}.samples", samples, dim, rank, activation.degree):
                points.append((dim, rank, n))
    problem = Problem(
        label,
        activation.coefficients,
        ensemble.name,
        order,
        dense=table.get("dense", False),
        noise=noise,
        signs=signs,
        boost=boost,
    )
    return problem, points, thresholds


def _methods(file: str, tables: list[tuple[str, Mapping[str, Any]]]) -> list[MethodChoice]:
    """The methods, each once, with labels that tell them apart."""
    found: list[tuple[str, MethodChoice, Any]] = []
    for where, table in tables:
        if "name" not in table:
            raise InputError(f"{file}: {where}: got no key 'name', wanted a method's name")
        with _within(f"{file}: {where}"):
            choice, cls = _choice(table)
        if any(choice == other for _, other, _ in found):
            raise InputError(f"{file}: {where}: got '{choice.name}' with the same options twice")
        found.append((where, choice, cls))
    names = [choice.name for _, choice, _ in found]
    labelled = []
    for _, choice, cls in found:
        if names.count(choice.name) > 1:
            defaults = {f.name: f.default for f in dataclasses.fields(cls)}
            own = [f"{k}={v}" for k, v in choice.options if defaults[k] != v]
            if choice.width != 1.0:
                own.append(f"width={choice.width:g}")
            terms = {other.fixed for _, other, _ in found if other.name == choice.name}
            if choice.fixed and len(terms) > 1:
                own.append(f"terms={choice.fixed}")
            if own:
                choice = dataclasses.replace(choice, label=f"{choice.name}({', '.join(own)})")
        labelled.append(choice)
    return labelled


def _choice(table: Mapping[str, Any]) -> tuple[MethodChoice, Any]:
    """What one [[method]] table asks for, and its class."""
    name = check_choice("method", table["name"], [*method_names(), *learner_names()])
    options = {key: value for key, value in table.items() if key != "name"}
    if name in method_names():
        if "width" in options and "terms" in options:
            raise InputError("terms: got it beside width, wanted one of the two")
        width = check_real("width", options.pop("width", 1.0), 0.0)
        if width == 0.0:
            raise InputError("width: got 0, wanted a number > 0")
        fixed = check_integer("terms", options.pop("terms"), 1) if "terms" in options else 0
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


def _tables(file: str, table: Mapping[str, Any], key: str) -> list[tuple[str, Mapping[str, Any]]]:
    """The tables [key] or [[key]], each with the name messages use for it."""
    value = table.get(key)
    if isinstance(value, dict):
        return [(key, value)]
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return [(f"{key}[{position}]", item) for position, item in enumerate(value, start=1)]
    got = f"no key {key!r}" if value is None else repr(value)
    raise InputError(f"{file}: {key}: got {got}, wanted a table [{key}] or tables [[{key}]]")


def _check_keys(file: str, where: str, table: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in table:
        check_choice(f"{file}: {where}: key" if where else f"{file}: key", key, known)


def _check_finite(what: str, value: Any) -> None:
    """Reject NaN and infinities wherever they are."""
    if isinstance(value, dict):
        for key, item in value.items():
            _check_finite(f"{what}: {key}", item)
    elif isinstance(value, list):
        for item in value:
            _check_finite(what, item)
    elif isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{what}: got {value}, wanted a finite number")


def _text(file: str, key: str, value: Any) -> str:
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


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
