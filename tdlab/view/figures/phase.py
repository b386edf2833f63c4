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
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, NullLocator

from tdlab import theory
from tdlab.view import marks as style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from tdlab.lab.store.counts import CellCounts

_HEADER = (
    "problem", "method", "dim", "rank", "n", "trials", "recovered", "censored", "unsupported",
    "r_star", "low", "high", "status", "r_LD", "r_id",
)  # fmt: skip
_CENSORED = ("timeout", "memory", "crashed")
# Points of a panel's height, inches of a column's width, and the sizes a count is set in: as its
# rectangle allows, or not at all.
_PANEL_POINTS = 320.0
_COLUMN = 0.5
_SMALLEST, _LARGEST = 4.8, 9.0
_MEASURED = "#D4006A"
# Lines and bars cross cells of any shade: a white casing keeps them visible on the darkest.
_CASING = (withStroke(linewidth=3.5, foreground="white"),)


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
    methods = {cell.curve: cell.method for cell in cells}
    order = cells[0].order
    half_width = _half_width(sorted({cell.dim for cell in cells}))
    # Inches at which a column of cells is wide enough for its counts.
    span = _span(cells, half_width)
    columns_across = float(np.log(span[-1] / span[0])) / (2 * half_width)
    breadth = min(max(3.4, _COLUMN * columns_across), 6.5)
    column_points = 72 * breadth / columns_across
    columns = min(len(methods), 2 if breadth > 4.5 or len(methods) == 4 else 3)
    lines = -(-len(methods) // columns)
    size = (max(1.2 + breadth * columns, 6.0), 1.6 + 5.2 * lines)
    figure = Figure(figsize=size, layout="constrained")
    panels = style.small_multiples(
        figure, len(methods), columns, "dimension d", "rank r (hidden units)"
    )
    # Limits first: whether a count fits its rectangle depends on them.
    _axes(panels, cells, half_width, order)
    for panel, (curve, method) in zip(panels.flat, methods.items(), strict=False):
        mine = [cell for cell in cells if cell.curve == curve]
        for dim in sorted({cell.dim for cell in mine}):
            _column(panel, [cell for cell in mine if cell.dim == dim], half_width, column_points)
        _theory_lines(panel, cells, half_width, order)
        _measured(panel, [row for row in thresholds if row["cell"].curve == curve], half_width)
        panel.set_title(method)
    shades = ScalarMappable(cmap=style.SHADES)
    shades.set_clim(0.0, 1.0)
    figure.colorbar(
        shades, ax=panels, label="share of trials that recover all units", shrink=0.8, pad=0.02,
        aspect=20 * lines,
    )  # fmt: skip
    figure.suptitle(f"{cells[0].problem}: recovery\n{_window_line(cells, order)}", fontsize=13)
    figure.legend(
        handles=_legend(cells, order), loc="outside lower center", ncols=min(3, 1 + columns),
        frameon=False,
    )  # fmt: skip
    return style.save(figure, folder, name, _HEADER, _rows(cells, thresholds, order))


def _half_width(dims: Sequence[int]) -> float:
    """Of a column of cells, in ln d: columns of neighbouring dimensions never touch."""
    return 0.42 * float(np.diff(np.log(dims)).min()) if len(dims) > 1 else 0.2


def _column(
    panel: Axes, cells: Sequence[CellCounts], half_width: float, column_points: float
) -> None:
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
    left = cells[0].dim * np.exp(-half_width)
    width = cells[0].dim * np.exp(half_width) - left
    for cell, bottom, top in zip(cells, bottoms, tops, strict=True):
        tried, recovered, censored, unsupported = _tally(cell)
        corner, height = (left, bottom), top - bottom
        if not tried:
            panel.add_patch(
                Rectangle(
                    corner, width, height, facecolor="white", edgecolor="0.55",
                    hatch="////" if unsupported else None, linewidth=0.4,
                )
            )  # fmt: skip
            continue
        share = recovered / tried
        panel.add_patch(
            Rectangle(
                corner, width, height, facecolor=colours(share), edgecolor="white",
                linewidth=0.6,
            )
        )  # fmt: skip
        count = f"{recovered}/{tried}" + ("*" if censored else "")
        # A digit is about 0.6 of its height wide; the threshold takes the right of the column.
        height_size = 0.85 * _PANEL_POINTS * np.log(top / bottom) / np.log(ceiling / floor)
        size = min(height_size, 0.62 * column_points / (0.6 * len(count)), _LARGEST)
        if size < _SMALLEST:
            continue
        panel.text(
            cell.dim * np.exp(-0.3 * half_width),
            np.sqrt(bottom * top),
            count,
            ha="center",
            va="center",
            fontsize=size,
            color="white" if share < 0.55 else "black",
            # A ground of the cell's own shade, as lines pass under; an outline would cost the SVG
            # its text.
            bbox={"facecolor": colours(share), "edgecolor": "none", "pad": 0.4},
            zorder=4,
        )


def _tally(cell: CellCounts) -> tuple[int, int, int, int]:
    """Trials that count, recovered, censored and unsupported ones."""
    censored = sum(cell.prefix[outcome] for outcome in _CENSORED)
    recovered = cell.prefix["recovered"]
    tried = recovered + cell.prefix["failed"] + censored
    return tried, recovered, censored, cell.prefix["unsupported"]


def _span(cells: Sequence[CellCounts], half_width: float) -> np.ndarray:
    """Dimensions along which lines are drawn: past the columns, on the left by room for a name."""
    dims = [cell.dim for cell in cells]
    ends = np.log(min(dims)) - 2.2 * half_width, np.log(max(dims)) + 1.3 * half_width
    return np.exp(np.linspace(*ends, 80))


def _theory_lines(panel: Axes, cells: Sequence[CellCounts], half_width: float, order: int) -> None:
    """r_LD dashed and r_id solid, between the dimensions too."""
    d = np.maximum(_span(cells, half_width), 1.0)
    low_degree, identifiable = d ** (order / 2), _counting_bound(d, order)
    lines = ((low_degree, "$r_{LD}$", (0, (4, 2))), (identifiable, "$r_{id}$", "-"))
    higher = max(low_degree[0], identifiable[0])
    for r, label, dash in lines:
        panel.plot(d, r, color="white", linewidth=3.5, zorder=3)
        panel.plot(d, r, color="black", linestyle=dash, linewidth=1.5, zorder=3)
        above = r[0] == higher
        panel.annotate(
            label, (d[0], r[0]), xytext=(1, 12 if above else -7), textcoords="offset points",
            va="bottom" if above else "top", fontsize=11, zorder=6,
        )  # fmt: skip


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
        x = row["dim"] * np.exp(0.6 * half_width)
        if point is not None:
            bars = np.array([[point - low], [high - point]])
            _, caps, stems = panel.errorbar(
                x, point, yerr=np.maximum(bars, 0.0), fmt="D", color="white", markersize=6,
                markeredgecolor=_MEASURED, markeredgewidth=1.6, ecolor=_MEASURED, elinewidth=1.8,
                capsize=5, capthick=1.8, zorder=5,
            )  # fmt: skip
            for piece in (*caps, *stems):
                piece.set_path_effects(_CASING)
        elif low is not None or high is not None:
            end, mark = (low, "^") if low is not None else (high, "v")
            panel.plot(
                x, end, mark, color="white", markeredgecolor=_MEASURED, markeredgewidth=1.6,
                markersize=8, zorder=5,
            )  # fmt: skip


def _axes(panels: Any, cells: Sequence[CellCounts], half_width: float, order: int) -> None:
    dims = sorted({cell.dim for cell in cells})
    ranks = [cell.rank for cell in cells]
    span = _span(cells, half_width)
    top = 1.25 * max(*ranks, *(span ** (order / 2)), *_counting_bound(span, order))
    floor = min(ranks) / 1.5
    first = panels.flat[0]
    first.set_xscale("log")
    first.set_yscale("log")
    first.set_ylim(floor, top)
    first.set_xlim(span[0] * np.exp(-0.1 * half_width), span[-1])
    first.set_xticks(dims)
    first.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    first.xaxis.set_minor_locator(NullLocator())
    style.rank_ticks(first, floor, top)


def _window_line(cells: Sequence[CellCounts], order: int) -> str:
    """Where the window r_LD < r < r_id is empty, in words."""
    dims = sorted({cell.dim for cell in cells})
    empty = [dim for dim in dims if theory.window(dim, order) is None]
    if not empty:
        return "window open at every d shown (r_LD < r_id)"
    # Plain text: an SVG splits formulas into single letters, and this is what people search for.
    return f"window empty at d = {', '.join(map(str, empty))} (r_LD ≥ r_id)"


def _legend(cells: Sequence[CellCounts], order: int) -> list[Any]:
    k = "3/2" if order == 3 else "2" if order == 4 else f"{order}/2"
    handles: list[Any] = [
        Line2D([], [], color="black", linestyle=(0, (4, 2)), label=rf"$r_{{LD}} = d^{{{k}}}$"),
        Line2D([], [], color="black", label=r"$r_{id}$ (counting bound)"),
        Line2D(
            [], [], color=_MEASURED, marker="D", markerfacecolor="white",
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
    found = {(row["cell"].curve, row["dim"]): row for row in thresholds}
    rows = []
    for cell in cells:
        row = found.get((cell.curve, cell.dim), {})
        rows.append(
            (
                cell.problem, cell.method, cell.dim, cell.rank, cell.n, *_tally(cell),
                *(row.get(key) for key in ("r_star", "low", "high", "status")),
                theory.r_ld(cell.dim, order), theory.r_id(cell.dim, order),
            )
        )  # fmt: skip
    return rows
