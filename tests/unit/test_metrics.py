"""Scores on cases whose answer is known."""

import itertools
import math

import numpy as np
import pytest

import tdlab
from tdlab import InputError, TwoLayerNetwork
from tdlab.metrics import (
    directions,
    gain_over_null,
    null_risk_ratio,
    risk_ratio,
    student_network,
)


def test_matching_undoes_a_permutation(rng):
    truth = rng.standard_normal((6, 9))
    order = rng.permutation(6)
    found = tdlab.match(3.0 * truth[order], truth)
    assert found.recovered == 1.0 and found.worst == pytest.approx(1.0)
    np.testing.assert_array_equal(order[found.assignment], np.arange(6))


def test_signs_count_at_odd_orders_only():
    assert tdlab.match(-np.eye(3), np.eye(3), order=3).recovered == 0.0
    assert tdlab.match(-np.eye(3), np.eye(3), order=4).recovered == 1.0


def test_one_estimate_is_not_assigned_twice():
    found = tdlab.match(np.eye(4)[:1], np.vstack([np.eye(4)[:1]] * 2))
    assert found.recovered == 0.5 and sorted(found.assignment) == [-1, 0]


@pytest.mark.parametrize("shape", [(4, 4), (3, 5), (5, 3)])
@pytest.mark.parametrize("threshold", [0.5, 0.8, 0.99])
def test_matching_maximises_hits_and_then_the_sum_of_cosines(rng, shape, threshold):
    for _ in range(20):
        # Estimates near a few true rows, several near the same one, compete for hits.
        truth = rng.standard_normal((shape[0], 3))
        estimate = truth[rng.integers(0, shape[0], shape[1])]
        estimate = estimate + 0.4 * rng.standard_normal(estimate.shape)
        found = tdlab.match(estimate, truth, threshold=threshold)
        unit = [m / np.linalg.norm(m, axis=1, keepdims=True) for m in (truth, estimate)]
        table = unit[0] @ unit[1].T
        table = table if shape[0] <= shape[1] else table.T
        width = range(len(table))
        choices = itertools.permutations(range(table.shape[1]), len(table))
        pairs = [table[width, list(p)] for p in choices]
        hits, total = max(((p >= threshold).sum(), p.sum()) for p in pairs)
        assert found.recovered == hits / shape[0]
        assert found.cosines.sum() == pytest.approx(total)


def test_a_hit_is_not_given_up_for_a_larger_sum_of_cosines():
    def at(degrees):
        return np.array([[math.cos(math.radians(a)), math.sin(math.radians(a))] for a in degrees])

    # The first estimate hits the first row (.993, and .848 is left for the other pair); the sum
    # alone would send it to the second row (.988 + .961, no hit).
    found = tdlab.match(at([7.0, -16.0]), at([0.0, 16.0]), threshold=0.99)
    assert found.recovered == 0.5
    assert list(found.assignment) == [0, 1]


def test_a_decomposition_brings_its_order():
    net = tdlab.sample_network(6, 3, "He4", "sphere", rng=0)
    result = tdlab.decompose(net.hermite_tensor(4), 3, "jennrich", rng=0)
    assert tdlab.match(result, -net.weights).recovered == 1.0
    assert tdlab.match(result, -net.weights, order=4).recovered == 1.0
    assert tdlab.match(result.components, -net.weights, order=3).recovered < 1.0
    with pytest.raises(InputError, match="order: got 3 for a decomposition of order 4, wanted"):
        tdlab.match(result, net.weights, order=3)


def test_rows_of_any_size_are_matched():
    assert tdlab.match(1e-300 * np.eye(3), 1e300 * np.eye(3)).worst == pytest.approx(1.0)


def test_the_threshold_is_a_cosine():
    angle = math.acos(0.95)
    estimate = np.array([[math.cos(angle), math.sin(angle)]])
    assert tdlab.match(estimate, np.eye(2)[:1], threshold=0.949).recovered == 1.0
    assert tdlab.match(estimate, np.eye(2)[:1], threshold=0.951).recovered == 0.0


def test_nothing_estimated_recovers_nothing():
    found = tdlab.match(np.empty((0, 3)), np.eye(3))
    assert found.recovered == 0.0 and found.worst == 0.0


def test_bad_rows_are_refused():
    with pytest.raises(InputError, match=r"estimated: got shape \(2, 2\), wanted \(k, 3\)"):
        tdlab.match(np.eye(2), np.eye(3))
    with pytest.raises(InputError, match="true: got a zero row"):
        tdlab.match(np.eye(2), np.zeros((1, 2)))


@pytest.mark.parametrize("activation", ["He3", "x**3", "x + 0.2x^3"])
def test_a_recovered_teacher_has_no_risk(activation):
    net = tdlab.sample_network(10, 14, activation, "sphere", rng=0)
    result = tdlab.decompose(net.hermite_tensor(3), 14, "lm", rng=0)
    assert risk_ratio(net, student_network(result, net.activation)) < 1e-12


def test_negative_output_weights_are_recovered_as_opposite_directions(rng):
    net = TwoLayerNetwork(rng.standard_normal((4, 8)), [1.0, -1.0, 2.0, -0.3], "He3")
    result = tdlab.decompose(net.hermite_tensor(3), 4, "jennrich", rng=0)
    assert tdlab.match(result.components, directions(net, 3)).recovered == 1.0
    assert tdlab.match(result.components, net.weights).recovered == 0.5


def test_no_components_give_the_trivial_predictor():
    result = tdlab.decompose(tdlab.gaussian_tensor(4, rng=0), 5, "jennrich")
    assert len(result.components) == 0
    net = tdlab.sample_network(4, 5, "He3", "sphere", rng=0)
    assert risk_ratio(net, student_network(result, "He3")) == pytest.approx(1.0)


def test_null_risk_equals_monte_carlo(rng):
    null = tdlab.gaussian_tensor(5, norm=1.3, rng=3)
    student = TwoLayerNetwork(rng.standard_normal((2, 5)), [0.2, -0.1], "0.3x^3 + x^2")
    X = rng.standard_normal((400_000, 5))
    # <T, He_3(x)> = T(x,x,x) - 3 sum_ik T_iik x_k.
    trace = np.einsum("iik->k", null.dense())
    y = null.evaluate(X) - 3 * X @ trace
    squares = (y - student.predict(X)) ** 2 / (6 * null.norm() ** 2)
    error = squares.std() / math.sqrt(len(squares))
    assert abs(squares.mean() - null_risk_ratio(null, student)) < 4 * error


def test_gain_over_the_null():
    np.testing.assert_allclose(gain_over_null([0.0, 0.2, 0.4], 0.4), [1.0, 0.5, 0.0])
    assert np.isnan(gain_over_null(0.0, 0.0))
