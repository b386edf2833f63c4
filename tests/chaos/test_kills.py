"""Kill anything at any moment: the final table is that of an undisturbed run, bit for bit."""

import os
import random
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.lab_tools import refused, table, tdlab, tdlab_command


@pytest.fixture(scope="module")
def whole(undisturbed):
    """(path of the specification, table of a run with one worker)."""
    spec, store = undisturbed
    rows = table(store)
    assert len(rows) == (3 * 2 + 2 * 3) * 3 * 6
    assert {"recovered", "failed", "unsupported", "measured"} <= {row[7] for row in rows}
    return spec, rows


def start(spec, store, workers=2):
    return subprocess.Popen(
        tdlab_command("run", spec, "--store", store, "--workers", workers),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # A test runner in the background may have SIGINT ignored, and a child inherits that.
        preexec_fn=lambda: [signal.signal(each, signal.SIG_DFL) for each in (1, 2, 15)],
    )


def committed(store):
    """Rows in the store, 0 while there is none."""
    return len(table(store)) if store.exists() else 0


def workers_of(pid):
    children = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        return [int(child) for child in children.read_text().split()]
    except OSError:
        return []


def gone(pids):
    """Wait until the processes have ended; whether they did."""
    for _ in range(100):
        if not any(Path(f"/proc/{pid}").exists() for pid in pids):
            return True
        time.sleep(0.05)
    return False


def test_two_workers_give_the_same_bits_as_one(whole, tmp_path):
    spec, expected = whole
    assert tdlab("run", spec, "--store", tmp_path / "two.db", "--workers", 2).returncode == 0
    assert table(tmp_path / "two.db") == expected


def test_killing_the_coordinator_three_times_loses_nothing(whole, tmp_path):
    spec, expected = whole
    store = tmp_path / "killed.db"
    moments = random.Random(1)
    last = 0
    for _ in range(3):
        running = start(spec, store)
        # Wait for its first trials, so that every round interrupts work; then any moment.
        while running.poll() is None and committed(store) <= last:
            time.sleep(0.02)
        time.sleep(moments.random() * 0.2)
        workers = workers_of(running.pid)
        running.kill()
        running.communicate()
        assert gone(workers), "workers outlive their coordinator"
        rows = committed(store)
        assert rows >= last, "committed trials were lost"
        last = rows
    assert tdlab("run", spec, "--store", store).returncode == 0
    assert table(store) == expected


def test_killing_workers_is_not_an_outcome(whole, tmp_path):
    spec, expected = whole
    store = tmp_path / "workers.db"
    running = start(spec, store)
    moments = random.Random(2)
    kills = 0
    while running.poll() is None and kills < 6:
        time.sleep(0.3 + moments.random() * 0.5)
        for pid in workers_of(running.pid)[:1]:
            os.kill(pid, signal.SIGKILL)
            kills += 1
    running.communicate(timeout=120)
    assert running.returncode == 0
    assert kills > 0
    assert table(store) == expected


@pytest.mark.chaos
@pytest.mark.timeout(3000)
def test_a_hundred_kills_at_random_moments(whole, tmp_path):
    """SIGKILL of the coordinator, of a worker, or of all: nothing lost, nothing twice."""
    spec, expected = whole
    longer = tmp_path / "longer.toml"
    longer.write_text(spec.read_text().replace("trials = 6", "trials = 60"))
    assert tdlab("run", longer, "--store", tmp_path / "one.db", timeout=1500).returncode == 0
    expected = table(tmp_path / "one.db")
    moments = random.Random(20260101)
    kills = {"coordinator": 0, "worker": 0, "all": 0}
    scan = 0
    store, known, running = tmp_path / "0.db", [], None
    while sum(kills.values()) < 100:
        if running is None:
            running = start(longer, store)
        time.sleep(moments.uniform(0.0, 3.0))
        what = moments.choice(sorted(kills))
        workers = workers_of(running.pid)
        if running.poll() is not None:
            # The scan ended between two kills: it must be whole, and the next begins.
            _, errors = running.communicate()
            assert running.returncode == 0, errors
            assert table(store) == expected
            scan, known, running = scan + 1, [], None
            store = tmp_path / f"{scan}.db"
            continue
        if what != "coordinator" and not workers:
            continue
        victims = {
            "coordinator": [running.pid],
            "worker": moments.sample(workers, min(1, len(workers))),
            "all": [*workers, running.pid],
        }[what]
        for pid in victims:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        kills[what] += 1
        if what != "worker":
            running.communicate()
            running = None
            assert gone(workers), "workers outlive their coordinator"
        rows = table(store) if store.exists() else []
        # What was committed is there still, as it was and once.
        assert set(known) <= set(rows) and len(set(rows)) == len(rows)
        known = rows
    if running is not None:
        running.kill()
        running.communicate()
    assert min(kills.values()) >= 20, kills
    assert tdlab("run", longer, "--store", store, timeout=1500).returncode == 0
    assert table(store) == expected


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_signal_ends_with_130_and_an_intact_store(whole, tmp_path, number):
    spec, expected = whole
    # Far more trials than end before the signal comes; of these the scan's own are resumed.
    longer, store = tmp_path / "longer.toml", tmp_path / "stopped.db"
    longer.write_text(spec.read_text().replace("trials = 6", "trials = 2000"))
    running = start(longer, store)
    while committed(store) < 3:
        time.sleep(0.02)
    running.send_signal(number)
    _, errors = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "Traceback" not in errors
    assert errors.strip().splitlines()[-1].startswith("tdlab: interrupted")
    assert not store.with_name(f"{store.name}-wal").exists()
    rows = table(store)
    assert 0 < len(rows) < len(expected) // 6 * 2000
    assert tdlab("run", spec, "--store", store).returncode == 0
    assert [row for row in table(store) if row[6] < 6] == expected
    assert set(rows) <= set(table(store))


def test_status_reads_and_a_second_writer_is_refused_while_a_run_writes(whole, tmp_path):
    # Far more trials than end while two other commands start.
    spec = tmp_path / "long.toml"
    spec.write_text(whole[0].read_text().replace("trials = 6", "trials = 2000"))
    store = tmp_path / "busy.db"
    running = start(spec, store)
    try:
        while committed(store) < 3:
            time.sleep(0.02)
        second = tdlab("run", spec, "--store", store)
        assert refused(second) and "in use" in second.stderr
        assert str(running.pid) in second.stderr
        shown = tdlab("status", store)
        assert shown.returncode == 0, shown.stderr
        assert "left" in shown.stdout
        assert running.poll() is None
    finally:
        running.kill()
        running.communicate()
