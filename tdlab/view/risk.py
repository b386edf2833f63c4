"""Risk against width: exact risk ratio over log r / log d, planted beside its null, with the line
that improper learners reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tdlab import theory
from tdlab.view import style

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
    columns = min(len(dims), 3)
    lines = -(-len(dims) // columns)
    figure = Figure(figsize=(0.8 + 4.0 * columns, 1.6 + 3.4 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
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
                # Methods share their ranks: a small shift keeps their bars apart.
                x = x + 0.006 * (index - (len(methods) - 1) / 2)
                colour = style.COLOURS[index % len(style.COLOURS)]
                panel.errorbar(
                    x, middle, yerr=[middle - low, high - middle], color=colour, capsize=2,
                    marker=style.MARKS[index % len(style.MARKS)], markersize=6, linewidth=1.5,
                    linestyle=(0, (4, 2)) if null else "-", elinewidth=1.0,
                    markerfacecolor="white" if null else colour,
                )  # fmt: skip
        panel.set_title(f"d = {dim}")
    for panel in list(panels.flat)[len(dims) :]:
        panel.set_visible(False)
    for panel in panels[:, 0]:
        panel.set_ylabel("risk / Var(y)")
    for panel in panels[-1]:
        panel.set_xlabel("log r / log d")
    top = max((summary[2] for summary in summaries.values()), default=1.0)
    panels.flat[0].set_ylim(-0.06, max(1.08, 1.1 * min(top, 2.0)))
    has_null = any(cell.null for cell in cells)
    figure.suptitle(
        f"{problem}: exact risk of the proper learner"
        + ("" if has_null else " (no null was run: compare with care)"),
        fontsize=12,
    )
    figure.legend(
        handles=_legend(methods, has_null), loc="outside lower center", ncols=3, frameon=False,
        fontsize=10,
    )  # fmt: skip
    return style.save(figure, folder, name, _HEADER, _rows(cells, summaries))


def median_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float, float]:
    """Median and the order statistics that hold it with probability >= ``level``.

    The number of values below the median is binomial(n, 1/2), whatever their law. Below six
    values no order statistics reach 95% and the ends are the extremes.

    >>> median_interval([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])
    (4.5, 1.0, 8.0)
    """
    from scipy.stats import binom

    ordered = np.sort(values)
    skipped = int(binom.ppf((1 - level) / 2, len(ordered), 0.5))
    # P(fewer than `skipped` below) must be <= (1 - level)/2.
    if skipped and binom.cdf(skipped - 1, len(ordered), 0.5) > (1 - level) / 2:
        skipped -= 1
    first = max(skipped - 1, 0)
    return float(np.median(ordered)), float(ordered[first]), float(ordered[-1 - first])


def _legend(methods: Sequence[str], has_null: bool) -> list[Line2D]:
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
        Line2D([], [], color="black", linewidth=2.0, label="improper: 0 from $n = C(d+3,3)$")
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
