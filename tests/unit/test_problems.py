"""What every problem promises: instances of its size, nested samples, a null, a fair judge."""

import dataclasses

import numpy as np
import pytest

import tdlab
from tdlab import InputError
from tdlab.lab.spec.cells import Problem as Choice
from tdlab.lab.spec.file import parse_spec
from tdlab.problems import Answer, Terms
from tdlab.problems.registry import problem_class, registry

# kind -> options of a small one with a tensor and samples.
OPTIONS = {
    "two-layer": {"activation": "He3 + x", "ensemble": "sphere", "noise": 0.1},
    "boosted": {"activation": "He3", "ensemble": "sphere", "boost": 1.0},
}
KINDS = sorted(OPTIONS)
DIM, RANK = 6, 4


def drawn(kind, seed=0):
    law, _ = problem_class(kind).read(OPTIONS[kind])
    return law.draw(DIM, RANK, np.random.default_rng(seed))


def truth(instance):
    """The planted terms as an answer."""
    known = instance.network.hermite_tensor(instance.order)
    return Answer(Terms(known.components, known.weights, instance.order))


def test_all_problems_are_tested():
    assert set(KINDS) == set(registry.built_in)


@pytest.mark.parametrize("kind", KINDS)
def test_equal_streams_draw_equal_instances_and_others_others(kind):
    first, again, other = drawn(kind), drawn(kind), drawn(kind, 1)
    assert (first.dim, first.rank, first.tensor().dim) == (DIM, RANK, DIM)
    np.testing.assert_array_equal(first.tensor().dense(), again.tensor().dense())
    assert np.abs(first.tensor().dense() - other.tensor().dense()).max() > 0.01


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("null", [False, True])
def test_a_larger_sample_holds_the_smaller_one_whenever_it_is_drawn(kind, null):
    instance = drawn(kind).null() if null else drawn(kind)
    (few, some), (many, more) = instance.sample(5), instance.sample(9)
    assert many.shape == (9, DIM) and more.shape == (9,)
    np.testing.assert_array_equal(many[:5], few)
    np.testing.assert_array_equal(more[:5], some)
    # Asking for the tensor changes no sample.
    instance.tensor()
    np.testing.assert_array_equal(instance.sample(5)[1], some)


@pytest.mark.parametrize("kind", KINDS)
def test_the_null_is_as_large_and_has_nothing_to_find(kind):
    instance = drawn(kind)
    null = instance.null()
    assert null.tensor().norm() == pytest.approx(instance.tensor().norm(), rel=1e-9)
    # What was planted says nothing of it, and it is no success to say anything.
    verdict = null.score(truth(instance))
    assert verdict.solved is None and verdict.measures["risk_ratio"] > 0.5
    assert null.null() is null
    np.testing.assert_array_equal(null.tensor().dense(), drawn(kind).null().tensor().dense())


@pytest.mark.parametrize("kind", KINDS)
def test_the_planted_terms_solve_it_and_others_do_not(kind):
    instance = drawn(kind)
    verdict = instance.score(truth(instance))
    assert verdict.solved is True and verdict.measures["recovered"] == pytest.approx(1.0)
    rows = np.linalg.qr(np.random.default_rng(5).standard_normal((DIM, DIM)))[0][:RANK]
    wrong = instance.score(Answer(Terms(rows, np.ones(RANK), instance.order)))
    assert wrong.solved is False and wrong.measures["recovered"] < 0.5
    assert wrong.measures["risk_ratio"] > verdict.measures["risk_ratio"]
    # A predictor is judged by itself; it has no terms to be found.
    told = instance.score(Answer(predictor=instance.network))
    assert told.solved is None and told.measures == {"risk_ratio": 0.0}


@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_keeps_what_is_not_at_its_default(kind):
    law, label = problem_class(kind).read(OPTIONS[kind])
    choice = Choice.of(label, law)
    assert choice.law == law and choice.kind == kind
    assert all(
        value != field.default
        for field in dataclasses.fields(law)
        for name, value in choice.options
        if name == field.name
    )
    small, dim, rank = law.small()
    small.check(dim, rank)
    assert small.draw(dim, rank, np.random.default_rng(0)).tensor().order == law.order


def test_bad_kinds_and_options_are_one_line():
    text = """
[problem]
kind = "boosted"
activation = "He3"
ensemble = "sphere"
boost = 1.0
dims = [5]
ranks = [3]
[method]
name = "lm"
"""
    for old, new, match in (
        ('"boosted"', '"bosted"', r"problem: kind: .*did you mean 'boosted'"),
        ("boost = 1.0\n", "", "boost: got None, wanted a number > 0"),
        ('kind = "boosted"\n', "", "key: got 'boost', wanted one of kind"),
        ("boost = 1.0", "bost = 1.0", "did you mean 'boost'"),
        ("kind = ", "kind = 3 #", "got 3, wanted one of"),
    ):
        with pytest.raises(InputError, match=match) as caught:
            parse_spec(text.replace(old, new))
        assert "\n" not in str(caught.value)


def test_what_an_instance_lacks_is_said():
    class Bare(tdlab.problems.Instance):
        def null(self):
            return self

        def score(self, answer):
            return tdlab.problems.Verdict(None)

    with pytest.raises(InputError, match="wanted a problem with samples"):
        Bare().sample(3)
    with pytest.raises(InputError, match="wanted a problem with a tensor"):
        Bare().tensor()
