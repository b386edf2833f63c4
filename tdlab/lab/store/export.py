"""Exports: trials as CSV, streamed, or as Parquet.

Floats are written with the shortest digits that read back to the same bits.
"""

from __future__ import annotations

import csv
import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from tdlab.errors import InputError
from tdlab.lab.store.reader import COLUMNS, Store

_ROWS = 50_000
_TIMES = ("started", "finished")

RUN_COLUMNS = (
    "run", "name", "started", "finished", "ended", "spec_digest", "workers", "shard", "device",
    "host", "cpu", "cpus", "system", "blas", "commit", "versions", "hosts",
    "plugins",
)  # fmt: skip


def write_csv(store: Store, file: TextIO, table: str = "trials") -> None:
    """Write every trial as CSV, one at a time, or every run with its provenance."""
    writer = csv.writer(file, lineterminator="\n")
    columns, rows = _table(store, table)
    writer.writerow(columns)
    writer.writerows(rows)


def _table(store: Store, table: str) -> tuple[tuple[str, ...], Iterator[tuple[Any, ...]]]:
    """Columns and rows of a table."""
    if table == "trials":
        return COLUMNS, store.rows()
    return RUN_COLUMNS, _runs(store)


def _runs(store: Store) -> Iterator[tuple[Any, ...]]:
    for run in store.runs():
        facts = {**run["provenance"], **run, "run": run["id"]}
        for name in ("versions", "hosts", "plugins"):
            facts[name] = json.dumps(facts.get(name) or {}, sort_keys=True)
        yield tuple(facts.get(name) for name in RUN_COLUMNS)


def write_file(store: Store, path: Path, kind: str, table: str = "trials") -> None:
    """Write an export under another name and give it its own when it is whole."""
    if path.exists() and path.samefile(store.path):
        raise InputError(f"output {path}: got the store itself, wanted another file")
    if path.exists() and not path.is_file():
        raise InputError(f"output {path}: got something that is not a file, wanted a file")
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            if kind == "csv":
                with draft.open("w", encoding="utf-8", newline="") as file:
                    write_csv(store, file, table)
            else:
                _write_parquet(store, draft, table)
            os.replace(draft, path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"output {path}: cannot be written: {error.strerror}") from None


def _write_parquet(store: Store, path: Path, table: str) -> None:
    try:
        import pyarrow as pa  # pyright: ignore[reportMissingImports] (extra)
        import pyarrow.parquet as pq  # pyright: ignore[reportMissingImports] (extra)
    except ImportError:
        raise InputError(
            "format: got 'parquet' without pyarrow, wanted the extra: pip install 'tdlab[parquet]'"
        ) from None
    columns, rows = _table(store, table)
    whole = ("dim", "rank", "n", "index", "meta_run", "meta_pid", "run", "workers", "cpus")
    texts = (
        "cell", "problem", "method", "outcome", "reason", "meta_kernel",
        *(set(RUN_COLUMNS) - {*_TIMES, *whole}),
    )  # fmt: skip
    kinds = {**dict.fromkeys(whole, pa.int64()), **dict.fromkeys(texts, pa.string())}
    schema = pa.schema([(name, kinds.get(name, pa.float64())) for name in columns])
    with pq.ParquetWriter(path, schema) as writer:
        while chunk := list(itertools.islice(rows, _ROWS)):
            arrays = [
                pa.array(values, field.type)
                for values, field in zip(zip(*chunk, strict=True), schema, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
