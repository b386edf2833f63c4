"""Edges: signals, file names, empty stores, stale cells, full devices, arbitrary terms."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import tdlab
from tdlab.cli import invoke
from tdlab.lab.spec import parse_spec
from tdlab.lab.writer import StoreWriter
from tdlab.view.figures import _names

SPEC = """
name = "edges"
trials = 200
[problem]
activation = "He3"
ensemble = "sphere"
dims = [8]
ranks = [4, 6, 8]
[[method]]
name = "lm"
"""


def test_a_hangup_that_is_ignored_stays_ignored(tmp_path):
    (tmp_path / "s.toml").write_text(SPEC)
    command = "[sys.executable, '-m', 'tdlab', 'run', 's.toml', '--workers', '1']"
    code = (
        "import signal, os, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); "
        f"os.execv(sys.executable, {command})"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not (tmp_path / "edges.db").exists() and run.poll() is None:
        time.sleep(0.05)
    time.sleep(0.5)
    os.kill(run.pid, signal.SIGHUP)
    assert run.wait(timeout=120) == 0


def test_figures_of_different_problems_have_different_names():
    names = _names(["x^3+x/sphere", "x^3-x/sphere", "α", "β"])
    assert len(set(names.values())) == 4


def test_a_reference_is_checked_before_the_scan_runs(tmp_path, capsys):
    (tmp_path / "s.toml").write_text(SPEC)
    store, spec = tmp_path / "never.db", str(tmp_path / "s.toml")
    assert invoke(["compare", spec, "--against", "lmm", "--store", str(store)]) == 2
    assert not store.exists() and "against" in capsys.readouterr().err


def test_frames_of_a_store_without_cells_are_empty(tmp_path):
    with StoreWriter(tmp_path / "empty.db"):
        pass
    with tdlab.open_store(tmp_path / "empty.db") as store:
        assert len(store.thresholds()) == len(store.cells()) == len(store.exponents()) == 0
        assert "r_star" in store.thresholds()


def test_comparisons_leave_cells_of_an_earlier_spec_out(tmp_path):
    from tdlab.lab.compare import compare

    short = SPEC.replace("trials = 200", "trials = 2")
    path = tmp_path / "s.db"
    tdlab.run(parse_spec(short), path, workers=1).close()
    edited = parse_spec(short.replace("trials = 2", "trials = 2\ntime_limit = 21"))
    with tdlab.run(edited, path, workers=1) as store:
        assert {row.method for row in compare(store, ())} == {"lm"}


def test_a_seed_sequence_gives_the_same_sample_twice():
    net = tdlab.sample_network(4, 5, rng=0)
    seed = np.random.SeedSequence(3)
    first, again = (net.sample(6, rng=seed)[0] for _ in range(2))  # type: ignore[arg-type]
    np.testing.assert_array_equal(first, again)


def test_terms_below_the_fit_are_never_certified():
    w = np.random.default_rng(1).standard_normal((1, 10))
    for method in ("lbfgs", "lm", "power"):
        for seed in range(3):
            result = tdlab.decompose(tdlab.FactoredTensor(w), 3, method, rng=seed, noise=0.0)
            if len(result.components) > 1 and result.weights.min() < 1e-6 * result.weights.max():
                assert tdlab.uniqueness(result) == "unknown"


def test_linear_algebra_that_breaks_down_is_a_status():
    w = np.random.default_rng(1).standard_normal((1, 10))
    for seed in range(4):
        result = tdlab.decompose(tdlab.FactoredTensor(w), 3, "tensorly-als", rng=seed, noise=0.0)
        assert isinstance(result.status, tdlab.Status)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full device here")
def test_a_full_output_is_one_line():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "tdlab", "list", "methods"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 2 and done.stderr.count("\n") == 1
