"""The phase diagram: share of trials that recover everything, over dimension and rank, a method
a panel, with the measured thresholds and those of the literature."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FuncFormatter, NullLocator

from tdlab import theory
from tdlab.view import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from tdlab.lab.store import CellCounts

_HEADER = (
    "problem", "method", "dim", "rank", "n", "trials", "recovered", "censored", "unsupported",
    "r_star", "low", "high", "status", "r_LD", "r_id",
)  # fmt: skip
_CENSORED = ("timeout", "memory", "crashed")
# Height of a count's line as a share of a panel's.
_TEXT_SHARE = 0.024


def draw(
    cells: Sequence[CellCounts], thresholds: Sequence[dict[str, Any]], folder: Path, name: str
) -> list[Path]:
    """Draw one problem's diagram.

    Parameters
    ----------
    cells : counts of one problem's planted cells, all methods
    thresholds : rows of ``threshold_rows`` for the same problem
    folder : Path
    name : str
        Of the files, without suffix.
    """
    methods = list(dict.fromkeys(cell.method for cell in cells))
    order = cells[0].order
    columns = min(len(methods), 3)
    lines = -(-len(methods) // columns)
    figure = Figure(figsize=(1.2 + 3.3 * columns, 1.5 + 4.2 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    half_width = _half_width(sorted({cell.dim for cell in cells}))
    # Limits first: whether a count fits its rectangle depends on them.
    _axes(panels, cells, half_width, order)
    for panel, method in zip(panels.flat, methods, strict=False):
        mine = [cell for cell in cells if cell.method == method]
        for dim in sorted({cell.dim for cell in mine}):
            _column(panel, [cell for cell in mine if cell.dim == dim], half_width)
        _theory_lines(panel, cells, half_width, order)
        _measured(panel, [row for row in thresholds if row["method"] == method], half_width)
        panel.set_title(method)
    for panel in list(panels.flat)[len(methods) :]:
        panel.set_visible(False)
    shades = ScalarMappable(cmap=style.SHADES)
    shades.set_clim(0.0, 1.0)
    figure.colorbar(
        shades, ax=panels, label="share of trials that recover every unit", shrink=0.7, pad=0.02
    )
    figure.suptitle(f"{cells[0].problem}: recovery\n{_window_line(cells, order)}", fontsize=12)
    figure.legend(handles=_legend(cells, order), loc="outside lower center", ncols=3, frameon=False)
    return style.save(figure, folder, name, _HEADER, _rows(cells, thresholds, order))


def _half_width(dims: Sequence[int]) -> float:
    """Of a column of cells: columns of neighbouring dimensions never touch."""
    return 0.4 * float(np.diff(dims).min()) if len(dims) > 1 else 0.4


def _column(panel: Axes, cells: Sequence[CellCounts], half_width: float) -> None:
    """The cells of one method at one dimension: rectangles that meet between tested ranks."""
    cells = sorted(cells, key=lambda cell: cell.rank)
    ranks = np.array([cell.rank for cell in cells], dtype=float)
    middles = np.sqrt(ranks[1:] * ranks[:-1])
    step = ranks[1] / ranks[0] if len(ranks) > 1 else 1.3
    edge = ranks[-1] / ranks[-2] if len(ranks) > 1 else 1.3
    bottoms = np.concatenate([[ranks[0] / min(step, 1.5) ** 0.5], middles])
    tops = np.concatenate([middles, [ranks[-1] * edge**0.5]])
    colours = colormaps[style.SHADES]
    floor, ceiling = panel.get_ylim()
    for cell, bottom, top in zip(cells, bottoms, tops, strict=True):
        tried, recovered, censored, unsupported = _tally(cell)
        corner, height = (cell.dim - half_width, bottom), top - bottom
        if not tried:
            panel.add_patch(
                Rectangle(
                    corner, 2 * half_width, height, facecolor="white", edgecolor="0.55",
                    hatch="////" if unsupported else None, linewidth=0.4,
                )
            )  # fmt: skip
            continue
        share = recovered / tried
        panel.add_patch(
            Rectangle(
                corner, 2 * half_width, height, facecolor=colours(share), edgecolor="white",
                linewidth=0.6,
            )
        )  # fmt: skip
        if np.log(top / bottom) / np.log(ceiling / floor) < _TEXT_SHARE:
            continue
        panel.text(
            cell.dim - 0.25 * half_width,
            np.sqrt(bottom * top),
            f"{recovered}/{tried}" + ("*" if censored else ""),
            ha="center",
            va="center",
            fontsize=6.5,
            color="white" if share < 0.55 else "black",
        )


def _tally(cell: CellCounts) -> tuple[int, int, int, int]:
    """Trials that count, recovered, censored and unsupported ones."""
    censored = sum(cell.prefix[outcome] for outcome in _CENSORED)
    recovered = cell.prefix["recovered"]
    tried = recovered + cell.prefix["failed"] + censored
    return tried, recovered, censored, cell.prefix["unsupported"]


def _span(cells: Sequence[CellCounts], half_width: float) -> np.ndarray:
    dims = [cell.dim for cell in cells]
    return np.linspace(min(dims) - 1.3 * half_width, max(dims) + 1.3 * half_width, 80)


def _theory_lines(panel: Axes, cells: Sequence[CellCounts], half_width: float, order: int) -> None:
    """r_LD dashed and r_id solid, between the dimensions too."""
    d = np.maximum(_span(cells, half_width), 1.0)
    panel.plot(d, d ** (order / 2), color="black", linestyle=(0, (4, 2)), linewidth=1.4, zorder=3)
    panel.plot(d, _counting_bound(d, order), color="black", linewidth=1.4, zorder=3)


def _counting_bound(d: np.ndarray, order: int) -> np.ndarray:
    """C(d+k-1, k)/d as a polynomial in d, for real d."""
    product = np.ones_like(d)
    for j in range(1, order):
        product *= (d + j) / (j + 1)
    return product


def _measured(panel: Axes, rows: Sequence[dict[str, Any]], half_width: float) -> None:
    """Thresholds with their intervals; one-sided bounds as arrows; beside the counts."""
    for row in rows:
        low, high, point = row["low"], row["high"], row["r_star"]
        x = row["dim"] + 0.62 * half_width
        if point is not None:
            bars = np.array([[point - low], [high - point]])
            panel.errorbar(
                x, point, yerr=np.maximum(bars, 0.0), fmt="D", color="white", markersize=6,
                markeredgecolor="#D4006A", markeredgewidth=1.6, ecolor="#D4006A", elinewidth=1.8,
                capsize=5, capthick=1.8, zorder=5,
            )  # fmt: skip
        elif low is not None or high is not None:
            end, mark = (low, "^") if low is not None else (high, "v")
            panel.plot(
                x, end, mark, color="white", markeredgecolor="#D4006A", markeredgewidth=1.6,
                markersize=8, zorder=5,
            )  # fmt: skip


def _axes(panels: Any, cells: Sequence[CellCounts], half_width: float, order: int) -> None:
    dims = sorted({cell.dim for cell in cells})
    ranks = [cell.rank for cell in cells]
    top = max(*ranks, max(dims) ** (order / 2), theory.r_id(max(dims), order))
    first = panels.flat[0]
    first.set_yscale("log")
    first.set_ylim(min(ranks) / 1.5, 1.25 * top)
    first.set_xlim(dims[0] - 1.4 * half_width, dims[-1] + 1.4 * half_width)
    first.set_xticks(dims)
    ticks = [t for t in (2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10**4) if t <= top]
    first.set_yticks(ticks)
    first.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    first.yaxis.set_minor_locator(NullLocator())
    for panel in panels[:, 0]:
        panel.set_ylabel("rank r (hidden units)")
    for panel in panels[-1]:
        panel.set_xlabel("dimension d")


def _window_line(cells: Sequence[CellCounts], order: int) -> str:
    """Where the window r_LD < r < r_id is empty, in words."""
    dims = sorted({cell.dim for cell in cells})
    empty = [dim for dim in dims if theory.window(dim, order) is None]
    if not empty:
        return "window between r_LD and r_id open at every d shown"
    return f"window between r_LD and r_id empty at d = {', '.join(map(str, empty))}"


def _legend(cells: Sequence[CellCounts], order: int) -> list[Any]:
    k = "3/2" if order == 3 else "2" if order == 4 else f"{order}/2"
    handles: list[Any] = [
        Line2D([], [], color="black", linestyle=(0, (4, 2)), label=rf"$r_{{LD}} = d^{{{k}}}$"),
        Line2D([], [], color="black", label=r"$r_{id}$ (counting bound)"),
        Line2D(
            [], [], color="#D4006A", marker="D", markerfacecolor="white",
            label="measured $r^*$, 95% (▲ ▼: bound)",
        ),
    ]  # fmt: skip
    if any(cell.prefix["unsupported"] for cell in cells):
        handles.append(
            Patch(facecolor="white", edgecolor="0.55", hatch="////", label="outside method's range")
        )
    if any(cell.prefix[outcome] for cell in cells for outcome in _CENSORED):
        handles.append(Line2D([], [], linestyle="", label="* with censored trials"))
    return handles


def _rows(
    cells: Sequence[CellCounts], thresholds: Sequence[dict[str, Any]], order: int
) -> list[tuple[Any, ...]]:
    found = {(row["method"], row["dim"], row["n"]): row for row in thresholds}
    rows = []
    for cell in cells:
        row = found.get((cell.method, cell.dim, cell.n), {})
        rows.append(
            (
                cell.problem, cell.method, cell.dim, cell.rank, cell.n, *_tally(cell),
                *(row.get(key) for key in ("r_star", "low", "high", "status")),
                theory.r_ld(cell.dim, order), theory.r_id(cell.dim, order),
            )
        )  # fmt: skip
    return rows
