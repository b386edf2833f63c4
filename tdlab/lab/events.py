"""What counts as success of a trial: recovery, or a risk below the trivial predictor's or null's.

Thresholds are ranks of even odds of an event. On risks, improper learners have thresholds too.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tdlab.errors import check_choice

if TYPE_CHECKING:
    from tdlab.lab.store import CellCounts, Store

EVENTS = ("recovered", "beats-trivial", "beats-null")


def counted_by(event: str, store: Store) -> list[CellCounts]:
    """The counts of a store with successes and failures of another event in their prefixes.

    "beats-trivial" is a risk ratio below 1; "beats-null" one below that of the null's trial of the
    same index, so that a learner no better than on its null wins half of the time. Trials without
    a risk keep what they were.
    """
    check_choice("event", event, EVENTS)
    counts = store.counts()
    if event == "recovered":
        return counts
    ratios = _ratios(store)
    twins = {
        (cell.problem.removesuffix("/null"), cell.method, cell.dim, cell.rank, cell.n): cell
        for cell in counts
        if cell.null
    }
    found = []
    for cell in counts:
        own = ratios.get((cell.cell, cell.method), {})
        twin = twins.get((cell.problem, cell.method, cell.dim, cell.rank, cell.n))
        beside = {} if twin is None else ratios.get((twin.cell, twin.method), {})
        won = lost = 0
        for index in range(sum(cell.prefix.values())):
            bar = 1.0 if event == "beats-trivial" else beside.get(index)
            if index in own and bar is not None:
                won += own[index] < bar
                lost += own[index] >= bar
        prefix = {**cell.prefix, "recovered": won, "failed": lost, "measured": 0}
        found.append(replace(cell, prefix=prefix))
    return found


def _ratios(store: Store) -> dict[tuple[str, str], dict[int, float]]:
    """Risk ratios by (cell, method) and index."""
    from tdlab.lab.store import COLUMNS

    cell, method, index, ratio = map(COLUMNS.index, ("cell", "method", "index", "risk_ratio"))
    found: dict[tuple[str, str], dict[int, float]] = {}
    for row in store.rows():
        if row[ratio] is not None:
            found.setdefault((row[cell], row[method]), {})[row[index]] = row[ratio]
    return found
