"""Trials that two stores both have: whether they agree, and which another processor ran."""

from __future__ import annotations

from collections.abc import Iterable

from tdlab.lab.store.counts import CellCounts
from tdlab.lab.store.reader import CENSORED, Store
from tdlab.lab.workers.processor import is_another, same_numbers, same_outcome


def agreement(
    first: Store, second: Store, mine: Iterable[CellCounts], its: Iterable[CellCounts]
) -> tuple[int, tuple[str, ...], int, tuple[str, ...], tuple[str, ...]]:
    """Trials of cells that are the very same, those whose results are not; how many another
    kind of processor ran, and of these the ones of another outcome and of other numbers."""
    rows = {cell.cell: cell.id for cell in its}
    both, elsewhere = 0, 0
    changed: list[str] = []
    outcomes: list[str] = []
    numbers: list[str] = []
    for cell in mine:
        if cell.cell not in rows:
            continue
        results = {index: found for index, found, _ in second.results(rows[cell.cell])}
        for index, result, _ in first.results(cell.id):
            if index in results:
                both += 1
                pair = (result, results[index])
                # Whether a trial is censored depends on the machine and its load.
                if any(each.outcome in CENSORED for each in pair):
                    continue
                name = f"{cell.cell}:{index}"
                if is_another(*(each.kernel for each in pair)):
                    elsewhere += 1
                    if not same_outcome(*pair):
                        outcomes.append(name)
                    elif not same_numbers(*pair):
                        numbers.append(name)
                elif pair[0] != pair[1]:
                    changed.append(name)
    return both, tuple(changed), elsewhere, tuple(outcomes), tuple(numbers)
