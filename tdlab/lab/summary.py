"""From counts to thresholds: one row for each problem, method and dimension."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tdlab.lab.store import CENSORED, CellCounts


def threshold_rows(counts: Iterable[CellCounts]) -> list[dict[str, Any]]:
    """Estimate the rank of even odds on every curve at every dimension.

    Only contiguous prefixes of the indices count. Cells outside the method's range, exceptions
    and null twins enter no threshold; timeouts, memory and crashes enter as censored trials.
    """
    from tdlab.stats.threshold import estimate

    groups: dict[tuple[Any, ...], list[CellCounts]] = {}
    for cell in counts:
        if not cell.null:
            key = (cell.curve, cell.problem, cell.n, cell.method, cell.dim)
            groups.setdefault(key, []).append(cell)
    first: dict[str, int] = {}
    for position, key in enumerate(groups):
        first.setdefault(key[0], position)
    rows = []
    # Curve by curve in the order of the specification, dimensions ascending.
    for key in sorted(groups, key=lambda key: (first[key[0]], key[-1])):
        (_, problem, n, method, dim), cells = key, groups[key]
        ranks, successes, trials, timeouts = [], [], [], []
        for cell in sorted(cells, key=lambda cell: cell.rank):
            censored = sum(cell.prefix[outcome] for outcome in CENSORED)
            ended = cell.prefix["recovered"] + cell.prefix["failed"]
            if ended + censored:
                ranks.append(cell.rank)
                successes.append(cell.prefix["recovered"])
                trials.append(ended + censored)
                timeouts.append(censored)
        row: dict[str, Any] = {"problem": problem, "method": method, "dim": dim, "n": n}
        if ranks:
            found = estimate(ranks, successes, trials, timeouts=timeouts)
            row.update(
                r_star=found.estimate,
                low=found.lower,
                high=found.upper,
                status=found.status.value,
            )
        else:
            unsupported = any(cell.prefix["unsupported"] for cell in cells)
            row.update(
                r_star=None, low=None, high=None,
                status="unsupported" if unsupported else "too-few-trials",
            )  # fmt: skip
        row.update(
            trials=sum(trials),
            timeouts=sum(timeouts),
            errors=sum(cell.outcomes["error"] for cell in cells),
        )
        rows.append(row)
    return rows
