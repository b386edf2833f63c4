"""Problems of a few points side by side: a line each, its risk and the share of recoveries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from tdlab.stats.binomial import interval, median_interval
from tdlab.view import marks as style

_HEADER = (
    "problem", "method", "dim", "rank", "n", "trials", "median", "low", "high", "recovered",
    "ended", "recovered_low", "recovered_high",
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """One planted cell.

    Attributes
    ----------
    problem, method : str
    dim, rank : int
    n : int or None
    ratios : tuple of float
        Risk ratios, one a trial that ended by itself.
    recovered, ended : int
        Trials that recovered everything, of those that had something to recover.
    """

    problem: str
    method: str
    dim: int
    rank: int
    n: int | None
    ratios: tuple[float, ...]
    recovered: int
    ended: int

    @property
    def label(self) -> str:
        """Of its line."""
        n = "" if self.n is None else f", n = {self.n}"
        return f"{self.problem}\nd = {self.dim}, r = {self.rank}{n}"


def draw(places: Sequence[Place], folder: Path, name: str) -> list[Path]:
    """Risks to the left; to the right, where there is anything to recover, the share recovered."""
    labels = list(dict.fromkeys(place.label for place in places))
    methods = list(dict.fromkeys(place.method for place in places))
    sides = 2 if any(place.ended for place in places) else 1
    figure = Figure(figsize=(3.4 + 3.8 * sides, 1.8 + 0.62 * len(labels)), layout="constrained")
    panels = figure.subplots(1, sides, sharey=True, squeeze=False)[0]
    rows: list[tuple[object, ...]] = []
    for place in places:
        index = methods.index(place.method)
        # Methods of one line lie under each other.
        y = labels.index(place.label) + 0.22 * (index - (len(methods) - 1) / 2)
        risk: tuple[float | None, ...] = (None, None, None)
        if place.ratios:
            risk = median_interval(place.ratios)
            _point(panels[0], y, *median_interval(place.ratios), index)
        share: tuple[float | None, float | None] = (None, None)
        if place.ended:
            low, high = (float(side) for side in interval(place.recovered, place.ended))
            _point(panels[1], y, place.recovered / place.ended, low, high, index)
            share = (low, high)
        rows.append(
            (
                place.problem, place.method, place.dim, place.rank, place.n, len(place.ratios),
                *risk, place.recovered, place.ended, *share,
            )
        )  # fmt: skip
    panels[0].set_yticks(range(len(labels)), labels)
    panels[0].invert_yaxis()
    panels[0].set_xscale(
        "function", functions=(lambda v: np.sign(v) * np.sqrt(np.abs(v)), lambda v: v * np.abs(v))
    )
    panels[0].set_xticks([0, 0.01, 0.1, 0.4, 1])
    panels[0].xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panels[0].set_xlim(-0.002, max(1.05, panels[0].get_xlim()[1]))
    panels[0].axvline(1.0, color="black", linewidth=1.0, linestyle=(0, (1, 2)), zorder=0)
    panels[0].set_xlabel("risk / Var(f), median and 95%")
    if sides == 2:
        panels[1].set_xlim(-0.02, 1.02)
        panels[1].set_xlabel("all weights recovered, 95%")
    handles = [
        Line2D(
            [], [], color=style.COLOURS[index % len(style.COLOURS)], linestyle="",
            marker=style.MARKS[index % len(style.MARKS)], label=method,
        )
        for index, method in enumerate(methods)
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=10)
    return style.save(figure, folder, name, _HEADER, rows)


def _point(panel: object, y: float, value: float, low: float, high: float, index: int) -> None:
    panel.errorbar(  # type: ignore[attr-defined]
        [value], [y], xerr=[[value - low], [high - value]], capsize=2, markersize=6,
        color=style.COLOURS[index % len(style.COLOURS)], elinewidth=1.0,
        marker=style.MARKS[index % len(style.MARKS)],
    )  # fmt: skip
