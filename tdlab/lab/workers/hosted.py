"""What runs inside a Dask worker: its trials, each in a warm child process with hard limits.

A Dask worker cannot stop a Python function that does not return, nor survive one that crashes. So
every thread of it keeps a pool of one worker process, and the watchdog of that pool holds here as
it does on one machine. A trial whose future was cancelled, because its coordinator was stopped or
killed, is abandoned within a second; children that have had nothing to do for a minute end.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import tdlab
from tdlab.errors import InputError
from tdlab.lab.trial.run import Task, TrialResult
from tdlab.lab.workers.machine import worker_memory
from tdlab.lab.workers.pool import Pool

_IDLE_SECONDS = 60.0


@dataclass(frozen=True)
class HostedSettings:
    """What every trial of a run is sent with.

    Attributes
    ----------
    version : str
        Of tdlab at the coordinator.
    warm_up : tuple of Task
    """

    version: str
    warm_up: tuple[Task, ...]


@dataclass(eq=False)
class _Host:
    """The pool of one thread. Who uses or closes it holds the lock."""

    settings: HostedSettings
    pool: Pool[int]
    thread: threading.Thread
    used: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Abandoned(Exception):
    """The trial's future was cancelled."""


_hosts: dict[int, _Host] = {}
_reaper: threading.Thread | None = None
_guard = threading.Lock()


def run_hosted(task: Task, settings: HostedSettings) -> TrialResult:
    """Run one trial in a child of this Dask worker.

    Raises
    ------
    InputError
        If the worker has another version of tdlab, or its children cannot start.
    """
    from distributed import get_worker  # pyright: ignore[reportMissingImports] (extra)

    worker = get_worker()
    if settings.version != tdlab.__version__:
        raise InputError(
            f"workers: got tdlab {tdlab.__version__} on {worker.address}, wanted "
            f"{settings.version} as here"
        )
    tasks, key = worker.state.tasks, worker.get_current_task()
    host = _host(settings)
    try:
        for finished in host.pool.run(iter([(0, task)])):
            if finished:
                return finished[0][1]
            state = tasks.get(key)
            if state is None or state.state == "cancelled":
                break
        raise Abandoned
    except BaseException:
        # Its child is in the middle of something, or does not start.
        host.pool.close()
        raise
    finally:
        host.used = time.monotonic()
        host.lock.release()


def _host(settings: HostedSettings) -> _Host:
    """The host of this thread, locked; a new one if it had none or served another scan."""
    global _reaper
    thread = threading.current_thread()
    with _guard:
        host = _hosts.get(thread.native_id or 0)
        if host is None or host.settings != settings or host.thread is not thread:
            if host is not None:
                with host.lock:
                    host.pool.close()
            host = _Host(settings, Pool(1, settings.warm_up, _memory()), thread)
            _hosts[thread.native_id or 0] = host
        host.lock.acquire()
        if _reaper is None:
            _reaper = threading.Thread(target=_reap, name="tdlab-reaper", daemon=True)
            _reaper.start()
    return host


def _memory() -> int:
    """Private memory of one child: this Dask worker's limit, shared by its threads."""
    from distributed import get_worker  # pyright: ignore[reportMissingImports] (extra)

    worker = get_worker()
    threads = worker.state.nthreads
    limit = getattr(worker.memory_manager, "memory_limit", None)
    mine = worker_memory(threads)
    return min(mine, limit // threads) if limit else mine


def _reap() -> None:
    """Close what has been idle for long, or whose thread has ended."""
    while True:
        time.sleep(_IDLE_SECONDS / 6)
        with _guard:
            for number, host in list(_hosts.items()):
                if not host.lock.acquire(blocking=False):
                    continue
                idle = time.monotonic() - host.used > _IDLE_SECONDS
                if idle or not host.thread.is_alive():
                    host.pool.close()
                    del _hosts[number]
                host.lock.release()
