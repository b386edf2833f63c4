"""Writing a store: one writer at a time, a commit as trials come.

The writer holds ``flock`` on ``STORE.lock``. In WAL mode a commit is an append to the log, cheap
enough for every trial; killing the process at any instant loses nothing that was committed, power
loss may lose the last commits. Network file systems do not have the shared memory WAL needs: there
the journal is a file beside the store that each commit truncates, slower but as safe against kills.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tdlab.errors import InputError
from tdlab.lab.spec.cells import Cell
from tdlab.lab.spec.identity import SCHEMA_VERSION, canonical_json
from tdlab.lab.spec.shard import Shard
from tdlab.lab.store.file import APPLICATION_ID, check_store_file, explained
from tdlab.lab.trial.run import TrialResult
from tdlab.lab.workers.machine import on_network, provenance

if TYPE_CHECKING:
    from tdlab.lab.spec.file import ScanSpec

_SCHEMA = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
CREATE TABLE cells (
    id INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    identity TEXT NOT NULL,
    curve TEXT NOT NULL,
    problem TEXT NOT NULL,
    method TEXT NOT NULL,
    ensemble TEXT NOT NULL,
    dim INTEGER NOT NULL,
    rank INTEGER NOT NULL,
    tensor_order INTEGER NOT NULL,
    n INTEGER,
    is_null INTEGER NOT NULL,
    schedule TEXT NOT NULL,
    target INTEGER NOT NULL,
    position INTEGER NOT NULL
);
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    started REAL NOT NULL,
    finished REAL,
    ended TEXT,
    name TEXT NOT NULL,
    spec_digest TEXT NOT NULL,
    spec TEXT NOT NULL,
    workers INTEGER NOT NULL,
    provenance TEXT NOT NULL
);
CREATE TABLE reasons (
    id INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
);
CREATE TABLE kernels (
    id INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
);
CREATE TABLE trials (
    cell INTEGER NOT NULL REFERENCES cells (id),
    idx INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    reason INTEGER REFERENCES reasons (id),
    recovered REAL,
    residual REAL,
    risk_ratio REAL,
    seconds REAL NOT NULL,
    method_seconds REAL,
    run INTEGER NOT NULL REFERENCES runs (id),
    pid INTEGER NOT NULL,
    finished REAL NOT NULL,
    kernel INTEGER REFERENCES kernels (id),
    PRIMARY KEY (cell, idx)
) WITHOUT ROWID;
"""


class StoreWriter:
    """The one writer of a store; makes the file if there is none.

    Parameters
    ----------
    path : Path

    Raises
    ------
    InputError
        If the file is not a whole store of this schema, is in use, or cannot be written.
        Nothing is changed then.
    """

    def __init__(self, path: Path) -> None:
        self.path = path = followed(path)
        self._run = 0
        self._lock = _take_lock(path)
        try:
            if not path.exists():
                _create(path)
            check_store_file(path)
            with explained(path):
                self._connection = self._connect()
        except BaseException:
            self._lock.release()
            raise

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, timeout=30.0)
        try:
            # First, while nothing is written: a damaged file stays as it was found.
            verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if verdict != "ok":
                raise sqlite3.DatabaseError(f"malformed: {' '.join(verdict.split())}")
            mode = "truncate" if on_network(self.path) else "wal"
            connection.execute(f"PRAGMA journal_mode = {mode}")
            connection.execute("PRAGMA synchronous = NORMAL")
            # Asks for the right to write before any trial is run.
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
        return connection

    def begin(
        self,
        spec: ScanSpec,
        workers: int,
        device: str = "cpu",
        shard: Shard | None = None,
        hosts: Sequence[Mapping[str, Any]] = (),
    ) -> list[int]:
        """Record a run and its cells; return the store's id of every cell of the specification.

        ``hosts`` is the provenance of other machines that run its trials.
        """
        part = str(shard) if shard else None
        facts = {
            "device": device,
            "shard": part,
            "trials": spec.trials,
            "cells": len(spec.cells),
            "hosts": list(hosts),
        }
        record = json.dumps({**provenance(), **facts})
        with explained(self.path):
            execute = self._connection.execute
            execute("BEGIN IMMEDIATE")
            # Cells of earlier specifications move behind the present ones.
            execute("UPDATE cells SET target = 0, position = position + ?", (len(spec.cells),))
            for position, cell in enumerate(spec.cells):
                trials = shard.size(cell, spec.trials) if shard else spec.trials
                self._upsert(cell, trials, position)
            self._relabel(spec.cells)
            cursor = execute(
                "INSERT INTO runs (started, name, spec_digest, spec, workers, provenance) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (time.time(), spec.name, spec.digest, spec.source, workers,
                 record),
            )  # fmt: skip
            self._run = cursor.lastrowid or 0
            execute("COMMIT")
            known = dict(execute("SELECT digest, id FROM cells"))
        return [known[cell.digest] for cell in spec.cells]

    def ask(self, cells: Iterable[tuple[Cell, int, int]]) -> list[int]:
        """Raise the trials that (cell, trials, position) are to have; the store's ids of them."""
        cells = list(cells)
        with explained(self.path):
            execute = self._connection.execute
            execute("BEGIN IMMEDIATE")
            for cell, trials, position in cells:
                self._upsert(cell, trials, position)
            self._relabel(cell for cell, _, _ in cells)
            execute("COMMIT")
            return [
                execute("SELECT id FROM cells WHERE digest = ?", (cell.digest,)).fetchone()[0]
                for cell, _, _ in cells
            ]

    def outcomes(self, cell: int) -> dict[int, tuple[str, float]]:
        """(outcome, seconds) of every stored trial of a cell, by index."""
        with explained(self.path):
            found = self._connection.execute(
                "SELECT idx, outcome, seconds FROM trials WHERE cell = ?", (cell,)
            )
            return {index: (outcome, seconds) for index, outcome, seconds in found}

    def _upsert(self, cell: Cell, trials: int, position: int) -> None:
        self._connection.execute(
            "INSERT INTO cells (digest, identity, curve, problem, method, ensemble, dim, rank, "
            "tensor_order, n, is_null, schedule, target, position) "
            "VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?) "
            "ON CONFLICT (digest) DO UPDATE SET target = excluded.target, "
            "position = excluded.position",
            (
                cell.digest,
                canonical_json(cell.identity),
                cell.curve,
                cell.problem.label,
                cell.method.label,
                cell.problem.law.family,
                cell.dim,
                cell.rank,
                cell.problem.order,
                cell.samples,
                cell.problem.null,
                cell.schedule,
                trials,
                position,
            ),
        )

    def _relabel(self, cells: Iterable[Cell]) -> None:
        """Give every stored cell of these curves their labels, where they had others."""
        labels = {cell.curve: (cell.problem.label, cell.method.label) for cell in cells}
        self._connection.executemany(
            "UPDATE cells SET problem = ?1, method = ?2 "
            "WHERE curve = ?3 AND (problem != ?1 OR method != ?2)",
            [(*pair, curve) for curve, pair in labels.items()],
        )

    def stored(self, cells: Sequence[int], trials: int) -> list[bytearray]:
        """For each cell, which of the indices 0..trials-1 are stored: one byte an index."""
        flags = {cell: bytearray(trials) for cell in cells}
        with explained(self.path):
            for cell, index in self._connection.execute(
                "SELECT cell, idx FROM trials WHERE idx < ?", (trials,)
            ):
                if cell in flags:
                    flags[cell][index] = 1
        return [flags[cell] for cell in cells]

    def commit(self, results: Iterable[tuple[tuple[int, int], TrialResult]]) -> None:
        """Store finished trials, ((cell, index), result), in one transaction."""
        with explained(self.path):
            execute = self._connection.execute
            execute("BEGIN IMMEDIATE")
            try:
                for (cell, index), result in results:
                    for table, text in (("reasons", result.reason), ("kernels", result.kernel)):
                        if text:
                            execute(f"INSERT OR IGNORE INTO {table} (text) VALUES (?)", (text,))
                    execute(
                        "INSERT INTO trials VALUES (?, ?, ?, "
                        "(SELECT id FROM reasons WHERE text = ?), ?, ?, ?, ?, ?, ?, ?, ?, "
                        "(SELECT id FROM kernels WHERE text = ?))",
                        (
                            cell,
                            index,
                            result.outcome,
                            result.reason,
                            result.recovered,
                            result.residual,
                            result.risk_ratio,
                            result.seconds,
                            result.method_seconds,
                            self._run,
                            result.pid,
                            time.time(),
                            result.kernel,
                        ),
                    )
                execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    execute("ROLLBACK")
                raise

    def finish(self, ended: str) -> None:
        """Record how the run ended ("done", "interrupted", "time-limit")."""
        with explained(self.path):
            self._connection.execute(
                "UPDATE runs SET finished = ?, ended = ? WHERE id = ?",
                (time.time(), ended, self._run),
            )

    def close(self) -> None:
        """Leave one plain file, and the lock to others."""
        # Out of WAL mode the store is a single file that can be copied and read from read-only
        # places. A reader that has it open forbids that, and then the log simply stays.
        self._connection.execute("PRAGMA busy_timeout = 0")
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("PRAGMA journal_mode = DELETE").fetchall()
        self._connection.close()
        self._lock.release()

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Lock:
    """``flock`` on a file beside the store, removed when it is given back."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path, self._descriptor = path, descriptor

    def release(self) -> None:
        # Removed while it is held: who waits on the removed file finds out and opens anew.
        with contextlib.suppress(OSError):
            os.unlink(self._path)
        os.close(self._descriptor)


def followed(path: Path) -> Path:
    """The store itself where a symbolic link stands for it, so that both have one lock."""
    return path.resolve() if path.is_symlink() and path.exists() else path


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the writer's lock of a store, which need not exist."""
    lock = _take_lock(path)
    try:
        yield
    finally:
        lock.release()


def _take_lock(store: Path) -> _Lock:
    """Refuse what is no store; become its one writer."""
    if store.exists() or store.is_symlink():
        check_store_file(store)
    elif not store.parent.is_dir():
        raise InputError(f"store {store}: got no directory {store.parent}, wanted one")
    path = store.with_name(store.name + ".lock")
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise InputError(
                f"store {store}: cannot write in {store.parent}: {error.strerror}"
            ) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                raise InputError(
                    f"store {store}: in use by another run (process {holder or 'unknown'}), "
                    "wanted one writer at a time"
                ) from None
            raise InputError(f"store {store}: cannot be locked: {error.strerror}") from None
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                break
        os.close(descriptor)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    except OSError as error:
        _Lock(path, descriptor).release()
        raise InputError(f"store {store}: cannot write: {error.strerror}") from None
    return _Lock(path, descriptor)


def draft_of(path: Path) -> Path:
    """Where a store is made before it has its name; only who holds its lock may."""
    return path.with_name(f".{path.name}.tdlab-new")


def make_tables(connection: sqlite3.Connection) -> None:
    """Turn an empty database into an empty store."""
    connection.executescript(_SCHEMA)


def _create(path: Path) -> None:
    """Make an empty store under another name and give it its own when it is whole."""
    draft = draft_of(path)
    try:
        draft.unlink(missing_ok=True)
        with explained(path):
            connection = sqlite3.connect(draft, isolation_level=None)
            try:
                make_tables(connection)
            finally:
                connection.close()
        os.rename(draft, path)
    except OSError as error:
        raise InputError(f"store {path}: cannot be made: {error.strerror}") from None
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
