"""`compare` on a real store: shares, paired ratios, references."""

import math
import shutil

import pytest

import tdlab
from tdlab.errors import InputError
from tdlab.lab.results.compare import compare
from tdlab.lab.spec.file import parse_spec
from tests.lab_tools import tdlab as tdlab_command_line

SPEC = """
trials = 6
time_limit = 30
[problem]
activation = "He3"
ensemble = "sphere"
dims = [6]
ranks = [4, 8]
null = true
[[method]]
name = "lm"
[[method]]
name = "jennrich"
[[method]]
name = "tensorly-als"
restarts = 1
iterations = 200
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("compare") / "compare.db"
    return tdlab.run(parse_spec(SPEC), store=path, workers=1)


def rows(store, **options):
    return {(row.rank, row.method): row for row in compare(store, **options)}


def test_shares_are_those_of_the_trials(store):
    frame = store.trials()
    for (rank, method), row in rows(store).items():
        mine = frame[(frame["rank"] == rank) & (frame["method"] == method)]
        mine = mine[~mine["null"]]
        assert row.recovered == (mine["outcome"] == "recovered").sum()
        assert row.trials == 6 and row.low <= row.recovered / 6 <= row.high
    # Outside its range jennrich has no row: it was not compared there.
    assert (8, "jennrich") not in rows(store) and (4, "jennrich") in rows(store)


SAMPLED = """
trials = 4
time_limit = 30
[problem]
activation = "x**3"
ensemble = "sphere"
dims = [4]
ranks = [2]
samples = [5, 300]
[[method]]
name = "student"
[[method]]
name = "moments-decompose"
"""


def test_numbers_of_samples_stay_apart(tmp_path):
    path = tmp_path / "sampled.toml"
    path.write_text(SAMPLED)
    with tdlab.run(path, store=tmp_path / "sampled.db", workers=1) as store:
        frame = store.trials()
        found = {(row.n, row.method): row for row in compare(store)}
    assert {n for n, _ in found} == {5, 300}
    for (n, method), row in found.items():
        mine = frame[(frame["n"] == n) & (frame["method"] == method)]
        assert row.trials == 4 and row.recovered == (mine["outcome"] == "recovered").sum()
    assert found[5, "student"].recovered < found[300, "student"].recovered == 4
    for verb in (["status"], ["diff", tmp_path / "copy.db"]):
        shutil.copy(tmp_path / "sampled.db", tmp_path / "copy.db")
        lines = tdlab_command_line(verb[0], tmp_path / "sampled.db", *verb[1:]).stdout.splitlines()
        rows = [line.split() for line in lines if " moments-decompose " in line]
        # Beside the dimension; the table of outcomes is shorter.
        assert {row[3] for row in rows if len(row) > 4} == {"5", "300"}, lines
    shown = tdlab_command_line("compare", path, "--store", tmp_path / "sampled.db")
    assert len([line for line in shown.stdout.splitlines() if " student " in line]) == 2


def test_a_single_shard_is_refused(tmp_path):
    with (
        tdlab.run(parse_spec(SPEC), store=tmp_path / "part.db", workers=1, shard="1/2") as store,
        pytest.raises(InputError, match="got shard 1/2 alone, wanted the whole"),
    ):
        compare(store)


def test_ratios_are_paired_over_common_successes(store):
    frame = store.trials()
    frame = frame[(frame["rank"] == 4) & ~frame["null"]]
    won = frame[frame["outcome"] == "recovered"]
    times = won.pivot(index="index", columns="method", values="meta_method_seconds")
    ratio = (times["tensorly-als"] / times["lm"]).dropna()
    row = rows(store)[4, "lm"]
    assert row.pairs == len(ratio) and row.ratio == pytest.approx(ratio.median())
    assert row.ratio_low <= row.ratio <= row.ratio_high
    # The reference against itself is 1.
    assert rows(store)[4, "tensorly-als"].ratio == pytest.approx(1.0)


def test_the_reference_can_be_named(store):
    named = rows(store, against=["lm"])
    assert named[4, "lm"].ratio == pytest.approx(1.0)
    with pytest.raises(InputError, match=r"against: got 'ml'.*did you mean 'lm'"):
        compare(store, against=["ml"])


def test_no_common_success_gives_no_ratio(store):
    for row in rows(store).values():
        assert (row.pairs == 0) == math.isnan(row.ratio)
