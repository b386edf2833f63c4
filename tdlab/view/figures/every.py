"""All figures of a store: a phase diagram a problem, risks against width, samples and options.

Problems with one larger component have correlations with it in place of these, and thresholds;
controls that move the weights have what that costs; problems of a few points share one figure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tdlab.view import marks as style
from tdlab.view.figures import correlation, ensembles, moves, phase, risk, samples, scaling, sweep

if TYPE_CHECKING:
    from tdlab.lab.spec.curves import Curve
    from tdlab.lab.store.counts import CellCounts
    from tdlab.lab.store.reader import Store

# Two points a dimension are no curve.
_FEW = 2
# Fewer values of an option are variants of a method, not an axis.
_SWEEP = 3
# Panels of a sweep that fit side by side.
_COLUMNS = 4


def plot_store(store: Store, folder: Path) -> list[Path]:
    """Draw every figure that the store has data for.

    Parameters
    ----------
    store : Store
    folder : Path
        Exists; files of earlier figures are replaced.

    Returns
    -------
    list of Path
        PNG, SVG, PDF and CSV of each figure.

    Raises
    ------
    InputError
        If the store has no trials.
    """
    from tdlab.errors import InputError
    from tdlab.lab.results.measures import correlations, risk_ratios
    from tdlab.lab.results.summary import threshold_rows

    counts = [cell for cell in store.counts() if cell.done]
    if not counts:
        raise InputError(f"{store.path}: got no trials, wanted at least one to draw")
    ratios = risk_ratios(store)
    estimated = correlations(store)
    boosted = {cell.what.problem_id for cell in counts if cell.cell in estimated}
    plain = [cell for cell in counts if cell.what.problem_id not in boosted]
    swept, aside = _swept(plain, ratios), _aside(plain)
    together = [
        _place(cell, ratios) for cell in counts if not cell.null and cell.what.problem_id in aside
    ]
    counts = [cell for cell in counts if cell.null or cell.what.problem_id not in aside]
    subjects = _subjects(counts)
    moved = [
        (cell, size, tuple(ratios[cell.cell]))
        for cell in counts
        if (size := _size(cell)) and cell.cell in ratios
    ]
    sweeping = {id(cell) for cells in swept.values() for cell, _ in cells}
    sweeping |= {id(cell) for cell, _, _ in moved}
    exact = [cell for cell in counts if cell.n is None and id(cell) not in sweeping]
    thresholds = threshold_rows(exact)
    paths: list[Path] = []
    with style.drawing():
        for subject in subjects:
            cells = [cell for cell in exact if not cell.null and subject.owns(cell)]
            if not cells:
                continue
            problem, name = subject.problem, subject.file
            rows = [row for row in thresholds if subject.owns(row["cell"])]
            if subject.curve.problem_id in boosted:
                values = [(cell, tuple(estimated.get(cell.cell, ()))) for cell in cells]
                paths += correlation.draw(problem, values, folder, f"correlation-{name}")
            else:
                paths += phase.draw(cells, rows, folder, f"phase-{name}")
            curves = _curves(cells, rows)
            if curves:
                order = cells[0].order
                paths += scaling.draw(problem, curves, order, folder, f"scaling-{name}")
        planted = [
            (subject, any(cell.null and subject.owns(cell) for cell in exact))
            for subject in subjects
            if subject.curve.problem_id not in boosted
            and any(not cell.null and subject.owns(cell) for cell in exact)
        ]
        for subject in [s for s, has_null in planted if has_null] or [s for s, _ in planted]:
            found = _risk_cells(exact, subject, ratios)
            if found:
                paths += risk.draw(subject.problem, found, folder, f"risk-{subject.file}")
        from_samples = [cell for cell in counts if cell.n is not None]
        for subject in subjects:
            found = _risk_cells(from_samples, subject, ratios)
            if found and any(not cell.null for cell in found):
                # Of a problem without an activation that is known: that of its tensor.
                activation = subject.curve.problem.get("activation")
                degree = len(activation) - 1 if activation else found[0].order
                paths += samples.draw(subject.problem, found, degree, folder, subject.file)
        if together:
            paths += ensembles.draw(together, folder, "ensembles")
        if moved:
            paths += moves.draw(moved, folder, "moves")
        for (problem_id, option), cells in swept.items():
            (subject,) = (each for each in subjects if each.curve.problem_id == problem_id)
            drawn = [one for _, one in cells]
            name = f"sweep-{option}-{subject.file}"
            paths += sweep.draw(subject.problem, option, drawn, folder, name)
    return paths


@dataclass(frozen=True)
class _Subject:
    """A planted problem: what its figures are of, what it and their files are called."""

    curve: Curve
    problem: str
    file: str

    def owns(self, cell: CellCounts) -> bool:
        """Whether a cell is of the problem, or of its null."""
        return self.curve.owns(cell.what)


def _subjects(counts: Iterable[CellCounts]) -> list[_Subject]:
    """Every planted problem, in the order of the specification; files never share a name."""
    from tdlab.lab.spec.file import slug

    found: dict[str, _Subject] = {}
    taken: set[str] = set()
    for cell in counts:
        if cell.null or cell.what.problem_id in found:
            continue
        name, number = slug(cell.problem), 1
        while name in taken:
            number += 1
            name = f"{slug(cell.problem)}-{number}"
        taken.add(name)
        found[cell.what.problem_id] = _Subject(cell.what, cell.problem, name)
    return list(found.values())


def _aside(counts: Sequence[CellCounts]) -> set[str]:
    """Problems of two points a dimension at most, without a null or controls, if there are two."""
    points: dict[str, dict[int, set[tuple[int, int | None]]]] = {}
    nulls = {cell.what.problem_id for cell in counts if cell.null}
    other: set[str] = set()
    for cell in counts:
        if cell.null:
            continue
        what = cell.what
        here = points.setdefault(what.problem_id, {}).setdefault(cell.dim, set())
        here.add((cell.rank, cell.n))
        if what.twin_id in nulls or (what.method.get("learner") and cell.n is None):
            other.add(what.problem_id)
    few = {
        problem
        for problem, dims in points.items()
        if problem not in other and all(len(places) <= _FEW for places in dims.values())
    }
    return few if len(few) > 1 else set()


def _place(cell: CellCounts, ratios: dict[str, list[float]]) -> ensembles.Place:
    return ensembles.Place(
        problem=cell.problem,
        method=cell.method,
        dim=cell.dim,
        rank=cell.rank,
        n=cell.n,
        ratios=tuple(ratios.get(cell.cell, ())),
        recovered=cell.prefix["recovered"],
        ended=cell.prefix["recovered"] + cell.prefix["failed"],
    )


def _size(cell: CellCounts) -> float:
    """Size of the move, of controls that move the teacher's weights; else 0."""
    method = cell.what.method
    is_control = method.get("learner") and cell.n is None
    return method["options"].get("size", 0.0) if is_control else 0.0


def _curves(
    counts: Iterable[CellCounts], rows: Sequence[dict[str, Any]]
) -> list[scaling.ScalingCurve]:
    """All methods of a problem, if one has thresholds at three dimensions: two slopes to compare.

    Those of which only bounds are known stand beside it.
    """
    from tdlab.lab.results.summary import exponents

    curves = [
        scaling.ScalingCurve(
            cell.method, tuple(row for row in rows if row["cell"].curve == cell.curve), fit
        )
        for cell, _, fit in exponents(counts)
    ]
    return curves if any(len(curve.fit.slopes) > 1 for curve in curves) else []


def _risk_cells(
    counts: Iterable[CellCounts], subject: _Subject, ratios: dict[str, list[float]]
) -> list[risk.RiskCell]:
    """The cells of a problem and its null that have risks."""
    cells = [_risk_cell(cell, ratios) for cell in counts if subject.owns(cell)]
    return [cell for cell in cells if cell.ratios]


def _swept(
    counts: Sequence[CellCounts], ratios: dict[str, list[float]]
) -> dict[tuple[str, str], list[tuple[CellCounts, sweep.SweepCell]]]:
    """Cells by (problem, option), for every numeric option of a method that takes three values.

    At a few ranks, a column each; over many of them a phase diagram shows more.
    """
    groups: dict[tuple[str, str], list[tuple[CellCounts, dict[str, Any]]]] = {}
    exact = [cell for cell in counts if cell.n is None]
    problems = {cell.what.problem_id: cell.what for cell in exact if not cell.null}
    for cell in exact:
        for problem_id, problem in problems.items():
            if problem.owns(cell.what):
                key = (problem_id, cell.what.method["name"])
                groups.setdefault(key, []).append((cell, cell.what.facts))
    found: dict[tuple[str, str], list[tuple[CellCounts, sweep.SweepCell]]] = {}
    for (problem_id, method), members in groups.items():
        if len({(cell.dim, cell.rank) for cell, _ in members}) > _COLUMNS:
            continue
        first = members[0][0].what.method
        for option in (*first["options"], "width"):
            values = {facts[option] for _, facts in members}
            numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
            if not numbers or len(values) < _SWEEP:
                continue
            for cell, facts in members:
                others = _others(members, facts, option)
                ended = cell.prefix["recovered"] + cell.prefix["failed"]
                share = cell.prefix["recovered"] / ended if ended else None
                one = sweep.SweepCell(
                    problem=cell.problem,
                    method=f"{method}{others}",
                    option=option,
                    value=float(facts[option]),
                    dim=cell.dim,
                    rank=cell.rank,
                    order=cell.order,
                    null=cell.null,
                    ratios=tuple(ratios.get(cell.cell, ())),
                    recovered=share,
                    rows=_pure_rows(cell),
                )
                found.setdefault((problem_id, option), []).append((cell, one))
            break
    return found


def _pure_rows(cell: CellCounts) -> str | None:
    """The ensemble, where the network is a sum of He_3 of its unit rows up to a factor."""
    from tdlab.networks.activation import Activation

    problem = cell.what.problem
    if problem.get("kind") or "activation" not in problem:
        return None
    degrees = np.flatnonzero(Activation(tuple(problem["activation"])).hermite_coefficients())
    plain = degrees.tolist() == [3] and problem.get("signs", "positive") == "positive"
    return cell.ensemble if plain and not problem["null"] else None


def _others(
    members: list[tuple[CellCounts, dict[str, Any]]], facts: dict[str, Any], option: str
) -> str:
    """What else tells variants of a method apart, in brackets."""
    telling = [
        f"{key}={value}"
        for key, value in facts.items()
        if key != option and len({str(each[key]) for _, each in members}) > 1
    ]
    return f"({', '.join(telling)})" if telling else ""


def _risk_cell(cell: CellCounts, ratios: dict[str, list[float]]) -> risk.RiskCell:
    return risk.RiskCell(
        problem=cell.problem,
        method=cell.method,
        dim=cell.dim,
        rank=cell.rank,
        order=cell.order,
        n=cell.n,
        null=cell.null,
        ratios=tuple(ratios.get(cell.cell, ())),
    )
