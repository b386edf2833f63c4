"""One scan on two kinds of processor: stores know the kind, and differences are no faults."""

import csv
import io
import shutil
import sqlite3

import pytest

from tdlab.errors import InputError
from tdlab.lab.results.diff import diff
from tdlab.lab.store.export import write_csv
from tdlab.lab.store.merge import merge
from tdlab.lab.store.reader import open_store
from tdlab.lab.trial.run import TrialResult
from tdlab.lab.workers.processor import RELATIVE, kernel
from tests import kernels
from tests.lab_tools import table, tdlab

SPEC = """
name = "small"
trials = 2
[[problem]]
activation = "He3"
ensemble = "sphere"
dims = [5, 6]
ranks = [3, 5, 9]
null = true
[[method]]
name = "jennrich"
[[method]]
name = "lm"
restarts = 1
iterations = 30
"""


@pytest.fixture(scope="module")
def other():
    """A kernel that is not the native one."""
    found = kernels.others(1)
    if not found:
        pytest.skip("this BLAS has one kernel here")
    return found[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, other):
    """The stores of one scan under the native kernel and under another."""
    folder = tmp_path_factory.mktemp("kinds")
    (folder / "small.toml").write_text(SPEC)
    for name, kind in (("native", None), ("other", other)):
        words = ["run", "small.toml", "--store", f"{name}.db"]
        done = tdlab(*words, cwd=folder, env=kernels.environment(kind))
        assert done.returncode == 0, done.stderr
    return folder


def changed(path, column, value, where="outcome = 'recovered'"):
    """Give the first such trial of a store another value; its name."""
    connection = sqlite3.connect(path)
    cell, index = connection.execute(
        f"SELECT cell, idx FROM trials WHERE {where} LIMIT 1"
    ).fetchone()
    connection.execute(
        f"UPDATE trials SET {column} = ? WHERE cell = ? AND idx = ?", (value, cell, index)
    )
    connection.commit()
    digest = connection.execute("SELECT digest FROM cells WHERE id = ?", (cell,)).fetchone()[0]
    connection.close()
    return f"{digest[:16]}:{index}"


def test_every_trial_and_the_status_name_the_kernel(folder, other):
    ran = {}
    for name, kind in (("native", None), ("other", other)):
        with open_store(folder / f"{name}.db") as store:
            ((ran[name], number),) = store.kernels().items()
            assert number == len(table(store.path))
            assert store.runs()[0]["provenance"]["kernel"] == ran[name]
            text = io.StringIO()
            write_csv(store, text)
            rows = list(csv.DictReader(io.StringIO(text.getvalue())))
            assert {row["meta_kernel"] for row in rows} == {ran[name]}
            assert set(store.trials()["meta_kernel"]) == {ran[name]}
        assert ran[name].startswith(kernels.runs_as(kind))
        shown = tdlab("status", folder / f"{name}.db").stdout
        assert f"kernel {ran[name]}: {number} trials" in shown and "kinds of" not in shown
    assert ran["native"] != ran["other"]


def test_stores_of_two_kinds_merge_and_what_differs_is_counted(folder, tmp_path):
    shutil.copy(folder / "other.db", tmp_path / "other.db")
    done = tdlab("merge", tmp_path / "all.db", folder / "native.db", tmp_path / "other.db")
    assert done.returncode == 0, done.stderr
    assert "another processor" in done.stdout and "0 ended otherwise" in done.stdout
    assert table(tmp_path / "all.db") == table(folder / "native.db"), "the first store's stay"
    changed(tmp_path / "other.db", "outcome", "failed")
    changed(tmp_path / "other.db", "residual", 0.5, "outcome = 'measured'")
    with merge(tmp_path / "again.db", [folder / "native.db", tmp_path / "other.db"]) as both:
        counted = both.runs()[-1]["provenance"]["elsewhere"]
        assert counted["outcomes"] == 1 and counted["numbers"] >= 1
        assert counted["trials"] == len(table(both.path))


def test_on_one_kind_a_difference_is_a_conflict_still(folder, tmp_path):
    shutil.copy(folder / "native.db", tmp_path / "a.db")
    residual = "residual * (1 + 1e-12)"
    connection = sqlite3.connect(tmp_path / "a.db")
    connection.execute(f"UPDATE trials SET residual = {residual} WHERE residual > 0.01")
    connection.commit()
    connection.close()
    with pytest.raises(InputError, match="wanted stores that agree"):
        merge(tmp_path / "all.db", [folder / "native.db", tmp_path / "a.db"])
    found = diff(folder / "native.db", tmp_path / "a.db")
    assert found.changed and found.elsewhere == 0


def test_a_trial_keeps_its_own_kernel_in_a_merged_store(folder, tmp_path):
    shutil.copy(folder / "other.db", tmp_path / "other.db")
    connection = sqlite3.connect(tmp_path / "other.db")
    connection.execute("DELETE FROM trials WHERE idx = 0")
    connection.commit()
    connection.close()
    shutil.copy(folder / "native.db", tmp_path / "native.db")
    connection = sqlite3.connect(tmp_path / "native.db")
    connection.execute("DELETE FROM trials WHERE idx = 1")
    connection.commit()
    connection.close()
    with merge(tmp_path / "all.db", [tmp_path / "native.db", tmp_path / "other.db"]) as both:
        half = len(table(folder / "native.db")) // 2
        assert list(both.kernels().values()) == [half, half]
        assert both.runs()[-1]["provenance"]["elsewhere"]["trials"] == 0
        kinds = both.trials().groupby("index")["meta_kernel"].unique()
        assert [len(each) for each in kinds] == [1, 1] and kinds[0][0] != kinds[1][0]
    assert "2 kinds of processor" in tdlab("status", tmp_path / "all.db").stdout


def test_diff_compares_outcomes_first_and_numbers_to_the_tolerance(folder, tmp_path):
    shutil.copy(folder / "other.db", tmp_path / "other.db")
    one = changed(tmp_path / "other.db", "outcome", "failed", "recovered = 1 AND residual < 1e-6")
    found = diff(folder / "native.db", tmp_path / "other.db")
    assert found.changed == () and found.other_outcomes == (one,)
    assert found.elsewhere == found.same_trials > 10
    shown = tdlab("diff", folder / "native.db", tmp_path / "other.db").stdout
    assert "Another processor: " in shown and f"ended otherwise: {one}" in shown
    assert "different:" not in shown


def test_replay_elsewhere_agrees_in_outcome_and_never_disagrees(folder, tmp_path, other):
    shutil.copy(folder / "native.db", tmp_path / "native.db")
    rows = table(tmp_path / "native.db")
    cell, index = next((row[0], row[6]) for row in rows if row[7] == "recovered")
    env = kernels.environment(other)
    shown = tdlab("replay", tmp_path / "native.db", f"{cell}:{index}", env=env)
    assert shown.returncode == 0, shown.stdout
    assert "another processor: " in shown.stdout and "agrees   in outcome" in shown.stdout
    name = changed(tmp_path / "native.db", "residual", 0.5)
    shown = tdlab("replay", tmp_path / "native.db", name, env=env)
    assert shown.returncode == 0 and "differs" not in shown.stdout
    assert "residual: 0.5 -> " in shown.stdout
    shown = tdlab("replay", tmp_path / "native.db", name, env=kernels.environment(None))
    assert shown.returncode == 1 and "differs  residual: 0.5" in shown.stdout


def test_exact_numbers_agree_between_kinds_to_the_tolerance(folder):
    both = []
    for name in ("native", "other"):
        with open_store(folder / f"{name}.db") as store:
            both.append(
                {
                    (store.identities()[row][0], index): result
                    for row in store.identities()
                    for index, result, _ in store.results(row)
                }
            )
    exact = [key for key, one in both[0].items() if one.outcome == "recovered"]
    assert len(exact) >= 5
    for key in exact:
        assert both[1][key].outcome == "recovered"
        assert both[1][key].residual == pytest.approx(both[0][key].residual, RELATIVE, 1e-7)


def test_a_device_is_a_kind_of_its_own():
    assert kernel("cuda") != kernel() and kernel("cuda").startswith(kernel())
    assert TrialResult("failed", kernel="a") == TrialResult("failed", kernel="b")
