"""`compare` on a real store: shares, paired ratios, references."""

import math

import pytest

import tdlab
from tdlab.errors import InputError
from tdlab.lab.compare import compare

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
    folder = tmp_path_factory.mktemp("compare")
    (folder / "spec.toml").write_text(SPEC)
    return tdlab.run(folder / "spec.toml", store=folder / "compare.db", workers=1)


def rows(store, **options):
    return {(row.rank, row.method): row for row in compare(store, **options)}


def test_shares_are_those_of_the_trials(store):
    frame = store.trials()
    for (rank, method), row in rows(store).items():
        mine = frame[(frame["rank"] == rank) & (frame["method"] == method)]
        mine = mine[~mine["problem"].str.endswith("/null")]
        assert row.recovered == (mine["outcome"] == "recovered").sum()
        assert row.trials == 6 and row.low <= row.recovered / 6 <= row.high
    # Outside its range jennrich has no row: it was not compared there.
    assert (8, "jennrich") not in rows(store) and (4, "jennrich") in rows(store)


def test_ratios_are_paired_over_common_successes(store):
    frame = store.trials()
    frame = frame[(frame["rank"] == 4) & ~frame["problem"].str.endswith("/null")]
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
