"""Joining stores: the union of their cells, runs and trials.

Cells are the same if their digests are, whatever specifications they come from. A trial that
several stores have must agree in outcome, recovery, residual and risk ratio; the first store's row
(its times, its run) stays. Bits are asked for on one kind of processor only: where two ran the
trial the differences are counted, those of outcomes and those of numbers, and the first row stays
as well (`tdlab.lab.workers.processor`). The union is built under another name and replaces OUT when
it is whole and on the disk, so OUT is never half of it.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tdlab.errors import InputError
from tdlab.lab.store.file import explained
from tdlab.lab.store.reader import DIGEST_CHARACTERS, Store, open_store
from tdlab.lab.store.writer import draft_of, followed, locked, make_tables
from tdlab.lab.trial.run import TrialResult
from tdlab.lab.workers.machine import provenance
from tdlab.lab.workers.processor import TOLERANCE, is_another, same_numbers, same_outcome

_FACTS = ("outcome", "recovered", "residual", "risk_ratio")


@dataclass
class Elsewhere:
    """Trials that two stores have from different kinds of processor.

    Attributes
    ----------
    trials : int
    outcomes : int
        Of these, how many ended otherwise on the other one.
    numbers : int
        How many ended the same and differ in a number by more than the tolerance.
    """

    trials: int = 0
    outcomes: int = 0
    numbers: int = 0

    def __str__(self) -> str:
        equal = self.trials - self.outcomes - self.numbers
        return (
            f"{self.trials} trials that another processor ran too: {equal} agree to {TOLERANCE}, "
            f"{self.numbers} in their outcome only, {self.outcomes} ended otherwise; the first "
            "store's stay"
        )


def merge(out: str | Path, stores: Sequence[str | Path]) -> Store:
    """Write the union of some stores.

    Parameters
    ----------
    out : path
        If there is a store already, it takes part: merging again after more shards have ended
        brings it up to date.
    stores : paths
        Shards of one scan, or stores of different scans. Earlier ones give the labels.

    Returns
    -------
    Store
        The union, open for reading.

    Raises
    ------
    InputError
        If a file is not a store, or two stores disagree on a trial that one kind of processor
        ran; ``out`` is then as it was.

    Examples
    --------
    >>> import tdlab
    >>> tdlab.merge("all.db", ["scan.shard-1-of-2.db", "scan.shard-2-of-2.db"])  # doctest: +SKIP
    """
    out = followed(Path(out))
    paths = [Path(path) for path in stores]
    if not paths:
        raise InputError("stores: got none, wanted at least one to merge")
    with locked(out):
        if out.exists() and not any(path.exists() and path.samefile(out) for path in paths):
            paths.insert(0, out)
        if out.exists():
            _settle(out)
        draft = draft_of(out)
        try:
            draft.unlink(missing_ok=True)
            _join(out, draft, paths)
            _replace(draft, out)
        except OSError as error:
            raise InputError(f"store {out}: cannot be made: {error.strerror}") from None
        finally:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
    return open_store(out)


def _settle(out: Path) -> None:
    """Make an existing store one plain file: a log left beside it would be another file's."""
    with explained(out):
        connection = sqlite3.connect(out, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = DELETE").fetchall()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
        finally:
            connection.close()
    if any(out.with_name(out.name + suffix).exists() for suffix in ("-wal", "-journal")):
        raise InputError(f"store {out}: is being read, wanted it closed while it is replaced")


def _join(out: Path, draft: Path, paths: Sequence[Path]) -> None:
    """Fill the draft with the union."""
    specs: list[dict[str, Any]] = []
    elsewhere = Elsewhere()
    with explained(out):
        address = f"{draft.resolve().as_uri()}?mode=rwc"
        connection = sqlite3.connect(address, uri=True, isolation_level=None)
    try:
        with explained(out):
            # Until it has its name nobody needs the draft: no journal, and one sync at the end.
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute("PRAGMA synchronous = OFF")
            make_tables(connection)
        origins: dict[int, Path] = {}
        for path in paths:
            # Opening it checks the file, and finds the way in which it can be read.
            with open_store(path) as store, explained(path):
                targets = _targets(store)
                specs += store.runs()[-1:]
                connection.execute("ATTACH ? AS source", (store.address,))
                verdict = connection.execute("PRAGMA source.quick_check(1)").fetchone()[0]
                if verdict != "ok":
                    raise sqlite3.DatabaseError(f"malformed: {' '.join(verdict.split())}")
            with explained(out):
                # One transaction: a run that writes the source meanwhile cannot split it.
                connection.execute("BEGIN")
                _add_cells(connection, targets)
                _check_agreement(connection, path, origins, elsewhere)
                _add_trials(connection)
                for (run,) in connection.execute("SELECT id FROM runs"):
                    origins.setdefault(run, path)
                connection.execute("COMMIT")
                connection.execute("DETACH source")
        with explained(out):
            _sign(connection, specs, paths, elsewhere)
    finally:
        connection.close()


def _targets(store: Store) -> list[tuple[int, int]]:
    """(cell, trials that the latest specification asks for), of the whole scan for a shard.

    A shard has all cells of its scan, first, also those of which no trial is its own.
    """
    last = store.runs()[-1:]
    facts = last[0]["provenance"] if last else {}
    counts = store.counts("all")
    present = facts.get("cells", len(counts)) if facts.get("shard") else 0
    return [
        (cell.id, facts["trials"] if position < present else cell.target)
        for position, cell in enumerate(counts)
    ]


def _add_cells(connection: sqlite3.Connection, targets: Sequence[tuple[int, int]]) -> None:
    """Add the cells, runs and reasons of the source, and what they are here: two maps."""
    execute = connection.execute
    execute("CREATE TEMP TABLE targets (cell INTEGER PRIMARY KEY, target INTEGER)")
    connection.executemany("INSERT INTO targets VALUES (?, ?)", targets)
    # A curve keeps the labels that it has here.
    execute(
        "INSERT INTO main.cells (digest, identity, curve, problem, method, ensemble, dim, rank, "
        "tensor_order, n, is_null, schedule, target, position) "
        "SELECT s.digest, s.identity, s.curve, coalesce(k.problem, s.problem), "
        "coalesce(k.method, s.method), s.ensemble, s.dim, s.rank, s.tensor_order, s.n, s.is_null, "
        "s.schedule, t.target, "
        "(SELECT coalesce(max(position), -1) + 1 FROM main.cells) + s.position "
        "FROM source.cells s JOIN targets t ON t.cell = s.id LEFT JOIN "
        "(SELECT curve, min(problem) AS problem, min(method) AS method FROM main.cells "
        "GROUP BY curve) k ON k.curve = s.curve WHERE true "
        "ON CONFLICT (digest) DO UPDATE SET target = max(target, excluded.target)"
    )
    execute("DROP TABLE targets")
    facts = "started, finished, ended, name, spec_digest, spec, workers, provenance"
    same = " AND ".join(
        f"m.{name} IS s.{name}" for name in ("started", "name", "spec_digest", "provenance")
    )
    execute(
        f"INSERT INTO main.runs ({facts}) SELECT {facts} FROM source.runs s "
        f"WHERE NOT EXISTS (SELECT 1 FROM main.runs m WHERE {same}) ORDER BY id"
    )
    for table in ("reasons", "kernels"):
        execute(
            f"INSERT OR IGNORE INTO main.{table} (text) SELECT text FROM source.{table} ORDER BY id"
        )
    execute("DROP TABLE IF EXISTS temp.here")
    execute("DROP TABLE IF EXISTS temp.run_here")
    execute(
        "CREATE TEMP TABLE here AS SELECT s.id AS there, m.id AS cell FROM source.cells s "
        "JOIN main.cells m ON m.digest = s.digest ORDER BY m.id"
    )
    execute(
        "CREATE TEMP TABLE run_here AS SELECT s.id AS there, min(m.id) AS run FROM source.runs s "
        f"JOIN main.runs m ON {same} GROUP BY s.id"
    )


def _check_agreement(
    connection: sqlite3.Connection, path: Path, origins: dict[int, Path], elsewhere: Elsewhere
) -> None:
    """Raise for the first trial on which the source differs from what is there for no reason."""
    differ = " OR ".join(f"m.{name} IS NOT s.{name}" for name in _FACTS)
    mine, its = (", ".join(f"{table}.{name}" for name in _FACTS) for table in "ms")
    found = connection.execute(
        "SELECT digest, m.idx, method, dim, rank, m.run, coalesce(mk.text, ''), "
        f"coalesce(sk.text, ''), {mine}, {its} "
        "FROM here JOIN source.trials s ON s.cell = here.there "
        "JOIN main.trials m ON m.cell = here.cell AND m.idx = s.idx "
        "JOIN main.cells c ON c.id = here.cell "
        "LEFT JOIN main.kernels mk ON mk.id = m.kernel "
        "LEFT JOIN source.kernels sk ON sk.id = s.kernel "
        f"WHERE {differ} OR (mk.text != sk.text)"
    )
    for digest, index, method, dim, rank, run, mine_on, its_on, *facts in found:
        kept, new = facts[: len(_FACTS)], facts[len(_FACTS) :]
        if is_another(mine_on, its_on):
            pair = [
                TrialResult(outcome, recovered=recovered, residual=residual, risk_ratio=ratio)
                for outcome, recovered, residual, ratio in (kept, new)
            ]
            elsewhere.trials += 1
            if not same_outcome(*pair):
                elsewhere.outcomes += 1
            elif not same_numbers(*pair):
                elsewhere.numbers += 1
            continue
        kept, new = _text(kept), _text(new)
        raise InputError(
            f"trial {digest[:DIGEST_CHARACTERS]}:{index} ({method}, dim {dim}, rank {rank}): got "
            f"{kept} in {origins[run]} and {new} in {path}, wanted stores that agree"
        )


def _text(facts: Sequence[Any]) -> str:
    outcome, *numbers = facts
    known = [
        f"{name} {value!r}"
        for name, value in zip(_FACTS[1:], numbers, strict=True)
        if value is not None
    ]
    return f"{outcome} ({', '.join(known)})" if known else outcome


def _add_trials(connection: sqlite3.Connection) -> None:
    connection.execute(
        "INSERT OR IGNORE INTO main.trials SELECT here.cell, s.idx, s.outcome, r.id, s.recovered, "
        "s.residual, s.risk_ratio, s.seconds, s.method_seconds, run_here.run, s.pid, s.finished, "
        "l.id "
        "FROM here JOIN source.trials s ON s.cell = here.there "
        "JOIN run_here ON run_here.there = s.run "
        "LEFT JOIN source.reasons t ON t.id = s.reason LEFT JOIN main.reasons r ON r.text = t.text "
        "LEFT JOIN source.kernels k ON k.id = s.kernel "
        "LEFT JOIN main.kernels l ON l.text = k.text "
        "ORDER BY here.cell, s.idx"
    )


def _sign(
    connection: sqlite3.Connection,
    specs: Sequence[dict[str, Any]],
    paths: Sequence[Path],
    elsewhere: Elsewhere,
) -> None:
    """Record the merge as a run without workers, of the first store's specification."""
    if specs:
        record = {
            **provenance(),
            "merged": [path.name for path in paths],
            "elsewhere": asdict(elsewhere),
        }
        now = time.time()
        connection.execute(
            "INSERT INTO runs (started, finished, ended, name, spec_digest, spec, workers, "
            "provenance) VALUES (?, ?, 'merged', ?, ?, ?, 0, ?)",
            (now, now, *(specs[0][key] for key in ("name", "spec_digest", "spec")),
             json.dumps(record)),
        )  # fmt: skip


def _replace(draft: Path, out: Path) -> None:
    """Put the draft on the disk, then in its place."""
    descriptor = os.open(draft, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(draft, out)
