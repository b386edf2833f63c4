"""The file of a store: what is not a whole one of this schema is refused in one line.

That is seen from the 100-byte header alone, before SQLite sees the file; a store is opened for
reading without anything being written.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tdlab.errors import InputError
from tdlab.lab.spec.identity import SCHEMA_VERSION

APPLICATION_ID = 0x54444C42  # "TDLB"
_HEADER = b"SQLite format 3\0"


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


def connect_read_only(path: Path) -> tuple[sqlite3.Connection, str]:
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
