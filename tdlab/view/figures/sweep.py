"""Risk and recovery against one option of a method, as width or the cosine of given weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tdlab import theory
from tdlab.networks.ensembles import get_ensemble
from tdlab.stats.binomial import median_interval
from tdlab.view import marks as style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DASH: Any = (0, (1, 2))
# Teachers over which the law is averaged.
_TEACHERS = 20
_HEADER = (
    "problem", "method", "dim", "rank", "option", "value", "kind", "trials", "median", "low",
    "high", "recovered",
)  # fmt: skip


@dataclass(frozen=True)
class SweepCell:
    """A cell at one value of the option that is swept.

    Attributes
    ----------
    problem, method : str
        The method without that option.
    option : str
    value : float
    dim, rank, order : int
    null : bool
    ratios : tuple of float
    recovered : float or None
        Share of trials that recover everything.
    rows : str or None
        The ensemble of unit rows, where the network is their sum in He_3 and an exact law holds.
    """

    problem: str
    method: str
    option: str
    value: float
    dim: int
    rank: int
    order: int
    null: bool
    ratios: tuple[float, ...]
    recovered: float | None
    rows: str | None = None


def draw(
    problem: str, option: str, cells: Sequence[SweepCell], folder: Path, name: str
) -> list[Path]:
    """Risk above, recovery below, a column a (dim, rank); of given weights the risk alone."""
    places = sorted({(cell.dim, cell.rank) for cell in cells})
    methods = list(dict.fromkeys(cell.method for cell in cells))
    # Given weights are as far from the truth as they are told to be: nothing recovers there.
    lines = 1 if option == "cosine" else 2
    size = (max(1.0 + 4.0 * len(places), 7.0), 2.6 + 2.0 * lines)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(lines, len(places), sharex="col", sharey="row", squeeze=False)
    rows: list[tuple[object, ...]] = []
    for column, (dim, rank) in enumerate(places):
        above, below = panels[0, column], panels[-1, column]
        for index, method in enumerate(methods):
            colour = style.COLOURS[index % len(style.COLOURS)]
            mark = style.MARKS[index % len(style.MARKS)]
            for null in (False, True):
                here = sorted(
                    (
                        cell
                        for cell in cells
                        if (cell.method, cell.dim, cell.rank, cell.null)
                        == (method, dim, rank, null)
                        and cell.ratios
                    ),
                    key=lambda cell: cell.value,
                )
                if not here:
                    continue
                x = np.array([cell.value for cell in here])
                middle, low, high = np.array([median_interval(cell.ratios) for cell in here]).T
                # Methods that agree would hide each other: a small shift keeps both in sight.
                span = max(cell.value for cell in cells) - min(cell.value for cell in cells)
                if option != "cosine":
                    x = x + 0.012 * span * (index - (len(methods) - 1) / 2)
                above.errorbar(
                    x, middle, yerr=[middle - low, high - middle], color=colour, marker=mark,
                    capsize=2, markersize=5, linewidth=1.5, elinewidth=1.0,
                    # Beside a law the points stand on their own.
                    linestyle="none" if option == "cosine" else (0, (4, 2)) if null else "-",
                    markerfacecolor="white" if null else colour,
                )  # fmt: skip
                shares = [cell.recovered for cell in here]
                if lines > 1 and not null and all(share is not None for share in shares):
                    below.plot(x, shares, color=colour, marker=mark, markersize=5)
                rows += [
                    (
                        cell.problem, cell.method, dim, rank, option, cell.value,
                        "null" if null else "planted", len(cell.ratios), m, a, b, cell.recovered,
                    )
                    for cell, m, a, b in zip(here, middle, low, high, strict=True)
                ]  # fmt: skip
        if option == "width":
            for panel in (above, below):
                panel.axvline(
                    theory.r_id(dim, cells[0].order) / rank, color="0.6", linestyle=":", linewidth=1
                )
            below.annotate(
                "$r_{id}/r$", (theory.r_id(dim, cells[0].order) / rank, 0.5), color="0.35",
                xycoords=("data", "axes fraction"), xytext=(3, 0), textcoords="offset points",
            )  # fmt: skip
        if option == "cosine":
            _laws(above, next(cell for cell in cells if (cell.dim, cell.rank) == (dim, rank)))
        above.set_title(f"d = {dim}, r = {rank}")
        below.set_xlabel("width s / r" if option == "width" else option)
        if lines > 1:
            below.set_ylim(-0.05, 1.05)
    panels[0, 0].set_ylabel("risk / Var(f), square-root scale")
    if lines > 1:
        panels[1, 0].set_ylabel("all weights recovered")
    panels[0, 0].set_yscale(
        "function", functions=(lambda v: np.sign(v) * np.sqrt(np.abs(v)), lambda v: v * np.abs(v))
    )
    what = "risk and recovery" if lines > 1 else "risk of the teacher, its rows turned,"
    figure.suptitle(f"{problem}: {what} against {option}", fontsize=12)
    figure.legend(
        handles=_legend(methods, option, cells), loc="outside lower center", ncols=3, frameon=False
    )
    return style.save(figure, folder, name, _HEADER, rows)


def _laws(panel: Axes, cell: SweepCell) -> None:
    """The exact mean over turns and teachers; of rows on their own 2(1 - c^k) and 1 - c^{2k}."""
    c = np.linspace(0.0, 1.0, 201)
    for rescaled, row in ((False, 2 * (1 - c**cell.order)), (True, 1 - c ** (2 * cell.order))):
        dash = _DASH if rescaled else "-"
        panel.plot(c, row, color="0.7", linewidth=1.0, linestyle=dash, zorder=0)
        if cell.rows is not None:
            draw = get_ensemble(cell.rows).draw
            # A fixed stream: the same figure every time.
            teachers = [draw(cell.dim, cell.rank, (0, index)) for index in range(_TEACHERS)]
            mean = [
                np.mean([theory.turned_risk(rows, each, rescaled=rescaled) for rows in teachers])
                for each in c
            ]
            panel.plot(c, mean, color="0.3", linewidth=1.5, linestyle=dash, zorder=0)


def _legend(methods: Sequence[str], option: str, cells: Sequence[SweepCell]) -> list[Line2D]:
    handles = [
        Line2D(
            [], [], color=style.COLOURS[i % len(style.COLOURS)],
            marker=style.MARKS[i % len(style.MARKS)], label=method,
            linestyle="none" if option == "cosine" else "-",
        )
        for i, method in enumerate(methods)
    ]  # fmt: skip
    if any(cell.null for cell in cells):
        handles.append(
            Line2D([], [], color="0.3", linestyle=(0, (4, 2)), label="dashed: on its null")
        )
    if option == "cosine":
        k = cells[0].order
        laws = [("0.7", "one row: ", f"$2(1-c^{k})$", f"$1-c^{{{2 * k}}}$ rescaled")]
        if cells[0].rows is not None:
            laws.append(("0.3", "all rows: ", "exact mean", "rescaled, a bound"))
        for colour, whose, *names in laws:
            handles += [
                Line2D([], [], color=colour, linestyle=dash, label=f"{whose}{name}")
                for name, dash in zip(names, ("-", _DASH), strict=True)
            ]
    return handles
