"""Students: kernels against NumPy and differences, weights from few samples, and traps."""

import math

import numpy as np
import pytest
from numpy.polynomial import polynomial

import tdlab
from tdlab import InputError
from tdlab._kernels import student as kernels
from tdlab.algorithms.base import Budget
from tdlab.learning import student_lm as _student_lm
from tdlab.learning.student_risk import Point, Risk, Search, tangent
from tdlab.theory import r_id

# More samples than one panel holds of 5 units, and the last panel short.
N, DIM, UNITS = 2 * kernels.panel_rows.py_func(5) + 37, 4, 5
ACTIVATIONS = ["x", "x**2", "x**3 - 2x + 0.5", "x**4 + 0.1*x**3", "He5"]


def plain(X, y, rows, outputs, coefficients):
    """rest, its derivatives a_j sigma'(z) and sigma(z), in NumPy."""
    z = X @ rows.T
    values = polynomial.polyval(z, coefficients)
    slopes = polynomial.polyval(z, polynomial.polyder(coefficients)) * outputs
    return values @ outputs - y, slopes, values


def problem(rng, activation, n=N):
    X, y = rng.standard_normal((n, DIM)), rng.standard_normal(n)
    rows, outputs = rng.standard_normal((UNITS, DIM)), rng.standard_normal(UNITS)
    return X, y, rows, outputs, np.array(tdlab.Activation.parse(activation).coefficients)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_kernels_equal_their_numpy_twins(rng, activation):
    X, y, rows, outputs, c = problem(rng, activation)
    rest, slopes, values = plain(X, y, rows, outputs, c)
    for found, expected in zip(
        kernels.linearise(X, y, rows, outputs, c), (rest, slopes, values), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)
    total, by_rows, by_outputs = kernels.squares_and_gradient(X, y, rows, outputs, c)
    assert total == pytest.approx(rest @ rest, rel=1e-11)
    assert kernels.sum_of_squares(X, y, rows, outputs, c) == pytest.approx(total, rel=1e-12)
    np.testing.assert_allclose(by_rows, (slopes * rest[:, None]).T @ X, rtol=1e-8)
    np.testing.assert_allclose(by_outputs, values.T @ rest, rtol=1e-8)


def jacobian(X, slopes, values, free):
    """J as an (n, s d [+ s]) matrix, from its definition."""
    dense = (slopes[:, :, None] * X[:, None, :]).reshape(len(X), -1)
    return np.hstack([dense, values]) if free else dense


@pytest.mark.parametrize("free", [False, True])
def test_jacobian_products_against_the_dense_one_and_differences(rng, free):
    X, y, rows, outputs, c = problem(rng, "x**3 - 2x + 0.5")
    _, slopes, values = plain(X, y, rows, outputs, c)
    V, b = rng.standard_normal((UNITS, DIM)), rng.standard_normal(UNITS) * free
    J = jacobian(X, slopes, values, free)
    change = J @ np.concatenate([V.ravel(), b] if free else [V.ravel()])
    step = 1e-5
    high, low = (plain(X, y, rows + t * V, outputs + t * b, c)[0] for t in (step, -step))
    np.testing.assert_allclose(change, (high - low) / (2 * step), rtol=1e-5, atol=1e-5)
    image, image_outputs = np.empty_like(V), np.empty(UNITS)
    kernels.normal_product(X, slopes, values, V, b, free, image, image_outputs)
    np.testing.assert_allclose(image.ravel(), (J.T @ change)[: V.size], rtol=1e-9, atol=1e-8)
    expected = (J.T @ change)[V.size :] if free else np.zeros(UNITS)
    np.testing.assert_allclose(image_outputs, expected, rtol=1e-9, atol=1e-8)


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize("unit", [False, True])
def test_the_gradient_of_the_penalised_risk_against_differences(rng, free, unit):
    X, y, rows, outputs, c = problem(rng, "x**3 - 2x + 0.5", n=60)
    risk = Risk(X, y, c, free=free, unit=unit, decay=0.3)
    point = Point(rows, outputs)
    if unit:
        point = Point(point.units, outputs)
    _, by_rows, by_outputs = risk.gradient(point)

    def value(t, V, b):
        # Unit rows move along the sphere, as a descent moves them.
        there = risk.moved(point, t * V, t * b)
        return risk.squares(there) + risk.penalty(there)

    for _ in range(5):
        V, b = rng.standard_normal((UNITS, DIM)), rng.standard_normal(UNITS) * free
        slope = (value(1e-5, V, b) - value(-1e-5, V, b)) / 2e-5
        expected = np.vdot(by_rows, tangent(V, point.rows) if unit else V) + by_outputs @ b
        assert slope == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize("unit", [False, True])
def test_the_damped_step_solves_its_system(rng, free, unit):
    X, y, rows, outputs, c = problem(rng, "x**3", n=200)
    units = Point(rows, outputs).units
    _, slopes, values = plain(X, y, rows, outputs, c)
    right, right_outputs = rng.standard_normal((UNITS, DIM)), rng.standard_normal(UNITS) * free
    right = tangent(right, units) if unit else right
    ones = np.ones(UNITS)
    V, b, _ = kernels.damped_step(
        X, slopes, values, units, right, right_outputs, np.array([3.0, 5.0]),
        100.0 * ones, 700.0 * ones, 50.0 * ones, free, unit, 500, 1e-13,
    )  # fmt: skip
    J = jacobian(X, slopes, values, True)
    form = J.T @ J + np.diag(np.repeat([3.0, 5.0], [V.size, UNITS]))
    # The space in which rows and outputs may move, as columns.
    basis = np.eye(len(form))
    if unit:
        for j in range(UNITS):
            block = slice(j * DIM, (j + 1) * DIM)
            basis[block, block] -= np.outer(units[j], units[j])
    basis = basis[:, : None if free else V.size]
    small = basis.T @ form @ basis
    joint = np.concatenate([right.ravel(), right_outputs])
    expected = basis @ (np.linalg.pinv(small, rcond=1e-12) @ (basis.T @ joint))
    np.testing.assert_allclose(np.concatenate([V.ravel(), b]), expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize("unit", [False, True])
def test_adam_epoch_equals_its_numpy_twin(rng, free, unit):
    X, y, rows, outputs, c = problem(rng, "x**3 - x", n=50)
    rows = Point(rows, outputs).units if unit else rows
    rates, decay, batch = np.array([0.1, 0.05, 0.02]), 0.2, 20
    theta, a = rows.copy(), outputs.copy()
    kernels.adam_epoch(
        X, y, batch, theta, a, m := np.zeros((2, *rows.shape)), o := np.zeros((2, UNITS)),
        c, rates, 0, decay, free, unit,
    )  # fmt: skip
    first, second = np.zeros((2, *rows.shape)), np.zeros((2, UNITS))
    for step, rate in enumerate(rates):
        block = slice(step * batch, (step + 1) * batch)
        risk = Risk(X[block], y[block], c, free=free, unit=unit, decay=decay)
        _, *gradients = risk.gradient(Point(rows, outputs))
        moved = []
        for theta_k, g, state in zip((rows, outputs), gradients, (first, second), strict=True):
            state[0] = 0.9 * state[0] + 0.1 * g
            state[1] = 0.999 * state[1] + 0.001 * g**2
            hats = state[0] / (1 - 0.9 ** (step + 1)), state[1] / (1 - 0.999 ** (step + 1))
            moved.append(theta_k - rate * hats[0] / (np.sqrt(hats[1]) + 1e-12))
        rows = Point(*moved).units if unit else moved[0]
        outputs = moved[1]
    np.testing.assert_allclose(theta, rows, rtol=1e-8)
    np.testing.assert_allclose(a, outputs, rtol=1e-8)
    np.testing.assert_allclose(m, first, rtol=1e-7, atol=1e-12)
    assert o.any() == free


@pytest.mark.parametrize("unit", [False, True])
def test_descent_commutes_with_rotations(rng, unit):
    # The same path in rotated coordinates, from the rotated start: every formula is equivariant.
    net = tdlab.sample_network(6, 5, "x**3 + x", "sphere", rng=0)
    X, y = net.sample(200, rng=1)
    rotation = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    c, ends = np.array(net.activation.coefficients), []
    for turn in (np.eye(6), rotation):
        risk = Risk(np.ascontiguousarray(X @ turn), y, c, free=False, unit=unit, decay=0.0)
        search = Search(risk, Budget(), scale=float(np.var(y)), exact=1e-20, iterations=12)
        start = np.random.default_rng(5).standard_normal((5, 6))
        point = Point(start @ turn / 3.0, np.ones(5))
        _student_lm.descend(search, Point(point.units, point.outputs) if unit else point)
        ends.append((search.best.rows @ turn.T, search.history))
    assert ends[0][1][-1] < 0.1 * ends[0][1][0] and len(ends[0][1]) > 5
    np.testing.assert_allclose(ends[1][1], ends[0][1], rtol=1e-5)
    np.testing.assert_allclose(ends[1][0], ends[0][0], atol=1e-5)


@pytest.mark.parametrize("optimiser", ["lm", "lbfgs"])
@pytest.mark.parametrize("dim, rank", [(6, 4), (8, 6), (10, 8)])
def test_weights_from_three_samples_a_parameter(dim, rank, optimiser):
    for seed in range(3):
        net = tdlab.sample_network(dim, rank, "x**3", "sphere", rng=seed)
        X, y = net.sample(3 * rank * dim, rng=100 + seed)
        fit = tdlab.learner(
            "student", rank=rank, activation="x**3", optimiser=optimiser, restarts=20
        ).fit(X, y, rng=1000 + seed)
        assert fit.status == "converged" and fit.network.rank == rank
        assert tdlab.match(fit.network.weights, net.weights).recovered == 1.0
        assert net.risk(fit.network) / net.variance() < 1e-12
        assert min(fit.history) < 1e-19 and fit.nit == len(fit.history)


def test_mixtures_signed_and_free_outputs():
    net = tdlab.sample_network(7, 6, "He3 + x", "sphere", rng=0)
    X, y = net.sample(250, rng=1)
    fit = tdlab.learner("student", rank=6, activation="He3 + x", restarts=20).fit(X, y, rng=2)
    assert tdlab.match(fit.network.weights, net.weights).recovered == 1.0
    # At an even degree signs are not in the rows: they must be found.
    net = tdlab.sample_network(5, 4, "x**4", "sphere", signs="random", rng=7)
    assert set(net.output_weights) == {-1.0, 1.0}
    X, y = net.sample(400, rng=1)
    for norms in ("free", "unit"):
        for outputs in ("signed", "free"):
            fit = tdlab.learner(
                "student", rank=4, activation="x**4", norms=norms, outputs=outputs, restarts=40
            ).fit(X, y, rng=2)
            found = tdlab.match(fit.network.weights, net.weights, order=4)
            assert found.recovered == 1.0, (norms, outputs, fit.message)
            sizes = fit.network.output_weights[found.assignment]
            assert np.array_equal(np.sign(sizes), net.output_weights)
            if outputs == "signed" or norms == "unit":
                np.testing.assert_allclose(sizes, net.output_weights, atol=1e-6)
    # With all outputs 1 no such network exists.
    fit = tdlab.learner("student", rank=4, activation="x**4").fit(X, y, rng=2)
    assert net.risk(fit.network) / net.variance() > 0.1


def test_enough_units_predict_with_wrong_weights():
    # s >= r_id = 9.33 at d = 6: every cubic form is a sum of s cubes, in a continuum of ways.
    net = tdlab.sample_network(6, 10, "x**3", rng=0)
    assert net.rank >= r_id(6)
    X, y = net.sample(2 * math.comb(9, 3), rng=1)
    fit = tdlab.learner("student", rank=10, activation="x**3", width=1.2).fit(X, y, rng=2)
    assert fit.network.rank == 12 == dict(fit.chosen)["units"]
    assert net.risk(fit.network) / net.variance() < 1e-12
    assert tdlab.match(fit.network.weights, net.weights).recovered < 0.5
    assert "Improper in effect" in fit.message
    # Below r_id the same samples a weight give the weights.
    small = tdlab.sample_network(6, 6, "x**3", "sphere", rng=0)
    X, y = small.sample(250, rng=1)
    fit = tdlab.learner("student", rank=6, activation="x**3", restarts=20).fit(X, y, rng=2)
    assert "Improper" not in fit.message
    assert tdlab.match(fit.network.weights, small.weights).recovered == 1.0


def two_simplices(dim, rng):
    """Two regular simplices turned against each other: unit rows, each centred and isotropic."""
    simplex = np.eye(dim + 1) - 1.0 / (dim + 1)
    corners = np.linalg.svd(simplex)[0][:, :dim] * math.sqrt((dim + 1) / dim)
    rotation = np.linalg.qr(rng.standard_normal((dim, dim)))[0]
    return np.vstack([corners, corners @ rotation])


def test_simplices_trap_free_norms_and_not_unit_ones():
    # T(u) = sum_A (w+u)^3 + sum_B (w-u)^3 is the same for every u, below r_id; |w + u| is not.
    dim = 13
    rng = np.random.default_rng(1)
    net = tdlab.TwoLayerNetwork(two_simplices(dim, rng))
    np.testing.assert_allclose(np.linalg.norm(net.weights, axis=1), 1.0)
    shifted = net.weights + np.repeat([[0.3], [-0.3]], dim + 1, axis=0) * np.eye(dim)[0]
    assert net.rank < r_id(dim)
    assert net.risk(tdlab.TwoLayerNetwork(shifted)) / net.variance() < 1e-13
    X, y = net.sample(4 * net.rank * dim, rng=1)
    for norms in ("free", "unit"):
        fit = tdlab.learner(
            "student", rank=net.rank, activation="x**3", norms=norms, restarts=40
        ).fit(X, y, rng=2)
        assert net.risk(fit.network) / net.variance() < 1e-12, fit.message
        recovered = tdlab.match(fit.network.weights, net.weights).recovered
        assert recovered == 1.0 if norms == "unit" else recovered < 0.5
    np.testing.assert_allclose(np.linalg.norm(fit.network.weights, axis=1), 1.0)


def noisy():
    net = tdlab.sample_network(5, 3, "x**3", "sphere", rng=0)
    return net.sample(300, 0.3 * math.sqrt(net.variance()), rng=1)


def test_weight_decay_shrinks_and_regularises():
    X, y = noisy()
    norms, risks = [], []
    for decay in (0.0, 0.3, 3.0):
        fit = tdlab.learner("student", rank=3, activation="x**3", weight_decay=decay).fit(
            X, y, rng=2
        )
        norms.append(np.linalg.norm(fit.network.weights))
        risks.append(np.mean((fit.predict(X) - y) ** 2))
    assert norms[0] > norms[1] > norms[2] > 0.1 and risks[0] < risks[1] < risks[2]


@pytest.mark.parametrize("outputs, decay", [("fixed", 0.0), ("fixed", 0.1), ("free", 0.1)])
def test_optimisers_reach_the_same_minimum(outputs, decay):
    X, y = noisy()
    values = []
    # Adam with all samples in a batch, for smaller ones leave the noise of their gradients; it
    # creeps along the valley in which rows and outputs trade their sizes.
    for optimiser, more in (
        ("lm", {}),
        ("lbfgs", {}),
        ("adam", {"batch": 300, "iterations": 20_000, "restarts": 1}),
    ):
        fit = tdlab.learner(
            "student", rank=3, activation="x**3", optimiser=optimiser,
            outputs=outputs, weight_decay=decay, **{"restarts": 5, **more},
        ).fit(X, y, rng=2)  # fmt: skip
        if optimiser != "adam":
            assert fit.status == "converged" and "minimum with a residual" in fit.message
        found = fit.network
        penalty = np.sum(found.weights**2) + (outputs == "free") * np.sum(found.output_weights**2)
        values.append(np.mean((fit.predict(X) - y) ** 2) + decay * penalty)
    assert values[1:] == pytest.approx(2 * [values[0]], rel=1e-9)


def test_what_it_is_told_is_checked():
    told = {"rank": 4, "activation": "x**3"}
    for options, words in (
        ({"rank": 0}, "'rank': got 0"),
        ({"width": 0.0}, "'width': got 0"),
        ({"optimiser": "sgd"}, "'optimiser': got 'sgd'"),
        ({"norms": "equal"}, "'norms'"),
        ({"outputs": "ones"}, "'outputs'"),
        ({"weight_decay": -1.0}, "'weight_decay'"),
        ({"weight_decay": 1.0, "norms": "unit"}, "nothing could decay"),
        ({"restarts": 0}, "'restarts'"),
        ({"iterations": 0}, "'iterations'"),
        ({"batch": 32}, "'batch': got 32 for optimiser 'lm'"),
        ({"rate": 0.1, "optimiser": "lbfgs"}, "'rate'"),
        ({"batch": 0, "optimiser": "adam"}, "'batch': got 0"),
        ({"rate": 0.0, "optimiser": "adam"}, "'rate': got 0"),
        ({"activation": "tanh"}, "activation"),
    ):
        with pytest.raises(InputError, match=words) as caught:
            tdlab.learner("student", **{**told, **options})
        assert "\n" not in str(caught.value)


def test_the_clock_stops_it():
    net = tdlab.sample_network(12, 30, "x**3", rng=0)
    X, y = net.sample(500, rng=1)
    for optimiser in ("lm", "lbfgs", "adam"):
        fit = tdlab.learner("student", rank=30, activation="x**3", optimiser=optimiser).fit(
            X, y, rng=2, max_seconds=0.0
        )
        assert fit.status == "time-limit" and fit.network.rank == 30


def test_spare_units_of_a_constant_at_zero_cannot_vanish():
    # sigma(0) = 3: every spare unit adds it, unless outputs are free.
    X, y = tdlab.sample_network(5, 4, "He4", "sphere", rng=0).sample(120, rng=1)
    for outputs, told in (("fixed", "cannot vanish"), ("free", "vanish or double")):
        learner = tdlab.learner(
            "student", rank=4, activation="He4", width=2.0, outputs=outputs, restarts=1,
            iterations=3,
        )  # fmt: skip
        assert told in learner.fit(X, y, rng=0).message
