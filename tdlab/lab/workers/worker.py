"""The worker process: a fresh interpreter that runs trials, one at a time, until its pipe closes.

It speaks over one pipe of its own: ("warming", method), ("ready", methods that did not warm up),
("broken", why), ("done", result, retire). It dies with the coordinator, holds one BLAS and
numba thread, and compiles before any clock starts. The environment that pins the threads is set
by the coordinator, because numpy reads it on import.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import time
import traceback
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection

from tdlab.lab.trial.run import Task, TrialResult, run_trial
from tdlab.lab.workers.processor import kernel

THREAD_VARIABLES = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
_PR_SET_PDEATHSIG = 1
_WARM_UP_SECONDS = 10
_REASON_CHARACTERS = 500


@dataclass(frozen=True)
class WorkerSettings:
    """What a worker is told before its first task.

    Attributes
    ----------
    memory_bytes : int
        Private memory that a trial may hold; more raises MemoryError.
    warm_up : tuple of Task
        Small tasks that load and compile what the scan will use, one a method and problem.
    """

    memory_bytes: int
    warm_up: tuple[Task, ...]


def main() -> None:
    """Entry point: ``python -m tdlab.lab.workers.worker FILE_DESCRIPTOR PARENT_PID``."""
    connection = Connection(int(sys.argv[1]))
    _die_with(parent=int(sys.argv[2]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        settings = connection.recv()
        try:
            cold = _prepare(connection, settings)
        except Exception as error:
            connection.send(("broken", last_line(error)))
            return
        connection.send(("ready", cold))
        while True:
            result = guarded_trial(connection.recv())
            # What ran out of memory may have left its heap in pieces: ask to be replaced.
            connection.send(("done", result, result.outcome == "memory"))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the coordinator has what it wanted, or is gone


def guarded_trial(task: Task) -> TrialResult:
    """Run a trial; what it raises becomes its outcome."""
    pid, started = os.getpid(), time.perf_counter()
    try:
        result = run_trial(task)
    except MemoryError as error:
        result = TrialResult("memory", last_line(error))
    except BaseException as error:
        result = TrialResult("error", last_line(error))
    if os.getpid() != pid:
        # The trial forked and this is the child: it must not answer for its parent.
        os._exit(0)
    seconds = time.perf_counter() - started
    return replace(result, seconds=seconds, pid=pid, kernel=kernel(task.device))


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when the coordinator ends, however it ends.

    Elsewhere than on Linux the closed pipe ends it after the trial that is running.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit(1)  # it ended before the request


def _prepare(connection: Connection, settings: WorkerSettings) -> tuple[str, ...]:
    """Import, compile, pin threads, limit memory; return the methods that failed to warm up."""
    import threadpoolctl

    from tdlab import _kernels

    _kernels.warm_up()
    kernel()  # looks for libraries, which is for no trial's clock
    threadpoolctl.threadpool_limits(limits=1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit_memory(settings.memory_bytes)
    cold = set()
    for task in settings.warm_up:
        connection.send(("warming", task.cell.method.name))
        if not _warm_up(task):
            cold.add(task.cell.method.name)
    return tuple(sorted(cold))


def limit_memory(limit: int) -> None:
    """Bound private writable memory: what RLIMIT_AS bounds too, less what only reserves space.

    The soft limit alone: a process may lift it again.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    try:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    except (OSError, ValueError):
        return  # no such limit on this system: the operating system's own remains


def _warm_up(task: Task) -> bool:
    """Run a small trial for what it loads; whether it came back in time.

    A method that fails here will fail in its trials, where that is recorded.
    """

    def give_up(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(_WARM_UP_SECONDS)
    try:
        run_trial(task)
    except TimeoutError:
        return False
    except Exception:
        return True
    finally:
        signal.alarm(0)
    return True


def last_line(error: BaseException) -> str:
    """The last line of a traceback, printable."""
    text = "".join(traceback.format_exception_only(error)).strip()
    line = " ".join(text.split())
    return "".join(c if c.isprintable() else "?" for c in line)[:_REASON_CHARACTERS]


if __name__ == "__main__":
    main()
