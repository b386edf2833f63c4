"""Trials on a Dask cluster: the same tasks, the same bits, somebody else's machines.

Dask moves tasks and results and starts again elsewhere what a lost worker had; the store, the order
of trials and their limits stay ours. Each trial runs in a child process of the Dask worker
(`tdlab.lab.workers.hosted`), so its limits are as hard there as here.
"""

from __future__ import annotations

import json
import logging
import queue
import re
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import tdlab
from tdlab.errors import InputError
from tdlab.lab.trial.run import Task, TrialResult
from tdlab.lab.workers.hosted import HostedSettings, run_hosted
from tdlab.lab.workers.machine import provenance
from tdlab.lab.workers.pool import TICK_SECONDS
from tdlab.lab.workers.worker import last_line

if TYPE_CHECKING:
    from distributed import Client  # pyright: ignore[reportMissingImports] (extra)

_CONNECT_SECONDS = 10
# How often the number of workers is asked for.
_COUNT_SECONDS = 2.0
# Dask gives a task up when four workers died with it; so often it is handed in again.
_ATTEMPTS = 3
# A fetch that a broken connection stopped is tried again so often, over a few seconds.
_RETRIES = 3
# Ahead of short trials a worker has others waiting; long ones wait here, where a stop finds them.
_SHORT_SECONDS = 1.0
_AHEAD = 4

Key = TypeVar("Key")


@contextmanager
def connected(address: str) -> Iterator[Client]:
    """A client of the scheduler at an address such as ``tcp://host:8786``.

    Raises
    ------
    InputError
        If Dask is not installed, or nothing answers there.
    """
    try:
        from dask import config as dask_config  # pyright: ignore[reportMissingImports] (extra)
        from distributed import Client  # pyright: ignore[reportMissingImports] (extra)
    except ImportError:
        raise InputError(
            "executor: got 'dask' without distributed, wanted the extra: "
            "pip install 'tdlab[distributed]'"
        ) from None
    if not re.fullmatch(r"((tcp|tls)://)?[^/]+:[0-9]+", address):
        raise InputError(f"scheduler: got {address!r}, wanted an address such as tcp://host:8786")
    if address.startswith("tls:") and not dask_config.get("distributed.comm.tls.client.cert", None):
        raise InputError(
            f"scheduler: got {address!r}, wanted distributed.comm.tls in Dask's configuration too"
        )
    for name in ("distributed", "distributed.client", "distributed.core", "distributed.comm"):
        # What it has to say of a lost scheduler, an exception says in one line.
        logging.getLogger(name).setLevel(logging.CRITICAL)
    for name in ("tornado.application", "asyncio"):
        # The loops under it report what a connection left behind when it broke.
        logging.getLogger(name).addFilter(_no_broken_connection)
    try:
        client = Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TimeoutError, ImportError) as error:
        raise InputError(
            f"scheduler: got {address!r}, wanted the address of a Dask scheduler: "
            f"{last_line(error)}"
        ) from None
    retries = max(_RETRIES, dask_config.get("distributed.comm.retry.count", 0))
    try:
        # The executor never hands over a result whose only fetch failed.
        with dask_config.set({"distributed.comm.retry.count": retries}):
            yield client
    finally:
        client.close(timeout=_CONNECT_SECONDS)


def hosts(client: Client) -> list[dict[str, Any]]:
    """Provenance of the workers that are there, each kind of machine and software once.

    Raises
    ------
    InputError
        If tdlab does not load on one of them.
    """
    found: Any = client.run(provenance, on_error="return")
    for address, facts in list(found.items()):
        if isinstance(facts, OSError):
            del found[address]  # lost meanwhile: no matter of ours
        elif isinstance(facts, Exception):
            raise InputError(
                f"workers: got {last_line(facts)} on {address}, wanted tdlab {tdlab.__version__} "
                "installed there as here"
            )
    return [json.loads(text) for text in sorted({json.dumps(each) for each in found.values()})]


def slots(client: Client) -> int:
    """Trials that the cluster runs at the same time."""
    threads: Any = client.nthreads()
    return sum(threads.values())


def _no_broken_connection(record: logging.LogRecord) -> bool:
    """Whether a record tells of anything but a broken connection (`CommClosedError` is one)."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, OSError | CancelledError)


@dataclass(eq=False)
class _Job(Generic[Key]):
    key: Key
    task: Task
    attempts: int = 0


class ClusterPool(Generic[Key]):
    """Run tasks on a Dask cluster; the interface of `tdlab.lab.workers.pool.Pool`.

    Parameters
    ----------
    client : Client
    warm_up : tuple of Task
        Small tasks that every child runs before its first clock.
    """

    def __init__(self, client: Client, warm_up: tuple[Task, ...]) -> None:
        self._client = client
        self._address = client.scheduler.address if client.scheduler else ""
        self._settings = HostedSettings(tdlab.__version__, warm_up)
        self._executor = client.get_executor(pure=False)
        self._flying: dict[Future[TrialResult], _Job[Key]] = {}
        self._landed: queue.SimpleQueue[Future[TrialResult]] = queue.SimpleQueue()
        self._again: deque[_Job[Key]] = deque()
        self._slots, self._counted = 0, float("-inf")
        self._seconds = float("inf")

    def __enter__(self) -> ClusterPool[Key]:
        return self

    def __exit__(self, *_: object) -> None:
        self._flying.clear()
        self._executor.shutdown(wait=False)

    @property
    def running(self) -> list[Key]:
        """Keys of the oldest trials under way, one a slot."""
        return [job.key for job in self._flying.values()][: self._slots]

    def run(
        self, tasks: Iterator[tuple[Key, Task] | None]
    ) -> Iterator[list[tuple[Key, TrialResult]]]:
        """Yield finished trials as they come, in lists; an empty list a tick when there are none.

        Without workers it waits for some.
        """
        exhausted = False
        while True:
            exhausted = self._hand_out(tasks, exhausted)
            if exhausted and not self._flying and not self._again:
                return
            yield self._collect()

    def _hand_out(self, tasks: Iterator[tuple[Key, Task] | None], exhausted: bool) -> bool:
        room = self._count() * (_AHEAD if self._seconds < _SHORT_SECONDS else 1)
        while len(self._flying) < room:
            if self._again:
                job = self._again.popleft()
            elif exhausted:
                break
            else:
                try:
                    following = next(tasks)
                except StopIteration:
                    return True
                if following is None:
                    break
                job = _Job(*following)
            future = self._executor.submit(run_hosted, job.task, self._settings)
            self._flying[future] = job
            future.add_done_callback(self._landed.put)
        return exhausted

    def _count(self) -> int:
        """Slots, asked for every few seconds: clusters grow and shrink."""
        now = time.monotonic()
        if now - self._counted >= _COUNT_SECONDS:
            try:
                self._slots = slots(self._client)
            except (OSError, TimeoutError, ValueError):
                raise self._lost() from None
            self._counted = now
        return self._slots

    def _collect(self) -> list[tuple[Key, TrialResult]]:
        finished: list[tuple[Key, TrialResult]] = []
        try:
            self._take(self._landed.get(timeout=TICK_SECONDS), finished)
            while True:
                self._take(self._landed.get_nowait(), finished)
        except queue.Empty:
            return finished

    def _take(self, future: Future[TrialResult], finished: list[tuple[Key, TrialResult]]) -> None:
        from distributed import KilledWorker  # pyright: ignore[reportMissingImports] (extra)

        job = self._flying.pop(future)
        try:
            result = future.result()
        except KilledWorker:
            # Its own death would have ended a child, not the Dask worker: this came from outside.
            job.attempts += 1
            if job.attempts < _ATTEMPTS:
                self._again.append(job)
                return
            result = TrialResult("crashed", f"the Dask workers died, {_ATTEMPTS} times over")
        except CancelledError:
            raise self._lost() from None
        except InputError:
            raise
        except Exception as error:
            raise InputError(
                f"scheduler {self._address}: its workers cannot run trials: {last_line(error)}"
            ) from None
        self._seconds = result.seconds
        finished.append((job.key, result))

    def _lost(self) -> InputError:
        return InputError(
            f"scheduler {self._address}: connection lost; what was committed is kept, and the "
            "same command resumes"
        )
