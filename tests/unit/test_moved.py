"""Moving the weights a little: what theory says it costs, and where nothing notices."""

import numpy as np
import pytest

import tdlab
from tdlab import InputError
from tdlab.lab.spec.file import parse_spec
from tdlab.learning.moved import weakest_direction

SPEC = """
trials = 2
[problem]
activation = "He3"
ensemble = "sphere"
dims = [6]
ranks = [3, 6, 11]
[[method]]
name = "moved"
[[method]]
name = "moved"
direction = "random"
"""


def cost(net, seed=1, **options):
    X, y = net.sample(2, rng=0)
    fit = tdlab.learner("moved", teacher=net, **options).fit(X, y, rng=seed)
    return net.risk(fit.network) / net.variance(), fit.network


@pytest.mark.parametrize(
    ("order", "signs"), [(2, "positive"), (3, "positive"), (3, "random"), (4, "random")]
)
def test_the_cost_is_the_quadratic_form_of_a_brute_force_jacobian(order, signs):
    net = tdlab.sample_network(4, 3, f"He{order}", "sphere", signs=signs, rng=2)
    outputs, step = net.output_weights, 1e-6
    columns = []
    for i, a in np.ndindex(3, 4):
        moved = [net.weights.copy(), net.weights.copy()]
        moved[0][i, a] += step
        moved[1][i, a] -= step
        high, low = (tdlab.FactoredTensor(rows, outputs, order).dense() for rows in moved)
        columns.append((high - low).ravel() / (2 * step))
    least = np.linalg.eigvalsh(np.array(columns) @ np.array(columns).T)
    value, way = weakest_direction(net.weights, outputs, order)
    assert value == pytest.approx(max(least[0], 0.0), abs=1e-7)
    assert np.linalg.norm(way) == pytest.approx(1.0)
    squared = net.hermite_tensor(order).norm() ** 2
    expected = value * 3 / squared
    assert cost(net, size=1e-3)[0] / 1e-6 == pytest.approx(expected, rel=0.02, abs=1e-4)
    # On average over directions it is the mean eigenvalue: 300 draws, four standard errors.
    draws = [cost(net, seed, direction="random", size=1e-3)[0] for seed in range(300)]
    mean, error = np.mean(draws) / 1e-6, np.std(draws) / 1e-6 / np.sqrt(300)
    assert mean == pytest.approx(least.mean() * 3 / squared, abs=4 * error)


def test_no_direction_costs_less_than_the_weakest():
    net = tdlab.sample_network(5, 6, "He3", "isotropic", rng=0)
    least = cost(net)[0]
    for seed in range(50):
        assert cost(net, seed, direction="random")[0] > least


def test_the_distance_is_the_stated_one():
    net = tdlab.sample_network(7, 9, "He3", "sphere", boost=1.0, rng=0)
    for direction in ("weakest", "random"):
        _, moved = cost(net, direction=direction, size=0.01)
        before = net.weights * np.cbrt(net.output_weights)[:, None]
        after = moved.weights * np.cbrt(moved.output_weights)[:, None]
        assert np.linalg.norm(after - before) == pytest.approx(0.01 * np.linalg.norm(before))


def test_from_the_counting_bound_on_nothing_notices():
    # r d > C(d+2, 3) parameters: J'J is singular, and the cost is of fourth order in the move.
    net = tdlab.sample_network(6, 11, "He3", "sphere", rng=0)
    assert weakest_direction(net.weights, np.ones(11))[0] < 1e-12
    large, small = cost(net, size=1e-2)[0], cost(net, size=1e-3)[0]
    assert large / small == pytest.approx(1e4, rel=0.5)
    below = tdlab.sample_network(6, 6, "He3", "sphere", rng=0)
    assert cost(below, size=1e-3)[0] / cost(below, size=1e-4)[0] == pytest.approx(100, rel=0.1)


def test_orthonormal_rows_cost_what_a_count_says():
    # Of w to w + dw: |3 w w dw|^2 = 3 |dw|^2 across w and 9 along it, without cross terms.
    net = tdlab.TwoLayerNetwork(np.eye(5), activation="He3")
    assert weakest_direction(net.weights, np.ones(5))[0] == pytest.approx(3.0)
    assert cost(net)[0] == pytest.approx(3e-6, rel=0.01)


@pytest.mark.parametrize(
    ("options", "teacher", "match"),
    [
        ({"direction": "up"}, {}, "direction"),
        ({"size": -1.0}, {}, "size"),
        ({}, {"activation": "x**3"}, "wanted He_k"),
        ({}, {"activation": "x"}, "wanted He_k"),
        ({}, {"activation": "He3", "weights": 2 * np.eye(3)}, "rows of norm up to 2"),
    ],
)
def test_what_it_cannot_move_is_refused_in_one_line(options, teacher, match):
    made = tdlab.TwoLayerNetwork(**{"weights": np.eye(3), "activation": "He3", **teacher})
    with pytest.raises(InputError, match=match) as caught:
        cost(made, **options)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="teacher"):
        tdlab.learner("moved", teacher=3)


def test_a_scan_of_moves_is_drawn(tmp_path):
    from tdlab.view.figures.every import plot_store

    store = tdlab.run(parse_spec(SPEC), store=tmp_path / "m.db", workers=1)
    names = {path.name for path in plot_store(store, tmp_path)}
    assert names == {f"moves.{suffix}" for suffix in ("png", "svg", "pdf", "csv")}
    rows = (tmp_path / "moves.csv").read_text().splitlines()
    assert len(rows) == 1 + 2 * 3
    frame = store.trials()
    assert (frame["risk_ratio"] < 5e-5).all() and (frame["recovered"] == 1.0).all()
