"""Trials that loop, allocate, crash, fork, print or lie are recorded as what they are."""

from contextlib import suppress
from pathlib import Path

import pytest

from tests.lab_tools import install_hostile, table, tdlab

SPEC = """
name = "hostile"
trials = 2
time_limit = {limit}
[problem]
activation = "He3"
ensemble = "sphere"
dims = [6]
ranks = [3]
[[method]]
name = "{method}"
[[method]]
name = "jennrich"
"""
# method -> (outcome, words of the reason)
EXPECTED = {
    "loops": ("timeout", "limit"),
    "segfaults": ("crashed", "SIGSEGV"),
    "segfaults-in-warm-up": ("crashed", "SIGSEGV"),
    "allocates": ("memory", "MemoryError"),
    "forks": ("recovered", ""),
    "leaves-children": ("crashed", "SIGSEGV"),
    "prints": ("recovered", ""),
    "raises": ("error", "KeyError: 'first line\\nsecond line'"),
    "exits": ("crashed", "status 3"),
    "quits": ("error", "SystemExit: 0"),
    "scribbles": ("crashed", "connection"),
    "nan": ("failed", "breakdown: 3 of 3 components were not finite"),
}


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    return install_hostile(tmp_path_factory.mktemp("hostile"))


def run_hostile(method, folder, environment, limit):
    spec = folder / "hostile.toml"
    spec.write_text(SPEC.format(method=method, limit=limit))
    store = folder / "hostile.db"
    finished = tdlab("run", spec, "--store", store, "--workers", 1, env=environment, memory=2**30)
    assert finished.returncode == 0, finished.stderr
    rows = table(store)
    honest = [row for row in rows if row[5] == "jennrich"]
    assert [row[7] for row in honest] == ["recovered", "recovered"]
    return [row for row in rows if row[5] == method], finished


def commands():
    """First words of the command lines of all processes (Linux)."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.add(path.read_bytes().partition(b"\0")[0])
    return found


@pytest.mark.parametrize("method", EXPECTED)
def test_outcome(method, tmp_path, environment):
    limit = 1 if method == "loops" else 60
    rows, finished = run_hostile(method, tmp_path, environment, limit)
    outcome, words = EXPECTED[method]
    assert [row[7] for row in rows] == [outcome, outcome]
    for row in rows:
        assert words in row[8]
    if outcome in ("timeout", "memory", "crashed", "error"):
        assert all(row[9:] == (None, None, None) for row in rows)
    assert b"left-behind-by-a-trial" not in commands()
    if outcome == "error":
        assert words in finished.stderr


@pytest.mark.long
def test_a_method_that_hangs_while_warming_up_times_out_in_its_trials(tmp_path, environment):
    rows, _ = run_hostile("sleeps-in-warm-up", tmp_path, environment, 1)
    assert [row[7] for row in rows] == ["timeout", "timeout"]
