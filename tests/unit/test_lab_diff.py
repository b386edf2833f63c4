"""`diff` pairs what met the same instance, and only that; its intervals are those of the counts."""

import math

import pytest

from tdlab.errors import InputError
from tdlab.lab.results.diff import diff
from tdlab.lab.spec.file import parse_spec
from tdlab.lab.spec.shard import Shard
from tdlab.lab.store.writer import StoreWriter
from tdlab.lab.trial.run import TrialResult
from tests.lab_tools import refused, tdlab

TEXT = """
name = "before"
seed = 3
trials = 20
[problem]
activation = "He3"
ensemble = "sphere"
dims = [6, 8]
ranks = [4, 8, 12]
null = true
[[method]]
name = "lm"
restarts = 1
"""


def fill(path, text=TEXT, wins=(20, 10, 0), seconds=1.0, shift=0, shard=None):
    """A store in which trials ``shift`` to ``shift + wins`` of each rank recover."""
    spec = parse_spec(text)
    with StoreWriter(path) as writer:
        ids = writer.begin(spec, 1, shard=shard)
        flags = writer.stored(ids, spec.trials)
        if shard:
            shard.skip_others(spec.cells, flags)
        for cell_id, cell, flag in zip(ids, spec.cells, flags, strict=True):
            won = wins[sorted({c.rank for c in spec.cells}).index(cell.rank)]
            for index in [index for index in range(spec.trials) if not flag[index]]:
                good = shift <= index < shift + won
                found = TrialResult(
                    "recovered" if good else "failed",
                    "" if good else "stuck",
                    float(good),
                    0.5,
                    0.5,
                    method_seconds=seconds * (index + 1),
                )
                writer.commit([((cell_id, index), found)])
        writer.finish("done")
    return path


def test_paired_counts_and_times(tmp_path):
    before = fill(tmp_path / "a.db")
    after = fill(tmp_path / "b.db", TEXT.replace("[6, 8]", "[6]"), (20, 19, 1), 0.25, shift=0)
    (row,) = diff(before, after).differences
    assert (row.problem, row.method, row.dim) == ("He3/sphere", "lm", 6)
    # Rank 8: 10 and 19 of 20; rank 12: none and one. All of A's successes are B's.
    assert (row.pairs, row.only_a, row.only_b, row.both) == (60, 0, 10, 30)
    assert row.share_low == pytest.approx(0.025 ** (1 / 10)) and row.share_high == 1.0
    assert row.verdict == "B reaches further"
    assert (row.faster, row.faster_low, row.faster_high) == (4.0, 4.0, 4.0)
    assert row.a.trials == 60 and row.a.recovered == 30 and row.b.recovered == 40
    assert row.a.seconds == pytest.approx(4 * row.b.seconds, rel=0.3)
    assert row.a.r_star < row.b.r_star


def test_sides_swap(tmp_path):
    one = fill(tmp_path / "a.db")
    two = fill(tmp_path / "b.db", wins=(20, 18, 2), seconds=2.0)
    forth, back = diff(one, two), diff(two, one)
    for row, mirror in zip(forth.differences, back.differences, strict=True):
        assert (row.a, row.b) == (mirror.b, mirror.a)
        assert (row.only_a, row.only_b) == (mirror.only_b, mirror.only_a)
        assert row.faster == pytest.approx(1 / mirror.faster)
        assert row.share_low == pytest.approx(1 - mirror.share_high)
        assert {row.verdict, mirror.verdict} == {"A reaches further", "B reaches further"}


def test_equal_shares_on_different_instances_are_no_difference(tmp_path):
    # Both recover ten of twenty, on instances that overlap in five.
    one, two = fill(tmp_path / "a.db"), fill(tmp_path / "b.db", wins=(20, 10, 0), shift=5)
    row = diff(one, two).differences[0]
    assert (row.only_a, row.only_b) == (10, 5)
    assert row.verdict == "no difference seen"
    assert row.both == 20  # 15 common at rank 4, 5 at rank 8


TWO = TEXT + '[[method]]\nname = "lm"\nrestarts = 2\n'


def test_equal_labels_of_other_methods_are_not_paired(tmp_path):
    # Options are part of a label only where a scan has a method twice: both are "lm" here.
    one = fill(tmp_path / "a.db", wins=(20, 1, 0))
    other = fill(tmp_path / "b.db", TEXT.replace("restarts = 1", "restarts = 2"), (20, 20, 20))
    with pytest.raises(InputError, match=r"lm\(.*restarts=1\) in .*lm\(.*restarts=2\) in"):
        diff(one, other)


def test_one_method_under_two_labels_is_paired(tmp_path):
    # A scan with two sets of options spells them in the label; one of them is that of the other.
    one, two = fill(tmp_path / "a.db"), fill(tmp_path / "b.db", TWO, (20, 18, 2))
    rows = diff(one, two).differences
    assert [(row.dim, row.only_a, row.only_b) for row in rows] == [(6, 0, 10), (8, 0, 10)]
    assert {row.method for row in rows} == {"lm (B: lm(restarts=1))"}
    assert {name for _, name, _ in diff(one, two).only_in_b} == {"lm(restarts=2)"}
    # A problem by another name is the same problem.
    named = TEXT.replace("[problem]", '[problem]\nlabel = "mine"')
    (row, _) = diff(one, fill(tmp_path / "c.db", named)).differences
    assert (row.problem, row.pairs) == ("He3/sphere", 60)
    # Two problems under one name are two.
    other = TEXT.replace("[problem]", '[problem]\nlabel = "He3/sphere"').replace(
        'ensemble = "sphere"', 'ensemble = "hypercube"'
    )
    with pytest.raises(InputError, match="the same problem"):
        diff(one, fill(tmp_path / "d.db", other))


def test_versions_of_one_method_are_compared_and_named(tmp_path, monkeypatch):
    from tdlab.algorithms.methods.lm import LevenbergMarquardt

    one = fill(tmp_path / "a.db")
    monkeypatch.setattr(LevenbergMarquardt, "version", LevenbergMarquardt.version + 1)
    two = fill(tmp_path / "b.db", wins=(20, 18, 2))
    rows = diff(one, two).differences
    assert [row.version_b - row.version_a for row in rows] == [1, 1]
    assert {row.verdict for row in rows} == {"B reaches further"}
    shown = tdlab("diff", one, two)
    assert f"{rows[0].version_a} in A, {rows[0].version_b} in B" in shown.stdout


def test_other_seeds_are_not_paired(tmp_path):
    one = fill(tmp_path / "a.db", wins=(20, 1, 0))
    two = fill(tmp_path / "b.db", TEXT.replace("seed = 3", "seed = 4"), wins=(20, 20, 20))
    row = diff(one, two).differences[0]
    assert row.pairs == row.both == 0 and math.isnan(row.faster)
    # Without pairs the thresholds alone decide, and their intervals are disjoint here.
    assert row.a.high < row.b.low and row.verdict == "B reaches further"


def test_same_cells_are_checked_for_agreement(tmp_path):
    one = fill(tmp_path / "a.db")
    assert diff(one, fill(tmp_path / "same.db", seconds=9.0)).changed == ()
    two = fill(tmp_path / "b.db", wins=(20, 11, 0))
    found = diff(one, two)
    assert found.same_trials == 120 and len(found.changed) == 2  # index 10 of rank 8, two dims
    assert all(name.endswith(":10") for name in found.changed)


def test_what_only_one_has_is_named(tmp_path):
    wider = TEXT.replace("[6, 8]", "[6, 9]") + '[[method]]\nname = "jennrich"\n'
    found = diff(fill(tmp_path / "a.db"), fill(tmp_path / "b.db", wider))
    assert found.only_in_a == (("He3/sphere", "lm", 8),)
    assert set(found.only_in_b) == {
        ("He3/sphere", "lm", 9),
        ("He3/sphere", "jennrich", 6),
        ("He3/sphere", "jennrich", 9),
    }


def test_the_same_store_twice_compares_its_versions(tmp_path):
    path = fill(tmp_path / "a.db", wins=(20, 2, 0))
    with pytest.raises(InputError, match="twice"):
        diff(path, path)
    # A higher limit makes new cells on the same instances, as a new version does.
    fill(path, TEXT.replace("seed = 3", "seed = 3\ntime_limit = 99"), wins=(20, 18, 0))
    rows = diff(path, path).differences
    assert [(row.dim, row.only_a, row.only_b) for row in rows] == [(6, 0, 16), (8, 0, 16)]
    assert {row.verdict for row in rows} == {"B reaches further"}


def test_refusals(tmp_path):
    one = fill(tmp_path / "a.db")
    other = fill(tmp_path / "b.db", TEXT.replace('"lm"\nrestarts = 1', '"jennrich"'))
    with pytest.raises(InputError, match=r"He3/sphere lm\(.*\) in .*He3/sphere jennrich\(.*\) in"):
        diff(one, other)
    part = fill(tmp_path / "part.db", shard=Shard(1, 2))
    with pytest.raises(InputError, match="shard 1/2 alone"):
        diff(one, part)
    assert refused(tdlab("diff", one, other))
    assert refused(tdlab("diff", one, tmp_path / "none.db"))


def test_censored_trials_count_and_null_twins_do_not(tmp_path):
    one = fill(tmp_path / "a.db")
    text = TEXT.replace("trials = 20", "trials = 21")
    two = fill(tmp_path / "b.db", text)
    spec = parse_spec(text.replace("trials = 21", "trials = 22"))
    with StoreWriter(two) as writer:
        for cell_id, cell in zip(writer.begin(spec, 1), spec.cells, strict=True):
            late = TrialResult("timeout" if not cell.problem.null else "measured", "late")
            writer.commit([((cell_id, 21), late)])
    row = diff(one, two).differences[0]
    assert row.b.trials == 66 and row.a.trials == 60 and row.pairs == 60
    assert {row.problem for row in diff(one, two).differences} == {"He3/sphere"}


def test_the_command_line_prints_both_tables(tmp_path):
    one = fill(tmp_path / "a.db")
    two = fill(tmp_path / "b.db", wins=(20, 18, 2), seconds=0.5)
    shown = tdlab("diff", one, two)
    assert shown.returncode == 0, shown.stderr
    assert "B reaches further" in shown.stdout and "2.00x" in shown.stdout
    assert f"A  {one}  tdlab" in shown.stdout and "blas" in shown.stdout
    assert "Same cells: 120 trials in both, 100 agree; different:" in shown.stdout
