"""What a scan will cost: trials missing, memory, hours. Nothing is written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tdlab.lab.spec.adaptive import Target
from tdlab.lab.spec.cells import Cell
from tdlab.lab.spec.file import ScanSpec
from tdlab.lab.spec.shard import Shard
from tdlab.lab.store.reader import CENSORED, DIGEST_CHARACTERS, open_store
from tdlab.lab.sweep import warm_up_tasks
from tdlab.lab.trial.run import Task
from tdlab.lab.workers.machine import worker_memory
from tdlab.lab.workers.pool import Pool

_PROBE_SECONDS = 20.0
# An interpreter with numpy, scipy and numba loaded, measured.
_IDLE_BYTES = 200 * 2**20


@dataclass(frozen=True)
class Prediction:
    """The cost of what is missing.

    Attributes
    ----------
    cells, trials, missing : int
        Of the fixed grids; of these, trials that the store does not have.
    thresholds : int
        Adaptive ones.
    least, most : int
        Trials of these, those in the store included: how many depends on their outcomes.
    unsupported : int
        Cells outside the range of their method: their trials take no time.
    memory_bytes : int
        All workers together, at the largest cell.
    hours, most_hours : float
        Wall-clock time on the given workers, from measured trials, if the adaptive thresholds
        take the least and the most. What the store has of these is not subtracted.
    at_most_hours : float
        If every trial ran into its time limit.
    measured : int
        Trials that the hours rest on.
    """

    cells: int
    trials: int
    missing: int
    thresholds: int
    least: int
    most: int
    unsupported: int
    memory_bytes: int
    hours: float
    most_hours: float
    at_most_hours: float
    measured: int


def predict(spec: ScanSpec, store: Path, workers: int, shard: Shard | None = None) -> Prediction:
    """Predict from the times in the store, and from probes where it has none.

    Probes are trials of the cheapest and the middle cell of each curve, for 20 s at the most;
    between cells of a curve the time is taken to grow as rank^2 dim + dim^order.
    """
    done: dict[str, int] = {}
    seconds: dict[str, float] = {}
    if store.exists():
        with open_store(store) as reader:
            for counts in reader.counts():
                done[counts.cell], seconds[counts.cell] = counts.done, counts.seconds
    wanted = {cell: shard.size(cell, spec.trials) if shard else spec.trials for cell in spec.cells}
    todo = {
        cell: max(wanted[cell] - done.get(cell.digest[:DIGEST_CHARACTERS], 0), 0)
        for cell in spec.cells
    }
    supported = [cell for cell in spec.cells if cell.supported]
    # The cost of an adaptive threshold is that of trials near it: taken to be at a rank like d.
    near = [target.at(min(target.ranks, key=_distance(target))) for target in spec.targets]
    curves: dict[str, list[Cell]] = {}
    for cell in dict.fromkeys((*supported, *near)):
        curves.setdefault(cell.curve, []).append(cell)

    times: dict[Cell, float] = {}
    for cell in (*supported, *near):
        if done.get(cell.digest[:DIGEST_CHARACTERS]):
            times[cell] = seconds[cell.digest[:DIGEST_CHARACTERS]]
    measured = sum(done.get(cell.digest[:DIGEST_CHARACTERS], 0) for cell in times)
    probes = []
    for cells in curves.values():
        if not any(cell in times for cell in cells):
            ordered = sorted(cells, key=_work)
            probes += list(dict.fromkeys([ordered[0], ordered[len(ordered) // 2]]))
    if probes:
        probed = _probe(spec, sorted(probes, key=_work), workers)
        times.update(probed)
        measured += len(probed)

    guesses: dict[Cell, float] = {}
    for cells in curves.values():
        known = [cell for cell in cells if cell in times]
        for cell in cells:
            guess = spec.time_limit
            if known:
                other = min(known, key=lambda other: abs(_work(other) - _work(cell)))
                guess = times[other] * _work(cell) / _work(other)
            guesses[cell] = min(guess, spec.time_limit)
    grid = sum(todo[cell] * guesses[cell] for cell in supported)
    each = sum(guesses[cell] for cell in near)
    rule, thresholds = spec.rule, len(spec.targets)
    most = grid + min(rule.budget_trials * each, rule.budget_seconds * thresholds)
    at_most = spec.time_limit * (
        sum(todo[cell] for cell in supported) + rule.budget_trials * thresholds
    )
    return Prediction(
        cells=len(spec.cells),
        trials=sum(wanted.values()),
        missing=sum(todo.values()),
        thresholds=thresholds,
        least=rule.least * thresholds,
        most=rule.budget_trials * thresholds,
        unsupported=len(spec.cells) - len(supported),
        memory_bytes=workers
        * max(
            _IDLE_BYTES + _bytes(cell)
            for cell in (*spec.cells, *(target.at(target.ranks[-1]) for target in spec.targets))
        ),
        hours=(grid + rule.least * each) / workers / 3600,
        most_hours=most / workers / 3600,
        at_most_hours=at_most / workers / 3600,
        measured=measured,
    )


def _probe(spec: ScanSpec, cells: list[Cell], workers: int) -> dict[Cell, float]:
    """Seconds of trial 0 of some cells, as many as fit the time for probing."""
    stop_at = time.monotonic() + _PROBE_SECONDS

    def tasks() -> Iterator[tuple[Cell, Task]]:
        for cell in cells:
            yield cell, Task(cell, 0)

    times: dict[Cell, float] = {}
    with Pool[Cell](min(workers, len(cells)), warm_up_tasks(spec), worker_memory(workers)) as pool:
        for finished in pool.run(tasks()):
            for cell, result in finished:
                times[cell] = spec.time_limit if result.outcome in CENSORED else result.seconds
            if time.monotonic() >= stop_at:
                break
    return times


def _distance(target: Target) -> Callable[[int], float]:
    """Of a rank from the dimension."""
    return lambda rank: abs(rank - target.cell.dim)


def _work(cell: Cell) -> float:
    return float(cell.rank) ** 2 * cell.dim + float(cell.dim) ** cell.problem.order


def _bytes(cell: Cell) -> int:
    """A dense tensor with its packed copy, and what local search keeps of (rank, rank)."""
    dense = 2.5 * float(cell.dim) ** cell.problem.order
    search = 8.0 * cell.rank**2 + 30.0 * cell.rank * cell.dim
    return int(8 * (dense + search))
