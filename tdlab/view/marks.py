"""What all figures share: fonts, marks that survive grey print, and files that are reproducible."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

# Cividis is made for colour-blind readers and its lightness rises monotonically: it reads in grey.
SHADES = "cividis"
# Okabe and Ito's colours in an order whose greys differ, each with a mark and a dash of its own.
COLOURS = ("#0072B2", "#D55E00", "#000000", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKS = ("o", "s", "^", "D", "v", "P", "X")
_FORMATS = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
_RC: Any = {
    "font.size": 11.0,
    "axes.titlesize": 12.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "tdlab",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "hatch.linewidth": 0.6,
    "figure.dpi": 110.0,
    "savefig.dpi": 160.0,
}


def drawing() -> Any:
    """Context in which figures are made and saved."""
    return matplotlib.rc_context(_RC)


def small_multiples(
    figure: Figure, count: int, columns: int, xlabel: str, ylabel: str
) -> np.ndarray:
    """Panels (lines, columns) with common axes; those past ``count`` hidden, the rest labelled."""
    lines = -(-count // columns)
    panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    for place, panel in enumerate(panels.flat):
        panel.set_visible(place < count)
        # The lowest visible panel of each column, which need not be in the last line.
        if place + columns >= count:
            panel.set_xlabel(xlabel)
            panel.tick_params(labelbottom=True)
        if place % columns == 0:
            panel.set_ylabel(ylabel)
    return panels


def rank_ticks(panel: Axes, low: float, high: float) -> None:
    """Plain numbers on a logarithmic axis of ranks, few enough not to touch."""
    steps = (1, 2, 5) if high > 5 * low else (1, 1.5, 2, 3, 4, 5, 6, 7, 8)
    ticks = [step * 10.0**power for power in range(7) for step in steps]
    panel.set_yticks([tick for tick in ticks if low <= tick <= high])
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.yaxis.set_minor_locator(NullLocator())
    panel.set_ylim(low, high)


def save(figure: Figure, folder: Path, name: str, header: Sequence[str], rows: Any) -> list[Path]:
    """Write a figure as PNG, SVG and PDF with its data as CSV; the same input, the same bytes."""
    paths = []
    for suffix, metadata in _FORMATS.items():
        path = folder / f"{name}.{suffix}"
        figure.savefig(path, metadata=metadata)
        paths.append(path)
    path = folder / f"{name}.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    return [*paths, path]
