"""Full disks, read-only folders, locks, clocks: one clear line, and nothing committed is lost."""

import ctypes
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from tests.lab_tools import refused, table, tdlab, tdlab_command

TRIALS = 36 * 6
_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 24, 1, 2


def run_under(limit, *arguments):
    """The command line with something done to its process first."""
    return subprocess.run(
        tdlab_command(*arguments), capture_output=True, text=True, preexec_fn=limit, timeout=120
    )


def last_line(finished):
    assert "Traceback" not in finished.stderr
    return finished.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("size", [20_000, pytest.param(60_000, marks=pytest.mark.chaos), 90_000])
def test_files_that_may_not_grow_stop_a_run_with_one_line(undisturbed, tmp_path, size):
    spec, whole = undisturbed
    store = tmp_path / "s.db"

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    done = run_under(limit, "run", spec, "--store", store, "--workers", 1)
    assert done.returncode == 2, done.stderr
    assert str(store) in last_line(done)
    kept = table(store) if store.exists() else []
    assert set(kept) < set(table(whole))
    assert tdlab("run", spec, "--store", store, "--workers", 1).returncode == 0
    assert table(store) == table(whole)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 160 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", folder]
    try:
        mounted = subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("may not mount file systems")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_stops_a_run_and_a_merge_with_one_line(undisturbed, small_disk, tmp_path):
    spec, whole = undisturbed
    store = small_disk / "s.db"
    done = tdlab("run", spec, "--store", store, "--workers", 1)
    assert done.returncode == 2 and "free some space" in last_line(done)
    kept = table(store)
    assert 0 < len(kept) < TRIALS and set(kept) <= set(table(whole))
    # An export or a merge that does not fit leaves what was there.
    (small_disk / "ballast").write_bytes(b"x" * 4096)
    before = sorted(path.name for path in small_disk.iterdir())
    assert refused(tdlab("export", whole, "--output", small_disk / "out.csv"))
    done = tdlab("merge", store, whole)
    assert refused(done) and str(store) in done.stderr
    assert sorted(path.name for path in small_disk.iterdir()) == before
    assert table(store) == kept
    # Elsewhere there is room for the rest.
    merged = tmp_path / "s.db"
    assert tdlab("merge", merged, store).returncode == 0
    assert tdlab("run", spec, "--store", merged, "--workers", 1).returncode == 0
    assert table(merged) == table(whole)


def as_an_ordinary_user():
    """Root without the right to ignore permissions; anybody else already is one."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None)
        for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
            libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="drops capabilities")
def test_a_read_only_folder_is_read_and_not_written(undisturbed, tmp_path):
    spec, whole = undisturbed
    folder = tmp_path / "fixed"
    folder.mkdir()
    store = folder / "s.db"
    store.write_bytes(whole.read_bytes())
    folder.chmod(0o500)
    asks = [sys.executable, "-c", "import os, sys; sys.exit(os.access(sys.argv[1], os.W_OK))"]
    if subprocess.run([*asks, folder], preexec_fn=as_an_ordinary_user).returncode:
        pytest.skip("may not give up the right to write anywhere")
    try:
        shown = run_under(as_an_ordinary_user, "status", store)
        assert shown.returncode == 0, shown.stderr
        assert f"{TRIALS} trials, 0 left" in shown.stdout
        exported = run_under(as_an_ordinary_user, "export", store)
        assert exported.returncode == 0 and exported.stdout.count("\n") == TRIALS + 1
        for arguments in (
            ["run", spec, "--store", store],
            ["run", spec, "--store", folder / "new.db"],
            ["merge", store, whole],
            ["merge", folder / "new.db", whole],
            ["export", store, "--output", folder / "out.csv"],
            ["run", spec, "--store", tmp_path / "t.db", "--log", folder / "run.log"],
        ):
            done = run_under(as_an_ordinary_user, *arguments)
            assert refused(done), (arguments, done.stderr)
            assert "ermission denied" in done.stderr or "cannot write" in done.stderr
        store.chmod(0o000)
        unreadable = run_under(as_an_ordinary_user, "status", store)
        assert refused(unreadable) and "not readable" in unreadable.stderr
    finally:
        folder.chmod(0o700)
    assert [path.name for path in folder.iterdir()] == ["s.db"]


def test_a_store_that_another_program_locks_for_a_while_only_waits(undisturbed, tmp_path):
    spec, whole = undisturbed
    store = tmp_path / "s.db"
    running = subprocess.Popen(
        tdlab_command("run", spec, "--store", store, "--workers", 1),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (store.exists() and table(store)):
        assert running.poll() is None
        time.sleep(0.02)
    with sqlite3.connect(store, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        time.sleep(2)
        other.execute("COMMIT")
    other.close()
    _, errors = running.communicate(timeout=120)
    assert running.returncode == 0, errors
    assert table(store) == table(whole)


@pytest.mark.chaos
def test_a_store_that_stays_locked_is_one_line(undisturbed, tmp_path):
    spec, whole = undisturbed
    store = tmp_path / "s.db"
    store.write_bytes(whole.read_bytes())
    with sqlite3.connect(store, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        for arguments in (["run", spec, "--store", store], ["status", store]):
            done = tdlab(*arguments)
            assert refused(done) and "another program holds it" in done.stderr
    other.close()
    assert table(store) == table(whole)


BACKWARDS = """
import time
_start, _now = 2e9, time.time
_first = _now()
time.time = lambda: _start - 1000 * (_now() - _first)
"""


def test_a_clock_that_runs_backwards_changes_nothing(undisturbed, tmp_path):
    spec, whole = undisturbed
    (tmp_path / "sitecustomize.py").write_text(BACKWARDS)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    store = tmp_path / "s.db"
    command = ["run", spec, "--store", store, "--workers", 1]
    environment = {**os.environ, "PYTHONPATH": path}
    stopped = tdlab(*command, "--time-limit", "3s", env=environment)
    assert stopped.returncode == 0, stopped.stderr
    done = tdlab(*command, env=environment)
    assert done.returncode == 0, done.stderr
    assert table(store) == table(whole)
    with sqlite3.connect(store) as connection:
        started, finished = connection.execute("SELECT started, finished FROM runs").fetchone()
    connection.close()
    assert finished < started, "the clock did not run backwards"
    shown = tdlab("status", store, env=environment)
    assert shown.returncode == 0 and f"{TRIALS} trials, 0 left" in shown.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_merge_that_is_stopped_leaves_what_was_there(undisturbed, tmp_path, number):
    _, whole = undisturbed
    out = tmp_path / "out.db"
    out.write_bytes(whole.read_bytes())
    before = out.read_bytes()
    for moment in (0.15, 0.3, 0.45, 0.6):
        running = subprocess.Popen(
            tdlab_command("merge", out, whole, whole), stderr=subprocess.PIPE, text=True,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(moment)
        running.send_signal(number)
        _, errors = running.communicate(timeout=60)
        assert "Traceback" not in errors
        assert table(out) == table(whole)
        if number == signal.SIGTERM and running.returncode == 130:
            assert out.read_bytes() == before or len(table(out)) == TRIALS
            assert not (tmp_path / ".out.db.tdlab-new").exists()
    assert tdlab("merge", out, whole).returncode == 0
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
