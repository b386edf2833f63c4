"""What counts as success of a trial: recovery, or a risk below the trivial predictor's or null's.

Thresholds are ranks of even odds of an event. On risks, improper learners have thresholds too.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tdlab.errors import check_choice
from tdlab.lab.store.counts import Twins

if TYPE_CHECKING:
    from tdlab.lab.store.reader import CellCounts, Store

EVENTS = ("recovered", "beats-trivial", "beats-null")


def counted_by(event: str, store: Store, versions: str | None = None) -> list[CellCounts]:
    """The counts of a store with successes and failures of another event in their prefixes.

    "beats-trivial" is a risk ratio below 1; "beats-null" one below that of the null's trial of the
    same index, so that a learner no better than on its null wins half of the time. Trials without
    a risk keep what they were.
    """
    check_choice("event", event, EVENTS)
    counts = store.counts(versions)
    if event == "recovered":
        return counts
    ratios = _ratios(store, versions)
    twins = Twins(counts)
    found = []
    for cell in counts:
        own = ratios.get(cell.cell, {})
        twin = twins.of(cell)
        beside = {} if twin is None else ratios.get(twin.cell, {})
        won = lost = 0
        for index in range(sum(cell.prefix.values())):
            bar = 1.0 if event == "beats-trivial" else beside.get(index)
            if index in own and bar is not None:
                won += own[index] < bar
                lost += own[index] >= bar
        prefix = {**cell.prefix, "recovered": won, "failed": lost, "measured": 0}
        found.append(replace(cell, prefix=prefix))
    return found


def _ratios(store: Store, versions: str | None) -> dict[str, dict[int, float]]:
    """Risk ratios by cell and index."""
    from tdlab.lab.store.reader import COLUMNS

    cell, index, ratio = map(COLUMNS.index, ("cell", "index", "risk_ratio"))
    found: dict[str, dict[int, float]] = {}
    for row in store.rows(versions):
        if row[ratio] is not None:
            found.setdefault(row[cell], {})[row[index]] = row[ratio]
    return found
