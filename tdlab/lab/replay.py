"""Running one stored trial again, in this process, to see it fail or to check that it agrees."""

from __future__ import annotations

import contextlib
import re
import resource
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tdlab.errors import InputError
from tdlab.lab.spec.cells import Cell, cell_from
from tdlab.lab.store.reader import CENSORED, DIGEST_CHARACTERS, open_store
from tdlab.lab.trial.run import Task, TrialResult, run_trial
from tdlab.lab.workers.machine import supplier, suppliers, worker_memory
from tdlab.lab.workers.processor import is_another, kernel, same_numbers, same_outcome
from tdlab.lab.workers.worker import last_line, limit_memory

if TYPE_CHECKING:
    from tdlab.algorithms.base import Decomposition
    from tdlab.learning.base import Fit


@dataclass(frozen=True)
class StoredTrial:
    """A trial as its store has it.

    Attributes
    ----------
    cell : Cell
        With the names that its store has for it.
    index : int
    result : TrialResult or None
        None if it has not been run.
    device : str
        Where its run computed.
    tdlab : str
        Version that ran it, empty if none did.
    method_version : int
        Of the method as it is installed now.
    supplier, supplier_now : str
        Package and version of the plug-in that supplied the method then, and that does now; empty
        for tdlab's own.
    """

    cell: Cell
    index: int
    result: TrialResult | None
    device: str
    tdlab: str
    method_version: int
    supplier: str = ""
    supplier_now: str = ""

    @property
    def name(self) -> str:
        """As exports and `tdlab replay` name it: digest prefix of the cell, and index."""
        return f"{self.cell.digest[:DIGEST_CHARACTERS]}:{self.index}"


@dataclass(frozen=True)
class Replay:
    """A trial run again.

    Attributes
    ----------
    result : TrialResult
    made : Decomposition or Fit or None
        What the method or learner returned, with its history; None if it raised.
    traceback : str
        Empty if nothing was raised.
    agrees : bool or None
        Whether outcome, reason and every number are those of the store, where one kind of
        processor ran both; on another the outcome, and the numbers to `processor.TOLERANCE`. None
        if the store has no result, or another processor gave another one: rounding may decide.
    another : bool
        Whether the store's result comes from another kind of processor.
    comment : str
        Why a difference need not be a fault; empty where it is one.
    """

    result: TrialResult
    made: Decomposition | Fit | None
    traceback: str
    agrees: bool | None
    another: bool
    comment: str


def find_trial(store: str | Path, name: str) -> StoredTrial:
    """Look a trial up.

    Parameters
    ----------
    store : path
    name : str
        ``CELL:INDEX`` with at least four digits of the cell's digest, as in exports.

    Raises
    ------
    InputError
        If no cell, or more than one, begins so.
    """
    found = re.fullmatch(r"([0-9a-f]{4,64}):([0-9]{1,9})", name.strip())
    if not found:
        raise InputError(
            f"trial: got {name!r}, wanted CELL:INDEX with the columns cell and index of an export"
        )
    prefix, index = found[1], int(found[2])
    with open_store(store) as reader:
        cells = [
            (row, identity)
            for row, (digest, identity) in reader.identities().items()
            if digest.startswith(prefix)
        ]
        if len(cells) != 1:
            many = f"a prefix of {len(cells)} cells" if cells else "a cell that the store lacks"
            raise InputError(f"trial {name}: got {many}, wanted one cell's digest as in an export")
        row, identity = cells[0]
        curve = reader.curves("all")[cell_from(identity).curve]
        result, device, version, plugin = None, "cpu", "", ""
        for each, stored, run in reader.results(row):
            if each == index:
                record = {each["id"]: each["provenance"] for each in reader.runs()}[run]
                result, device = stored, record.get("device", "cpu")
                version = record["versions"]["tdlab"]
                method = identity["method"]
                plugin = supplier(record, method["name"], method.get("learner", False))
    cell = cell_from(identity)
    version_now = _version(cell)
    cell = replace(
        cell,
        problem=replace(cell.problem, label=curve.problem_name),
        method=replace(cell.method, label=curve.method_name),
    )
    now = supplier({"plugins": suppliers()}, cell.method.name, cell.method.learner)
    return StoredTrial(cell, index, result, device, version, version_now, plugin, now)


def _version(cell: Cell) -> int:
    """Version of the cell's method or learner as it is installed; `InputError` if it is not."""
    if cell.method.learner:
        from tdlab.learning.registry import learner_class

        return learner_class(cell.method.name).version
    from tdlab.algorithms.registry import get_method

    return get_method(cell.method.name, dict(cell.method.options)).version


def replay(trial: StoredTrial) -> Replay:
    """Run a trial in this process, as a worker would: one thread, bounded memory, compiled.

    Nothing stops it at its limit but the method itself, and nothing catches a crash.
    """
    import threadpoolctl

    from tdlab import _kernels

    _kernels.warm_up()
    kernel()
    seen: list[Decomposition | Fit] = []
    trace = ""
    task = Task(trial.cell, trial.index, trial.device)
    with threadpoolctl.threadpool_limits(limits=1), _bounded_memory():
        try:
            result = run_trial(task, seen.append)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a method may call sys.exit
            kind = "memory" if isinstance(error, MemoryError) else "error"
            result = TrialResult(kind, last_line(error))
            trace = traceback.format_exc()
    result = replace(result, kernel=kernel(task.device))
    agrees, another = _agreement(trial.result, result)
    comment = "" if agrees else _comment(trial, result)
    return Replay(result, seen[0] if seen else None, trace, agrees, another, comment)


def _agreement(stored: TrialResult | None, result: TrialResult) -> tuple[bool | None, bool]:
    """Whether a result agrees with the store's, and whether another kind of processor gave that."""
    if stored is None:
        return None, False
    if not is_another(stored.kernel, result.kernel):
        return result == stored, False
    return (same_outcome(stored, result) and same_numbers(stored, result)) or None, True


@contextlib.contextmanager
def _bounded_memory() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    limit_memory(worker_memory(1))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _comment(trial: StoredTrial, result: TrialResult) -> str:
    if trial.result is None:
        return ""
    if trial.cell.method.version != trial.method_version:
        return (
            f"the store has version {trial.cell.method.version} of {trial.cell.method.name}, "
            f"installed is {trial.method_version}"
        )
    if trial.supplier != trial.supplier_now:
        return (
            f"{trial.cell.method.name} came from {trial.supplier or 'tdlab'} then, and from "
            f"{trial.supplier_now or 'tdlab'} now"
        )
    for outcome in (trial.result.outcome, result.outcome):
        if outcome in CENSORED:
            return f"{outcome} depends on the machine and its load"
    return ""
