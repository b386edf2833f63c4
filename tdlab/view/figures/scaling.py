"""Thresholds over dimension with their fitted power laws, and the local slopes below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, NullLocator

from tdlab import theory
from tdlab.stats.scaling import Exponent
from tdlab.view import marks as style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HEADER = (
    "problem", "method", "dim", "r_star", "low", "high", "status", "flags", "slope_to_next",
    "slope_error", "exponent", "exponent_low", "exponent_high",
)  # fmt: skip
_Z = 1.96
_DASHED: Any = (0, (4, 2))


@dataclass(frozen=True)
class ScalingCurve:
    """One method's thresholds: rows of ``threshold_rows`` and the fit to them."""

    method: str
    rows: tuple[dict[str, Any], ...]
    fit: Exponent


def draw(
    problem: str, curves: Sequence[ScalingCurve], order: int, folder: Path, name: str
) -> list[Path]:
    """Draw one problem's thresholds and slopes.

    Parameters
    ----------
    problem : str
    curves : sequence of ScalingCurve
        At least one with two thresholds that have points.
    order : int
        Of the tensor: the conjectured slope is order/2, that of the counting bound order - 1.
    folder : Path
    name : str
        Of the files, without suffix.
    """
    figure = Figure(figsize=(7.5, 7.6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    dims = sorted({row["dim"] for curve in curves for row in curve.rows})
    handles: list[Any] = []
    shift = np.linspace(-0.004, 0.004, len(curves)) if len(curves) > 1 else np.zeros(1)
    for place, curve in enumerate(curves):
        colour = style.COLOURS[place % len(style.COLOURS)]
        mark = style.MARKS[place % len(style.MARKS)]
        aside = float(np.exp(shift[place] * len(curves)))
        _thresholds(above, curve, colour, mark, aside)
        _slopes(below, curve, colour, mark, aside)
        label = curve.method
        fit = curve.fit
        if fit.estimate is not None and fit.prefactor is not None:
            label += f": $d^{{{fit.estimate:.2f}}}$ [{fit.lower:.2f}, {fit.upper:.2f}]"
            span = np.array([dims[0], dims[-1]], dtype=float)
            above.plot(span, fit.prefactor * span**fit.estimate, color=colour, linewidth=1.0)
        handles.append(Line2D([], [], color=colour, marker=mark, linestyle="", label=label))
    bound = np.array([theory.r_id(dim, order) for dim in dims])
    above.plot(dims, bound, color="black", linewidth=1.0, zorder=0)
    conjectured = np.array(dims, dtype=float) ** (order / 2)
    above.plot(dims, conjectured, color="black", linestyle=_DASHED, linewidth=1.0, zorder=0)
    # d ln r_id / d ln d of C(d+k-1, k)/d: k - 1 in the end, less before.
    fine = np.geomspace(dims[0], dims[-1], 50)
    counting = np.sum([fine / (fine + j) for j in range(1, order)], axis=0)
    below.plot(fine, counting, color="black", linewidth=1.0, zorder=0)
    below.axhline(order / 2, color="black", linestyle=_DASHED, linewidth=1.0, zorder=0)
    lines: tuple[tuple[Any, str], ...] = (
        (_DASHED, f"$d^{{{order / 2:g}}}$: conjectured for polynomial time"),
        ("-", f"counting bound $r_{{id}}$, slope {order - 1} as d grows"),
    )
    for dash, label in lines:
        handles.append(Line2D([], [], color="black", linestyle=dash, label=label))
    if any("censored" in row["flags"] for curve in curves for row in curve.rows):
        band = Patch(facecolor="0.5", alpha=0.25, label="timeouts as failures to as successes")
        handles.append(band)
    above.set_xscale("log")
    above.set_yscale("log")
    above.set_ylabel("threshold $r^*$, 95%")
    below.set_ylabel("local slope, 95%")
    below.set_xlabel("dimension d")
    below.set_xticks(dims)
    below.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    below.xaxis.set_minor_locator(NullLocator())
    style.rank_ticks(above, *above.get_ylim())
    figure.suptitle(f"{problem}: thresholds over dimension", fontsize=13)
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return style.save(figure, folder, name, _HEADER, _data(problem, curves))


def _thresholds(panel: Axes, curve: ScalingCurve, colour: str, mark: str, aside: float) -> None:
    """Points with intervals, one-sided bounds as arrows, bands where timeouts decide."""
    for row in curve.rows:
        low, high, point, x = row["low"], row["high"], row["r_star"], row["dim"] * aside
        if "censored" in row["flags"] and low is not None and high is not None:
            panel.fill_between(
                [x / 1.02, x * 1.02], low, high, color="0.5", alpha=0.25, linewidth=0
            )
        if point is not None:
            panel.errorbar(
                x, point, yerr=np.maximum([[point - low], [high - point]], 0.0), fmt=mark,
                color=colour, markersize=5, capsize=3,
            )  # fmt: skip
        elif low is not None:
            panel.plot(x, low, "^", color="white", markeredgecolor=colour, markersize=8)
        elif high is not None:
            panel.plot(x, high, "v", color="white", markeredgecolor=colour, markersize=8)


def _slopes(panel: Axes, curve: ScalingCurve, colour: str, mark: str, aside: float) -> None:
    for slope in curve.fit.slopes:
        middle = np.sqrt(slope.low_dim * slope.high_dim) * aside
        panel.errorbar(
            middle, slope.estimate, yerr=_Z * slope.error, fmt=mark, color=colour, markersize=5,
            capsize=3,
        )  # fmt: skip


def _data(problem: str, curves: Sequence[ScalingCurve]) -> list[tuple[Any, ...]]:
    rows = []
    for curve in curves:
        slopes = {slope.low_dim: slope for slope in curve.fit.slopes}
        for row in curve.rows:
            slope = slopes.get(row["dim"])
            rows.append(
                (
                    problem, curve.method, row["dim"], row["r_star"], row["low"], row["high"],
                    row["status"], row["flags"], slope and slope.estimate, slope and slope.error,
                    curve.fit.estimate, curve.fit.lower, curve.fit.upper,
                )
            )  # fmt: skip
    return rows
