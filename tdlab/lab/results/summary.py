"""From counts to thresholds and exponents: one row a dimension, one row a curve."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from tdlab.lab.store.reader import CENSORED, CellCounts

if TYPE_CHECKING:
    from tdlab.stats.scaling import Exponent
    from tdlab.stats.threshold.record import Threshold


def threshold_rows(counts: Iterable[CellCounts], level: float = 0.95) -> list[dict[str, Any]]:
    """Estimate the rank of even odds on every curve at every dimension, with confidence ``level``.

    Only contiguous prefixes of the indices count. Cells outside the method's range, exceptions
    and null twins enter no threshold; timeouts, memory and crashes enter as censored trials.
    """
    rows = []
    for cells in _by_dimension(counts):
        found, trials, timeouts = _threshold(cells, level)
        # Of a cell what all of them have: for whoever selects rows by what they are of.
        row: dict[str, Any] = {"cell": cells[0], **_named(cells[0]), "dim": cells[0].dim}
        if found is not None:
            row.update(
                r_star=found.estimate,
                low=found.lower,
                high=found.upper,
                status=found.status.value,
                flags=" ".join(found.flags),
            )
        else:
            unsupported = any(cell.prefix["unsupported"] for cell in cells)
            row.update(
                r_star=None, low=None, high=None,
                status="unsupported" if unsupported else "too-few-trials", flags="",
            )  # fmt: skip
        row.update(
            trials=trials,
            timeouts=timeouts,
            errors=sum(cell.outcomes["error"] for cell in cells),
        )
        rows.append(row)
    return rows


def exponent_rows(counts: Iterable[CellCounts], level: float = 0.95) -> list[dict[str, Any]]:
    """Fit r* = c d^alpha on every curve; the local slopes stand also where a fit is refused."""
    return [
        {
            "cell": cell,
            **_named(cell),
            "dims": dims,
            "exponent": fit.estimate,
            "low": fit.lower,
            "high": fit.upper,
            "prefactor": fit.prefactor,
            "between": fit.between,
            "drift_exponent": None if fit.drift is None else fit.drift.estimate,
            "drift_low": None if fit.drift is None else fit.drift.lower,
            "drift_high": None if fit.drift is None else fit.drift.upper,
            "status": fit.status.value,
            "slopes": "; ".join(
                f"{s.low_dim}-{s.high_dim}: {s.estimate:.2f} ({s.error:.2f})" for s in fit.slopes
            ),
            "message": fit.message,
        }
        for cell, dims, fit in exponents(counts, level)
    ]


def exponents(
    counts: Iterable[CellCounts], level: float = 0.95
) -> list[tuple[CellCounts, int, Exponent]]:
    """(a cell, number of dimensions, fit) of every curve with two dimensions.

    Where the method's schedule changes with d (`Cell.schedule`) its thresholds on the two sides are
    those of two methods: the fit is to the longest stretch of one schedule, and says so.
    """
    curves: dict[str, tuple[CellCounts, list[tuple[int, str, Threshold]]]] = {}
    for cells in _by_dimension(counts):
        found, _, _ = _threshold(cells)
        _, points = curves.setdefault(cells[0].curve, (cells[0], []))
        if found is not None:
            points.append((cells[0].dim, cells[0].schedule, found))
    return [
        (cell, *_one_schedule(points, level)) for cell, points in curves.values() if len(points) > 1
    ]


def _named(cell: CellCounts) -> dict[str, Any]:
    return {"problem": cell.problem, "method": cell.method, "n": cell.n}


def _one_schedule(points: list[tuple[int, str, Threshold]], level: float) -> tuple[int, Exponent]:
    """The number of dimensions of the longest stretch of one schedule, and the fit to it."""
    from tdlab.stats.scaling import fit_exponent

    stretches = [list(group) for _, group in groupby(points, key=lambda point: point[1])]
    longest = max(stretches, key=len)
    dims, founds = [dim for dim, _, _ in longest], [found for _, _, found in longest]
    fit = fit_exponent(dims, founds, level)
    if len(stretches) > 1:
        changes = ", ".join(str(stretch[0][0]) for stretch in stretches[1:])
        over = f"d = {dims[0]} to {dims[-1]}" if len(dims) > 1 else f"d = {dims[0]}"
        note = (
            f"the method's schedule changes before d = {changes}: fitted to {over} alone; options "
            "that fix the schedule make it one method"
        )
        fit = replace(fit, message=f"{fit.message}; {note}" if fit.message else note)
    return len(longest), fit


def _by_dimension(counts: Iterable[CellCounts]) -> list[list[CellCounts]]:
    """Cells of one curve and dimension, in the specification's order, dims and ranks ascending."""
    groups: dict[tuple[str, int], list[CellCounts]] = {}
    for cell in counts:
        if not cell.null:
            groups.setdefault((cell.curve, cell.dim), []).append(cell)
    first: dict[str, int] = {}
    for position, (curve, _) in enumerate(groups):
        first.setdefault(curve, position)
    ordered = sorted(groups, key=lambda key: (first[key[0]], key[1]))
    return [sorted(groups[key], key=lambda cell: cell.rank) for key in ordered]


def _threshold(cells: list[CellCounts], level: float = 0.95) -> tuple[Threshold | None, int, int]:
    """The threshold of cells that differ in rank, and the trials and timeouts behind it."""
    from tdlab.stats.threshold.estimate import estimate

    ranks, successes, trials, timeouts = [], [], [], []
    for cell in cells:
        censored = sum(cell.prefix[outcome] for outcome in CENSORED)
        ended = cell.prefix["recovered"] + cell.prefix["failed"]
        if ended + censored:
            ranks.append(cell.rank)
            successes.append(cell.prefix["recovered"])
            trials.append(ended + censored)
            timeouts.append(censored)
    if not ranks:
        return None, 0, 0
    return (
        estimate(ranks, successes, trials, timeouts=timeouts, level=level),
        sum(trials),
        sum(timeouts),
    )
