"""From counts to thresholds and exponents: one row a dimension, one row a curve."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from tdlab.lab.store import CENSORED, CellCounts

if TYPE_CHECKING:
    from tdlab.stats.scaling import Exponent
    from tdlab.stats.threshold import Threshold


def threshold_rows(counts: Iterable[CellCounts], level: float = 0.95) -> list[dict[str, Any]]:
    """Estimate the rank of even odds on every curve at every dimension, with confidence ``level``.

    Only contiguous prefixes of the indices count. Cells outside the method's range, exceptions
    and null twins enter no threshold; timeouts, memory and crashes enter as censored trials.
    """
    rows = []
    for (_, problem, n, method, dim), cells in _by_dimension(counts):
        found, trials, timeouts = _threshold(cells, level)
        row: dict[str, Any] = {"problem": problem, "method": method, "dim": dim, "n": n}
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
            "problem": problem,
            "method": method,
            "n": n,
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
        for problem, n, method, dims, fit in exponents(counts, level)
    ]


def exponents(
    counts: Iterable[CellCounts], level: float = 0.95
) -> list[tuple[str, int | None, str, int, Exponent]]:
    """(problem, n, method, number of dimensions, fit) of every curve with two dimensions.

    Where the method's schedule changes with d (`Cell.schedule`) its thresholds on the two sides are
    those of two methods: the fit is to the longest stretch of one schedule, and says so.
    """
    curves: dict[tuple[Any, ...], list[tuple[int, str, Threshold]]] = {}
    for (curve, problem, n, method, dim), cells in _by_dimension(counts):
        found, _, _ = _threshold(cells)
        points = curves.setdefault((curve, problem, n, method), [])
        if found is not None:
            points.append((dim, cells[0].schedule, found))
    return [
        (problem, n, method, *_one_schedule(points, level))
        for (_, problem, n, method), points in curves.items()
        if len(points) > 1
    ]


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


def _by_dimension(
    counts: Iterable[CellCounts],
) -> list[tuple[tuple[Any, ...], list[CellCounts]]]:
    """Cells of (curve, problem, n, method, dim), in the specification's order, dims ascending."""
    groups: dict[tuple[Any, ...], list[CellCounts]] = {}
    for cell in counts:
        if not cell.null:
            key = (cell.curve, cell.problem, cell.n, cell.method, cell.dim)
            groups.setdefault(key, []).append(cell)
    first: dict[str, int] = {}
    for position, key in enumerate(groups):
        first.setdefault(key[0], position)
    ordered = sorted(groups, key=lambda key: (first[key[0]], key[-1]))
    return [(key, sorted(groups[key], key=lambda cell: cell.rank)) for key in ordered]


def _threshold(cells: list[CellCounts], level: float = 0.95) -> tuple[Threshold | None, int, int]:
    """The threshold of cells that differ in rank, and the trials and timeouts behind it."""
    from tdlab.stats.threshold import estimate

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
