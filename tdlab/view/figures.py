"""All figures of a store: a phase diagram a problem, risks against width, samples and options.

Problems with one larger component have correlations with it in place of these, and thresholds;
controls that move the weights have what that costs; problems of a few points share one figure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tdlab.view import correlation, ensembles, moves, phase, risk, samples, scaling, style, sweep

if TYPE_CHECKING:
    from tdlab.lab.store import CellCounts, Store

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
    from tdlab.lab.measures import correlations, risk_ratios
    from tdlab.lab.summary import threshold_rows

    counts = [cell for cell in store.counts() if cell.done]
    if not counts:
        raise InputError(f"{store.path}: got no trials, wanted at least one to draw")
    ratios = risk_ratios(store)
    estimated = correlations(store)
    boosted = {cell.problem for cell in counts if (cell.cell, cell.method) in estimated}
    swept = _swept(store, [cell for cell in counts if cell.problem not in boosted], ratios)
    aside = _aside(store, [cell for cell in counts if cell.problem not in boosted])
    together = [_place(cell, ratios) for cell in counts if cell.problem in aside]
    counts = [cell for cell in counts if cell.problem not in aside]
    sizes = _sizes(store)
    moved = [
        (cell, sizes[cell.id], tuple(ratios[cell.cell, cell.method]))
        for cell in counts
        if cell.id in sizes and (cell.cell, cell.method) in ratios
    ]
    sweeping = {id(cell) for cells in swept.values() for cell, _ in cells}
    sweeping |= {id(cell) for cell, _, _ in moved}
    exact = [cell for cell in counts if cell.n is None and id(cell) not in sweeping]
    thresholds = threshold_rows(exact)
    paths: list[Path] = []
    names = _names(dict.fromkeys(cell.problem.removesuffix("/null") for cell in counts))
    with style.drawing():
        for problem in dict.fromkeys(cell.problem for cell in exact if not cell.null):
            cells = [cell for cell in exact if cell.problem == problem]
            rows = [row for row in thresholds if row["problem"] == problem]
            if problem in boosted:
                values = [
                    (cell, tuple(estimated.get((cell.cell, cell.method), ()))) for cell in cells
                ]
                paths += correlation.draw(problem, values, folder, f"correlation-{names[problem]}")
            else:
                paths += phase.draw(cells, rows, folder, f"phase-{names[problem]}")
            curves = _curves(cells, rows)
            if curves:
                order = cells[0].order
                paths += scaling.draw(problem, curves, order, folder, f"scaling-{names[problem]}")
        with_null = {cell.problem.removesuffix("/null") for cell in exact if cell.null}
        planted = dict.fromkeys(
            cell.problem for cell in exact if not cell.null and cell.problem not in boosted
        )
        for problem in [p for p in planted if p in with_null] or list(planted):
            found = _risk_cells(exact, problem, ratios)
            if found:
                paths += risk.draw(problem, found, folder, f"risk-{names[problem]}")
        for problem in dict.fromkeys(c.problem for c in counts if c.n is not None and not c.null):
            here = [cell for cell in counts if cell.n is not None]
            found = _risk_cells(here, problem, ratios)
            if found:
                degree = _degree(store, problem)
                paths += samples.draw(problem, found, degree, folder, names[problem])
        if together:
            paths += ensembles.draw(together, folder, "ensembles")
        if moved:
            paths += moves.draw(moved, folder, "moves")
        for (problem, option), cells in swept.items():
            drawn = [one for _, one in cells]
            name = f"sweep-{option}-{names[problem]}"
            paths += sweep.draw(problem, option, drawn, folder, name)
    return paths


def _aside(store: Store, counts: Iterable[CellCounts]) -> set[str]:
    """Problems of two points a dimension at most, without a null or controls, if there are two."""
    points: dict[str, dict[int, set[tuple[int, int | None]]]] = {}
    nulls: set[str] = set()
    identities = store.identities()
    for cell in counts:
        if cell.null:
            nulls.add(cell.problem.removesuffix("/null"))
        else:
            here = points.setdefault(cell.problem, {}).setdefault(cell.dim, set())
            here.add((cell.rank, cell.n))
            method = identities[cell.id][1]["method"]
            if method.get("learner") and cell.n is None:
                nulls.add(cell.problem)
    few = {
        problem
        for problem, dims in points.items()
        if problem not in nulls and all(len(places) <= _FEW for places in dims.values())
    }
    return few if len(few) > 1 else set()


def _place(cell: CellCounts, ratios: dict[tuple[str, str], list[float]]) -> ensembles.Place:
    return ensembles.Place(
        problem=cell.problem,
        method=cell.method,
        dim=cell.dim,
        rank=cell.rank,
        n=cell.n,
        ratios=tuple(ratios.get((cell.cell, cell.method), ())),
        recovered=cell.prefix["recovered"],
        ended=cell.prefix["recovered"] + cell.prefix["failed"],
    )


def _sizes(store: Store) -> dict[int, float]:
    """Size of the move by row of the cell, for controls that move the teacher's weights."""
    return {
        row: identity["method"]["options"]["size"]
        for row, (_, identity) in store.identities().items()
        if identity["method"].get("learner")
        and identity["n"] is None
        and identity["method"]["options"].get("size")
    }


def _curves(
    counts: Iterable[CellCounts], rows: Sequence[dict[str, Any]]
) -> list[scaling.ScalingCurve]:
    """All methods of a problem, if one has thresholds at three dimensions: two slopes to compare.

    Those of which only bounds are known stand beside it.
    """
    from tdlab.lab.summary import exponents

    curves = [
        scaling.ScalingCurve(method, tuple(row for row in rows if row["method"] == method), fit)
        for _, _, method, _, fit in exponents(counts)
    ]
    return curves if any(len(curve.fit.slopes) > 1 for curve in curves) else []


def _risk_cells(
    counts: Iterable[CellCounts], problem: str, ratios: dict[tuple[str, str], list[float]]
) -> list[risk.RiskCell]:
    """The cells of a problem and its null that have risks."""
    cells = [
        _risk_cell(cell, ratios) for cell in counts if cell.problem in (problem, f"{problem}/null")
    ]
    return [cell for cell in cells if cell.ratios]


def _degree(store: Store, problem: str) -> int:
    """Degree of the activation of a problem."""
    rows = {cell.id for cell in store.counts() if cell.problem == problem}
    for row, (_, identity) in store.identities().items():
        if row in rows:
            return len(identity["problem"]["activation"]) - 1
    return 3


def _swept(
    store: Store, counts: Iterable[CellCounts], ratios: dict[tuple[str, str], list[float]]
) -> dict[tuple[str, str], list[tuple[CellCounts, sweep.SweepCell]]]:
    """Cells by (problem, option), for every numeric option of a method that takes three values.

    At a few ranks, a column each; over many of them a phase diagram shows more.
    """
    identities = store.identities()
    groups: dict[tuple[str, str], list[tuple[CellCounts, dict[str, Any]]]] = {}
    for cell in counts:
        if cell.n is None:
            method = identities[cell.id][1]["method"]
            facts = {**method["options"], "width": method.get("width", 1.0)}
            problem = cell.problem.removesuffix("/null")
            groups.setdefault((problem, method["name"]), []).append((cell, facts))
    found: dict[tuple[str, str], list[tuple[CellCounts, sweep.SweepCell]]] = {}
    for (problem, method), members in groups.items():
        if len({(cell.dim, cell.rank) for cell, _ in members}) > _COLUMNS:
            continue
        for option in members[0][1]:
            values = {facts[option] for _, facts in members}
            numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
            if not numbers or len(values) < _SWEEP:
                continue
            for cell, facts in members:
                others = _others(members, facts, option)
                ended = cell.prefix["recovered"] + cell.prefix["failed"]
                share = cell.prefix["recovered"] / ended if ended else None
                one = sweep.SweepCell(
                    problem=problem,
                    method=f"{method}{others}",
                    option=option,
                    value=float(facts[option]),
                    dim=cell.dim,
                    rank=cell.rank,
                    order=cell.order,
                    null=cell.null,
                    ratios=tuple(ratios.get((cell.cell, cell.method), ())),
                    recovered=share,
                    rows=_pure_rows(cell, identities[cell.id][1]["problem"]),
                )
                found.setdefault((problem, option), []).append((cell, one))
            break
    return found


def _pure_rows(cell: CellCounts, problem: dict[str, Any]) -> str | None:
    """The ensemble, where the network is a sum of He_3 of its unit rows up to a factor."""
    from tdlab.networks.activation import Activation

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


def _names(problems: Iterable[str]) -> dict[str, str]:
    """A file name for each problem; a number sets apart those that would share one."""
    from tdlab.lab.spec import slug

    names: dict[str, str] = {}
    for problem in problems:
        name, number = slug(problem), 1
        while name in names.values():
            number += 1
            name = f"{slug(problem)}-{number}"
        names[problem] = name
    return names


def _risk_cell(cell: CellCounts, ratios: dict[tuple[str, str], list[float]]) -> risk.RiskCell:
    return risk.RiskCell(
        problem=cell.problem,
        method=cell.method,
        dim=cell.dim,
        rank=cell.rank,
        order=cell.order,
        n=cell.n,
        null=cell.null,
        ratios=tuple(ratios.get((cell.cell, cell.method), ())),
    )
