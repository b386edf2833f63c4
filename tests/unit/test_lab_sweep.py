"""Running and resuming a scan through real workers."""

import subprocess
import sys

import pandas as pd
import pytest

import tdlab
from tdlab.errors import InputError
from tdlab.lab.predict import predict
from tdlab.lab.spec.file import parse_spec

SPEC = """
name = "resume"
trials = 2
[problem]
activation = "He3"
ensemble = "sphere"
dims = [5]
ranks = [2, 3]
[[method]]
name = "jennrich"
"""


def trials(store):
    columns = [name for name in store.trials() if not name.startswith("meta_")]
    return store.trials()[columns]


def test_rerunning_does_only_what_is_missing(tmp_path):
    path = tmp_path / "scan.db"
    first = trials(tdlab.run(parse_spec(SPEC), path, workers=1))
    again = tdlab.run(parse_spec(SPEC), path, workers=1)
    assert trials(again).equals(first)
    assert set(again.trials()["meta_run"]) == {1}

    more = tdlab.run(
        parse_spec(SPEC.replace("trials = 2", "trials = 3").replace("[2, 3]", "[2, 3, 4]")),
        path,
        workers=1,
    )
    runs = more.trials().groupby("meta_run").size()
    assert (runs[1], runs[3]) == (4, 5)
    assert [run["ended"] for run in more.runs()] == ["done"] * 3
    kept = more.trials()[more.trials()["meta_run"] == 1]
    assert kept[first.columns].reset_index(drop=True).equals(first)


def test_no_time_runs_nothing_and_says_so(tmp_path):
    store = tdlab.run(parse_spec(SPEC), tmp_path / "late.db", workers=1, max_seconds=0)
    assert len(store.trials()) == 0
    assert store.runs()[0]["ended"] == "time-limit"


def test_a_bad_spec_makes_no_store(tmp_path):
    with pytest.raises(InputError):
        tdlab.run(tmp_path / "none.toml", tmp_path / "none.db")
    assert list(tmp_path.iterdir()) == []


def test_a_script_without_a_main_guard_may_run_a_scan(tmp_path):
    (tmp_path / "spec.toml").write_text(SPEC)
    script = "import tdlab; print(len(tdlab.run('spec.toml', workers=2).trials()))"
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], cwd=tmp_path, capture_output=True, text=True
    )
    assert (finished.stdout, finished.stderr) == ("4\n", "")
    assert (tmp_path / "resume.db").exists()


def test_prediction_counts_what_is_missing_and_writes_nothing(tmp_path):
    path = tmp_path / "scan.db"
    cost = predict(parse_spec(SPEC), path, workers=1)
    assert (cost.cells, cost.trials, cost.missing, cost.unsupported) == (2, 4, 4, 0)
    assert 0 < cost.hours < cost.at_most_hours == pytest.approx(4 * 60 / 3600)
    assert not path.exists()
    tdlab.run(parse_spec(SPEC), path, workers=1)
    cost = predict(parse_spec(SPEC.replace("trials = 2", "trials = 5")), path, workers=1)
    assert (cost.missing, cost.measured) == (6, 4)


def test_a_device_changes_where_not_what(tmp_path):
    pytest.importorskip("torch")
    spec = parse_spec(
        SPEC.replace('"jennrich"', '"homotopy"\nsteps = 200\n[[method]]\nname = "power"').replace(
            "ranks = [2, 3]", "ranks = [3]\nnull = true"
        )
    )
    here = tdlab.run(spec, tmp_path / "here.db", workers=1)
    there = tdlab.run(spec, tmp_path / "there.db", workers=1, device="cpu:0")
    assert set(trials(there)["outcome"]) == {"recovered", "measured"}
    pd.testing.assert_frame_equal(trials(there), trials(here), rtol=1e-3, atol=1e-7)
    assert [run["provenance"]["device"] for run in there.runs()] == ["cpu:0"]


def test_a_device_that_is_not_there_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(InputError, match="device: got 'nowhere'"):
        tdlab.run(parse_spec(SPEC), tmp_path / "none.db", device="nowhere")
    assert list(tmp_path.iterdir()) == []
