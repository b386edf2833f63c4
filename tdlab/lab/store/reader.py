"""Reading a store: one SQLite file with the cells, trials and runs of a scan.

A store is opened read-only, also while a run writes it (`tdlab.lab.store.file`). It may hold trials
of several versions of a method: without being asked for all it shows one version of each curve, the
newest that the latest specification asks for, or, where it asks for none, the newest.

Layout: ``cells`` (identity as canonical JSON and its digest, labels for display), ``trials``
(integer cell, index; a row a trial), ``reasons`` and ``kernels`` (their texts, each once), ``runs``
(provenance).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tdlab.errors import check_choice
from tdlab.lab.spec.curves import Curve, named
from tdlab.lab.store.counts import CellCounts
from tdlab.lab.store.file import check_store_file, connect_read_only, explained
from tdlab.lab.trial.run import OUTCOMES, TrialResult

if TYPE_CHECKING:
    import pandas as pd

DIGEST_CHARACTERS = 16
COLUMNS = (
    "cell", "problem", "dim", "rank", "n", "method", "index", "outcome", "reason", "recovered",
    "residual", "risk_ratio", "null", "meta_seconds", "meta_method_seconds", "meta_run", "meta_pid",
    "meta_finished", "meta_kernel",
)  # fmt: skip

# Ended without a result of their own: they count neither as success nor as failure.
CENSORED = ("timeout", "memory", "crashed")
VERSIONS = ("newest", "all")
_CHUNK = 50_000
# Of the columns after the index.
_NULL = COLUMNS.index("null") - COLUMNS.index("index") - 1
_TRIALS = (
    "trials LEFT JOIN reasons ON reasons.id = trials.reason "
    "LEFT JOIN kernels ON kernels.id = trials.kernel"
)


class Store:
    """A store, read-only.

    Attributes
    ----------
    path : Path
    versions : str
        "newest" or "all": whether trials of older versions of a method are left out.
    address : str
        URI by which SQLite reads it without writing anything.

    Examples
    --------
    >>> import tdlab
    >>> store = tdlab.open_store("quickstart.db")              # doctest: +SKIP
    >>> store.thresholds()[["problem", "method", "dim", "rank"]]   # doctest: +SKIP
    """

    def __init__(self, path: str | Path, versions: str = "newest") -> None:
        self.path = Path(path)
        self.versions = check_choice("versions", versions, VERSIONS)
        check_store_file(self.path)
        with explained(self.path):
            self._connection, self.address = connect_read_only(self.path)

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

    def rows(self, versions: str | None = None) -> Iterator[tuple[Any, ...]]:
        """Trials as tuples of `COLUMNS`, sorted by cell and index, streamed."""
        texts: dict[str, str] = {}
        with explained(self.path):
            cells = self._connection.execute(
                f"SELECT id, curve, substr(digest, 1, {DIGEST_CHARACTERS}), dim, rank, n "
                "FROM cells ORDER BY digest"
            ).fetchall()
            curves = self.curves(versions)
            for cell, curve, digest, dim, rank, n in cells:
                what = curves.get(curve)
                if what is None:
                    continue
                first = (digest, what.problem_name, dim, rank, n, what.method_name)
                trials = self._connection.execute(
                    "SELECT idx, outcome, coalesce(reasons.text, ''), recovered, residual, "
                    "risk_ratio, NULL, seconds, method_seconds, run, pid, finished, "
                    f"coalesce(kernels.text, '') FROM {_TRIALS} WHERE cell = ? ORDER BY idx",
                    (cell,),
                )
                for index, *found in trials:
                    # One object a text, not one a row: a frame of 10^6 trials holds them all.
                    for place in (0, 1, -1):
                        found[place] = texts.setdefault(found[place], found[place])
                    found[_NULL] = what.null
                    yield (*first, index, *found)

    def counts(self, versions: str | None = None) -> list[CellCounts]:
        """Every cell with its trials by outcome, in the order of the specification."""
        with explained(self.path):
            # One transaction, so that a run which writes meanwhile cannot split the answer.
            self._connection.execute("BEGIN")
            try:
                return self._counts(self.curves(versions))
            finally:
                self._connection.execute("COMMIT")

    def _counts(self, curves: dict[str, Curve]) -> list[CellCounts]:
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
            "SELECT id, digest, curve, ensemble, dim, rank, tensor_order, n, is_null, target, "
            "schedule FROM cells ORDER BY position, id"
        ):
            curve, ensemble, dim, rank, order, n, null, target, schedule = rest
            what = curves.get(curve)
            if what is None:
                continue
            counts = outcomes.get(cell, dict.fromkeys(OUTCOMES, 0))
            done = sum(counts.values())
            found.append(
                CellCounts(
                    cell,
                    digest[:DIGEST_CHARACTERS],
                    curve,
                    what,
                    what.problem_name,
                    what.method_name,
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

    def curves(self, versions: str | None = None) -> dict[str, Curve]:
        """Every curve by its digest, in the order of the specification."""
        versions = check_choice("versions", versions or self.versions, VERSIONS)
        found = self._all_curves()
        if versions == "newest":
            shown = _shown(found)
            found = [curve for curve in found if curve.version == shown[curve.line]]
        return {curve.digest: curve for curve in named(found)}

    def hidden(self) -> str:
        """How many trials of other versions of a method are left out, as a sentence, or ""."""
        if self.versions == "all":
            return ""
        found = self._all_curves()
        shown = _shown(found)
        left = [curve for curve in found if curve.version != shown[curve.line]]
        if not left:
            return ""
        with explained(self.path):
            counted = dict(
                self._connection.execute(
                    "SELECT curve, count(*) FROM trials JOIN cells ON id = cell GROUP BY curve"
                ).fetchall()
            )
        trials = sum(counted.get(curve.digest, 0) for curve in left)
        if not trials:
            return ""
        other = "other" if any(each.version > shown[each.line] for each in left) else "older"
        return (
            f"{trials} trials of {other} versions of a method are hidden: --all-versions, or "
            "versions='all' in Python, shows them"
        )

    def _all_curves(self) -> list[Curve]:
        with explained(self.path):
            # Whichever cell of a curve it is: they differ in dimension and rank only.
            found = self._connection.execute(
                "SELECT curve, identity, problem, method, max(target) FROM cells GROUP BY curve "
                "ORDER BY min(position), min(id)"
            ).fetchall()
        return [
            Curve.of(curve, json.loads(identity), problem, method, target > 0)
            for curve, identity, problem, method, target in found
        ]

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

        Bits are compared within one of them only (`tdlab.lab.workers.processor`).
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

    def trials(self, versions: str | None = None) -> pd.DataFrame:
        """All trials: the columns of an export, sorted by cell and index."""
        import itertools

        import pandas as pd

        rows = self.rows(versions)
        parts = []
        while chunk := list(itertools.islice(rows, _CHUNK)):
            parts.append(_typed(pd.DataFrame.from_records(chunk, columns=list(COLUMNS))))
        if not parts:
            return _typed(pd.DataFrame({name: [] for name in COLUMNS}))
        return pd.concat(parts, ignore_index=True)

    def cells(self, versions: str | None = None) -> pd.DataFrame:
        """A row a cell: its names, its target, its trials by outcome, the mean seconds of one."""

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
            for cell in self.counts(versions)
        ]
        return _frame(rows, [*_CELL_COLUMNS, *OUTCOMES, "meta_seconds"])

    def thresholds(self, event: str = "recovered", versions: str | None = None) -> pd.DataFrame:
        """The rank of even odds of each problem, method and dimension, with its interval.

        ``event`` is what counts as success: "recovered"; "beats-trivial", a risk below that of the
        trivial predictor; "beats-null", one below that of the null's trial of the same index.
        ``flags`` says how the interval came about: ``quantised``, ``shape``, ``non-monotone``,
        ``censored`` (`tdlab.stats.Threshold`).
        """
        from tdlab.lab.results.events import counted_by
        from tdlab.lab.results.summary import threshold_rows

        rows = threshold_rows(counted_by(event, self, versions))
        return _frame(rows, _THRESHOLD_COLUMNS)

    def exponents(self, versions: str | None = None) -> pd.DataFrame:
        """r* = c d^exponent of each problem and method, with its interval and local slopes.

        ``slopes`` lists the exponent between neighbouring dimensions and its standard error;
        ``drift_*`` is the fit c d^exponent (1 + b/d) beside it. A fit needs four dimensions.
        """
        import pandas as pd

        from tdlab.lab.results.summary import exponent_rows

        columns = [
            "problem", "method", "n", "dims", "exponent", "low", "high", "prefactor", "between",
            "drift_exponent", "drift_low", "drift_high", "status", "slopes", "message",
        ]  # fmt: skip
        rows = exponent_rows(self.counts(versions))
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


def _shown(curves: Iterable[Curve]) -> dict[str, int]:
    """The version that is shown of each line: the newest of those that are asked for, if any is."""
    newest: dict[str, tuple[bool, int]] = {}
    for curve in curves:
        mark = (curve.asked, curve.version)
        newest[curve.line] = max(newest.get(curve.line, mark), mark)
    return {line: version for line, (_, version) in newest.items()}


def open_store(path: str | Path, versions: str = "newest") -> Store:
    """Open a store for reading, also one that a run is writing.

    Parameters
    ----------
    path : path
    versions : str
        "newest": of each curve the newest version of its method that the latest specification asks
        for (or the newest, where it asks for none). "all": older versions as well, told apart by
        their names. `Store.trials`, `Store.thresholds` and the others may be told otherwise.

    Raises
    ------
    InputError
        If there is no such file, or it is not a whole store of this schema.
    """
    return Store(path, versions)


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
    return frame.astype({"null": bool, **numbers, **integers, **texts, "n": "Int64"})
