"""How well one larger component is estimated: mean squared correlation over r / d^(k/2)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from tdlab import theory
from tdlab.stats.bounded_mean import mean_interval
from tdlab.view import marks as style

if TYPE_CHECKING:
    from tdlab.lab.store.counts import CellCounts

_HEADER = (
    "problem", "method", "dim", "rank", "n", "r_over_r_LD", "trials", "mean", "low", "high",
)  # fmt: skip


def draw(
    problem: str,
    cells: Sequence[tuple[CellCounts, tuple[float, ...]]],
    folder: Path,
    name: str,
) -> list[Path]:
    """Draw one problem: a panel a method, a curve a dimension.

    Parameters
    ----------
    problem : str
    cells : sequence of (counts of a cell, squared correlations of its trials)
    folder : Path
    name : str
        Of the files, without suffix.
    """
    methods = {cell.curve: cell.method for cell, _ in cells}
    dims = sorted({cell.dim for cell, _ in cells})
    order = cells[0][0].order
    columns = 2 if len(methods) in (2, 4) else min(len(methods), 3)
    lines = -(-len(methods) // columns)
    figure = Figure(
        figsize=(max(0.8 + 3.8 * columns, 7.0), 1.6 + 3.0 * lines), layout="constrained"
    )
    half = "3/2" if order == 3 else f"{order}/2"
    panels = style.small_multiples(
        figure, len(methods), columns, rf"$r / d^{{{half}}}$", "squared correlation, mean and 95%"
    )
    rows: list[tuple[object, ...]] = []
    for panel, (curve, method) in zip(panels.flat, methods.items(), strict=False):
        for place, dim in enumerate(dims):
            here = sorted(
                ((cell, values) for cell, values in cells
                 if (cell.curve, cell.dim) == (curve, dim) and values),
                key=lambda one: one[0].rank,
            )  # fmt: skip
            if not here:
                continue
            x = np.array([cell.rank / theory.r_ld(dim, order) for cell, _ in here])
            middle, low, high = np.array([mean_interval(values) for _, values in here]).T
            colour = style.COLOURS[place % len(style.COLOURS)]
            # Dimensions share their abscissae: a small shift keeps their bars apart.
            panel.errorbar(
                x * 1.02 ** (place - (len(dims) - 1) / 2), middle,
                yerr=[middle - low, high - middle], color=colour, capsize=2, markersize=5,
                marker=style.MARKS[place % len(style.MARKS)], linewidth=1.5, elinewidth=0.8,
            )  # fmt: skip
            rows += [
                (problem, method, dim, cell.rank, cell.n, share, len(values), m, a, b)
                for (cell, values), share, m, a, b in zip(here, x, middle, low, high, strict=True)
            ]
        panel.axvline(1.0, color="0.6", linewidth=1.0, linestyle=":")
        panel.set_title(method)
    first = panels.flat[0]
    first.set_xscale("log")
    first.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    first.xaxis.set_minor_formatter(NullFormatter())
    first.set_ylim(-0.02, 1.02)
    figure.suptitle(f"{problem}: correlation with the larger component", fontsize=12)
    handles = [
        Line2D(
            [], [], color=style.COLOURS[place % len(style.COLOURS)],
            marker=style.MARKS[place % len(style.MARKS)],
            label=f"d = {dim} (a random direction: {1 / dim:.2g})",
        )
        for place, dim in enumerate(dims)
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=10)
    return style.save(figure, folder, name, _HEADER, rows)
