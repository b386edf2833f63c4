"""Stores: refuse what is not one, lose nothing, read while written."""

import csv
import importlib.util
import io
import json
import os
import sqlite3
import stat

import pandas as pd
import pytest

from tdlab.errors import InputError
from tdlab.lab.spec.file import parse_spec
from tdlab.lab.spec.identity import SCHEMA_VERSION
from tdlab.lab.store.export import write_csv, write_file
from tdlab.lab.store.merge import merge
from tdlab.lab.store.reader import COLUMNS, open_store
from tdlab.lab.store.writer import StoreWriter
from tdlab.lab.trial.run import TrialResult
from tests.lab_tools import SMALL


@pytest.fixture
def spec():
    return parse_spec(SMALL)


@pytest.fixture
def filled(spec, tmp_path):
    """A store with trials 0, 1, 3 of every cell."""
    path = tmp_path / "filled.db"
    with StoreWriter(path) as writer:
        ids = writer.begin(spec, 2)
        results = [
            TrialResult("recovered", "", 1.0, 1e-8, 0.1 + 0.2, 0.5, 7),
            TrialResult("failed", 'stuck, "again"', 0.25, 0.5, 1 / 3, 0.5, 7),
        ]
        for index in (0, 1, 3):
            writer.commit([((cell, index), results[index % 2]) for cell in ids])
        writer.finish("done")
    return path


def test_a_closed_store_is_one_plain_file(filled):
    assert [path.name for path in filled.parent.iterdir()] == ["filled.db"]


def test_numbers_come_back_exactly(filled):
    rows = list(open_store(filled).rows())
    assert {row[11] for row in rows} == {0.1 + 0.2, 1 / 3}
    assert [(row[0], row[6]) for row in rows] == sorted((row[0], row[6]) for row in rows)


def test_csv_reads_back_to_the_same_bits(filled):
    text = io.StringIO()
    store = open_store(filled)
    write_csv(store, text)
    header, *read = csv.reader(text.getvalue().splitlines())
    assert tuple(header) == COLUMNS
    for line, row in zip(read, store.rows(), strict=True):
        for entry, value in zip(line, row, strict=True):
            if isinstance(value, float):
                assert float(entry) == value
            else:
                assert entry == ("" if value is None else str(value))


def test_conclusions_use_contiguous_prefixes(filled):
    for cell in open_store(filled).counts():
        assert cell.done == 3
        assert sum(cell.prefix.values()) == 2
        assert (cell.prefix["recovered"], cell.prefix["failed"]) == (1, 1)


def test_stored_flags_are_what_was_committed(filled, spec):
    with StoreWriter(filled) as writer:
        ids = writer.begin(spec, 1)
        assert {bytes(flag) for flag in writer.stored(ids, 5)} == {b"\1\1\0\1\0"}


def test_a_trial_is_never_stored_twice(filled, spec):
    with StoreWriter(filled) as writer:
        cell = writer.begin(spec, 1)[0]
        with pytest.raises(InputError, match="UNIQUE"):
            writer.commit([((cell, 2), TrialResult("failed")), ((cell, 0), TrialResult("failed"))])
    counts = open_store(filled).counts()[0]
    assert counts.done == 3, "the transaction was not undone"


def test_runs_record_provenance(filled):
    (run,) = open_store(filled).runs()
    assert run["ended"] == "done" and run["spec"] == SMALL
    assert {"versions", "blas", "cpus", "commit", "plugins"} <= set(run["provenance"])


def test_an_edited_spec_keeps_cells_and_tells_old_curves_apart(filled, spec):
    with StoreWriter(filled) as writer:
        writer.begin(parse_spec(SMALL.replace("time_limit = 30", "time_limit = 31")), 1)
    counts = open_store(filled).counts()
    assert len(counts) == 2 * len(spec.cells)
    old = [cell for cell in counts if cell.target == 0]
    assert len(old) == len(spec.cells)
    assert all(cell.method.endswith("time_limit=30)") for cell in old)
    assert not {cell.method for cell in old} & {cell.method for cell in counts if cell.target}
    with StoreWriter(filled) as writer:
        writer.begin(spec, 1)
    now = [cell for cell in open_store(filled).counts() if cell.target]
    assert all(cell.method == cell.what.method_label and cell.done == 3 for cell in now)


def test_a_second_writer_is_refused_and_the_lock_is_given_back(filled):
    with StoreWriter(filled), pytest.raises(InputError, match="in use"):
        StoreWriter(filled)
    StoreWriter(filled).close()


def test_a_link_to_a_store_has_its_lock(filled, spec, tmp_path):
    link = tmp_path / "elsewhere" / "link.db"
    link.parent.mkdir()
    link.symlink_to(filled)
    with StoreWriter(filled), pytest.raises(InputError, match="in use"):
        StoreWriter(link)
    with StoreWriter(link), pytest.raises(InputError, match="in use"):
        merge(filled, [filled])
    before = list(open_store(filled).rows())
    merge(link, [filled]).close()
    assert link.is_symlink() and list(open_store(filled).rows()) == before
    assert [path.name for path in link.parent.iterdir()] == ["link.db"]


def test_reading_while_writing(filled, spec):
    with StoreWriter(filled) as writer:
        ids = writer.begin(spec, 1)
        with open_store(filled) as reader:
            writer.commit([((ids[0], 2), TrialResult("failed", "late"))])
            assert reader.counts()[0].done == 4


def _sqlite(path, application=0, version=0):
    connection = sqlite3.connect(path)
    connection.executescript(
        f"PRAGMA application_id={application}; PRAGMA user_version={version}; CREATE TABLE t (x);"
    )
    connection.close()


BAD_FILES = {
    "text": (lambda path, good: path.write_text("precious notes\n"), "another kind of file"),
    "empty": (lambda path, good: path.touch(), "another kind of file"),
    "directory": (lambda path, good: path.mkdir(), "a directory"),
    "foreign": (lambda path, good: _sqlite(path), "another program"),
    "newer schema": (
        lambda path, good: _sqlite(path, 0x54444C42, 99),
        f"99, wanted {SCHEMA_VERSION}",
    ),
    "older schema": (
        lambda path, good: _sqlite(path, 0x54444C42, 0),
        f"0, wanted {SCHEMA_VERSION}",
    ),
    "header only": (lambda path, good: path.write_bytes(good[:50]), "torn"),
    "torn": (lambda path, good: path.write_bytes(good[: len(good) // 2]), "torn"),
    "overwritten": (
        lambda path, good: path.write_bytes(good[:4096] + b"\xff" * (len(good) - 4096)),
        "damaged",
    ),
    "socket": (lambda path, good: os.mkfifo(path), "special file"),
    "no folder": (lambda path, good: None, "no "),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_bad_stores_are_refused_and_left_alone(kind, filled, tmp_path):
    make, words = BAD_FILES[kind]
    folder = tmp_path / "bad"
    if kind != "no folder":
        folder.mkdir()
    path = folder / "bad.db"
    make(path, filled.read_bytes())
    before = path.read_bytes() if path.is_file() else None
    for use in (StoreWriter, lambda path: open_store(path).counts()):
        with pytest.raises(InputError, match=words) as caught:
            use(path)
        assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    if before is not None:
        assert path.read_bytes() == before
        assert [each.name for each in folder.iterdir()] == ["bad.db"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_refused_for_writing_and_read_all_the_same(filled):
    filled.parent.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(InputError, match="cannot write"):
            StoreWriter(filled)
        assert open_store(filled).counts()
    finally:
        filled.parent.chmod(stat.S_IRWXU)


def test_an_export_never_overwrites_its_store(filled):
    before = filled.read_bytes()
    with open_store(filled) as store, pytest.raises(InputError, match="the store itself"):
        write_file(store, filled, "csv")
    assert filled.read_bytes() == before


def test_parquet_says_which_extra_or_holds_the_table(filled, tmp_path):
    target = tmp_path / "trials.parquet"
    with open_store(filled) as store:
        try:
            import pyarrow  # noqa: F401 - whether it is installed
        except ImportError:
            with pytest.raises(InputError, match=r"tdlab\[parquet\]"):
                write_file(store, target, "parquet")
            assert not target.exists()
        else:
            write_file(store, target, "parquet")
            pd.testing.assert_frame_equal(
                pd.read_parquet(target), store.trials(), check_dtype=False
            )


def test_the_runs_of_a_store_export_with_their_provenance(filled, spec, tmp_path):
    text = io.StringIO()
    with open_store(filled) as store:
        write_csv(store, text, "runs")
        (run,) = store.runs()
        (row,) = csv.DictReader(text.getvalue().splitlines())
        assert row["spec_digest"] == spec.digest and row["workers"] == "2"
        assert json.loads(row["versions"]) == run["provenance"]["versions"]
        assert json.loads(row["plugins"]) == run["provenance"]["plugins"]
        for name in ("host", "cpu", "blas", "system"):
            assert row[name] == run["provenance"][name] != ""
        if importlib.util.find_spec("pyarrow"):
            write_file(store, tmp_path / "runs.parquet", "parquet", "runs")
            (read,) = pd.read_parquet(tmp_path / "runs.parquet").to_dict("records")
            assert read["started"] == run["started"] and read["cpus"] == run["provenance"]["cpus"]
            assert read["versions"] == row["versions"] and pd.isna(read["shard"])


def test_frames_of_an_empty_store(spec, tmp_path):
    path = tmp_path / "empty.db"
    with StoreWriter(path) as writer:
        writer.begin(spec, 1)
    store = open_store(path)
    assert len(store.trials()) == 0 and tuple(store.trials().columns) == COLUMNS
    assert len(store.cells()) == len(spec.cells)
