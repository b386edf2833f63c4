"""Risk against the number of samples: a line a learner where ranks are few, and the (n, r) phase
diagram of each learner where they are many."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import NullLocator

from tdlab.stats.binomial import median_interval
from tdlab.view import marks as style
from tdlab.view.figures.risk import RiskCell

_HEADER = (
    "problem", "method", "dim", "rank", "n", "kind", "trials", "median", "low", "high",
)  # fmt: skip
_FEW = 3
_PARAMETERS: Any = (0, (1, 1))
_TWICE: Any = (0, (5, 2))
_FEATURES: Any = "-"
# White lines in a black casing, on tiles of any shade.
_CASING = (withStroke(linewidth=3.0, foreground="black"),)


def draw(
    problem: str, cells: Sequence[RiskCell], degree: int, folder: Path, name: str
) -> list[Path]:
    """All figures of one problem from samples: lines, and phase diagrams from 4 ranks on."""
    summaries = {
        (c.method, c.dim, c.rank, c.n, c.null): median_interval(c.ratios) for c in cells if c.ratios
    }
    rows: list[tuple[object, ...]] = [
        (
            cell.problem, cell.method, cell.dim, cell.rank, cell.n,
            "null" if cell.null else "planted", len(cell.ratios),
            *summaries[cell.method, cell.dim, cell.rank, cell.n, cell.null],
        )
        for cell in cells
        if cell.ratios
    ]  # fmt: skip
    paths = _lines(problem, cells, summaries, degree, folder, f"samples-{name}", rows)
    for dim in sorted({cell.dim for cell in cells}):
        here = [cell for cell in cells if cell.dim == dim and not cell.null]
        if len({cell.rank for cell in here}) > _FEW:
            name_here = f"samples-phase-{name}-d{dim}"
            paths += _phases(problem, here, summaries, degree, folder, name_here, rows)
    return paths


def _lines(
    problem: str,
    cells: Sequence[RiskCell],
    summaries: Mapping[tuple[str, int, int, int | None, bool], tuple[float, float, float]],
    degree: int,
    folder: Path,
    name: str,
    rows: list[tuple[object, ...]],
) -> list[Path]:
    """A panel a (dim, rank), at most three ranks a dimension: least, middle, largest."""
    places: list[tuple[int, int]] = []
    for dim in sorted({cell.dim for cell in cells}):
        ranks = sorted({cell.rank for cell in cells if cell.dim == dim})
        if len(ranks) > _FEW:
            ranks = [ranks[0], ranks[len(ranks) // 2], ranks[-1]]
        places += [(dim, rank) for rank in ranks]
    methods = list(dict.fromkeys(cell.method for cell in cells))
    columns = min(len(places), 3)
    lines = -(-len(places) // columns)
    figure = Figure(
        figsize=(max(0.8 + 4.0 * columns, 7.0), 1.9 + 3.2 * lines), layout="constrained"
    )
    panels = style.small_multiples(
        figure, len(places), columns, "samples n", "risk / Var(f), median and 95%"
    )
    has_null = any(cell.null for cell in cells)
    for panel, (dim, rank) in zip(panels.flat, places, strict=False):
        features = math.comb(dim + degree, degree)
        for x, label in ((features, f"C(d+{degree},{degree})"), (rank * dim, "r d")):
            panel.axvline(x, color="0.6", linewidth=1.0, linestyle=":")
            # To the right of its line, where the axis cannot cut it off, and past the bars there.
            panel.annotate(
                label, (x, 1.0), xycoords=("data", "axes fraction"), ha="left", va="top",
                rotation=90, xytext=(6, 0), textcoords="offset points", color="0.35", fontsize=9,
            )  # fmt: skip
        panel.axhline(1.0, color="black", linewidth=1.0, linestyle=(0, (1, 2)), zorder=1)
        for index, method in enumerate(methods):
            for null in (False, True):
                points = sorted(
                    (n, *summary)
                    for (m, d, r, n, is_null), summary in summaries.items()
                    if n is not None and (m, d, r, is_null) == (method, dim, rank, null)
                )
                if not points:
                    continue
                x, middle, low, high = np.array(points).T
                # Learners share their numbers of samples: a shift keeps their bars apart.
                x = x * 1.02 ** (2 * index + null + 1 - len(methods))
                panel.errorbar(
                    x, middle, yerr=[middle - low, high - middle], capsize=2, linewidth=1.5,
                    color=style.COLOURS[index % len(style.COLOURS)], markersize=5, elinewidth=1.0,
                    marker=style.MARKS[index % len(style.MARKS)],
                    linestyle=(0, (4, 2)) if null else "-",
                    markerfacecolor="white" if null else None,
                )  # fmt: skip
        panel.set_title(f"d = {dim}, r = {rank}")
    first = panels.flat[0]
    first.set_xscale("log")
    _tick(first, cells)
    first.set_yscale("function", functions=(_root, lambda v: v * np.abs(v)))
    first.set_ylim(-0.003, 1.6)
    first.set_yticks([0, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.5])
    figure.suptitle(f"{problem}: risk from n samples (above 1.6 is cut off)", fontsize=12)
    handles = [
        Line2D(
            [], [], color=style.COLOURS[i % len(style.COLOURS)],
            marker=style.MARKS[i % len(style.MARKS)], label=method,
        )
        for i, method in enumerate(methods)
    ]  # fmt: skip
    if has_null:
        handles.append(
            Line2D([], [], color="0.3", linestyle=(0, (4, 2)), label="dashed: on its null")
        )
    handles.append(
        Line2D([], [], color="black", linewidth=1.0, linestyle=(0, (1, 2)), label="trivial: E(y)")
    )
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=10)
    return style.save(figure, folder, name, _HEADER, rows)


def _phases(
    problem: str,
    cells: Sequence[RiskCell],
    summaries: Mapping[tuple[str, int, int, int | None, bool], tuple[float, float, float]],
    degree: int,
    folder: Path,
    name: str,
    rows: list[tuple[object, ...]],
) -> list[Path]:
    """Median risk over (n, r), a panel a learner; both axes as tested, one tile a cell."""
    methods = list(dict.fromkeys(cell.method for cell in cells))
    dim = cells[0].dim
    ranks = sorted({cell.rank for cell in cells})
    columns = min(len(methods), 3)
    lines = -(-len(methods) // columns)
    figure = Figure(figsize=(1.5 + 3.8 * columns, 1.4 + 3.3 * lines), layout="constrained")
    panels = style.small_multiples(figure, len(methods), columns, "samples n", "rank r")
    shown = None
    for panel, method in zip(panels.flat, methods, strict=False):
        for position, rank in enumerate(ranks):
            points = sorted(
                (n, summary[0])
                for (m, d, r, n, null), summary in summaries.items()
                if n is not None and (m, d, r, null) == (method, dim, rank, False)
            )
            if not points:
                continue
            n = np.array([point[0] for point in points], dtype=float)
            edges = np.sqrt(n[1:] * n[:-1])
            edges = (
                np.concatenate([[n[0] ** 2 / edges[0]], edges, [n[-1] ** 2 / edges[-1]]])
                if len(n) > 1
                else np.array([n[0] / 1.2, n[0] * 1.2])
            )
            values = np.array([[min(point[1], 1.0) for point in points]])
            shown = panel.pcolormesh(
                edges, [position - 0.5, position + 0.5], values, cmap=style.SHADES, vmin=0.0,
                vmax=1.0, shading="flat",
            )  # fmt: skip
        _counts(panel, ranks, dim, degree)
        panel.set_title(method)
        panel.set_yticks(range(len(ranks)), [str(rank) for rank in ranks])
    panels.flat[0].set_xscale("log")
    _tick(panels.flat[0], cells)
    if shown is not None:
        figure.colorbar(shown, ax=panels, label="median risk / Var(f), cut at 1", shrink=0.8)
    figure.suptitle(f"{problem}, d = {dim}: where which learner predicts", fontsize=12)
    handles = [
        Line2D([], [], color="white", linestyle=dash, path_effects=list(_CASING), label=label)
        for dash, label in (
            (_PARAMETERS, "n = r d: one a parameter"),
            (_TWICE, "n = 2 r d"),
            (_FEATURES, f"n = C(d+{degree}, {degree}): one a feature"),
        )
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
    return style.save(figure, folder, name, _HEADER, rows)


def _counts(panel: Any, ranks: Sequence[int], dim: int, degree: int) -> None:
    """What counting asks for: r d and 2 r d samples, a step a rank, and one a feature."""
    edges = np.repeat(np.arange(len(ranks) + 1) - 0.5, 2)[1:-1]
    left, right = panel.get_xlim()
    for factor, dash in ((1, _PARAMETERS), (2, _TWICE)):
        n = np.repeat([factor * rank * dim for rank in ranks], 2)
        panel.plot(n, edges, color="white", linestyle=dash, path_effects=_CASING)
    features = math.comb(dim + degree, degree)
    panel.axvline(features, color="white", linestyle=_FEATURES, path_effects=_CASING)
    # Counts beyond the tiles would widen the axes.
    panel.set_xlim(left, right)
    panel.set_ylim(-0.5, len(ranks) - 0.5)


def _tick(panel: Any, cells: Sequence[RiskCell]) -> None:
    """Label numbers of samples that were tested, no two within a factor 1.35."""
    shown: list[int] = []
    for n in sorted({cell.n for cell in cells if cell.n is not None}):
        if not shown or n > 1.35 * shown[-1]:
            shown.append(n)
    panel.set_xticks(shown, [f"{n:,}" for n in shown])
    panel.xaxis.set_minor_locator(NullLocator())


def _root(values: np.ndarray) -> np.ndarray:
    return np.sign(values) * np.sqrt(np.abs(values))
