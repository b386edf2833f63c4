"""Claims, profiles and verdicts: what an experiment says of itself, judged on a real store."""

import dataclasses
import math
import subprocess
import sys

import numpy as np
import pytest

import tdlab
from tdlab import InputError
from tdlab.lab.results.verdicts import judge
from tdlab.lab.spec.bundled import experiments
from tdlab.lab.spec.file import parse_spec, read_spec
from tdlab.stats import dimension_that_looks_trivial, fit_null_law, fit_null_surface
from tdlab.stats.null_law import trivial_interval

SPEC = """
name = "small"
seed = 1
trials = 10

[claim]
statement = "jennrich recovers up to d"
source = "Leurgans, Ross and Abel (1993)"
expectation = "all at r = 3 and 5, and the null keeps variance"

[[claim.check]]
text = "recovered"
quantity = "recovered"
above = 0.5
[[claim.check]]
text = "no risk"
quantity = "risk"
below = 1e-9
[[claim.check]]
text = "the null keeps a fifth"
quantity = "risk"
where = { null = true, rank = 3 }
above = 0.2
[[claim.check]]
text = "a false one"
quantity = "risk"
where = { null = true, rank = 3 }
below = 0.1
[[claim.check]]
text = "gain over the null"
quantity = "gain"
where = { x_to = 0.4 }
above = 0.9
[[claim.check]]
text = "nothing of that kind here"
quantity = "risk"
where = { rank = 4 }
above = 0.0

[profile.full]
trials = 12
ranks = [3]

[profile.large]
ranks = [3, 4]

[[problem]]
activation = "He3"
ensemble = "sphere"
dims = [6]
ranks = [3, 5]
null = true

[[method]]
name = "lm"
restarts = 2
iterations = 60
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tdlab.run(parse_spec(SPEC), store=tmp_path_factory.mktemp("s") / "s.db", workers=1)


def test_checks_hold_fail_or_have_no_data(store):
    verdicts = judge(parse_spec(SPEC).claim, store)
    assert [v.status for v in verdicts[:5]] == ["holds", "holds", "holds", "fails", "holds"]
    assert verdicts[5].status == "not tested here"
    where, value, low, high, _ = verdicts[2].worst
    frame = store.trials()
    null = frame[frame["null"] & (frame["rank"] == 3)]["risk_ratio"]
    assert value == pytest.approx(null.median()) and low <= value <= high and "r = 3" in where
    assert len(verdicts[0].intervals) == 2


def test_too_few_trials_are_undecided(tmp_path):
    text = SPEC.replace("trials = 10", "trials = 4", 1)
    store = tdlab.run(parse_spec(text), store=tmp_path / "few.db", workers=1)
    verdicts = judge(parse_spec(text).claim, store)
    assert [v.status for v in verdicts[1:5]] == ["undecided"] * 4
    assert [v.reasons for v in verdicts[1:3]] == ["too few trials (2)", "too few trials (1)"]
    assert verdicts[1].worst is None


def test_stopped_trials_widen_what_is_said_of_risks(store):
    from tdlab.lab.results.measures import _median_risk

    cell = store.counts()[0]
    ended = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    assert _median_risk(cell, ended)[1:] == (0.1, 0.6)
    one = dataclasses.replace(cell, outcomes={**cell.outcomes, "timeout": 1})
    # Seven values, all of them within the extremes: the seventh may be 0 or without bound.
    assert _median_risk(one, ended)[1:] == (0.0, math.inf)
    three = dataclasses.replace(cell, outcomes={**cell.outcomes, "timeout": 2, "memory": 1})
    # Nine values: the second smallest and the second largest.
    assert _median_risk(three, ended)[1:] == (0.0, math.inf)
    many = [0.1] * 30
    assert _median_risk(one, many)[1:] == (0.1, 0.1)
    assert _median_risk(one, ended[:4])[1:] == (-math.inf, math.inf)
    assert math.isnan(_median_risk(one, [])[0])


def test_thresholds_and_exponents_are_those_of_the_store(store):
    text = SPEC.replace(
        'quantity = "risk"\nbelow = 1e-9', 'quantity = "threshold"\nunit = "d"\nabove = 0.5'
    )
    verdict = judge(parse_spec(text).claim, store)[1]
    row = store.thresholds().iloc[0]
    assert verdict.status == ("holds" if row["low"] > 3 else "undecided")
    assert verdict.worst.low == pytest.approx(row["low"] / 6) and verdict.worst.high == math.inf


def test_curves_without_a_fit_keep_a_check_undecided(store, tmp_path):
    # Two dimensions: an exponent of lm is refused, and nothing may be said of all curves.
    text = SPEC[: SPEC.index('[[claim.check]]\ntext = "no risk"')]
    text += SPEC[SPEC.index("[profile.full]") :]
    text = text.replace("dims = [6]", "dims = [6, 7]").replace("null = true\n\n[[m", "\n[[m")
    text = text.replace('quantity = "recovered"\nabove', 'quantity = "exponent"\nabove')
    two = tdlab.run(parse_spec(text), store=tmp_path / "two.db", workers=1)
    verdict = judge(parse_spec(text).claim, two)[0]
    assert verdict.status == "undecided" and verdict.reasons == "too few dimensions (1)"
    # One trial a rank tells no side of one half: there is no bound on the threshold at all.
    text = SPEC.replace("trials = 10", "trials = 1", 1)
    text = text.replace('quantity = "recovered"\nabove', 'quantity = "threshold"\nabove')
    few = tdlab.run(parse_spec(text), store=tmp_path / "one.db", workers=1)
    assert few.thresholds()["status"].tolist() == ["too-few-trials"]
    verdict = judge(parse_spec(text).claim, few)[0]
    assert verdict.status == "undecided" and verdict.reasons == "too few trials (1)"


def test_a_gain_holds_both_medians_with_95_percent(store):
    from tdlab.lab.results.measures import _median_risk

    cell = store.counts()[0]
    seven = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    assert _median_risk(cell, seven[:6], 0.975)[1:] == (-math.inf, math.inf)
    assert _median_risk(cell, seven, 0.975)[1:] == (0.1, 0.7)


def test_thresholds_of_other_events(store):
    null, trivial = (store.thresholds(event=e) for e in ("beats-null", "beats-trivial"))
    assert list(trivial.columns) == list(store.thresholds().columns)
    # lm recovers every teacher here, and even on its null explains some of the variance.
    assert (trivial["low"] >= 3).all() or (trivial["status"] == "beyond-range").all()
    assert null["trials"].tolist() == trivial["trials"].tolist() == [20]
    with pytest.raises(InputError, match="event: got 'wins'"):
        store.thresholds(event="wins")


def test_beating_the_null_is_paired_by_index(store):
    from tdlab.lab.results.events import counted_by

    frame = store.trials()
    cells = {cell.cell: cell for cell in counted_by("beats-null", store)}
    for key, group in frame[~frame["null"]].groupby("cell"):
        rank = group["rank"].iloc[0]
        null = frame[frame["null"] & (frame["rank"] == rank)]
        wins = (group["risk_ratio"].to_numpy() < null["risk_ratio"].to_numpy()).sum()
        assert cells[key].prefix["recovered"] == wins
        assert cells[key].prefix["failed"] == len(group) - wins


def test_profiles_replace_what_they_name():
    quick, full = parse_spec(SPEC), parse_spec(SPEC, profile="full")
    assert {cell.rank for cell in quick.cells} == {3, 5} and quick.trials == 10
    assert {cell.rank for cell in full.cells} == {3} and full.trials == 12
    shared = {cell.digest for cell in quick.cells} & {cell.digest for cell in full.cells}
    assert len(shared) == len(full.cells), "cells are the same cells in every profile"
    assert quick.digest != full.digest
    for bad in ("none", "ful"):
        with pytest.raises(InputError, match="profile"):
            parse_spec(SPEC, profile=bad)


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ('quantity = "recovered"\n', "", "quantity"),
        ('quantity = "recovered"', 'quantity = "luck"', "quantity"),
        ("above = 0.5\n", "", "bound"),
        ("above = 0.5", 'above = "x"', "above"),
        ("where = { rank = 4 }", "where = { ranks = 4 }", "where"),
        ("where = { rank = 4 }", "where = 3", "where"),
        ("[claim]", "[claim]\nwindow = 1", "window"),
        (
            'quantity = "risk"\nwhere = { rank = 4 }',
            'quantity = "threshold"\nwhere = { x_to = 0.4 }',
            "where",
        ),
        ('statement = "jennrich recovers up to d"\n', "", "statement"),
        ("[profile.full]", "[profile.quick]", "profile"),
        ("[profile.full]\ntrials", "[profile.full]\nseed = 2\ntrials", "profile.full"),
    ],
)
def test_bad_claims_are_one_line(old, new, match):
    with pytest.raises(InputError, match=match) as caught:
        parse_spec(SPEC.replace(old, new, 1))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("where", "words"),
    [
        (
            '{ method = "lmm" }',
            r"where.method: got 'lmm', wanted one of lm \(did you mean 'lm'\?\)",
        ),
        ("{ method = 3 }", r"where.method: got 3, wanted an `id` or a table of keys and values"),
        ("{ method = { restarts = 2 } }", r"where.method.name: got None, wanted one of lm"),
        (
            '{ method = { name = "lm", restart = 2 } }',
            r"where.method: key: got 'restart'.*did you mean 'restarts'",
        ),
        (
            '{ method = { name = "lm", restarts = 3 } }',
            r"got {name = 'lm', restarts = 3}, wanted one of {name = 'lm', restarts = 2}",
        ),
        ('{ method = { name = "lm", restarts = true } }', r"wanted one of {name = 'lm'"),
        (
            '{ problem = "He3/sphere" }',
            r"where.problem: got 'He3/sphere', a label, which is only printed, wanted an `id`, or "
            r"a table such as {ensemble = 'sphere'}",
        ),
        ('{ problem = "spheres" }', r"where.problem: got 'spheres', wanted the `id` of a table"),
        ('{ problem = { ensembl = "sphere" } }', r"where.problem: key: .*did you mean 'ensemble'"),
        ('{ problem = { ensemble = "hypercube" } }', r"wanted one of {ensemble = 'sphere'}"),
        (
            '{ problem = { activation = "He4" } }',
            r"where.problem: got {activation = 'He4'}, wanted",
        ),
        ("{ dim = 7 }", "where.dim: got 7, wanted one of 6"),
        ("{ rank = 6 }", "where.rank: got 6, wanted one of 3, 5, 4"),
        ("{ n = 100 }", "where.n: got 100, wanted one of None"),
        ("{ null = 1 }", "where.null: got 1, wanted"),
        ("{ x_from = 0.9 }", r"got {x_from = 0.9}, which no cell of any profile meets"),
        ("{ rank = 5, ld_to = 0.1 }", "no cell of any profile meets"),
    ],
)
def test_a_check_that_names_nothing_is_refused_when_it_is_read(where, words):
    with pytest.raises(InputError, match=words.replace("3, 5, 4", "3, 4, 5")) as caught:
        parse_spec(SPEC.replace("{ rank = 4 }", where))
    assert "\n" not in str(caught.value) and "check[6]" in str(caught.value)


@pytest.mark.parametrize(
    "where",
    [
        '{ method = "lm", rank = 5 }',
        '{ method = "ours", rank = 5 }',
        '{ method = { name = "lm", restarts = 2, width = 1 }, rank = 5 }',
        '{ problem = "cubes", rank = 5 }',
        '{ problem = { activation = "x**3 - 3x", noise = 0, dense = false }, rank = 5 }',
    ],
)
def test_claims_select_by_id_or_by_what_a_method_and_a_problem_are(store, where):
    text = SPEC.replace("{ rank = 4 }", where)
    text = text.replace("[[method]]", '[[method]]\nid = "ours"\nlabel = "what I like"')
    text = text.replace('"He3"', '"He3"\nid = "cubes"\nlabel = "lm"')
    claim = parse_spec(text).claim
    (interval,) = judge(claim, store)[5].intervals
    assert "d = 6, r = 5" in interval.where
    # A claim that is read before the labels change selects the same afterwards.
    assert judge(claim, store)[5] == judge(parse_spec(text).claim, store)[5]


def test_a_problem_without_a_law_of_weights_is_named_by_its_kind():
    from tdlab.lab.spec.picks import _pick, facts_of_problem

    facts = facts_of_problem({"kind": "spiked", "null": False, "strength": 2.0})
    known = [("", "spikes", facts)]
    with pytest.raises(InputError, match=r"a label, .*such as {kind = 'spiked'}"):
        _pick("problem", "spikes", known, [], "ensemble")
    with pytest.raises(InputError, match=r"none has one.*such as {kind = 'spiked'}"):
        _pick("problem", "others", known, [], "ensemble")
    for table in ({"kind": "spiked"}, {"strength": 2}):
        assert _pick("problem", table, known, [], "ensemble").meets(facts)


def test_keys_of_where_are_declared_beside_each_quantity():
    from tdlab.lab.spec.quantities import QUANTITIES, WHERE_KEYS

    for name, quantity in QUANTITIES.items():
        assert set(quantity.keys) <= set(WHERE_KEYS)
        for key in ("dim", "rank", "null", "x_from"):
            extra = ", level = 0.5" if quantity.level else ""
            check = f'[[claim.check]]\ntext = "t"\nquantity = "{name}"\nabove = 0.0\n'
            check += f"where = {{ {key} = {'false' if key == 'null' else 3} }}\n"
            check += extra.replace(", ", "") + "\n"
            text = SPEC.replace("[profile.full]", check + "[profile.full]", 1)
            if key not in quantity.keys:
                with pytest.raises(InputError, match=rf"check\[7\].where: key: got '{key}'"):
                    parse_spec(text)


def test_checks_of_nulls_want_nulls_and_checks_of_a_larger_one_that():
    bare = SPEC.replace("null = true\n\n[[m", "\n[[m").replace("null = true, ", "")
    parse_spec(bare.replace('"gain"', '"risk"'))
    with pytest.raises(InputError, match="gain over nulls that the scan has not"):
        parse_spec(bare)
    for quantity, reason in (("null-law", "no nulls"), ("correlation", "no problem is boosted")):
        text = bare.replace('"gain"', '"risk"').replace(
            'quantity = "risk"\nwhere = { rank = 4 }', f'quantity = "{quantity}"'
        )
        with pytest.raises(InputError, match=reason):
            parse_spec(text)
    with pytest.raises(InputError, match=r"unit: got 'd' with 'risk'"):
        parse_spec(SPEC.replace("where = { rank = 4 }", 'unit = "d"'))


@pytest.mark.parametrize("quantity", ["recovered", "threshold", "exponent"])
def test_a_check_of_weights_wants_a_method_that_finds_some(quantity):
    text = """
trials = 4
[claim]
statement = "s"
source = "s"
expectation = "e"
[[claim.check]]
text = "t"
quantity = "risk"
above = 0.1
[problem]
activation = "He3"
ensemble = "sphere"
dims = [5]
ranks = [3]
samples = [30]
[[method]]
name = "linear"
"""
    parse_spec(text)
    with pytest.raises(InputError, match="no method there finds weights"):
        parse_spec(text.replace('"risk"', f'"{quantity}"'))
    parse_spec(text.replace('"risk"', f'"{quantity}"') + '[[method]]\nname = "student"\n')


def test_reproduce_prints_verdicts_and_draws(tmp_path):
    (tmp_path / "small.toml").write_text(SPEC)
    done = subprocess.run(
        [sys.executable, "-m", "tdlab", "reproduce", "small.toml", "--workers", "1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    for line in (
        "claim        jennrich recovers",
        "holds        recovered (of the claim)",
        "fails        a false one (of the claim)",
        "seed         1, on which the bounds were fixed",
        "chance 0.",
        "statement    disagrees: of its checks 4 holds, 1 fails, 1 not tested here",
    ):
        assert line in done.stdout
    assert done.stdout.index("chance 0.") < done.stdout.index("holds        recovered")
    assert (tmp_path / "small-quick.db").exists()
    assert list((tmp_path / "small-quick-figures").glob("risk-*.png"))
    bare = SPEC[: SPEC.index("[claim]")] + SPEC[SPEC.index("[profile.full]") :]
    (tmp_path / "bare.toml").write_text(bare)
    done = subprocess.run(
        [sys.executable, "-m", "tdlab", "reproduce", "bare.toml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "[claim]" in done.stderr


def test_every_bundled_experiment_is_valid_in_every_profile():
    for path in experiments().values():
        scan = read_spec(path)
        if scan.claim is not None:
            assert scan.claim.checks and scan.claim.source and scan.claim.expectation
            full = read_spec(path, "full")
            larger = max(c.dim for c in full.cells) > max(c.dim for c in scan.cells)
            assert larger or full.trials > scan.trials


def test_the_null_law():
    rng = np.random.default_rng(0)
    x = np.linspace(0.1, 0.85, 40)
    ratios = (1 - x) ** 2.3 * np.exp(0.05 * rng.standard_normal(40))
    fit = fit_null_law(x, ratios)
    assert fit.low < 2.3 < fit.high and fit.high - fit.low < 0.3 and fit.points == 40
    assert fit_null_law([0.5, 0.5], [0.2, 0.2]) is None
    bent = fit_null_law(x, (1 - x) ** (2 + x))
    assert bent.curvature == pytest.approx(1.0, rel=0.05)
    for level in (0.5, 0.9):
        d = dimension_that_looks_trivial(2.3, level)
        share = (
            d**1.5 / tdlab.theory.r_id(d)
            if float(d).is_integer()
            else 6 * d**1.5 / ((d + 1) * (d + 2))
        )
        assert (1 - share) ** 2.3 == pytest.approx(level, rel=1e-6)


@pytest.mark.parametrize("growth", [0.0, 0.39])
def test_a_null_law_that_drifts_is_extrapolated_with_its_drift(growth):
    rng = np.random.default_rng(0)
    places = [(x, d) for d in (10, 15, 20, 30) for x in (0.2, 0.5, 0.8)]

    def q(x, d):
        return 2.28 + growth * np.log(d / 20) + 0.33 * (x - 0.5)

    ratios = [(1 - x) ** (q(x, d) + 0.02 * rng.standard_normal()) for x, d in places]
    fit = fit_null_surface(*zip(*places, strict=True), ratios)
    middle, low, high = trivial_interval(fit.power, 0.5)
    true = dimension_that_looks_trivial(q, 0.5)
    assert low <= true <= high
    # What the largest dimension alone would say is held as well.
    assert low <= dimension_that_looks_trivial(lambda x, d: q(x, 30), 0.5) <= high
    x = 6 * middle**1.5 / ((middle + 1) * (middle + 2))
    at, first, last = fit.power(x, middle)
    assert first <= at <= last and last - first >= growth * np.log(middle / 30) - 0.05
    assert fit_null_surface([0.5] * 6, [10, 20] * 3, [0.2] * 6) is None


def test_the_power_of_the_null_is_as_measured():
    at_half = {10: 1.96, 14: 2.15, 20: 2.28, 28: 2.40, 40: 2.53, 60: 2.67}
    for dim, power in at_half.items():
        rank = round(0.5 * tdlab.theory.r_id(dim))
        assert tdlab.theory.null_power(dim, rank) == pytest.approx(power, abs=0.07)
    for x, power in {0.1: 2.18, 0.27: 2.20, 0.6: 2.31, 0.7: 2.38}.items():
        rank = round(x * tdlab.theory.r_id(20))
        assert tdlab.theory.null_power(20, rank) == pytest.approx(power, abs=0.07)


def test_figures_of_sweeps_and_samples(tmp_path):
    from tdlab.view.figures.every import plot_store

    sweep = SPEC.replace("[[method]]", "[[method]]\nwidth = 2.0", 1) + "".join(
        f'\n[[method]]\nname = "lm"\nrestarts = 2\niterations = 60\nwidth = {w}\n'
        for w in (1.0, 1.5)
    )
    sweep = sweep.replace("trials = 10", "trials = 2", 1)
    store = tdlab.run(parse_spec(sweep), store=tmp_path / "w.db", workers=1)
    names = {path.name for path in plot_store(store, tmp_path)}
    assert {"sweep-width-He3-sphere.png", "sweep-width-He3-sphere.csv"} <= names
    assert not any(name.startswith("phase") for name in names)
    samples = """
trials = 2
[problem]
activation = "x**3"
ensemble = "sphere"
dims = [4]
ranks = [2, 3, 4, 5]
samples = [20, 40, 80]
null = true
[[method]]
name = "polynomial-regression"
[[method]]
name = "linear"
"""
    store = tdlab.run(parse_spec(samples), store=tmp_path / "n.db", workers=1)
    names = {path.name for path in plot_store(store, tmp_path)}
    assert {"samples-x-3-sphere.png", "samples-phase-x-3-sphere-d4.svg"} <= names
    text = (tmp_path / "samples-phase-x-3-sphere-d4.svg").read_text()
    assert "n = 2 r d" in text and "n = C(d+3, 3)" in text
    rows = (tmp_path / "samples-x-3-sphere.csv").read_text().splitlines()
    assert len(rows) == 1 + 2 * 4 * 3 * 2


def test_where_failing_would_look_trivial(store):
    check = """
[[claim.check]]
text = "half of it"
quantity = "trivial-dim"
level = 0.5
above = 20
[[claim.check]]
text = "nine tenths"
quantity = "trivial-dim"
level = 0.9
above = 20
[[claim.check]]
text = "the power"
quantity = "null-law"
above = 1.0
"""
    text = SPEC.replace("[profile.full]", check + "[profile.full]", 1)
    half, most, law = judge(parse_spec(text).claim, store)[-3:]
    (_, power, *_), (_, middle, first, last, _) = law.worst, half.worst
    # The size that the power of one d gives lies inside: the interval holds its drift.
    assert first <= dimension_that_looks_trivial(power, 0.5) <= last
    assert first < middle < last < most.worst[1] and most.status == "holds"
    for old, new in (("level = 0.5\n", ""), ("level = 0.5", "level = 1.0")):
        with pytest.raises(InputError, match=r"check\[7\].level"):
            parse_spec(text.replace(old, new, 1))
    with pytest.raises(InputError, match="trivial-dim"):
        parse_spec(SPEC.replace("above = 0.5", "above = 0.5\nlevel = 0.5", 1))


def test_problems_of_a_few_points_share_a_figure(tmp_path):
    from tdlab.view.figures.every import plot_store

    text = "trials = 2\n" + "".join(
        f"""
[[problem]]
activation = "He3"
ensemble = "{name}"
dims = [4, 6]
ranks = {ranks}
"""
        for name, ranks in (("sphere", [3, 5]), ("low-coherence", [4]), ("hypercube", [2, 3, 4]))
    )
    text += '[[method]]\nname = "jennrich"\n[[method]]\nname = "power"\n'
    store = tdlab.run(parse_spec(text), store=tmp_path / "e.db", workers=1)
    names = {path.name for path in plot_store(store, tmp_path)}
    assert {"ensembles.png", "phase-He3-hypercube.png", "risk-He3-hypercube.png"} <= names
    assert not any("sphere" in name or "coherence" in name for name in names)
    rows = [line.split(",") for line in (tmp_path / "ensembles.csv").read_text().splitlines()]
    assert len(rows) == 1 + 2 * (2 * 2 + 2 * 1)
    at = {name: place for place, name in enumerate(rows[0])}
    for row in rows[1:]:
        exact = row[at["method"]] == "jennrich" and int(row[at["rank"]]) <= int(row[at["dim"]])
        if exact:
            assert row[at["recovered"]] == row[at["ended"]] == "2"
            assert float(row[at["median"]]) < 1e-9
