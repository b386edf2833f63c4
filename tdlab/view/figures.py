"""All figures of a store: a phase diagram a problem, a risk figure a problem with risks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tdlab.view import phase, risk, style

if TYPE_CHECKING:
    from tdlab.lab.store import CellCounts, Store


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
    from tdlab.lab.summary import threshold_rows

    counts = [cell for cell in store.counts() if cell.done]
    if not counts:
        raise InputError(f"{store.path}: got no trials, wanted at least one to draw")
    thresholds = threshold_rows(counts)
    ratios = _ratios(store)
    paths: list[Path] = []
    names = _names(dict.fromkeys(cell.problem for cell in counts if not cell.null))
    with style.drawing():
        for problem in dict.fromkeys(cell.problem for cell in counts if not cell.null):
            cells = [cell for cell in counts if cell.problem == problem]
            rows = [row for row in thresholds if row["problem"] == problem]
            paths += phase.draw(cells, rows, folder, f"phase-{names[problem]}")
        with_null = {cell.problem.removesuffix("/null") for cell in counts if cell.null}
        planted = dict.fromkeys(cell.problem for cell in counts if not cell.null)
        for problem in [p for p in planted if p in with_null] or list(planted):
            cells = [
                _risk_cell(cell, ratios)
                for cell in counts
                if cell.problem in (problem, f"{problem}/null")
            ]
            cells = [cell for cell in cells if cell.ratios]
            if cells:
                paths += risk.draw(problem, cells, folder, f"risk-{names[problem]}")
    return paths


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


def _ratios(store: Store) -> dict[tuple[str, str], list[float]]:
    """Risk ratios by cell; streamed, so that only these numbers are held."""
    from tdlab.lab.store import COLUMNS

    cell, ratio = COLUMNS.index("cell"), COLUMNS.index("risk_ratio")
    method = COLUMNS.index("method")
    found: dict[tuple[str, str], list[float]] = {}
    for row in store.rows():
        if row[ratio] is not None:
            found.setdefault((row[cell], row[method]), []).append(row[ratio])
    return found


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
