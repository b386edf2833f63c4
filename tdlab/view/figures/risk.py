"""Risk against width: exact risk ratio over log r / log d, planted beside its null, with the line
that improper learners reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from tdlab import theory
from tdlab.stats.binomial import median_interval
from tdlab.view import marks as style

_HEADER = (
    "problem", "method", "dim", "rank", "n", "log_r_over_log_d", "kind", "trials", "median", "low",
    "high", "gain_over_null",
)  # fmt: skip


@dataclass(frozen=True)
class RiskCell:
    """Risk ratios of one cell.

    Attributes
    ----------
    problem, method : str
    dim, rank, order : int
    n : int or None
    null : bool
    ratios : tuple of float
        One a trial that ended by itself.
    """

    problem: str
    method: str
    dim: int
    rank: int
    order: int
    n: int | None
    null: bool
    ratios: tuple[float, ...]


def draw(problem: str, cells: Sequence[RiskCell], folder: Path, name: str) -> list[Path]:
    """Draw one problem and, where it has one, its null: a panel a dimension."""
    dims = sorted({cell.dim for cell in cells})
    methods = list(dict.fromkeys(cell.method for cell in cells))
    order = cells[0].order
    columns = 2 if len(dims) == 4 else min(len(dims), 3)
    lines = -(-len(dims) // columns)
    size = (max(0.8 + 4.0 * columns, 7.0), 1.8 + 3.4 * lines)
    figure = Figure(figsize=size, layout="constrained")
    panels = style.small_multiples(
        figure, len(dims), columns, "log r / log d", "risk / Var(y), square-root scale"
    )
    summaries = {
        (c.method, c.dim, c.rank, c.null): median_interval(c.ratios) for c in cells if c.ratios
    }
    for panel, dim in zip(panels.flat, dims, strict=False):
        marks = {
            r"$d^{%s}$" % ("3/2" if order == 3 else f"{order}/2"): order / 2,
            "$r_{id}$": np.log(theory.r_id(dim, order)) / np.log(dim),
        }
        # Two lines closer than their labels are wide: one label goes left, the other right.
        for (label, x), side in zip(
            sorted(marks.items(), key=lambda mark: mark[1]), ("right", "left"), strict=True
        ):
            panel.axvline(x, color="0.6", linewidth=1.0, linestyle=":")
            panel.annotate(
                label, (x, 1.0), xycoords=("data", "axes fraction"), ha=side, va="top",
                xytext=(-3 if side == "right" else 3, 0), textcoords="offset points", color="0.35",
            )  # fmt: skip
        panel.axhline(0.0, color="black", linewidth=2.0, zorder=1)
        panel.axhline(1.0, color="black", linewidth=1.0, linestyle=(0, (1, 2)), zorder=1)
        for index, method in enumerate(methods):
            for null in (False, True):
                points = [
                    (np.log(rank) / np.log(dim), *summary)
                    for (m, d, rank, is_null), summary in sorted(summaries.items())
                    if (m, d, is_null) == (method, dim, null)
                ]
                if not points:
                    continue
                x, middle, low, high = np.array(points).T
                # Methods and their nulls share their ranks: a small shift keeps their bars apart.
                x = x + 0.004 * (2 * index + null - len(methods) + 0.5)
                colour = style.COLOURS[index % len(style.COLOURS)]
                panel.errorbar(
                    x, middle, yerr=[middle - low, high - middle], color=colour, capsize=2,
                    marker=style.MARKS[index % len(style.MARKS)], markersize=6, linewidth=1.5,
                    linestyle=(0, (4, 2)) if null else "-", elinewidth=1.0,
                    markerfacecolor="white" if null else colour,
                )  # fmt: skip
        panel.set_title(f"d = {dim}")
    top = max((summary[2] for summary in summaries.values()), default=1.0)
    first = panels.flat[0]
    # A square root keeps 0, and sets apart the small risks that wide students and nulls share.
    first.set_yscale(
        "function", functions=(lambda v: np.sign(v) * np.sqrt(np.abs(v)), lambda v: v * np.abs(v))
    )
    highest_median = max((summary[0] for summary in summaries.values()), default=1.0)
    ceiling = max(1.2, 1.1 * min(top, max(2.0, highest_median)))
    first.set_ylim(-0.004, ceiling)
    first.set_yticks(
        [t for t in (0, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 2, 5, 10) if t < ceiling]
    )
    first.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    low_x, high_x = first.get_xlim()
    first.set_xlim(low_x, high_x + 0.12 * (high_x - low_x))
    has_null = any(cell.null for cell in cells)
    figure.suptitle(
        f"{problem}: exact risk of the proper learner"
        + ("" if has_null else " (no null was run: compare with care)")
        + f"\nimproper, least squares in degree {order}: 0 from n = C(d+{order},{order})",
        fontsize=12,
    )
    figure.legend(
        handles=_legend(methods, has_null, order), loc="outside lower center",
        ncols=3 if max(map(len, methods)) < 16 else 2, frameon=False, fontsize=10,
    )  # fmt: skip
    return style.save(figure, folder, name, _HEADER, _rows(cells, summaries))


def _legend(methods: Sequence[str], has_null: bool, order: int) -> list[Line2D]:
    handles = []
    for index, method in enumerate(methods):
        colour = style.COLOURS[index % len(style.COLOURS)]
        mark = style.MARKS[index % len(style.MARKS)]
        handles.append(Line2D([], [], color=colour, marker=mark, label=f"{method}, planted"))
        if has_null:
            handles.append(
                Line2D(
                    [], [], color=colour, marker=mark, linestyle=(0, (4, 2)),
                    markerfacecolor="white", label=f"{method}, null",
                )
            )  # fmt: skip
    handles.append(
        Line2D(
            [],
            [],
            color="black",
            linewidth=2.0,
            label=f"improper: 0 from $n = C(d+{order},{order})$",
        )
    )
    handles.append(
        Line2D([], [], color="black", linewidth=1.0, linestyle=(0, (1, 2)), label="trivial: E(y)")
    )
    return handles


def _rows(
    cells: Sequence[RiskCell],
    summaries: Mapping[tuple[str, int, int, bool], tuple[float, float, float]],
) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for cell in cells:
        if not cell.ratios:
            continue
        middle, low, high = summaries[cell.method, cell.dim, cell.rank, cell.null]
        beside = summaries.get((cell.method, cell.dim, cell.rank, True))
        gain = 1 - middle / beside[0] if beside and beside[0] > 0 and not cell.null else None
        rows.append(
            (
                cell.problem, cell.method, cell.dim, cell.rank, cell.n,
                np.log(cell.rank) / np.log(cell.dim), "null" if cell.null else "planted",
                len(cell.ratios), middle, low, high, gain,
            )
        )  # fmt: skip
    return rows
