"""Risk and recovery against one option of a method, as width or the cosine of given weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tdlab import theory
from tdlab.stats.binomial import median_interval
from tdlab.view import style

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


def draw(
    problem: str, option: str, cells: Sequence[SweepCell], folder: Path, name: str
) -> list[Path]:
    """Risk above, recovery below, a column a (dim, rank)."""
    places = sorted({(cell.dim, cell.rank) for cell in cells})
    methods = list(dict.fromkeys(cell.method for cell in cells))
    figure = Figure(figsize=(max(1.0 + 4.0 * len(places), 7.0), 6.4), layout="constrained")
    panels = figure.subplots(2, len(places), sharex="col", sharey="row", squeeze=False)
    rows: list[tuple[object, ...]] = []
    for column, (dim, rank) in enumerate(places):
        above, below = panels[0, column], panels[1, column]
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
                above.errorbar(
                    x, middle, yerr=[middle - low, high - middle], color=colour, marker=mark,
                    capsize=2, markersize=5, linewidth=1.5, elinewidth=1.0,
                    linestyle=(0, (4, 2)) if null else "-",
                    markerfacecolor="white" if null else colour,
                )  # fmt: skip
                shares = [cell.recovered for cell in here]
                if not null and all(share is not None for share in shares):
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
            _laws(above, cells[0].order, np.array([cell.value for cell in cells]))
        above.set_title(f"d = {dim}, r = {rank}")
        below.set_xlabel("width s / r" if option == "width" else option)
        below.set_ylim(-0.05, 1.05)
    panels[0, 0].set_ylabel("risk / Var(f)")
    panels[1, 0].set_ylabel("all weights recovered")
    panels[0, 0].set_yscale(
        "function", functions=(lambda v: np.sign(v) * np.sqrt(np.abs(v)), lambda v: v * np.abs(v))
    )
    figure.suptitle(f"{problem}: risk and recovery against {option}", fontsize=12)
    figure.legend(
        handles=_legend(methods, option, cells), loc="outside lower center", ncols=3, frameon=False
    )
    return style.save(figure, folder, name, _HEADER, rows)


def _laws(panel: object, order: int, values: np.ndarray) -> None:
    """2(1 - c^k) for rows of unit norm, 1 - c^{2k} once rescaled."""
    c = np.linspace(values.min(), values.max(), 200)
    panel.plot(c, 2 * (1 - c**order), color="0.5", linewidth=1.0)  # type: ignore[attr-defined]
    panel.plot(  # type: ignore[attr-defined]
        c, 1 - c ** (2 * order), color="0.5", linewidth=1.0, linestyle=(0, (1, 2))
    )


def _legend(methods: Sequence[str], option: str, cells: Sequence[SweepCell]) -> list[Line2D]:
    handles = [
        Line2D(
            [], [], color=style.COLOURS[i % len(style.COLOURS)],
            marker=style.MARKS[i % len(style.MARKS)], label=method,
        )
        for i, method in enumerate(methods)
    ]  # fmt: skip
    if any(cell.null for cell in cells):
        handles.append(
            Line2D([], [], color="0.3", linestyle=(0, (4, 2)), label="dashed: on its null")
        )
    if option == "cosine":
        k = cells[0].order
        handles.append(Line2D([], [], color="0.5", linewidth=1.0, label=f"$2(1-c^{k})$"))
        handles.append(
            Line2D(
                [], [], color="0.5", linewidth=1.0, linestyle=(0, (1, 2)),
                label=f"$1-c^{{{2 * k}}}$",
            )
        )  # fmt: skip
    return handles
