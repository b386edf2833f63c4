"""Networks: exact risk against Monte Carlo and against independent formulas."""

import math

import numpy as np
import pytest
from numpy.polynomial import hermite_e

import tdlab
from tdlab import InputError, TwoLayerNetwork

# (name, activation): degrees 1 to 5, even and odd parts, constants.
ACTIVATIONS = [
    (0.0, 1.0),
    (0.5, -1.0, 0.7),
    (0.0, -3.0, 0.0, 1.0),
    (0.1, 0.4, -0.3, 0.2, 0.05),
    (0.0, 0.5, 0.1, -0.2, 0.05, 0.03),
]


def random_network(rng, activation, dim=4, rank=3):
    rows = rng.standard_normal((rank, dim)) * rng.uniform(0.3, 1.0, (rank, 1))
    return TwoLayerNetwork(rows, rng.standard_normal(rank), activation)


@pytest.mark.parametrize("pair", range(25))
def test_exact_risk_equals_monte_carlo(pair):
    # 25 pairs at 4 standard errors: a correct formula fails somewhere with probability < 0.002,
    # and the seeds are fixed.
    rng = np.random.default_rng([7, pair])
    teacher = random_network(rng, ACTIVATIONS[pair // 5])
    student = random_network(rng, ACTIVATIONS[pair % 5], rank=2)
    noise = 0.5 * (pair % 2)
    X, y = teacher.sample(400_000, noise, rng=rng)
    squares = (y - student.predict(X)) ** 2
    error = squares.std() / math.sqrt(len(squares))
    assert abs(squares.mean() - teacher.risk(student, noise)) < 4 * error
    assert abs(y.mean() - teacher.mean()) < 4 * y.std() / math.sqrt(len(y))
    deviations = (y - teacher.mean()) ** 2
    spread = deviations.std() / math.sqrt(len(y))
    assert abs(deviations.mean() - teacher.variance(noise)) < 4 * spread


def test_risk_of_cubes_is_the_tensor_formula(rng):
    # sigma = x^3, any norms: 6 |dT|^2 + 9 |tr dT|^2.
    first, second = (random_network(rng, "x**3") for _ in range(2))
    cube = lambda net: np.einsum("r,ri,rj,rk->ijk", net.output_weights, *[net.weights] * 3)  # noqa: E731
    difference = cube(first) - cube(second)
    trace = np.einsum("iik->k", difference)
    expected = 6 * np.vdot(difference, difference) + 9 * trace @ trace
    assert first.risk(second) == pytest.approx(expected)


def test_risk_by_quadrature_on_one_input(rng):
    # Gauss-Hermite quadrature with 40 nodes is exact for these polynomials.
    nodes, masses = hermite_e.hermegauss(40)
    masses = masses / masses.sum()
    for activation in ACTIVATIONS:
        first = random_network(rng, activation, dim=1)
        second = random_network(rng, (0.3, 0.1, 0.9), dim=1)
        gap = first.predict(nodes[:, None]) - second.predict(nodes[:, None])
        assert first.risk(second) == pytest.approx(masses @ gap**2)


def test_risk_is_zero_exactly_at_the_teacher_and_permutes(rng):
    net = random_network(rng, "He3 + 0.5x")
    assert net.risk(net) <= 1e-14 * net.variance()
    order = [2, 0, 1]
    same = TwoLayerNetwork(net.weights[order], net.output_weights[order], net.activation)
    assert net.risk(same) <= 1e-14 * net.variance()
    assert net.risk(same, noise=2.0) == pytest.approx(4.0)


@pytest.mark.parametrize("order", [2, 3, 4, 5])
def test_hermite_tensor_is_the_moment(order):
    # One input, quadrature: T_k = E[f He_k] / k!.
    nodes, masses = hermite_e.hermegauss(40)
    masses = masses / masses.sum()
    net = random_network(np.random.default_rng(order), ACTIVATIONS[-1], dim=1)
    he = hermite_e.hermeval(nodes, [0] * order + [1])
    expected = masses @ (net.predict(nodes[:, None]) * he) / math.factorial(order)
    assert net.hermite_tensor(order).dense().ravel()[0] == pytest.approx(expected, abs=1e-12)


def test_hermite_energies_sum_to_the_second_moment(rng):
    net = random_network(rng, ACTIVATIONS[4])
    energies = net.hermite_energies()
    assert energies.sum() == pytest.approx(net.variance() + net.mean() ** 2)
    for k in (2, 3, 4, 5):
        assert energies[k] == pytest.approx(math.factorial(k) * net.hermite_tensor(k).norm() ** 2)


def test_samples_are_nested_in_n(rng):
    net = random_network(rng, "x**3")
    X, y = net.sample(50, 0.3, rng=5)
    long_X, long_y = net.sample(80, 0.3, rng=5)
    np.testing.assert_array_equal(long_X[:50], X)
    np.testing.assert_allclose(long_y[:50], y, rtol=1e-12)


@pytest.mark.parametrize(
    ("dim", "rank"), [(5, 6), (10, 12), (20, 40), (20, 60), (30, 33), (9, 300)]
)
def test_isotropic_is_isotropic(dim, rank):
    for seed in range(3):
        W = tdlab.sample_network(dim, rank, "x**3", "isotropic", rng=seed).weights
        assert np.abs(W.sum(axis=0)).max() < 1e-10
        assert np.abs(W.T @ W - rank / dim * np.eye(dim)).max() < 1e-10
        assert np.abs(np.linalg.norm(W, axis=1) - 1).max() < 1e-10


def test_isotropic_where_it_does_not_exist_is_refused():
    for dim, rank in ((10, 10), (10, 3), (5, 7)):
        with pytest.raises(InputError, match=rf"rank: got {rank} .*wanted rank >= dim \+ 1"):
            tdlab.sample_network(dim, rank, ensemble="isotropic", rng=0)


def test_linear_regression_explains_nothing_of_isotropic_cubes():
    for seed in range(5):
        net = tdlab.sample_network(20, 60, "x**3", "isotropic", rng=seed)
        assert net.hermite_energies()[1] < 1e-10 * net.variance()


@pytest.mark.parametrize(
    ("text", "coefficients"),
    [
        ("x**3", (0, 0, 0, 1)),
        ("x^3 - 3x", (0, -3, 0, 1)),
        ("x^3-3*x", (0, -3, 0, 1)),
        ("He3", (0, -3, 0, 1)),
        ("He_2", (-1, 0, 1)),
        ("-0.5*He2 + 2 x", (0.5, 2, -0.5)),
        ("1.5e1x + .5", (0.5, 15)),
        ("x + x", (0, 2)),
        ([0, 1, 0, 2.5], (0, 1, 0, 2.5)),
    ],
)
def test_activations_are_read(text, coefficients):
    activation = tdlab.Activation.parse(text)
    assert activation.coefficients == pytest.approx(coefficients)
    assert tdlab.Activation.parse(str(activation)) == activation


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "tanh",
        "x**",
        "x**-1",
        "3",
        "x**21",
        "He21",
        "x**3 x",
        "2*",
        "__import__('os')",
        "x**2.5",
        "He",
        "x*x",
        "1e999x",
        "++x",
        "x +",
        "y**2",
        "x**99999999999",
        "0*x",
        "x - x",
    ],
)
def test_bad_activations_are_refused_in_one_line(text):
    with pytest.raises(InputError, match="activation: got") as caught:
        tdlab.Activation.parse(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("coefficients", [[], [1.0], [0, np.nan], [0, np.inf], [0] * 21 + [1], "x"])
def test_bad_coefficients_are_refused(coefficients):
    if coefficients == "x":
        assert tdlab.Activation.parse("x").degree == 1
        return
    with pytest.raises(InputError, match="activation: got"):
        tdlab.Activation.parse(coefficients)


def test_mean_derivatives_are_gaussian_means():
    nodes, masses = hermite_e.hermegauss(40)
    masses = masses / masses.sum()
    activation = tdlab.Activation(ACTIVATIONS[4])
    for k in range(7):
        derivative = np.polynomial.polynomial.polyder(activation.coefficients, k)
        for scale in (0.0, 0.5, 2.0):
            expected = masses @ np.polynomial.polynomial.polyval(scale * nodes, derivative)
            assert activation.mean_derivative(k, scale) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dim": 1, "rank": 3}, "dim: got 1, wanted an integer >= 2"),
        ({"dim": 5, "rank": 0}, "rank: got 0, wanted an integer >= 1"),
        ({"dim": 5.5, "rank": 9}, "dim: got 5.5"),
        ({"dim": 5, "rank": True}, "rank: got True"),
        (
            {"dim": 5, "rank": 9, "ensemble": "spere"},
            "ensemble: got 'spere'.*did you mean 'sphere'",
        ),
    ],
)
def test_bad_network_requests_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        tdlab.sample_network(**arguments, rng=0)


def test_bad_networks_are_refused(rng):
    with pytest.raises(InputError, match="weights: got"):
        TwoLayerNetwork([[np.nan, 1.0]])
    with pytest.raises(InputError, match=r"output_weights: got shape \(3,\), wanted \(2,\)"):
        TwoLayerNetwork(np.eye(2), np.ones(3))
    net = TwoLayerNetwork(np.eye(3))
    with pytest.raises(InputError, match=r"X: got shape \(2, 4\)"):
        net.predict(np.ones((2, 4)))
    with pytest.raises(InputError, match="other: got input dimension 2"):
        net.risk(TwoLayerNetwork(np.eye(2)))
    with pytest.raises(InputError, match="order: got 4"):
        net.hermite_tensor(4)
    with pytest.raises(InputError, match="noise: got -1"):
        net.sample(3, noise=-1, rng=0)


@pytest.mark.parametrize("ensemble", ["isotropic", "sphere"])
def test_signed_outputs(ensemble):
    net = tdlab.sample_network(7, 20, "x**3", ensemble, signs="random", rng=3)
    assert set(net.output_weights) == {-1.0, 1.0}
    np.testing.assert_allclose(np.linalg.norm(net.weights, axis=1), 1.0, atol=1e-10)
    if ensemble == "isotropic":
        np.testing.assert_allclose(net.output_weights @ net.weights, 0.0, atol=1e-10)
        np.testing.assert_allclose(net.weights.T @ net.weights, 20 / 7 * np.eye(7), atol=1e-10)
        assert net.hermite_energies()[1] < 1e-10 * net.variance()
    with pytest.raises(tdlab.InputError, match="signs"):
        tdlab.sample_network(3, 6, signs="both")
