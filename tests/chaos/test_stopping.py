"""Stop signals at any moment of a command mean status 130 and one line; time limits mean 0."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tdlab.cli.signals import tidily
from tests.lab_tools import SMALL, table, tdlab, tdlab_command

# Seconds after the command began to listen.
MOMENTS = (0.0, 0.05, 0.1, 0.2, 0.4, 0.7)


def listens(pid, number):
    """Whether a process has a handler of its own for a signal (Linux)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(SMALL.replace("trials = 6", "trials = 400"))
    return path


@pytest.mark.parametrize("gone", [False, True], ids=["terminal", "no terminal"])
def test_a_stopped_run_says_what_is_kept_even_if_nobody_is_left(spec, tmp_path, gone):
    leader, terminal = os.openpty()
    with open(tmp_path / "out.txt", "w") as output:
        running = subprocess.Popen(
            tdlab_command("run", spec, "--store", tmp_path / "s.db", "--workers", 1),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=terminal,
            preexec_fn=lambda: [signal.signal(each, signal.SIG_DFL) for each in (1, 2, 15)],
        )
    os.close(terminal)
    shown = b""
    while b" now " not in shown:  # a trial runs
        shown += os.read(leader, 4096)
    if gone:
        os.close(leader)
    running.send_signal(signal.SIGHUP)
    if not gone:
        with contextlib.suppress(OSError):  # the end of a terminal
            while more := os.read(leader, 4096):
                shown += more
        os.close(leader)
    assert running.wait(timeout=60) == 130
    kept = len(table(tmp_path / "s.db"))
    if not gone:
        lines = [line for line in shown.decode().splitlines() if line.startswith("tdlab: ")]
        assert len(lines) == 1 and f"s.db keeps the {kept} trials of this run" in lines[0]


def test_a_signal_on_the_way_out_does_not_change_the_status():
    lines = (
        "import atexit, os, signal",
        "from tdlab.cli import main",
        # What is registered first runs last: after all that the command's libraries registered.
        "atexit.register(lambda: [os.kill(os.getpid(), each) for each in (1, 2, 15)])",
        "[signal.signal(each, signal.SIG_DFL) for each in (1, 2, 15)]",
        "main(['list', 'ensembles'])",
    )
    ended = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 0 and ended.stderr == "" and "isotropic" in ended.stdout


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize("options", [[], ["--dry-run"]], ids=["run", "dry-run"])
def test_starting_up_stops_with_130(spec, tmp_path, options, number):
    for moment in MOMENTS if number == signal.SIGTERM else MOMENTS[1::3]:
        command = tdlab_command("run", spec, "--store", tmp_path / "s.db", *options)
        # A test runner in the background may have SIGINT ignored, and a child inherits that.
        running = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: [signal.signal(each, signal.SIG_DFL) for each in (1, 2, 15)],
        )
        # Python itself listens to SIGINT before any of our lines run; to SIGTERM only we do.
        while not listens(running.pid, signal.SIGTERM):
            time.sleep(0.001)
        time.sleep(moment)
        running.send_signal(number)
        _, errors = running.communicate(timeout=30)
        assert running.returncode == 130, (moment, errors)
        assert "Traceback" not in errors
        assert errors.strip().splitlines()[-1].startswith("tdlab: interrupted"), moment
    if options:
        assert [path.name for path in tmp_path.iterdir()] == ["small.toml"]


def test_nothing_slow_loads_before_the_command_listens():
    code = "import sys, tdlab.cli; sys.exit('click' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_what_writes_drafts_is_told_by_an_exception():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), tidily():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_time_limit_stops_cleanly_and_the_same_command_resumes(spec, tmp_path):
    store = tmp_path / "s.db"
    stored = set()
    for _ in range(2):
        # On a busy machine the workers may need more than the first limit to start.
        for limit in ("2s", "0.1m", "20", "60"):
            done = tdlab("run", spec, "--store", store, "--workers", 1, "--time-limit", limit)
            assert done.returncode == 0, done.stderr
            assert "Time limit reached: " in done.stdout
            assert sorted(path.name for path in tmp_path.iterdir()) == ["s.db", "small.toml"]
            rows = set(table(store))
            assert stored <= rows and len(rows) < 36 * 400
            if stored < rows:
                break
        else:
            pytest.fail("no trial in a minute")
        stored = rows
