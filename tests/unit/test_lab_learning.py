"""Scans from samples: axes, learners as methods, noise, widths, nulls."""

import math

import numpy as np
import pytest

import tdlab
from tdlab import InputError
from tdlab.lab.spec.axes import samples_at
from tdlab.lab.spec.cells import cell_from
from tdlab.lab.spec.file import parse_spec
from tdlab.lab.trial.run import Task, run_trial

SPEC = """
seed = 3
trials = 2
[problem]
activation = "x**3"
ensemble = "isotropic"
dims = [5]
ranks = [8]
samples = {values = [0.5, 1.0], unit = "C(d+k,k)"}
null = true
[[method]]
name = "polynomial-regression"
[[method]]
name = "linear"
"""


def cells(text):
    return parse_spec(text).cells


def outcome(text, **chosen):
    found = [
        cell
        for cell in cells(text)
        if all(getattr(cell, key) == value for key, value in chosen.items())
    ]
    return run_trial(Task(found[0], 0))


def test_samples_in_units_of_the_theory():
    assert {cell.samples for cell in cells(SPEC)} == {28, 56}
    for unit, scale in (("r*d", 40), ("d^2", 25), ("d^1.5", 5**1.5)):
        text = SPEC.replace("C(d+k,k)", unit)
        assert {cell.samples for cell in cells(text)} == {round(0.5 * scale), round(scale)}
    listed = SPEC.replace('{values = [0.5, 1.0], unit = "C(d+k,k)"}', "[7, 9]")
    assert {cell.samples for cell in cells(listed)} == {7, 9}
    log = SPEC.replace("values = [0.5, 1.0]", 'from = 1, to = 4, steps = 3, scale = "log"')
    assert {cell.samples for cell in cells(log)} == {56, 112, 224}
    with pytest.raises(InputError, match="wanted at most 10000000000"):
        samples_at("samples", {"values": [1.0], "unit": "d^99"}, 2000, 5, 3)


def test_outcomes_and_nested_samples():
    exact, half = (outcome(SPEC, samples=n) for n in (56, 28))
    assert exact.outcome == half.outcome == "measured" and exact.recovered is None
    assert exact.risk_ratio < 1e-9 < 0.2 < half.risk_ratio
    assert half.residual < 1e-7, "half the samples are interpolated"
    seen = []
    for cell in cells(SPEC):
        if cell.method.name == "linear" and not cell.problem.null:
            run_trial(Task(cell, 1), seen.append)
    # The same network, and the smaller sample a part of the larger: the direct computation.
    assert [fit.dim for fit in seen] == [5, 5]


def test_same_instances_for_every_learner_and_the_null_has_the_same_variance():
    from tdlab.learning.base import Learner

    taken = {}
    original = Learner.fit

    def spy(self, X, y, **more):
        taken.setdefault(len(X), []).append((X.copy(), y.copy()))
        return original(self, X, y, **more)

    Learner.fit = spy
    try:
        for cell in cells(SPEC):
            if not cell.problem.null:
                run_trial(Task(cell, 0))
    finally:
        Learner.fit = original
    (small, _), (large, _) = taken[28], taken[56]
    np.testing.assert_array_equal(taken[28][0][1], taken[28][1][1])
    np.testing.assert_array_equal(large[0][:28], small[0])
    np.testing.assert_array_equal(large[1][:28], small[1])


def test_the_null_is_fitted_too_and_measured():
    text = SPEC.replace('activation = "x**3"', 'activation = "He3"')
    null = [c for c in cells(text) if c.problem.null and c.samples == 56]
    result = run_trial(Task(null[0], 0))
    assert result.outcome == "measured" and result.risk_ratio < 1e-9


def test_noise_is_in_units_of_the_labels_and_costs_what_it_should():
    # Least squares from n = 20 C: excess risk about noise^2 C / (n - C).
    text = SPEC.replace("samples = {", "noise = 0.5\nsamples = {").replace("[0.5, 1.0]", "[20.0]")
    cell = next(c for c in cells(text) if c.method.name == "polynomial-regression")
    ratios = [run_trial(Task(cell, index)).risk_ratio for index in range(8)]
    assert np.mean(ratios) == pytest.approx(0.25 / 19, rel=0.5)


def test_identities_tell_noise_signs_samples_learners_and_widths_apart():
    plain = cells(SPEC)
    noisy = cells(SPEC.replace("null = true", "null = true\nnoise = 0.1"))
    signed = cells(SPEC.replace("null = true", 'null = true\nsigns = "random"'))
    digests = [cell.digest for scan in (plain, noisy, signed) for cell in scan]
    assert len(set(digests)) == len(digests)
    for scan in (plain, noisy, signed):
        for cell in scan:
            assert cell_from(cell.identity).digest == cell.digest
            assert cell_from(cell.identity).method.learner


EXACT = """
[problem]
activation = "He3"
ensemble = "sphere"
dims = [6]
ranks = [8]
[[method]]
name = "homotopy"
width = 1.5
[[method]]
name = "homotopy"
[[method]]
name = "ideal"
cosine = 0.9
"""


def test_width_asks_for_more_terms_than_the_teacher_has():
    wide, plain, ideal = cells(EXACT)
    assert wide.method.label == "homotopy(width=1.5)" and wide.method.terms(8) == 12
    seen = []
    result = run_trial(Task(wide, 0), seen.append)
    assert seen[0].rank == 12 and result.risk_ratio < 1e-6
    assert plain.method.terms(8) == 8 and plain.digest != wide.digest
    assert ideal.samples is None
    told = run_trial(Task(ideal, 0))
    assert told.outcome == "failed" and told.risk_ratio == pytest.approx(0.54, rel=0.4)


def test_a_scan_of_learners_runs_and_exports(tmp_path):
    store = tdlab.run(parse_spec(SPEC), store=tmp_path / "s.db", workers=1)
    frame = store.trials()
    assert len(frame) == 2 * 2 * 2 * 2
    assert set(frame["outcome"]) == {"measured"} and frame["risk_ratio"].notna().all()
    assert set(frame["n"]) == {28, 56}
    regression = frame[(frame["method"] == "polynomial-regression") & (frame["n"] == 56)]
    assert (regression["risk_ratio"] < 1e-9).all()
    linear = frame[(frame["method"] == "linear")]
    assert (linear["risk_ratio"] > 0.9).all()
    assert math.isfinite(linear["residual"].max())


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ('unit = "C(d+k,k)"', 'unit = "C"', "samples.unit"),
        ("values = [0.5, 1.0]", "values = []", "samples.values"),
        ("values = [0.5, 1.0]", "values = [-1]", "samples.values"),
        ("values = [0.5, 1.0]", 'from = 0, to = 1, steps = 2, scale = "log"', "from"),
        ("values = [0.5, 1.0]", "values = [0.001]", "samples >= 1"),
        ('name = "linear"', 'name = "lineal"', "linear"),
        ('name = "linear"', 'name = "jennrich"', "samples = 'exact'"),
        ('name = "linear"', 'name = "linear"\nwidth = 2.0', "width"),
        ('name = "linear"', 'name = "ideal"', "ideal"),
        ("null = true", "noise = -1", "noise"),
        ("null = true", 'signs = "some"', "signs"),
        ("dims = [5]", "dims = [5]\nunits = 3", "units"),
    ],
)
def test_bad_specs_are_one_line(old, new, match):
    with pytest.raises(InputError, match=match) as caught:
        parse_spec(SPEC.replace(old, new, 1))
    assert "\n" not in str(caught.value)
    exact = EXACT.replace("width = 1.5", "width = 0")
    with pytest.raises(InputError, match="width"):
        parse_spec(exact)
    with pytest.raises(InputError, match="which a trial tells it"):
        parse_spec(EXACT.replace("cosine = 0.9", "teacher = 3"))


REFUSALS = """
trials = 1
[problem]
activation = "He3"
ensemble = "sphere"
dims = [4]
ranks = [2]
samples = [20]
[[method]]
name = "linear"
"""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("samples", "dense = true\nsamples", "dense: got true with samples"),
        (
            '"linear"',
            '"kernel-ridge"\nkernel = "cubic-ntk"\ndegree = 2',
            "wanted kernel 'polynomial'",
        ),
        ('"linear"', '"student"\nrate = 0.1', "wanted optimiser 'adam'"),
        ('"linear"', '"moments-decompose"\nmethod = "lmx"', "got 'lmx', wanted one of"),
    ],
)
def test_options_that_do_nothing_are_refused(old, new, words):
    with pytest.raises(InputError, match=words):
        parse_spec(REFUSALS.replace(old, new, 1))


def test_a_device_for_learners_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"device: got 'cuda' and learners \(linear\)"):
        tdlab.run(parse_spec(REFUSALS), tmp_path / "a.db", device="cuda")
    assert not list(tmp_path.iterdir())


def test_a_refusal_is_declared_and_what_is_raised_later_is_an_error(monkeypatch):
    from tdlab.lab.workers.worker import guarded_trial
    from tdlab.learning.linear import Linear

    few = parse_spec(REFUSALS.replace("[20]", "[1]").replace("linear", "moment-predictor"))
    found = guarded_trial(Task(few.cells[0], 0))
    assert found.outcome == "unsupported" and "wanted at least 2" in found.reason

    def raises(*_, **__):
        raise InputError("y: got something odd, wanted something else")

    task = Task(parse_spec(REFUSALS).cells[0], 0)
    monkeypatch.setattr(Linear, "_fit", raises)
    found = guarded_trial(task)
    assert found.outcome == "error" and "InputError: y: got something odd" in found.reason
    monkeypatch.setattr(Linear, "refuses", lambda self, n, dim: "n: got too few")
    found = guarded_trial(task)
    assert (found.outcome, found.reason) == ("unsupported", "n: got too few")


def test_an_input_error_inside_a_method_is_an_error(monkeypatch):
    from tdlab.algorithms.methods.jennrich import Jennrich
    from tdlab.lab.workers.worker import guarded_trial

    def raises(*_, **__):
        raise InputError("rank: got 2, wanted more")

    text = REFUSALS.replace("samples = [20]\n", "").replace("linear", "jennrich")
    monkeypatch.setattr(Jennrich, "run", raises)
    found = guarded_trial(Task(parse_spec(text).cells[0], 0))
    assert found.outcome == "error" and "InputError" in found.reason
