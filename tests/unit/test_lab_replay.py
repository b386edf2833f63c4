"""`replay` runs a stored trial again and says whether it agrees with its store."""

import sqlite3

import pytest

from tdlab.errors import InputError
from tdlab.lab.replay import find_trial, replay
from tdlab.lab.spec.bundled import experiments
from tdlab.lab.spec.cells import cell_from
from tdlab.lab.spec.file import parse_spec
from tdlab.lab.spec.identity import digest
from tdlab.lab.store.reader import open_store
from tdlab.lab.sweep import run
from tests.lab_tools import SMALL, install_hostile, refused, table, tdlab

SPECS = [
    SMALL,
    SMALL.replace("null = true", "dense = true"),
    """
    [problem]
    activation = [0.5, 0, 0, 1, 0.25]
    ensemble = "sphere"
    order = 4
    dims = [6]
    ranks = [3]
    [[method]]
    name = "foobi"
    """,
]


@pytest.mark.parametrize("text", [*SPECS, *(path.read_text() for path in experiments().values())])
def test_every_cell_comes_back_from_its_identity(text):
    spec = parse_spec(text)
    for cell in (*spec.cells[:500], *(target.cell for target in spec.targets)):
        back = cell_from(cell.identity)
        assert back.identity == cell.identity and back.digest == cell.digest
        assert back.instance_digest == cell.instance_digest
        assert back.method_digest == cell.method_digest
        assert back.problem.law == cell.problem.law


def test_an_identity_of_another_version_is_refused():
    identity = parse_spec(SMALL).cells[0].identity
    for strange in (
        {**identity, "temperature": 2},
        {**identity, "problem": {**identity["problem"], "temperature": 2}},
        {**identity, "schema": identity["schema"] + 1},
    ):
        with pytest.raises(InputError, match="this version"):
            cell_from(strange)
    assert digest(identity) == cell_from(identity).digest


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("replay")
    (folder / "small.toml").write_text(SMALL.replace("trials = 6", "trials = 2"))
    done = tdlab("run", "small.toml", "--workers", 1, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_trial_agrees_when_it_is_run_again(folder):
    rows = table(folder / "small.db")
    assert {row[7] for row in rows} == {"recovered", "failed", "unsupported", "measured"}
    for row in rows:
        found = find_trial(folder / "small.db", f"{row[0]}:{row[6]}")
        assert (found.cell.problem.label, found.cell.method.label) == (row[1], row[5])
        done = replay(found)
        assert done.agrees is True, (row, done)
        assert done.made is not None and done.traceback == ""


LEARNERS = """
trials = 2
[[problem]]
activation = "He3"
ensemble = "sphere"
dims = [5]
ranks = [2]
samples = [400]
noise = 0.5
null = true
[[method]]
name = "linear"
[[method]]
name = "polynomial-regression"
"""


def test_trials_of_learners_agree_too(tmp_path):
    store = run(parse_spec(LEARNERS), tmp_path / "s.db", workers=1)
    assert {row[7] for row in table(store.path)} >= {"measured"}
    for row in table(store.path):
        done = replay(find_trial(store.path, f"{row[0]}:{row[6]}"))
        assert done.agrees is True, (row, done)
        assert done.made is not None


def test_the_command_line_says_that_it_agrees_and_shows_the_history(folder):
    row = next(row for row in table(folder / "small.db") if row[5] == "lm" and row[7] == "failed")
    shown = tdlab("replay", "small.db", f"{row[0][:8]}:{row[6]}", cwd=folder)
    assert shown.returncode == 0, shown.stderr
    assert "agrees   bit for bit" in shown.stdout and "e-01 " in shown.stdout
    assert f"trial    {row[0]}:{row[6]}" in shown.stdout
    later = tdlab("replay", "small.db", f"{row[0]}:77", cwd=folder)
    assert later.returncode == 0 and "stored   not run yet" in later.stdout
    assert "agrees" not in later.stdout and "differs" not in later.stdout


def test_a_difference_is_said_and_is_status_1(folder, tmp_path):
    store = tmp_path / "changed.db"
    store.write_bytes((folder / "small.db").read_bytes())
    row = next(row for row in table(store) if row[7] == "recovered")
    with sqlite3.connect(store) as connection:
        connection.execute(
            "UPDATE trials SET risk_ratio = risk_ratio * (1 + 1e-15) + 1e-300 WHERE idx = ? AND "
            "cell = (SELECT id FROM cells WHERE digest LIKE ?)",
            (row[6], row[0] + "%"),
        )
    connection.close()
    shown = tdlab("replay", store, f"{row[0]}:{row[6]}")
    assert shown.returncode == 1
    assert "differs  risk_ratio: " in shown.stdout and "note" not in shown.stdout


def test_other_versions_and_timeouts_say_so(folder, tmp_path):
    store = tmp_path / "late.db"
    store.write_bytes((folder / "small.db").read_bytes())
    row = next(row for row in table(store) if row[7] == "recovered")
    with sqlite3.connect(store) as connection:
        connection.execute("UPDATE trials SET outcome = 'timeout', recovered = NULL")
    connection.close()
    shown = tdlab("replay", store, f"{row[0]}:{row[6]}")
    assert shown.returncode == 1 and "note     timeout depends on the machine" in shown.stdout


def test_an_exception_shows_its_traceback_and_agrees(tmp_path):
    environment = install_hostile(tmp_path / "packages")
    (tmp_path / "raises.toml").write_text(SPECS[2].replace("foobi", "raises").replace("= 4", "= 3"))
    done = tdlab("run", "raises.toml", "--workers", 1, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    row = table(tmp_path / "raises.db")[0]
    assert row[7] == "error"
    shown = tdlab("replay", "raises.db", f"{row[0]}:0", cwd=tmp_path, env=environment)
    assert shown.returncode == 0, shown.stderr
    assert "Traceback (most recent call last)" in shown.stdout and "misbehave" in shown.stdout
    assert "agrees   bit for bit" in shown.stdout
    # Without the package the method is not known.
    assert refused(tdlab("replay", "raises.db", f"{row[0]}:0", cwd=tmp_path))


def test_a_method_that_leaves_python_is_an_exception_too(tmp_path):
    environment = install_hostile(tmp_path / "packages")
    (tmp_path / "quits.toml").write_text(SPECS[2].replace("foobi", "quits").replace("= 4", "= 3"))
    done = tdlab("run", "quits.toml", "--workers", 1, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    row = table(tmp_path / "quits.db")[0]
    shown = tdlab("replay", "quits.db", f"{row[0]}:0", cwd=tmp_path, env=environment)
    assert "SystemExit: 0" in shown.stdout and "agrees   bit for bit" in shown.stdout
    assert shown.returncode == 0


@pytest.mark.parametrize("name", ["", "abcd", "xyzw:1", "abcd:-1", "abc:1", "abcd:1.5", "0000:0"])
def test_bad_names_are_one_line_and_status_2(folder, name):
    assert refused(tdlab("replay", "small.db", name, cwd=folder))


def test_an_ambiguous_prefix_is_refused(folder):
    with open_store(folder / "small.db") as store:
        digests = [found for found, _ in store.identities().values()]
    with sqlite3.connect(folder / "small.db") as connection:
        connection.execute(
            "UPDATE cells SET digest = ? WHERE digest = ?",
            (digests[0][:10] + digests[1][10:], digests[1]),
        )
    connection.close()
    with pytest.raises(InputError, match="a prefix of 2 cells"):
        find_trial(folder / "small.db", f"{digests[0][:8]}:0")
