"""The command line: quick help, one line for bad input, tables on standard output."""

import csv
import io
import os
import re
import subprocess
import sys

import pytest

from tests.lab_tools import refused, table, tdlab, tdlab_command

SPEC = """
name = "my scan"
trials = 3
[problem]
activation = "x**3"
ensemble = "isotropic"
dims = [5]
ranks = [6, 8]
null = true
[[method]]
name = "lm"
[[method]]
name = "jennrich"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a specification and the store of its run."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "spec.toml").write_text(SPEC)
    finished = tdlab("run", "spec.toml", cwd=folder)
    assert finished.returncode == 0, finished.stderr
    (folder / "run.txt").write_text(finished.stdout)
    (folder / "progress.txt").write_text(finished.stderr)
    return folder


def test_run_ends_with_thresholds_and_where_to_look_next(folder):
    shown = (folder / "run.txt").read_text()
    assert "r*" in shown and "x**3/isotropic" in shown and "lm" in shown
    assert "tdlab plot my-scan.db" in shown
    progress = (folder / "progress.txt").read_text()
    assert "my scan: 8 cells, 24 trials to run" in progress
    assert "24/24 trials" in progress


def test_running_again_has_nothing_to_do(folder):
    finished = tdlab("run", "spec.toml", cwd=folder)
    assert finished.returncode == 0 and "trials to run" not in finished.stderr


def test_status(folder):
    shown = tdlab("status", "my-scan.db", cwd=folder)
    assert shown.returncode == 0
    assert "8 cells, 24 trials, 0 left" in shown.stdout
    for outcome in ("recovered", "unsupported", "measured"):
        assert outcome in shown.stdout


def test_status_says_what_ran_it_and_a_log_what_happened(folder, tmp_path):
    shown = tdlab("status", "my-scan.db", cwd=folder).stdout
    assert "spec " in shown and "python 3." in shown and "numpy" in shown and "blas" in shown
    log = tmp_path / "scan.log"
    command = ["run", folder / "spec.toml", "--store", tmp_path / "s.db", "--log", log]
    for _ in range(2):
        assert tdlab(*command).returncode == 0
    begin, end = log.read_text().splitlines()  # the second run had nothing to do
    assert re.fullmatch(r"[0-9-]{10}T[0-9:]{8}[+-]\d{4} my scan: 8 cells, 24 trials to run", begin)
    assert "24/24 trials" in end
    assert refused(tdlab(*command[:-1], tmp_path / "none" / "scan.log"))


def test_export_has_the_promised_columns_and_order(folder):
    shown = tdlab("export", "my-scan.db", "--format", "csv", cwd=folder)
    rows = list(csv.DictReader(io.StringIO(shown.stdout)))
    promised = "cell problem dim rank n method index outcome reason recovered residual risk_ratio"
    columns = list(rows[0])
    assert columns[:12] == promised.split()
    assert columns[12] == "null" and {row["null"] for row in rows} == {"True", "False"}
    assert all(name.startswith("meta_") for name in columns[13:])
    keys = [(row["cell"], int(row["index"])) for row in rows]
    assert keys == sorted(keys) and len(keys) == 24
    for row in rows:
        if row["outcome"] == "measured":
            assert row["recovered"] == ""
            # From r_id = 7 on a null may be fitted to the last bit: nothing may be left, or less
            # than rounding shows. Below it something is.
            ratio = float(row["risk_ratio"])
            assert ratio > 1e-6 if int(row["rank"]) < 7 else ratio >= 0.0
        if row["outcome"] == "unsupported":
            assert row["residual"] == row["risk_ratio"] == "" and "rank <= 5" in row["reason"]
    tdlab("export", "my-scan.db", "--output", "trials.csv", cwd=folder)
    assert (folder / "trials.csv").read_text() == shown.stdout


@pytest.mark.parametrize("arguments", [["export", "my-scan.db"], ["list", "methods"]])
def test_a_closed_pipe_is_not_an_error(folder, arguments):
    command = tdlab_command(*arguments)
    running = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    running.stdout.close()
    assert running.stderr.read() == ""
    running.stderr.close()
    assert running.wait() == 0


def test_a_run_goes_on_when_nobody_reads_its_progress(folder, tmp_path):
    command = tdlab_command("run", folder / "spec.toml", "--store", tmp_path / "a.db")
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    running.stderr.close()
    assert running.wait(timeout=120) == 0
    assert table(tmp_path / "a.db") == table(folder / "my-scan.db")


@pytest.mark.parametrize("streams", [">&- 2>&-", "<&- >&- 2>&-", ">/dev/null 2>/dev/full"])
def test_a_run_needs_no_streams(streams, folder, tmp_path):
    command = f'exec "$@" {streams}'
    words = tdlab_command("run", folder / "spec.toml", "--store", tmp_path / "a.db")
    finished = subprocess.run(["sh", "-c", command, "sh", *words], timeout=120)
    assert finished.returncode == 0
    assert table(tmp_path / "a.db") == table(folder / "my-scan.db")
    words = tdlab_command("status", tmp_path / "none.db")
    assert subprocess.run(["sh", "-c", command, "sh", *words], timeout=120).returncode == 2


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="names are any bytes there")
def test_names_that_are_no_text(folder, tmp_path):
    name = os.fsdecode(b"a store\xff.db")
    shown = tdlab("run", folder / "spec.toml", "--store", name, cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    # What is printed for the shell to read is quoted.
    assert "tdlab status 'a store\\udcff.db'" in shown.stdout
    for verb in (["status", name], ["merge", "b.db", name], ["diff", name, "b.db"]):
        shown = tdlab(*verb, cwd=tmp_path)
        assert shown.returncode == 0, shown.stderr
    assert table(tmp_path / "b.db") == table(folder / "my-scan.db")


def test_dry_run_writes_nothing(folder, tmp_path):
    shown = tdlab("run", folder / "spec.toml", "--dry-run", cwd=tmp_path)
    assert shown.returncode == 0
    for words in ("cells      8, 4 of them", "24 of them missing", "GiB", "hours"):
        assert words in shown.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("what", ["methods", "ensembles", "experiments"])
def test_list(what):
    shown = tdlab("list", what)
    expected = {"methods": "jennrich", "ensembles": "isotropic", "experiments": "quickstart"}
    assert shown.returncode == 0 and expected[what] in shown.stdout


def test_doctor_finds_a_working_machine(tmp_path):
    shown = tdlab("doctor", cwd=tmp_path)
    assert shown.returncode == 0, shown.stdout
    assert "PROBLEM" not in shown.stdout and list(tmp_path.iterdir()) == []


BAD = {
    "unknown verb": ["rnu"],
    "unknown option": ["status", "my-scan.db", "--loud"],
    "no such spec": ["run", "none.toml"],
    "spec is a folder": ["run", "."],
    "spec is binary": ["run", "my-scan.db", "--store", "new.db"],
    "no such store": ["status", "none.db"],
    "store is a spec": ["run", "spec.toml", "--store", "spec.toml"],
    "store in no folder": ["run", "spec.toml", "--store", "none/new.db"],
    "plot no store": ["plot", "none.db"],
    "export to the store": ["export", "my-scan.db", "--output", "my-scan.db"],
    "export to nowhere": ["export", "my-scan.db", "--output", "none/out.csv"],
    "export format": ["export", "my-scan.db", "--format", "xlsx"],
    "log in the store": ["run", "spec.toml", "--log", "./my-scan.db"],
    "workers": ["run", "spec.toml", "--workers", "0"],
    "time limit": ["run", "spec.toml", "--time-limit", "soon"],
    "list nothing": ["list", "nothing"],
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_status_2(case, folder):
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    finished = tdlab(*BAD[case], cwd=folder)
    assert refused(finished), (finished.returncode, finished.stderr)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
