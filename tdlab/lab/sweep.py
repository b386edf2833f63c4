"""Running a scan: every trial on its agenda, through the pool, into the store."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tdlab.errors import InputError, check_integer, check_real
from tdlab.lab.agenda import Agenda
from tdlab.lab.spec.bundled import find_spec
from tdlab.lab.spec.cells import Cell
from tdlab.lab.spec.file import ScanSpec, read_spec
from tdlab.lab.spec.shard import Shard
from tdlab.lab.store.reader import Store, open_store
from tdlab.lab.store.writer import StoreWriter
from tdlab.lab.trial.run import Task, TrialResult
from tdlab.lab.workers.cluster import ClusterPool, connected, hosts, slots
from tdlab.lab.workers.machine import cpu_count, worker_memory
from tdlab.lab.workers.pool import Pool
from tdlab.tensors.arrays import torch_array

if TYPE_CHECKING:
    from distributed import Client  # pyright: ignore[reportMissingImports] (extra)

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Progress(Protocol):
    """What a run tells whoever watches it."""

    def begin(self, spec: ScanSpec, todo: int, stored: int) -> None:
        """``todo`` trials of the grid, or its shard, are missing and ``stored`` are there."""

    def advance(
        self, finished: list[tuple[Cell, int, TrialResult]], running: list[Cell], todo: int
    ) -> None:
        """Some trials are stored (perhaps none); these cells run now; ``todo`` is the whole."""

    def end(self) -> None:
        """The run is over, whatever ended it."""


class Interrupted(KeyboardInterrupt):
    """A run stopped by a signal, with its store intact."""


def run(
    spec: str | Path | ScanSpec,
    store: str | Path | None = None,
    *,
    workers: int | None = None,
    max_seconds: float | None = None,
    device: str = "cpu",
    shard: Shard | str | None = None,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> Store:
    """Run the trials of a scan that its store does not have yet.

    Parameters
    ----------
    spec : path, name of a bundled experiment, or ScanSpec
    store : path, optional
        The scan's name with ``.db`` in the current directory, if not given; with the shard in the
        name if there is one. Trials that are there already are kept and not run again.
    workers : int, optional
        Processes; as many as there are processors, if not given. It does not change any result.
    max_seconds : float, optional
        Begin no trial after that; a later run does the rest.
    device : str
        "cpu", or a device of torch such as "cuda": there the methods that work through Gram
        matrices compute with torch, and give the numbers of NumPy to about nine digits. It is
        recorded with the run; trials of other runs in the store are reused all the same.
    shard : Shard or "I/N", optional
        Run only this part of the scan; `tdlab.merge` joins the stores of all N.
    scheduler : str, optional
        Address of a Dask scheduler, such as ``tcp://host:8786``, whose workers run the trials;
        needs the extra ``distributed``.
    progress : Progress, optional

    Returns
    -------
    Store
        Open for reading.

    Raises
    ------
    InputError
        For a bad specification or store, before anything is written.
    KeyboardInterrupt
        After SIGINT, SIGTERM or SIGHUP; all finished trials are stored.

    Examples
    --------
    >>> import tdlab
    >>> store = tdlab.run("quickstart", store="quickstart.db")     # doctest: +SKIP
    """
    if not isinstance(spec, ScanSpec):
        spec = read_spec(find_spec(spec))
    shard = Shard.parse(shard) if isinstance(shard, str) else shard
    if shard and spec.targets:
        raise InputError(
            f"shard: got {shard} and adaptive ranks, wanted `ranks` in the specification: a round "
            "depends on all of the rounds before"
        )
    path = Path(store) if store is not None else default_store(spec, shard)
    if scheduler is not None and workers is not None:
        raise InputError(f"workers: got {workers} with a scheduler, wanted neither or one of them")
    workers = check_integer("workers", cpu_count() if workers is None else workers, 1)
    limit = float("inf") if max_seconds is None else check_real("max_seconds", max_seconds, 0.0)
    stop_at = time.monotonic() + limit
    if device != "cpu":
        _check_device(spec, device)
        torch_array(np.zeros(1), device)  # refuses what is not there before anything is written

    # Signals first: from here on one of them ends the run between two commits.
    with (
        _signals() as received,
        _cluster(scheduler) as (client, others),
        StoreWriter(path) as writer,
    ):
        workers = slots(client) if client else workers
        ids = writer.begin(spec, workers, device, shard, others)
        flags = writer.stored(ids, spec.trials)
        own = sum(shard.size(cell, spec.trials) if shard else spec.trials for cell in spec.cells)
        if shard:
            shard.skip_others(spec.cells, flags)
        stored = own - sum(flag.count(0) for flag in flags)
        agenda = Agenda(writer, spec, ids, flags, device, stop_at)
        ended = "done"
        if agenda.asked:
            warm_up = warm_up_tasks(spec, device)
            if client:
                pool = ClusterPool[tuple[int, int]](client, warm_up)
            else:
                # Rounds to come may hold more than the first does: all workers, if there are any.
                size = workers if spec.targets else min(workers, agenda.asked)
                pool = Pool[tuple[int, int]](size, warm_up, worker_memory(size))
            if progress:
                progress.begin(spec, agenda.asked, stored)
            ended = _run_agenda(writer, agenda, pool, received, progress)
        writer.finish(ended)
        if ended == "interrupted":
            raise Interrupted
    return open_store(path)


def _check_device(spec: ScanSpec, device: str) -> None:
    """Refuse a device for learners, which compute with NumPy wherever they are."""
    cells = (*spec.cells, *(target.cell for target in spec.targets))
    learners = sorted({cell.method.label for cell in cells if cell.method.learner})
    if learners:
        raise InputError(
            f"device: got {device!r} and learners ({', '.join(learners)}), wanted 'cpu': they "
            "compute there whatever is asked"
        )


def default_store(spec: ScanSpec, shard: Shard | None = None) -> Path:
    """The store of a scan or a shard of it, in the current directory."""
    return Path(f"{spec.slug}{shard.suffix if shard else ''}.db")


@contextmanager
def _cluster(scheduler: str | None) -> Iterator[tuple[Client | None, list[dict[str, Any]]]]:
    """A client and what its workers are, or None for this machine."""
    if scheduler is None:
        yield None, []
    else:
        with connected(scheduler) as client:
            yield client, hosts(client)


def _run_agenda(
    writer: StoreWriter,
    agenda: Agenda,
    pool: Pool[tuple[int, int]] | ClusterPool[tuple[int, int]],
    received: list[int],
    progress: Progress | None,
) -> str:
    """Run what is on the agenda; how it ended."""
    try:
        with pool:
            for finished in pool.run(agenda.trials()):
                if finished:
                    writer.commit(finished)
                    agenda.record(finished)
                if progress:
                    progress.advance(
                        [(agenda.cells[cell], index, result) for (cell, index), result in finished],
                        [agenda.cells[cell] for cell, _ in pool.running],
                        agenda.asked,
                    )
                if received:
                    return "interrupted"
    finally:
        if progress:
            progress.end()
    return "time-limit" if agenda.late else "done"


def warm_up_tasks(spec: ScanSpec, device: str = "cpu") -> tuple[Task, ...]:
    """Small trials that load and compile what a scan will use: one a method, problem and order."""
    cells = (*spec.cells, *(target.cell for target in spec.targets))
    found: dict[tuple[str, str, int], Task] = {}
    for cell in cells:
        key = (cell.method.name, cell.problem.kind, cell.problem.order)
        if key not in found:
            found[key] = Task(cell, 0, device).small()
    return tuple(found.values())


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collect the first stop signal; a second one acts as if nobody listened."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def note(number: int, _: object) -> None:
        received.append(number)
        for each, handler in previous.items():
            signal.signal(each, handler)

    # What was ignored on purpose stays ignored: nohup ignores SIGHUP, a script's & SIGINT.
    previous = {
        each: handler
        for each in _SIGNALS
        if (handler := signal.getsignal(each)) is not signal.SIG_IGN
    }
    for each in previous:
        signal.signal(each, note)
    try:
        yield received
    finally:
        for each, handler in previous.items():
            signal.signal(each, handler)
