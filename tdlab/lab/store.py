"""Reading a store: one SQLite file with the cells, trials and runs of a scan.

A store is opened read-only, also while a run writes it. What is not a whole store of this schema
is refused in one line before SQLite sees it, from the 100-byte header alone.

Layout: ``cells`` (identity as canonical JSON and its digest, labels for display), ``trials``
(integer cell, index; a row a trial), ``reasons`` and ``kernels`` (their texts, each once), ``runs``
(provenance).
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tdlab.errors import InputError
from tdlab.lab.identity import SCHEMA_VERSION
from tdlab.lab.trial import OUTCOMES, TrialResult

if TYPE_CHECKING:
    import pandas as pd

APPLICATION_ID = 0x54444C42  # "TDLB"
DIGEST_CHARACTERS = 16
COLUMNS = (
    "cell", "problem", "dim", "rank", "n", "method", "index", "outcome", "reason", "recovered",
    "residual", "risk_ratio", "meta_seconds", "meta_method_seconds", "meta_run", "meta_pid",
    "meta_finished", "meta_kernel",
)  # fmt: skip

# Ended without a result of their own: they count neither as success nor as failure.
CENSORED = ("timeout", "memory", "crashed")
_HEADER = b"SQLite format 3\0"
_CHUNK = 50_000
_TRIALS = (
    "trials LEFT JOIN reasons ON reasons.id = trials.reason "
    "LEFT JOIN kernels ON kernels.id = trials.kernel"
)


@dataclass(frozen=True)
class CellCounts:
    """A cell and how its trials ended.

    Attributes
    ----------
    id : int
        Row in the store.
    cell : str
        First 16 digits of the digest.
    curve : str
        Digest of all but (dim, rank).
    problem, method, ensemble : str
    dim, rank, order : int
    n : int or None
    null : bool
    target : int
        Trials that the latest specification asks for, 0 if the cell is not in it.
    outcomes : dict of str to int
        Trials by outcome, all eight.
    prefix : dict of str to int
        The same for indices 0, 1, 2, ... up to the first that is missing: conclusions use these,
        so that what ends fast does not bias them.
    seconds : float
        Mean time of a trial.
    schedule : str
        What the method's own rules make of this dimension, if it has any.
    """

    id: int
    cell: str
    curve: str
    problem: str
    method: str
    ensemble: str
    dim: int
    rank: int
    order: int
    n: int | None
    null: bool
    target: int
    outcomes: dict[str, int]
    prefix: dict[str, int]
    seconds: float
    schedule: str = ""

    @property
    def done(self) -> int:
        """Trials stored."""
        return sum(self.outcomes.values())


class Store:
    """A store, read-only.

    Attributes
    ----------
    path : Path
    address : str
        URI by which SQLite reads it without writing anything.

    Examples
    --------
    >>> import tdlab
    >>> store = tdlab.open_store("quickstart.db")              # doctest: +SKIP
    >>> store.thresholds()[["problem", "method", "dim", "rank"]]   # doctest: +SKIP
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        check_store_file(self.path)
        with explained(self.path):
            self._connection, self.address = _connect_read_only(self.path)

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r})"

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def __del__(self) -> None:
        if hasattr(self, "_connection"):
            self._connection.close()

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Trials as tuples of `COLUMNS`, sorted by cell and index, streamed."""
        texts: dict[str, str] = {}
        with explained(self.path):
            cells = self._connection.execute(
                f"SELECT id, substr(digest, 1, {DIGEST_CHARACTERS}), problem, dim, rank, n, method "
                "FROM cells ORDER BY digest"
            ).fetchall()
            for cell, *labels in cells:
                trials = self._connection.execute(
                    "SELECT idx, outcome, coalesce(reasons.text, ''), recovered, residual, "
                    "risk_ratio, seconds, method_seconds, run, pid, finished, "
                    f"coalesce(kernels.text, '') FROM {_TRIALS} WHERE cell = ? ORDER BY idx",
                    (cell,),
                )
                for index, *found in trials:
                    # One object a text, not one a row: a frame of 10^6 trials holds them all.
                    for place in (0, 1, -1):
                        found[place] = texts.setdefault(found[place], found[place])
                    yield (*labels, index, *found)

    def counts(self) -> list[CellCounts]:
        """Every cell with its trials by outcome, in the order of the specification."""
        with explained(self.path):
            # One transaction, so that a run which writes meanwhile cannot split the answer.
            self._connection.execute("BEGIN")
            try:
                return self._counts()
            finally:
                self._connection.execute("COMMIT")

    def _counts(self) -> list[CellCounts]:
        execute = self._connection.execute
        everything = "SELECT cell, outcome, count(*), sum(seconds) FROM trials {} GROUP BY 1, 2"
        outcomes: dict[int, dict[str, int]] = {}
        seconds: dict[int, float] = {}
        for cell, outcome, count, total in execute(everything.format("")):
            outcomes.setdefault(cell, dict.fromkeys(OUTCOMES, 0))[outcome] = count
            seconds[cell] = seconds.get(cell, 0.0) + total
        prefix = {cell: dict(counts) for cell, counts in outcomes.items()}
        for cell, last in execute("SELECT cell, max(idx) FROM trials GROUP BY cell"):
            if last + 1 == sum(outcomes[cell].values()):
                continue
            first_gap = 0
            for (index,) in execute("SELECT idx FROM trials WHERE cell = ? ORDER BY idx", (cell,)):
                if index != first_gap:
                    break
                first_gap += 1
            prefix[cell] = dict.fromkeys(OUTCOMES, 0)
            whole = execute(everything.format("WHERE cell = ? AND idx < ?"), (cell, first_gap))
            prefix[cell].update({outcome: count for _, outcome, count, _ in whole})
        found = []
        for cell, digest, *rest in execute(
            "SELECT id, digest, curve, problem, method, ensemble, dim, rank, tensor_order, n, "
            "is_null, target, schedule FROM cells ORDER BY position, id"
        ):
            counts = outcomes.get(cell, dict.fromkeys(OUTCOMES, 0))
            done = sum(counts.values())
            curve, problem, method, ensemble, dim, rank, order, n, null, target, schedule = rest
            found.append(
                CellCounts(
                    cell,
                    digest[:DIGEST_CHARACTERS],
                    curve,
                    problem,
                    method,
                    ensemble,
                    dim,
                    rank,
                    order,
                    n,
                    bool(null),
                    target,
                    counts,
                    prefix.get(cell, dict.fromkeys(OUTCOMES, 0)),
                    seconds.get(cell, 0.0) / max(done, 1),
                    schedule,
                )
            )
        return found

    def identities(self) -> dict[int, tuple[str, dict[str, Any]]]:
        """Row of every cell -> (digest, identity), in the order of the specification."""
        with explained(self.path):
            found = self._connection.execute(
                "SELECT id, digest, identity FROM cells ORDER BY position, id"
            ).fetchall()
        return {cell: (digest, json.loads(identity)) for cell, digest, identity in found}

    def curves(self) -> dict[str, dict[str, Any]]:
        """Digest of every curve -> the identity of one of its cells: one for many cells."""
        with explained(self.path):
            found = self._connection.execute(
                "SELECT curve, identity FROM cells WHERE id IN "
                "(SELECT min(id) FROM cells GROUP BY curve) ORDER BY position, id"
            ).fetchall()
        return {curve: json.loads(identity) for curve, identity in found}

    def results(self, cell: int) -> Iterator[tuple[int, TrialResult, int]]:
        """(index, result, run) of every trial of one cell, by its row; indices ascend."""
        with explained(self.path):
            for index, run, *facts in self._connection.execute(
                "SELECT idx, run, outcome, coalesce(reasons.text, ''), recovered, residual, "
                "risk_ratio, seconds, method_seconds, pid, coalesce(kernels.text, '') "
                f"FROM {_TRIALS} WHERE cell = ? ORDER BY idx",
                (cell,),
            ):
                yield index, TrialResult(*facts), run

    def kernels(self) -> dict[str, int]:
        """Trials by the kernel that they ran on, most first; those killed ran on none to its end.

        Bits are compared within one of them only (`tdlab.lab.processor`).
        """
        with explained(self.path):
            return dict(
                self._connection.execute(
                    "SELECT text, count(*) FROM trials JOIN kernels ON kernels.id = kernel "
                    "GROUP BY text ORDER BY 2 DESC, 1"
                ).fetchall()
            )

    def runs(self) -> list[dict[str, Any]]:
        """Provenance of every run, oldest first."""
        with explained(self.path):
            cursor = self._connection.execute(
                "SELECT id, started, finished, ended, name, spec_digest, spec, workers, provenance "
                "FROM runs ORDER BY id"
            )
            names = [column[0] for column in cursor.description]
            found = [dict(zip(names, row, strict=True)) for row in cursor]
        for run in found:
            run["provenance"] = json.loads(run["provenance"])
        return found

    def trials(self) -> pd.DataFrame:
        """All trials: the columns of an export, sorted by cell and index."""
        import itertools

        import pandas as pd

        rows = self.rows()
        parts = []
        while chunk := list(itertools.islice(rows, _CHUNK)):
            parts.append(_typed(pd.DataFrame.from_records(chunk, columns=list(COLUMNS))))
        if not parts:
            return _typed(pd.DataFrame({name: [] for name in COLUMNS}))
        return pd.concat(parts, ignore_index=True)

    def cells(self) -> pd.DataFrame:
        """A row a cell: its labels, its target, its trials by outcome, the mean seconds of one."""

        rows = [
            {
                "cell": cell.cell,
                "curve": cell.curve[:DIGEST_CHARACTERS],
                "problem": cell.problem,
                "dim": cell.dim,
                "rank": cell.rank,
                "n": cell.n,
                "method": cell.method,
                "ensemble": cell.ensemble,
                "order": cell.order,
                "null": cell.null,
                "target": cell.target,
                "done": cell.done,
                **cell.outcomes,
                "meta_seconds": cell.seconds,
            }
            for cell in self.counts()
        ]
        return _frame(rows, [*_CELL_COLUMNS, *OUTCOMES, "meta_seconds"])

    def thresholds(self, event: str = "recovered") -> pd.DataFrame:
        """The rank of even odds of each problem, method and dimension, with its interval.

        ``event`` is what counts as success: "recovered"; "beats-trivial", a risk below that of the
        trivial predictor; "beats-null", one below that of the null's trial of the same index.
        ``flags`` says how the interval came about: ``quantised``, ``shape``, ``non-monotone``,
        ``censored`` (`tdlab.stats.Threshold`).
        """
        from tdlab.lab.events import counted_by
        from tdlab.lab.summary import threshold_rows

        return _frame(threshold_rows(counted_by(event, self)), _THRESHOLD_COLUMNS)

    def exponents(self) -> pd.DataFrame:
        """r* = c d^exponent of each problem and method, with its interval and local slopes.

        ``slopes`` lists the exponent between neighbouring dimensions and its standard error;
        ``drift_*`` is the fit c d^exponent (1 + b/d) beside it. A fit needs four dimensions.
        """
        import pandas as pd

        from tdlab.lab.summary import exponent_rows

        columns = [
            "problem", "method", "n", "dims", "exponent", "low", "high", "prefactor", "between",
            "drift_exponent", "drift_low", "drift_high", "status", "slopes", "message",
        ]  # fmt: skip
        rows = exponent_rows(self.counts())
        return pd.DataFrame(rows, columns=pd.Index(columns)).astype({"n": "Int64"})


_CELL_COLUMNS = (
    "cell", "curve", "problem", "dim", "rank", "n", "method", "ensemble", "order", "null",
    "target", "done",
)  # fmt: skip
_THRESHOLD_COLUMNS = (
    "problem", "method", "dim", "n", "r_star", "low", "high", "status", "flags", "trials",
    "timeouts", "errors",
)  # fmt: skip


def _frame(rows: list[dict[str, Any]], columns: Iterable[str]) -> pd.DataFrame:
    """Rows as a frame with these columns, also where there are none."""
    import pandas as pd

    return pd.DataFrame(rows, columns=pd.Index(list(columns))).astype({"n": "Int64"})


def open_store(path: str | Path) -> Store:
    """Open a store for reading, also one that a run is writing.

    Raises
    ------
    InputError
        If there is no such file, or it is not a whole store of this schema.
    """
    return Store(path)


def check_store_file(path: Path) -> None:
    """Refuse what is not a whole store of this schema, in one line."""
    try:
        if not path.exists():
            raise InputError(f"store {path}: no such file, wanted a store (`tdlab run` makes one)")
        if not path.is_file():
            kind = "a directory" if path.is_dir() else "a special file"
            raise InputError(f"store {path}: got {kind}, wanted a file")
        size = path.stat().st_size
        with path.open("rb") as file:
            header = file.read(100)
    except OSError as error:
        raise InputError(f"store {path}: cannot be read: {error.strerror}") from None
    wanted = "wanted a store made by `tdlab run`; the file was left as it is"
    if header[:16] != _HEADER[: len(header[:16])] or not header:
        raise InputError(f"store {path}: got another kind of file, {wanted}")
    if len(header) < 100:
        raise InputError(f"store {path}: got a torn file of {size} bytes, {wanted}")
    application = int.from_bytes(header[68:72], "big")
    if application != APPLICATION_ID:
        raise InputError(f"store {path}: got an SQLite database of another program, {wanted}")
    version = int.from_bytes(header[60:64], "big")
    if version != SCHEMA_VERSION:
        raise InputError(
            f"store {path}: got schema {version}, wanted {SCHEMA_VERSION}: use the tdlab that "
            "wrote it, or another file; this one was left as it is"
        )
    page = int.from_bytes(header[16:18], "big")
    whole = (65536 if page == 1 else page) * int.from_bytes(header[28:32], "big")
    # A kill in the middle of a checkpoint leaves a short file that its log completes.
    logs = (path.with_name(path.name + suffix) for suffix in ("-wal", "-journal"))
    if size < whole and not any(log.exists() and log.stat().st_size for log in logs):
        raise InputError(f"store {path}: got a torn file, {size} bytes of {whole}, {wanted}")


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what SQLite says of a file into one line that names it."""
    try:
        yield
    except sqlite3.Error as error:
        text = str(error)
        if "full" in text:
            advice = "free some space and run again; what was committed is kept"
        elif "malformed" in text or "not a database" in text:
            advice = "the file is damaged and was left as it is; restore a copy, or use another"
        elif "locked" in text:
            advice = "another program holds it; try again when that has ended"
        else:
            advice = "what was committed is kept"
        raise InputError(f"store {path}: {text}; {advice}") from None


def _connect_read_only(path: Path) -> tuple[sqlite3.Connection, str]:
    """Connect without writing anything; the connection and its address.

    A store that ended well has no log beside it. Where the folder is read-only as well, SQLite
    cannot set one up for a store in WAL mode; `immutable` is right there, as nothing can write.
    """
    address = f"file:{quote(os.fsencode(path.resolve()))}?mode=ro"
    # Garbage may be collected in any thread, and closes the connection there.
    options: dict[str, Any] = {"uri": True, "isolation_level": None, "check_same_thread": False}
    connection = sqlite3.connect(address, timeout=30.0, **options)
    try:
        connection.execute("SELECT count(*) FROM cells")
    except sqlite3.OperationalError as error:
        connection.close()
        # Whoever holds a lock may be writing.
        if "locked" in str(error) or path.with_name(path.name + "-wal").exists():
            raise
        address += "&immutable=1"
        connection = sqlite3.connect(address, **options)
        connection.execute("SELECT count(*) FROM cells")
    except sqlite3.Error:
        connection.close()
        raise
    return connection, address


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    """The same dtypes whatever the rows: numbers as float64, absent integers as <NA>."""
    numbers = dict.fromkeys(
        (
            "recovered", "residual", "risk_ratio", "meta_seconds", "meta_method_seconds",
            "meta_finished",
        ),
        "float64",
    )  # fmt: skip
    integers = dict.fromkeys(("dim", "rank", "index", "meta_run", "meta_pid"), "int64")
    texts = dict.fromkeys(("cell", "problem", "method", "outcome", "reason", "meta_kernel"), object)
    return frame.astype({**numbers, **integers, **texts, "n": "Int64"})
