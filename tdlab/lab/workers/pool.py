"""A pool of worker processes with a hard time limit a trial, driven from one thread.

Every worker has a pipe of its own and nothing is shared between workers, so killing one at any
instant, by this watchdog or from outside, cannot block another. (A pool whose workers share a
queue and its locks hangs when one is killed inside; that was measured.) The clock is monotonic.
A trial whose worker dies is tried again on a fresh one, since the death may have come from
outside; the third death is the trial's own and makes it ``crashed``.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

from tdlab.errors import InputError
from tdlab.lab.trial.run import Task, TrialResult
from tdlab.lab.workers.worker import THREAD_VARIABLES, WorkerSettings

_MODULE = "tdlab.lab.workers.worker"
TICK_SECONDS = 0.2
# A method is asked to stop at the limit; one that does not is killed this much later.
GRACE_SECONDS = 1.0
_START_SECONDS = 300.0
_ATTEMPTS = 3
_MAX_START_FAILURES = 5
# Short trials are sent ahead so that a worker never waits for its coordinator; long ones are not,
# so that none waits behind another while a worker is idle.
_SHORT_SECONDS = 0.05
_AHEAD = 4
# What workers say: kind -> length of the message, and the longest in bytes.
_SIZES = {"warming": 2, "ready": 2, "done": 3, "broken": 2}
_MAX_MESSAGE = 2**20
_SILENT = "the worker lived on, but its connection was closed or written to by the trial"

Key = TypeVar("Key")


@dataclass(eq=False)
class _Job(Generic[Key]):
    key: Key
    task: Task
    deaths: int = 0


@dataclass(eq=False)
class _Worker(Generic[Key]):
    process: subprocess.Popen[bytes]
    connection: Connection
    deadline: float
    ready: bool = False
    warming: str | None = None
    last_seconds: float = float("inf")
    jobs: deque[_Job[Key]] = field(default_factory=deque)


class Pool(Generic[Key]):
    """Run tasks on worker processes.

    Parameters
    ----------
    workers : int
    warm_up : tuple of Task
        Small tasks every worker runs before its first clock.
    memory_bytes : int
        Private memory of one worker.

    Notes
    -----
    Use as a context manager: leaving it kills the workers.
    """

    def __init__(self, workers: int, warm_up: tuple[Task, ...], memory_bytes: int) -> None:
        self._size = workers
        self._warm_up = warm_up
        self._memory_bytes = memory_bytes
        self._cold: set[str] = set()
        self._workers: list[_Worker[Key]] = []
        self._again: deque[_Job[Key]] = deque()
        self._start_failures = 0

    def __enter__(self) -> Pool[Key]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Kill the workers and forget what they ran; the pool can be used again."""
        for worker in self._workers:
            _kill(worker)
        self._workers.clear()
        self._again.clear()

    @property
    def running(self) -> list[Key]:
        """Keys of the trials that run now."""
        return [worker.jobs[0].key for worker in self._workers if worker.jobs]

    def run(
        self, tasks: Iterator[tuple[Key, Task] | None]
    ) -> Iterator[list[tuple[Key, TrialResult]]]:
        """Yield finished trials as they come, in lists; an empty list a tick when there are none.

        Tasks are taken from the iterator only as workers have room for them; None says that there
        is none before others end.
        """
        exhausted = False
        while True:
            exhausted = self._hand_out(tasks, exhausted)
            if exhausted and not self._again and not any(w.jobs for w in self._workers):
                return
            finished: list[tuple[Key, TrialResult]] = []
            self._wait()
            for worker in list(self._workers):
                self._collect(worker, finished)
            yield finished

    def _hand_out(self, tasks: Iterator[tuple[Key, Task] | None], exhausted: bool) -> bool:
        """Give every worker with room its next tasks; whether the iterator has ended."""
        starting = sum(not worker.ready for worker in self._workers)
        while len(self._workers) < self._size and not (exhausted and len(self._again) <= starting):
            self._workers.append(self._start())
            starting += 1
        for worker in self._workers:
            room = _AHEAD if worker.last_seconds < _SHORT_SECONDS else 1
            while worker.ready and len(worker.jobs) < room:
                job, exhausted = self._next(tasks, exhausted)
                if job is None:
                    break
                worker.jobs.append(job)
                if len(worker.jobs) == 1:
                    worker.deadline = _deadline(job)
                with contextlib.suppress(OSError):  # it died: found out when its pipe is read
                    worker.connection.send(job.task)
        return exhausted

    def _next(
        self, tasks: Iterator[tuple[Key, Task] | None], exhausted: bool
    ) -> tuple[_Job[Key] | None, bool]:
        if self._again:
            return self._again.popleft(), exhausted
        if not exhausted:
            for item in tasks:
                return (_Job(*item) if item else None), False
        return None, True

    def _wait(self) -> None:
        """Sleep until a worker speaks or dies, a deadline passes, or the tick ends."""
        first = min((w.deadline for w in self._workers), default=float("inf"))
        timeout = min(max(first - time.monotonic(), 0.0), TICK_SECONDS)
        wait([worker.connection for worker in self._workers], timeout)

    def _collect(self, worker: _Worker[Key], finished: list[tuple[Key, TrialResult]]) -> None:
        """Take what a worker has to say; then see whether it is dead or late."""
        # Whether it has ended must be asked before its pipe is drained: in the other order its
        # last words could arrive between the two. Lateness is asked after, for a coordinator
        # that was itself asleep.
        ended, silent = _has_ended(worker.process.pid), False
        try:
            while worker.connection.poll():
                retire = self._hear(worker, _message(worker), finished)
                if retire:
                    waiting = self._remove(worker)
                    if waiting:
                        self._again.appendleft(waiting)
                    return
        except (EOFError, OSError):
            # A process that dies closes its pipe before it counts as dead; one that lives on has
            # lost its tongue, and is of no more use.
            silent = not _ends_soon(worker.process.pid)
            ended = True
        late = time.monotonic() >= worker.deadline
        if not ended and not late:
            return
        running = self._remove(worker)
        if not worker.ready:
            self._count_start_failure(worker)
        elif running and late and not ended:
            limit = running.task.time_limit
            finished.append(
                (running.key, TrialResult("timeout", f"killed past the limit of {limit:g} s"))
            )
        elif running:
            running.deaths += 1
            if running.deaths < _ATTEMPTS:
                self._again.appendleft(running)
            else:
                how = _SILENT if silent else _cause_of_death(worker.process.returncode)
                finished.append((running.key, TrialResult("crashed", how)))

    def _hear(
        self,
        worker: _Worker[Key],
        message: tuple[Any, ...],
        finished: list[tuple[Key, TrialResult]],
    ) -> bool:
        """Act on one message; whether the worker should be replaced."""
        kind = message[0]
        retire = False
        if kind == "done":
            _, result, retire = message
            worker.last_seconds = result.seconds
            finished.append((worker.jobs.popleft().key, result))
        elif kind == "warming":
            worker.warming = message[1]
        elif kind == "ready":
            worker.ready = True
            self._cold.update(message[1])
            self._start_failures = 0
        else:
            raise InputError(f"workers: could not start: {message[1]} (see `tdlab doctor`)")
        if worker.jobs:
            worker.deadline = _deadline(worker.jobs[0])
        else:
            worker.deadline = float("inf") if worker.ready else _start_deadline()
        return retire

    def _remove(self, worker: _Worker[Key]) -> _Job[Key] | None:
        """Kill a worker; return its first trial and queue the others again."""
        self._workers.remove(worker)
        _kill(worker)
        first = worker.jobs.popleft() if worker.jobs else None
        self._again.extendleft(reversed(worker.jobs))
        return first

    def _count_start_failure(self, worker: _Worker[Key]) -> None:
        """A worker that dies while it warms up a method: the next ones skip that method."""
        if worker.warming is not None:
            self._cold.add(worker.warming)
        self._start_failures += 1
        if self._start_failures > _MAX_START_FAILURES * self._size:
            how = _cause_of_death(worker.process.returncode)
            raise InputError(f"workers: could not start: {how} (see `tdlab doctor`)")

    def _start(self) -> _Worker[Key]:
        """Start a fresh interpreter with one end of a socket pair."""
        ours, theirs = socket.socketpair()
        # Half a message must not hold up the others: messages are short and written at once.
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 1, 0))
        variables = dict.fromkeys(THREAD_VARIABLES, "1")
        environment = {
            **os.environ,
            **variables,
            "PYTHONPATH": os.pathsep.join(os.path.abspath(entry) for entry in sys.path),
            "PYTHONHASHSEED": "0",
        }
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", _MODULE, str(theirs.fileno()), str(os.getpid())],
                env=environment,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                # Its own session: the terminal's Ctrl-C is the coordinator's to handle, and what
                # a trial forks dies with it.
                start_new_session=True,
            )
        connection = Connection(ours.detach())
        tasks = tuple(task for task in self._warm_up if task.cell.method.name not in self._cold)
        with contextlib.suppress(OSError):
            connection.send(WorkerSettings(self._memory_bytes, tasks))
        return _Worker(process, connection, _start_deadline())


def _deadline(job: _Job[Any]) -> float:
    return time.monotonic() + job.task.time_limit + GRACE_SECONDS


def _start_deadline() -> float:
    return time.monotonic() + _START_SECONDS


def _message(worker: _Worker[Any]) -> tuple[Any, ...]:
    """The next message of a worker; `EOFError` or `OSError` if what its pipe holds is none.

    A trial may close files that are not its own, or write to them.
    """
    data = worker.connection.recv_bytes(_MAX_MESSAGE)
    try:
        message = pickle.loads(data)
        kind, size = message[0], len(message)
        sound = _SIZES[kind] == size and (kind != "done" or isinstance(message[1], TrialResult))
    except Exception:
        sound = False
    if not sound or (kind == "done" and not worker.jobs):
        raise EOFError
    return message


def _ends_soon(pid: int) -> bool:
    """Whether a worker that closed its pipe is dead, or soon will be."""
    give_up = time.monotonic() + 0.2
    while not _has_ended(pid):
        if time.monotonic() >= give_up:
            return False
        time.sleep(0.01)
    return True


def _has_ended(pid: int) -> bool:
    """Whether a worker is dead; it stays unreaped, so that nobody else can get its number."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _kill(worker: _Worker[Any]) -> None:
    """Kill the worker, and what it forked even if it is dead itself."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(worker.process.pid, signal.SIGKILL)
    worker.process.wait()
    worker.connection.close()


def _cause_of_death(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"the worker exited with status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = str(-code)
    hint = " (killed from outside, or out of memory)" if -code == signal.SIGKILL else ""
    return f"the worker died of signal {name}{hint}"
