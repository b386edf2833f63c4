"""Curves are told apart by what they are; labels are printed, and old versions are hidden."""

import csv
import io

import pytest

from tdlab.algorithms.methods.lm import LevenbergMarquardt
from tdlab.errors import InputError
from tdlab.lab.results.compare import compare
from tdlab.lab.results.diff import diff
from tdlab.lab.results.events import counted_by
from tdlab.lab.spec.curves import Labelled, tell_apart
from tdlab.lab.spec.file import parse_spec
from tdlab.lab.store.export import write_csv
from tdlab.lab.store.merge import merge
from tdlab.lab.store.reader import COLUMNS, open_store
from tdlab.lab.store.writer import StoreWriter
from tdlab.lab.trial.run import TrialResult
from tests.lab_tools import tdlab

TEXT = """
name = "curves"
trials = 4
[[problem]]
label = "cubes"
activation = "He3"
ensemble = "sphere"
dims = [5, 6]
ranks = [4, 8]
null = true
[[method]]
name = "lm"
restarts = 1
label = "mine"
[[method]]
name = "jennrich"
"""


def fill(path, text=TEXT, share=1.0):
    """A store in which that share of the planted trials at rank 4 recovers, and the rest fails."""
    spec = parse_spec(text)
    with StoreWriter(path) as writer:
        ids = writer.begin(spec, 1)
        flags = writer.stored(ids, spec.trials)
        for key, cell, flag in zip(ids, spec.cells, flags, strict=True):
            for index in [index for index in range(spec.trials) if not flag[index]]:
                good = cell.rank == 4 and index < share * spec.trials and not cell.problem.null
                outcome = "measured" if cell.problem.null else "recovered" if good else "failed"
                ratio = 0.25 if cell.problem.null else 0.0 if good else 0.5
                writer.commit(
                    [((key, index), TrialResult(outcome, "", None, 0.1, ratio, method_seconds=1.0))]
                )
        writer.finish("done")
    return path


@pytest.fixture
def aged(tmp_path, monkeypatch):
    """A store with trials of an old version of lm, which recovered nothing, and of a new one."""
    path = fill(tmp_path / "aged.db", share=0.0)
    monkeypatch.setattr(LevenbergMarquardt, "version", LevenbergMarquardt.version + 1)
    return fill(path)


def test_names_are_labels_with_what_differs_and_never_equal():
    facts = [{"name": "lm", "restarts": 1}, {"name": "lm", "restarts": 2}, {"name": "als"}]
    things = [Labelled(str(i), "x", each) for i, each in enumerate(facts)]
    assert list(tell_apart(things).values()) == ["x(lm, restarts=1)", "x(lm, restarts=2)", "x(als)"]
    assert list(tell_apart(things[:2]).values()) == ["x(restarts=1)", "x(restarts=2)"]
    assert tell_apart([things[0], things[0]._replace(label="y")]) == {"0": "x"}
    # What is asked for keeps its label beside what is not.
    old = things[1]._replace(asked=False)
    assert list(tell_apart([things[0], old]).values()) == ["x", "x(restarts=2)"]
    # Whatever somebody calls things, two of them are two.
    bare = [Labelled(f"{i}abcdefg", label, {}) for i, label in enumerate(["x", "x", "x#1abcde"])]
    assert len(set(tell_apart(bare).values())) == 3
    again = [*things[:2], Labelled("3", "x(restarts=1)", {})]
    assert len(set(tell_apart(again).values())) == 3


def test_an_edited_label_reuses_trials_and_is_what_is_printed(tmp_path):
    path = fill(tmp_path / "a.db")
    before = list(open_store(path).rows())
    renamed = TEXT.replace('"mine"', '"ours/null"').replace('"cubes"', '"a problem, null"')
    fill(path, renamed, share=0.0)
    after = list(open_store(path).rows())
    assert [(row[0], *row[6:]) for row in after] == [(row[0], *row[6:]) for row in before]
    assert {row[5] for row in after} == {"ours/null", "jennrich"}
    assert {row[1] for row in after} == {"a problem, null"}
    assert set(open_store(path).thresholds()["method"]) == {"ours/null", "jennrich"}


def test_nulls_are_paired_whatever_they_are_called(tmp_path):
    # The label of one problem is that of the other's null in words; only identities pair them.
    text = TEXT.replace("[[method]]", '[[problem]]\nlabel = "cubes/null"\nactivation = "He3"\n'
                        'ensemble = "sphere"\nsigns = "random"\ndims = [5]\nranks = [4]\n'
                        "[[method]]", 1)  # fmt: skip
    path = fill(tmp_path / "a.db", text)
    with open_store(path) as store:
        cells = counted_by("beats-null", store)
        assert {c.problem for c in cells if c.null} == {"cubes"}
        for cell in cells:
            planted = not cell.null and cell.problem == "cubes"
            assert sum(cell.prefix[end] for end in ("recovered", "failed")) == 4 * planted
        nulls = [row for row in store.rows() if row[COLUMNS.index("null")]]
        assert {row[COLUMNS.index("outcome")] for row in nulls} == {"measured"}


def test_dense_and_planted_problems_share_one_null(tmp_path):
    one = TEXT[TEXT.index("[[problem]]") : TEXT.index("[[method]]")]
    dense = one.replace('"cubes"', '"entries"').replace("null", "dense = true\nnull")
    path = fill(tmp_path / "a.db", TEXT.replace(one, one + dense))
    with open_store(path) as store:
        counted = [c for c in counted_by("beats-null", store) if not c.null]
        assert {c.problem for c in counted} == {"cubes", "entries"}
        assert all(c.prefix["recovered"] + c.prefix["failed"] == 4 for c in counted)
        assert {c.title for c in counted_by("beats-null", store) if c.null} == {"cubes (null)"}


def test_old_versions_are_hidden_and_counted(aged):
    with open_store(aged) as store, open_store(aged, versions="all") as whole:
        # Two dimensions, two ranks, with and without structure, four trials each.
        assert store.hidden().startswith("32 trials of older versions of a method are hidden")
        assert whole.hidden() == ""
        new, old = (LevenbergMarquardt.version - back for back in (0, 1))
        names = {"mine", f"mine(version={old})", "jennrich"}
        assert set(store.trials()["method"]) == {"mine", "jennrich"}
        assert set(whole.trials()["method"]) == set(store.trials(versions="all")["method"]) == names
        assert {c.what.version for c in store.counts() if c.method == "mine"} == {new}
        for frame in ("cells", "thresholds", "exponents"):
            assert set(getattr(store, frame)()["method"]) == {"mine", "jennrich"}
            assert set(getattr(store, frame)(versions="all")["method"]) == names
        frame = whole.cells()
        won = frame[(frame["rank"] == 4) & ~frame["null"]].groupby("method")["recovered"].sum()
        assert won.to_dict() == {"mine": 8, f"mine(version={old})": 0, "jennrich": 0}
        assert {row.method for row in compare(store)} == {"mine", "jennrich"}
        assert {row.method for row in compare(whole)} == names
        with pytest.raises(InputError, match="versions: got 'old', wanted"):
            store.trials(versions="old")
    with pytest.raises(InputError, match="versions"):
        open_store(aged, versions="none")


def test_what_is_asked_for_is_shown_though_a_newer_version_is_there(aged, monkeypatch):
    monkeypatch.setattr(LevenbergMarquardt, "version", LevenbergMarquardt.version - 1)
    fill(aged)
    with open_store(aged) as store:
        assert "32 trials of other versions" in store.hidden()
        assert {c.target for c in store.counts()} == {4}
        assert {c.what.version for c in store.counts() if c.method == "mine"} == {
            LevenbergMarquardt.version
        }


def test_versions_are_no_matter_of_merging(aged, tmp_path):
    with open_store(aged) as store:
        every = len(list(store.rows("all")))
    with merge(tmp_path / "out.db", [aged]) as merged:
        assert len(list(merged.rows("all"))) == every
        assert merged.hidden().startswith("32 trials")


def test_diff_takes_the_newest_of_each_side_unless_asked_for_all(aged, tmp_path):
    other = fill(tmp_path / "b.db")
    rows = diff(aged, other).differences
    assert len(rows) == 4 and all(row.version_a == row.version_b for row in rows)
    mine = [row for row in diff(aged, other, versions="all").differences if row.method == "mine"]
    new = LevenbergMarquardt.version
    assert [(row.dim, row.version_a, row.version_b) for row in mine] == [
        (5, new - 1, new), (5, new, new), (6, new - 1, new), (6, new, new),
    ]  # fmt: skip
    assert [row.only_b for row in mine] == [4, 0, 4, 0]


def test_verbs_say_what_they_hide_and_show_it_when_asked(aged, tmp_path):
    line = "32 trials of older versions of a method are hidden: --all-versions"
    shown = tdlab("status", aged)
    assert line in shown.stdout and "version=" not in shown.stdout
    shown = tdlab("status", aged, "--all-versions")
    assert line not in shown.stdout and "mine(version=" in shown.stdout
    shown = tdlab("export", aged)
    assert line in shown.stderr and shown.stderr.count("\n") == 1
    rows = list(csv.reader(io.StringIO(shown.stdout)))
    assert tuple(rows[0]) == COLUMNS and len(rows) == 1 + 2 * 32
    text = io.StringIO()
    with open_store(aged, versions="all") as store:
        write_csv(store, text)
    assert tdlab("export", aged, "--all-versions").stdout == text.getvalue() != shown.stdout
    shown = tdlab("plot", aged, "--output", tmp_path / "figures")
    assert shown.returncode == 0 and line in shown.stderr
    assert "version=" not in (tmp_path / "figures" / "phase-cubes.csv").read_text()
    tdlab("plot", aged, "--all-versions", "--output", tmp_path / "figures")
    rows = (tmp_path / "figures" / "phase-cubes.csv").read_text().splitlines()
    assert len(rows) == 1 + 3 * 4 and sum("mine(version=" in row for row in rows) == 4
    assert f"A: {line}" in tdlab("diff", aged, fill(tmp_path / "b.db")).stderr
