"""Verdicts: what decides, what many intervals do by chance, and what could not be judged."""

import math
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import tdlab
from tdlab.lab.results.chances import chance
from tdlab.lab.results.measures import OUT_OF_RANGE, Interval
from tdlab.lab.results.verdicts import (
    NO_DATA,
    Statement,
    conclude,
    judge,
    verdict,
    visible,
    windows,
)
from tdlab.lab.spec.claims import Check, Claim
from tdlab.lab.spec.file import parse_spec
from tdlab.lab.spec.selection import Planned, planned
from tdlab.stats.binomial import interval, median_interval

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
    assert near.wide == pytest.approx(1 - 0.05 / 8)
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
    assert (beside.status, beside.wide) == ("holds", 0.95), "no method holds beyond its range"
    assert verdict(ABOVE, [lacking(OUT_OF_RANGE)], []).status == NO_DATA
    assert verdict(ABOVE, [], []).status == NO_DATA


def test_a_true_check_of_many_cells_fails_by_chance_at_most_once_in_20():
    # Each of ten cells has ten trials of median 1 and a check that medians are above 1: the least
    # favourable case. At 95% alone one cell in 93 lies beyond, of ten cells some in 10% of scans.
    check = Check("", "risk", (), unit="1", level=None, above=1.0, below=None)
    rng = np.random.default_rng(0)
    scans, many, fails, plain = 1000, 10, 0, 0
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
trials = 10

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
trials = 12

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
    assert len(recovered.intervals) == 9 and recovered.wide == pytest.approx(1 - 0.025 / 9)
    assert thresholds.status == "holds" and not thresholds.lacking


def test_failing_cells_are_judged_at_the_level_of_their_number(store):
    text = SPEC.replace(
        '"everything"\nquantity = "recovered"\nabove = 0.5', '"no"\nquantity = "risk"\nabove = 1'
    )
    few = judge(parse_spec(text).claim, store)[0]
    # Extremes of 10 values hold a median with 99.8%; nine cells and two checks ask for 99.7%.
    assert (few.status, few.beyond, len(few.surely)) == ("fails", 9, 9)


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
    place = lines.index("holds        everything (of the claim)")
    # Wilson at 1 - .05/3, the level of the first of three checks.
    low = float(interval(10, 10, 1 - 0.05 / 3)[0])
    shown = f"1 [{low:.3g}, 1] at 98.33%  He3/sphere, jennrich, d = "
    assert lines[place + 1].startswith(" " * 13 + shown)
    assert len(set(lines[place + 1 : place + 4])) == 3
    assert lines[place + 4] == " " * 13 + f"1 more without an interval: {OUT_OF_RANGE} (1)"
    assert "fails        few (of the claim)" in lines
    assert " " * 13 + "beyond a bound: 2 at 98.33%, 2 at 99.17%" in lines
    place = lines.index("statement    disagrees: of its checks 2 holds, 1 fails")
    assert place > lines.index("fails        few (of the claim)")


def of(kind, status):
    """A check of the claim or the instrument that ended so."""
    check = replace(ABOVE, of=kind, text=f"{kind} {status}")
    ends = {"holds": [(0.35, 0.4)], "fails": [(0.1, 0.2)], "undecided": [(0.2, 0.4)]}
    return verdict(check, made(*ends.get(status, [])), made(*ends.get(status, [])))


@pytest.mark.parametrize(
    ("seen", "checks", "wanted"),
    [
        (True, ["c holds", "c holds", "i holds"], Statement.AGREES),
        (True, ["c holds", "c none"], Statement.AGREES),
        (True, ["c holds", "c fails", "i holds"], Statement.DISAGREES),
        (True, ["c holds", "c undecided"], Statement.UNDECIDED),
        (True, ["c fails", "i fails"], Statement.UNDECIDED),
        (True, ["c holds", "i undecided"], Statement.UNDECIDED),
        (True, ["i holds"], Statement.NOT_TESTED),
        (True, ["c none", "i holds"], Statement.NOT_TESTED),
        (False, ["c holds", "i holds"], Statement.NOT_VISIBLE),
        (False, ["c fails"], Statement.NOT_VISIBLE),
    ],
)
def test_the_verdict_on_a_statement(seen, checks, wanted):
    names = {"c": "claim", "i": "instrument"}
    found = conclude(seen, [of(names[one[0]], one[2:]) for one in checks])
    assert found.statement is wanted and found.reason
    if "i fails" in checks:
        assert "instrument fails" in found.reason


def test_sizes_say_before_a_run_whether_a_statement_can_show():
    text = SPEC.replace("window = true", "visible = { dim_from = 30, ld_from = 1.0 }")
    spec = parse_spec(text)
    assert not visible(spec.claim, planned(spec))
    text = text.replace('"jennrich"', '"lm"').replace("dims = [5, 6]", "dims = [36]")
    for rank, can in ((215, False), (216, True)):
        larger = parse_spec(text.replace("[2, 3, 4, 5, 6]", f"[{rank}]"))
        assert visible(larger.claim, planned(larger)) is can
    assert visible(parse_spec(SPEC).claim, [])


def test_no_true_check_of_an_experiment_fails_in_95_of_100():
    # Six checks of two cells each, all true at the bound: the least favourable case.
    checks = [replace(ABOVE, above=1.0, text=str(i)) for i in range(6)]
    rng = np.random.default_rng(0)
    scans, fails, apart = 400, 0, 0

    class Scan:
        def __init__(self):
            self.values = 1.0 + rng.standard_normal((6, 2, 12))

    def measured(check, scan, level):
        rows = scan.values[int(check.text)]
        return made(*(median_interval(list(row), level)[1:] for row in rows))

    from tdlab.lab.results import measures

    patched, measures.measured = measures.measured, measured
    try:
        for _ in range(scans):
            scan = Scan()
            found = judge(Claim("", "", "", tuple(checks)), scan)
            fails += any(one.status == "fails" for one in found)
            apart += any(
                verdict(one, measured(one, scan, 0.95), measured(one, scan, 0.975)).status
                == "fails"
                for one in checks
            )
    finally:
        measures.measured = patched
    assert fails <= 0.05 * scans + 3.1 * math.sqrt(0.05 * 0.95 * scans)
    assert apart > 1.5 * fails, "one check at a time would say more than it may"


def test_steps_leave_more_to_those_that_are_left():
    # Of three checks two are clear at any level; the third is at 1 - .05/1 and not at 1 - .05/3.
    clear = [replace(ABOVE, text=text) for text in "ab"]
    close = replace(ABOVE, text="close")
    from tdlab.lab.results import measures

    def measured(check, _, level):
        if check.text == "close":
            return made((0.31 if level <= 0.951 else 0.29, 0.4))
        return made((0.35, 0.4))

    patched, measures.measured = measures.measured, measured
    try:
        found = judge(Claim("", "", "", (*clear, close)), None)
        alone = judge(Claim("", "", "", (replace(clear[0], above=0.38), clear[1], close)), None)
    finally:
        measures.measured = patched
    assert [one.status for one in found] == ["holds"] * 3
    assert [round(one.level, 4) for one in found] == [0.9833, 0.9833, 0.95]
    assert [one.status for one in alone] == ["undecided", "holds", "undecided"]


def test_the_chance_that_a_true_check_holds_is_that_of_simulated_scans():
    # Two cells of 6 trials that recover with .95 each hold above one half with .54, at 95%.
    first = parse_spec(ABOUT.replace("stub", "lm")).cells[0]
    cells = [Planned(first.what, 5, rank, 3, None, False, 6) for rank in (2, 3)]
    check = replace(ABOVE, quantity="recovered", above=0.5)
    assert chance(check, cells, 0.05) == pytest.approx(0.95**12, abs=1e-9)
    rng = np.random.default_rng(0)
    wins = rng.binomial(14, 0.95, (20000, 2))
    low = interval(wins, 14, 0.99)[0]
    cells = [replace(one, trials=14) for one in cells]
    held = (low > 0.5).all(axis=1).mean()
    assert chance(check, cells, 0.01) == pytest.approx(held, abs=0.012)
    # Medians: the share on the right side is .9, whatever the law.
    right = rng.random((4000, 14)) < 0.9
    held = np.mean(
        [median_interval(list(row.astype(float)), 0.99)[1] == 1.0 for row in right[:1000]]
    )
    one = chance(replace(ABOVE, truth=0.9), cells[:1], 0.01)
    assert one == pytest.approx(held, abs=0.045)
    assert chance(replace(ABOVE, quantity="exponent"), cells, 0.05) is None
    assert chance(ABOVE, [], 0.05) is None


STUB = """
from dataclasses import dataclass
import numpy as np
from tdlab.algorithms.base import Status, finish
from tdlab.algorithms.methods.jennrich import Jennrich


@dataclass(frozen=True)
class Broken(Jennrich):
    name = "stub"
    def run(self, tensor, rank, *, rng, budget):
        rows = rng.standard_normal((rank, tensor.dim))
        return finish(
            self, tensor, rank, budget, components=rows, status=Status.STAGNATED, message="stuck"
        )
"""
ABOUT = """
name = "about"
seed = 1
trials = 12
[claim]
statement = "stub recovers up to d"
source = "its author"
expectation = "all"
[[claim.check]]
text = "every component"
of = "claim"
quantity = "recovered"
where = { method = "stub" }
above = 0.5
[[claim.check]]
text = "jennrich beside it"
of = "instrument"
quantity = "recovered"
where = { method = "jennrich" }
above = 0.5
[[problem]]
activation = "He3"
ensemble = "sphere"
dims = [5]
ranks = [3]
[[method]]
name = "stub"
[[method]]
name = "jennrich"
"""


@pytest.mark.parametrize(
    ("cls", "swapped", "wanted"),
    [
        ("Broken", False, "disagrees"),
        ("Broken", True, "undecided"),
    ],
)
def test_a_broken_algorithm_turns_the_right_verdict(tmp_path, cls, swapped, wanted):
    info = tmp_path / "site" / "stub-1.dist-info"
    info.mkdir(parents=True)
    (tmp_path / "site" / "stub_mod.py").write_text(STUB)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stub\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[tdlab.methods]\nstub = stub_mod:{cls}\n")
    text = ABOUT
    if swapped:  # the stub is the instrument of a claim about jennrich
        text = text.replace('of = "claim"', "of = ?").replace('"instrument"', '"claim"')
        text = text.replace("of = ?", 'of = "instrument"')
    (tmp_path / "about.toml").write_text(text)
    words = ["reproduce", "about.toml", "--workers", "1", "--seed", "7"]
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(
        [sys.executable, "-m", "tdlab", *words],
        cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"statement    {wanted}: " in done.stdout
    assert "seed         7, held out" in done.stdout
    assert (tmp_path / "about-quick-seed7.db").exists()
