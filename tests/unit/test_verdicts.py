"""Verdicts: what decides, what many intervals do by chance, and what could not be judged."""

import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import tdlab
from tdlab.lab.claims import Check
from tdlab.lab.measures import OUT_OF_RANGE, Interval
from tdlab.lab.spec import parse_spec
from tdlab.lab.verdicts import judge, verdict, windows
from tdlab.stats.binomial import median_interval

BOTH = Check("both", "risk", (), unit="1", level=None, above=0.3, below=0.5)
ABOVE = Check("above", "risk", (), unit="1", level=None, above=0.3, below=None)


def made(*ends):
    return [Interval(str(i), low, low, high) for i, (low, high) in enumerate(ends)]


def lacking(why):
    return Interval("elsewhere", math.nan, -math.inf, math.inf, why)


def test_the_interval_that_decides_comes_first():
    def first(*ends, wide=()):
        return verdict(BOTH, made(*ends), made(*wide)).worst

    assert first((0.35, 0.4), (0.38, 0.49)).where == "1", "nearest to either bound"
    assert first((0.35, 0.6), (0.31, 0.4)).where == "0", "undecided before one that holds"
    assert first((-math.inf, 0.9), (0.1, 0.2), (0.35, 0.4)).where == "1", "beyond before undecided"
    far, wide = ((0.1, 0.2), (0.22, 0.25)), ((0.0, 0.35), (0.2, 0.29))
    assert first(*far, wide=wide).where == "1", "the one that lies there surely"
    assert first() is None


def test_one_of_many_fails_only_at_the_level_of_many():
    ends = [(0.35, 0.4)] * 7 + [(0.1, 0.29)]
    near = verdict(ABOVE, made(*ends), made(*[(0.2, 0.5)] * 7, (0.05, 0.31)))
    assert (near.status, near.beyond, near.surely) == ("undecided", 1, ())
    assert near.level == pytest.approx(1 - 0.05 / 8)
    far = verdict(ABOVE, made(*ends), made(*[(0.2, 0.5)] * 7, (0.05, 0.299)))
    assert (far.status, far.surely, far.worst.where) == ("fails", ("7",), "7")
    # All of them: no level but 95% is asked for.
    assert verdict(ABOVE, made(*[(0.1, 0.29)] * 8), made(*[(0.1, 0.4)] * 8)).status == "fails"


def test_what_has_no_interval_keeps_a_check_from_holding():
    good, bad = made((0.35, 0.4)), made((0.1, 0.2))
    short = verdict(ABOVE, [*good, lacking("no fit")], [])
    assert (short.status, short.reasons) == ("undecided", "no fit (1)")
    assert verdict(ABOVE, [*bad, lacking("no fit")], []).status == "undecided"
    beside = verdict(ABOVE, [*good, lacking(OUT_OF_RANGE)], [])
    assert (beside.status, beside.level) == ("holds", 0.95), "no method holds beyond its range"
    assert verdict(ABOVE, [lacking(OUT_OF_RANGE)], []).status == "no data"
    assert verdict(ABOVE, [], []).status == "no data"


def test_a_true_check_of_many_cells_fails_by_chance_at_most_once_in_20():
    # Each of ten cells has ten trials of median 1 and a check that medians are above 1: the least
    # favourable case. At 95% alone one cell in 93 lies beyond, of ten cells some in 10% of scans.
    check = Check("", "risk", (), unit="1", level=None, above=1.0, below=None)
    rng = np.random.default_rng(0)
    scans, many, fails, plain = 4000, 10, 0, 0
    for values in 1.0 + rng.standard_normal((scans, many, 10)):
        at = [
            made(*(median_interval(list(row), level)[1:] for row in values))
            for level in (0.95, 1 - 0.05 / many)
        ]
        found = verdict(check, *at)
        fails += found.status == "fails"
        plain += found.beyond > 0
    # 99.9% of binomial counts lie under these.
    assert fails <= 0.05 * scans + 3.1 * math.sqrt(0.05 * 0.95 * scans)
    assert plain > 0.07 * scans


SPEC = """
name = "small"
seed = 1
trials = 7

[claim]
statement = "jennrich and lm recover"
source = "Leurgans, Ross and Abel (1993)"
expectation = "all"
window = true

[[claim.check]]
text = "everything"
quantity = "recovered"
above = 0.5
[[claim.check]]
text = "the thresholds"
quantity = "threshold"
unit = "d"
above = 0.2

[profile.full]
trials = 8

[[problem]]
activation = "He3"
ensemble = "sphere"
dims = [5, 6]
ranks = [2, 3, 4, 5, 6]

[[method]]
name = "jennrich"
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tdlab.run(parse_spec(SPEC), store=tmp_path_factory.mktemp("s") / "s.db", workers=1)


def test_cells_outside_the_range_are_counted_and_decide_nothing(store):
    recovered, thresholds = judge(parse_spec(SPEC).claim, store)
    # jennrich stops at r = d.
    assert (recovered.status, recovered.reasons) == ("holds", f"{OUT_OF_RANGE} (1)")
    assert len(recovered.intervals) == 9 and recovered.level == pytest.approx(1 - 0.05 / 9)
    assert thresholds.status == "holds" and not thresholds.lacking


def test_failing_cells_are_judged_at_the_level_of_their_number(store):
    text = SPEC.replace(
        '"everything"\nquantity = "recovered"\nabove = 0.5', '"no"\nquantity = "risk"\nabove = 1'
    )
    few = judge(parse_spec(text).claim, store)[0]
    # Extremes of 7 values hold a median with 98.4%, and nine cells ask for 99.4%: but all fail.
    assert (few.status, few.beyond, few.surely) == ("fails", 9, ())


def test_windows_say_where_they_are_empty(store):
    assert windows(store.counts()) == [
        "d^1.5 < r < r_id, constants 1, is empty at d = 5, 6: not testable there"
    ]
    # Degree 4 opens at d = 18 (324 < r < 332.5), degree 3 at d = 30.
    cells = [
        replace(store.counts()[0], order=order, dim=dim, rank=rank, null=null)
        for order, dim, rank, null in (
            (4, 17, 300, False), (4, 18, 324, False), (4, 18, 330, False), (4, 18, 340, False),
            (3, 30, 165, True), (3, 20, 80, False),
        )
    ]  # fmt: skip
    assert windows(cells) == [
        "d^1.5 < r < r_id, constants 1, is empty at d = 20: not testable there",
        "d^2 < r < r_id, constants 1, is empty at d = 17: not testable there",
        "d^2 < r < r_id, constants 1, at d = 18 is 324 < r < 332.5: 1 of the 3 widths tried lie "
        "in it",
    ]


def test_reproduce_prints_intervals_and_what_it_could_not_judge(tmp_path):
    text = SPEC.replace("[2, 3, 4, 5, 6]", "[2, 6]").replace(
        "[profile.full]",
        '[[claim.check]]\ntext = "gains"\nquantity = "gain"\nabove = 0\n'
        '[[claim.check]]\ntext = "few"\nquantity = "risk"\nwhere = { rank = 2 }\nabove = 1\n'
        "[profile.full]",
    )
    (tmp_path / "small.toml").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "tdlab", "reproduce", "small.toml", "--workers", "1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "window       d^1.5 < r < r_id, constants 1, is empty at d = 5, 6: not testable" in (
        done.stdout
    )
    place = lines.index("holds        everything")
    assert lines[place + 1].startswith(" " * 13 + "1 [0.646, 1]  He3/sphere, jennrich, d = ")
    assert len(set(lines[place + 1 : place + 4])) == 3
    assert lines[place + 4] == " " * 13 + f"1 more without an interval: {OUT_OF_RANGE} (1)"
    place = lines.index("undecided    gains")
    assert lines[place + 1] == (
        " " * 13 + f"4 without an interval: no null beside it (3), {OUT_OF_RANGE} (1)"
    )
    assert "fails        few" in lines
    assert " " * 13 + "beyond a bound: 2 at 95%, 2 at 97.5%" in lines
    # Three of recovery, two risks; of two thresholds 7 trials at one rank give none.
    place = lines.index("undecided    the thresholds")
    assert lines[place + 1 : place + 3] == [
        " " * 13 + "[0.333, inf]  He3/sphere, jennrich, d = 6",
        " " * 13 + "1 more without an interval: too few trials (1)",
    ]
    assert (
        "chance       of 6 intervals at 95%, 2 beyond a bound; were all checks true, chance would "
        "put up to 0.3 there on average" in lines
    )
