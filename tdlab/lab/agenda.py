"""The trials that a run still has to do, in the order in which workers get them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from tdlab.lab.allocate import Allocation
from tdlab.lab.spec.cells import Cell
from tdlab.lab.spec.file import ScanSpec
from tdlab.lab.store.writer import StoreWriter
from tdlab.lab.trial.run import Task, TrialResult

Key = tuple[int, int]


class Agenda:
    """What is missing of the grid, and what the adaptive rounds ask for as others end.

    Adaptive trials go first, since later rounds wait for them; the grid fills what is left.

    Parameters
    ----------
    writer : StoreWriter
        Gets the cells that rounds ask for, and knows which of their trials are stored.
    spec : ScanSpec
    ids : sequence of int
        Of the grid's cells in the store.
    flags : sequence of bytearray
        Indices of these that are not to be run.
    device : str
    stop_at : float
        On the monotonic clock: hand out no trial after that.

    Attributes
    ----------
    cells : dict of int to Cell
        By their id in the store.
    late : bool
        Whether the clock ended it.
    asked : int
        Trials to run so far: adaptive rounds add theirs as they open.
    """

    def __init__(
        self,
        writer: StoreWriter,
        spec: ScanSpec,
        ids: Sequence[int],
        flags: Sequence[bytearray],
        device: str,
        stop_at: float,
    ) -> None:
        self.cells: dict[int, Cell] = dict(zip(ids, spec.cells, strict=True))
        self.late = False
        self.asked = sum(flag.count(0) for flag in flags)
        self._writer, self._spec, self._device, self._stop_at = writer, spec, device, stop_at
        self._grid = self._missing(ids, flags)
        self._allocation = Allocation(spec.targets, spec.rule)
        self._positions = {
            (target.cell.curve, target.cell.dim): len(spec.cells) + position
            for position, target in enumerate(spec.targets)
        }
        self._adaptive: set[int] = set()
        self._planned: dict[str, int] = {}
        self._queue: deque[Key] = deque()
        self._open()

    def trials(self) -> Iterator[tuple[Key, Task] | None]:
        """Every trial once; None where the next depends on trials that have not ended."""
        while True:
            if not self._queue:
                key = next(self._grid, None)
                if key is None and self._allocation.done:
                    return
            else:
                key = self._queue.popleft()
            if key is None:
                yield None
                continue
            if time.monotonic() >= self._stop_at:
                self.late = True
                return
            cell, index = key
            yield key, Task(self.cells[cell], index, self._device)

    def record(self, finished: Iterable[tuple[Key, TrialResult]]) -> None:
        """Take what has ended."""
        for (cell, index), result in finished:
            if cell in self._adaptive:
                self._allocation.record(self.cells[cell], index, result.outcome, result.seconds)
        self._open()

    def _missing(self, ids: Sequence[int], flags: Sequence[bytearray]) -> Iterator[Key]:
        # Index by index over all cells: an interrupted scan has even, contiguous prefixes.
        for index in range(self._spec.trials):
            for cell, flag in zip(ids, flags, strict=True):
                if not flag[index]:
                    yield cell, index

    def _open(self) -> None:
        """Queue what the rounds ask for; what is stored already is not run again."""
        while fresh := self._allocation.advance():
            for cell, index in fresh:
                self._planned[cell.digest] = max(self._planned.get(cell.digest, 0), index + 1)
            asked = {cell.digest: cell for cell, _ in fresh}
            ids = self._writer.ask(
                [
                    (cell, self._planned[digest], self._positions[cell.curve, cell.dim])
                    for digest, cell in asked.items()
                ]
            )
            known = dict(zip(asked, ids, strict=True))
            stored = {digest: self._writer.outcomes(known[digest]) for digest in asked}
            for cell, index in fresh:
                number = known[cell.digest]
                self.cells[number] = cell
                self._adaptive.add(number)
                if index in stored[cell.digest]:
                    outcome, seconds = stored[cell.digest][index]
                    self._allocation.record(cell, index, outcome, seconds)
                else:
                    self._queue.append((number, index))
                    self.asked += 1
