"""The two sides of a comparison of stores: their cells, in groups that are the same on both.

Cells are of one line where problem, n and method with all its options are the same, whatever they
are called; version, seed and time limit may differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tdlab.lab.spec.shard import refuse_lone_shard
from tdlab.lab.store.counts import CellCounts, asked_for
from tdlab.lab.store.reader import Store

# Cells of one line at one dimension: a list for each version, the newest last.
Groups = dict[tuple[str, int], list[list[CellCounts]]]


def side(store: Store, present: bool, versions: str) -> list[CellCounts]:
    """Planted cells of the latest specification, or those of earlier ones."""
    refuse_lone_shard(store)
    if present:
        return [cell for cell in asked_for(store.counts(versions)) if not cell.null]
    return [cell for cell in store.counts("all") if not cell.null and not cell.target]


def grouped(cells: Iterable[CellCounts], versions: str) -> Groups:
    """Cells by line and dimension; of several versions the newest unless all are asked for."""
    lines: dict[str, dict[int, str]] = {}
    for cell in cells:
        # Of several seeds or time limits one: they are no versions of each other.
        curves = lines.setdefault(cell.what.line, {})
        curves[cell.what.version] = max(curves.get(cell.what.version, ""), cell.curve)
    chosen = {
        line: {
            version: curve
            for version, curve in curves.items()
            if versions == "all" or version == max(curves)
        }
        for line, curves in lines.items()
    }
    found: dict[tuple[str, int], dict[int, list[CellCounts]]] = {}
    for cell in cells:
        what = cell.what
        if chosen[what.line].get(what.version) == cell.curve:
            found.setdefault((what.line, cell.dim), {}).setdefault(what.version, []).append(cell)
    first = {line: position for position, (line, _) in reversed([*enumerate(found)])}
    return {
        key: [found[key][version] for version in sorted(found[key])]
        for key in sorted(found, key=lambda key: (first[key[0]], key[1]))
    }


def labels(cells: Sequence[CellCounts]) -> dict[str, str]:
    """What the method of each line is called: its label, where no other line there has it too."""
    named: dict[tuple[str, int | None, str], set[str]] = {}
    for cell in cells:
        key = (cell.what.problem_id, cell.n, cell.what.method_label)
        named.setdefault(key, set()).add(cell.what.line)
    return {
        cell.what.line: cell.what.method_label
        if len(named[cell.what.problem_id, cell.n, cell.what.method_label]) == 1
        else cell.method
        for cell in cells
    }


def methods(cells: Sequence[CellCounts]) -> str:
    """What a side has, for a message: methods with their options, as labels may be equal."""
    called = labels(cells)
    names = dict.fromkeys(f"{cell.problem} {_spelled(cell, called)}" for cell in cells)
    shown = list(names)[:4]
    return ", ".join(shown) + ", ..." * (len(names) > len(shown)) if names else "nothing"


def _spelled(cell: CellCounts, called: dict[str, str]) -> str:
    label = called[cell.what.line]
    shown = ", ".join(f"{name}={value}" for name, value in cell.what.method["options"].items())
    return f"{label}({shown})" if shown and "(" not in label else label
