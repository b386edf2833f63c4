"""Exports: trials as CSV, streamed, or as Parquet.

Floats are written with the shortest digits that read back to the same bits.
"""

from __future__ import annotations

import csv
import itertools
import os
from pathlib import Path
from typing import TextIO

from tdlab.errors import InputError
from tdlab.lab.store import COLUMNS, Store

_ROWS = 50_000


def write_csv(store: Store, file: TextIO) -> None:
    """Write every trial as CSV, one at a time."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(store.rows())


def write_file(store: Store, path: Path, kind: str) -> None:
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
                    write_csv(store, file)
            else:
                _write_parquet(store, draft)
            os.replace(draft, path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"output {path}: cannot be written: {error.strerror}") from None


def _write_parquet(store: Store, path: Path) -> None:
    try:
        import pyarrow as pa  # pyright: ignore[reportMissingImports]
        import pyarrow.parquet as pq  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise InputError(
            "format: got 'parquet' without pyarrow, wanted the extra: pip install 'tdlab[parquet]'"
        ) from None
    whole = ("dim", "rank", "n", "index", "meta_run", "meta_pid")
    texts = ("cell", "problem", "method", "outcome", "reason")
    kinds = {**dict.fromkeys(whole, pa.int64()), **dict.fromkeys(texts, pa.string())}
    schema = pa.schema([(name, kinds.get(name, pa.float64())) for name in COLUMNS])
    rows = store.rows()
    with pq.ParquetWriter(path, schema) as writer:
        while chunk := list(itertools.islice(rows, _ROWS)):
            columns = [
                pa.array(values, field.type)
                for values, field in zip(zip(*chunk, strict=True), schema, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
