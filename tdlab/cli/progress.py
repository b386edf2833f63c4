"""Live progress: a bar on a terminal, plain lines elsewhere, both on standard error; a log file."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tdlab.cli.tables import duration
from tdlab.errors import InputError
from tdlab.lab.store.counts import titled

if TYPE_CHECKING:
    from tdlab.lab.spec.cells import Cell
    from tdlab.lab.spec.file import ScanSpec
    from tdlab.lab.trial.run import TrialResult

_LINE_SECONDS = 5.0
_LOG_SECONDS = 60.0


class PlainProgress:
    """A line at the start, every few seconds, and at the end.

    Attributes
    ----------
    done : int
        Trials finished in this run.
    """

    _every = _LINE_SECONDS

    def __init__(self) -> None:
        self.done = 0
        self._adaptive = False
        self._outcomes: Counter[str] = Counter()
        self._errors: set[str] = set()

    def begin(self, spec: ScanSpec, todo: int, stored: int) -> None:
        self._todo = todo
        self._started = self._shown = self._heard = time.monotonic()
        self._running_since: float | None = None
        have = f", {stored} stored already" if stored else ""
        parts = [f"{len(spec.cells)} cells"] if spec.cells else []
        if spec.targets:
            self._adaptive = True
            parts.append(f"{len(spec.targets)} adaptive thresholds")
            have = ", more as rounds end"
        self._say(f"{spec.name}: {', '.join(parts)}, {todo} trials to run{have}")

    def advance(
        self, finished: list[tuple[Cell, int, TrialResult]], running: list[Cell], todo: int
    ) -> None:
        self._todo = todo
        self.done += len(finished)
        # Workers take seconds to start and compile: that is no part of the rate.
        if self._running_since is None and (finished or running):
            self._running_since = self._heard
        self._heard = time.monotonic()
        for cell, index, result in finished:
            self._outcomes[result.outcome] += 1
            if result.outcome == "error" and result.reason not in self._errors:
                # An exception is a bug: say so at once, each kind once.
                self._errors.add(result.reason)
                self._say(f"error in {_place(cell)} trial {index}: {result.reason}")
        self._update(running)

    def end(self) -> None:
        self._say(self._line([]))

    def _update(self, running: list[Cell]) -> None:
        now = time.monotonic()
        if now - self._shown >= self._every:
            self._shown = now
            self._say(self._line(running))

    def _line(self, running: list[Cell]) -> str:
        now = time.monotonic()
        spent = duration(now - self._started)
        parts = [f"{self.done}/{self._todo} trials"]
        if self._running_since is None:
            parts.append(f"no worker ready after {spent}")
        else:
            seconds = max(now - self._running_since, 1e-9)
            parts.append(f"{self.done / seconds:.1f}/s")
            if self._adaptive and running:
                parts.append(f"{self._todo - self.done} asked for")
            elif 0 < self.done < self._todo:
                parts.append(f"{duration(seconds * (self._todo - self.done) / self.done)} left")
            else:
                parts.append(f"{spent} in all" if self.done == self._todo else f"{spent} so far")
        parts.append(", ".join(f"{n} {outcome}" for outcome, n in self._outcomes.most_common()))
        if running:
            parts.append(f"now {'; '.join(_place(cell) for cell in running[:2])}")
        return "  ".join(part for part in parts if part)

    def _say(self, text: str) -> None:
        # Whoever reads along may go, and the disk of a batch job's output may be full: the scan
        # has its store.
        with contextlib.suppress(OSError):
            click.echo(text, err=True)


class LiveProgress(PlainProgress):
    """The same lines below a bar that moves."""

    def begin(self, spec: ScanSpec, todo: int, stored: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._progress = Progress(
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.description}", markup=False),
            console=Console(stderr=True),
            transient=True,
            # Rich refreshes from here, not from a thread: workers start from this process.
            auto_refresh=False,
        )
        self._bar = self._progress.add_task("starting workers", total=todo)
        super().begin(spec, todo, stored)
        with contextlib.suppress(OSError):
            self._progress.start()

    def _update(self, running: list[Cell]) -> None:
        now = time.monotonic()
        if now - self._shown >= 0.1:
            self._shown = now
            if self.done or running:
                line = self._line(running).partition("trials  ")[2]
                self._progress.update(
                    self._bar, completed=self.done, total=self._todo, description=line
                )
            with contextlib.suppress(OSError):
                self._progress.refresh()

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self._progress.stop()
        super().end()

    def _say(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)


class LogProgress(PlainProgress):
    """The same lines at the end of a file, each with the time; fewer of them.

    Parameters
    ----------
    path : Path

    Raises
    ------
    InputError
        If the file cannot be written. Later failures, of a full disk say, do not end a run.
    """

    _every = _LOG_SECONDS

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        try:
            path.open("a", encoding="utf-8").close()
        except OSError as error:
            raise InputError(f"log {path}: cannot be written: {error.strerror}") from None

    def _say(self, text: str) -> None:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        with contextlib.suppress(OSError), self._path.open("a", encoding="utf-8") as file:
            file.write(f"{stamp} {text}\n")


class _Both:
    """Two watchers of one run; ``done`` is the first one's."""

    def __init__(self, *watchers: PlainProgress) -> None:
        self._watchers = watchers

    @property
    def done(self) -> int:
        return self._watchers[0].done

    def begin(self, spec: ScanSpec, todo: int, stored: int) -> None:
        for watcher in self._watchers:
            watcher.begin(spec, todo, stored)

    def advance(
        self, finished: list[tuple[Cell, int, TrialResult]], running: list[Cell], todo: int
    ) -> None:
        for watcher in self._watchers:
            watcher.advance(finished, running, todo)

    def end(self) -> None:
        for watcher in self._watchers:
            watcher.end()


def make_progress(log: Path | None = None) -> PlainProgress | _Both:
    """Live on a terminal, plain elsewhere, and in a log file if one is named."""
    shown = LiveProgress() if sys.stderr.isatty() else PlainProgress()
    return shown if log is None else _Both(shown, LogProgress(log))


def _place(cell: Cell) -> str:
    problem = titled(cell.problem.label, cell.problem.null)
    return f"{problem} {cell.method.label} d={cell.dim} r={cell.rank}"
