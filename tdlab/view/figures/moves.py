"""What a small move of the weights costs: risk over squared size of the move, against r / r_id."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tdlab import theory
from tdlab.stats.binomial import median_interval
from tdlab.view import marks as style

if TYPE_CHECKING:
    from tdlab.lab.store.counts import CellCounts

_HEADER = (
    "problem", "method", "dim", "rank", "r_over_r_id", "size", "trials", "median", "low", "high",
)  # fmt: skip
# Below this a risk is rounding, and the second order of the move is no longer all.
_FLOOR = 1e-6


def draw(
    cells: Sequence[tuple[CellCounts, float, tuple[float, ...]]], folder: Path, name: str
) -> list[Path]:
    """Draw all problems together: a panel a dimension.

    Parameters
    ----------
    cells : sequence of (counts of a cell, size of its moves, risk ratios of its trials)
    folder : Path
    name : str
        Of the files, without suffix.
    """
    dims = sorted({cell.dim for cell, _, _ in cells})
    curves = {cell.curve: (cell.problem, cell.method) for cell, _, _ in cells}
    figure = Figure(figsize=(max(1.0 + 4.4 * len(dims), 7.0), 5.2), layout="constrained")
    panels = style.small_multiples(
        figure, len(dims), len(dims), "$r / r_{id}$", "risk / Var(f) / size², median and 95%"
    )
    rows: list[tuple[object, ...]] = []
    for panel, dim in zip(panels.flat, dims, strict=True):
        for place, (curve, (problem, method)) in enumerate(curves.items()):
            here = sorted(
                (one for one in cells if (one[0].curve, one[0].dim) == (curve, dim)),
                key=lambda one: one[0].rank,
            )
            if not here:
                continue
            order = here[0][0].order
            x = np.array([cell.rank / theory.r_id(dim, order) for cell, _, _ in here])
            summaries = np.array(
                [median_interval([ratio / size**2 for ratio in ratios]) for _, size, ratios in here]
            )
            middle, low, high = np.maximum(summaries, _FLOOR).T
            panel.errorbar(
                x, middle, yerr=[middle - low, high - middle], capsize=2, markersize=5,
                color=style.COLOURS[place % len(style.COLOURS)],
                marker=style.MARKS[place % len(style.MARKS)], linewidth=1.5, elinewidth=0.8,
            )  # fmt: skip
            rows += [
                (problem, method, dim, cell.rank, share, size, len(ratios), *summary)
                for (cell, size, ratios), share, summary in zip(here, x, summaries, strict=True)
            ]
        panel.axvline(1.0, color="0.6", linewidth=1.0, linestyle=":")
        panel.set_title(f"d = {dim}")
    panels.flat[0].set_yscale("log")
    figure.suptitle("what moving all weights costs", fontsize=12)
    handles = [
        Line2D(
            [], [], color=style.COLOURS[place % len(style.COLOURS)],
            marker=style.MARKS[place % len(style.MARKS)], label=f"{problem}, {method}",
        )
        for place, (problem, method) in enumerate(curves.values())
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=10)
    return style.save(figure, folder, name, _HEADER, rows)
