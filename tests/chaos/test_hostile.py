"""Trials that loop, allocate, crash, fork, print or lie are recorded as what they are."""

from contextlib import suppress
from pathlib import Path

import pytest

from tests.lab_tools import install_hostile, table, tdlab

SPEC = """
name = "hostile"
trials = {trials}
time_limit = {limit}
[problem]
activation = "He3"
ensemble = "sphere"
dims = [6]
ranks = [3]
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
# Loops need a short limit; a worker that exits dies as one that segfaults, three times over.
TOGETHER = [method for method in EXPECTED if method not in ("loops", "exits")]


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    return install_hostile(tmp_path_factory.mktemp("hostile"))


def hostile_spec(methods, trials, limit):
    """The text of a scan of these methods and an honest one."""
    tables = [f'[[method]]\nname = "{method}"\n' for method in (*methods, "jennrich")]
    return SPEC.format(trials=trials, limit=limit) + "".join(tables)


def scan(methods, folder, environment, trials, limit):
    """Rows by method of a scan of hostile methods and an honest one, and how the run ended."""
    spec = folder / "hostile.toml"
    spec.write_text(hostile_spec(methods, trials, limit))
    store = folder / "hostile.db"
    # A dozen workers die and are started again, one after the other.
    finished = tdlab(
        "run", spec, "--store", store, "--workers", 1, env=environment, memory=2**30, timeout=280
    )
    assert finished.returncode == 0, finished.stderr
    found = {}
    for row in table(store):
        found.setdefault(row[5], []).append(row)
    assert [row[7] for row in found["jennrich"]] == ["recovered"] * trials
    return found, finished


@pytest.fixture(scope="module")
def together(tmp_path_factory, environment):
    """Those of them in one scan, so that each meets what the others leave."""
    return scan(TOGETHER, tmp_path_factory.mktemp("together"), environment, 1, 60)


def commands():
    """First words of the command lines of all processes (Linux)."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.add(path.read_bytes().partition(b"\0")[0])
    return found


def expected_of(method, found, finished):
    outcome, words = EXPECTED[method]
    assert {row[7] for row in found[method]} == {outcome}
    for row in found[method]:
        assert words in row[8]
        if outcome in ("timeout", "memory", "crashed", "error"):
            assert row[9:12] == (None, None, None)
    if outcome == "error":
        assert words in finished.stderr


@pytest.mark.parametrize("method", TOGETHER)
def test_outcome(method, together):
    expected_of(method, *together)


def test_nothing_that_a_trial_started_is_left(together):
    assert b"left-behind-by-a-trial" not in commands()


def test_loops_time_out(tmp_path, environment):
    expected_of("loops", *scan(["loops"], tmp_path, environment, 2, 1))


@pytest.mark.long
@pytest.mark.parametrize("method", [method for method in EXPECTED if method != "loops"])
def test_outcome_twice_alone(method, tmp_path, environment):
    expected_of(method, *scan([method], tmp_path, environment, 2, 60))


@pytest.mark.long
def test_a_method_that_hangs_while_warming_up_times_out_in_its_trials(tmp_path, environment):
    found, _ = scan(["sleeps-in-warm-up"], tmp_path, environment, 2, 1)
    assert [row[7] for row in found["sleeps-in-warm-up"]] == ["timeout", "timeout"]
