"""The fused Gauss-Newton kernel against dense linear algebra, and penalties against differences."""

import itertools
from typing import Any

import numpy as np
import pytest

import tdlab
from tdlab._kernels.gauss_newton import gauss_newton_cg, gram_powers
from tdlab.algorithms.base import Budget
from tdlab.algorithms.descent.loop import PENALTIES, Descent, Effort, Target


def dense_form(rows, signs, order, e, h, damping):
    """H + damping as an (r d, r d) matrix, column by column from its definition."""
    gram, S = rows @ rows.T, np.outer(signs, signs)
    columns = []
    for unit in np.eye(rows.size):
        X = unit.reshape(rows.shape)
        image = (S * gram ** (order - 1) + np.diag(e + damping)) @ X
        image += (order - 1) * ((S * gram ** (order - 2) + np.diag(h)) * (rows @ X.T)) @ rows
        columns.append(image.ravel())
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("order", [3, 4, 5])
def test_the_kernel_solves_the_damped_system(rng, order):
    rows, signs = rng.standard_normal((5, 4)), np.array([1.0, -1.0, 1.0, 1.0, -1.0])
    e, h = rng.uniform(0, 1, (2, 5))
    right = rng.standard_normal((5, 4))
    gram = rows @ rows.T
    X, decrease, steps = gauss_newton_cg(
        rows, signs, order, gram, e, h, right, 0.3, 500, 1e-12, False
    )
    form = dense_form(rows, signs, order, e, h, 0.3)
    expected = np.linalg.solve(form, right.ravel())
    np.testing.assert_allclose(X.ravel(), expected, rtol=1e-8, atol=1e-10)
    undamped = form - 0.3 * np.eye(len(form))
    model = right.ravel() @ expected - 0.5 * expected @ undamped @ expected
    assert decrease == pytest.approx(model) and 1 < steps < 60


@pytest.mark.parametrize("order", [3, 4])
def test_the_form_is_that_of_the_jacobian(rng, order):
    # J x_i = k s_i Sym(w_i^{k-1} (x) x_i), and the form is J'J / k.
    rows, signs = rng.standard_normal((3, 3)), np.array([1.0, -1.0, 1.0])
    columns, step = [], 1e-6
    for unit in np.eye(rows.size):
        change = step * unit.reshape(rows.shape)
        high, low = (
            tdlab.FactoredTensor(rows + x, signs, order).dense() for x in (change, -change)
        )
        columns.append(((high - low) / (2 * step)).ravel())
    jacobian = np.stack(columns, axis=1)
    form = dense_form(rows, signs, order, np.zeros(3), np.zeros(3), 0.0)
    np.testing.assert_allclose(form, jacobian.T @ jacobian / order, rtol=1e-6, atol=1e-6)


def test_single_precision_gives_the_same_step_to_its_digits(rng):
    rows, signs = rng.standard_normal((6, 4)), np.ones(6)
    e, h, right = np.zeros(6), np.zeros(6), rng.standard_normal((6, 4))

    cg: Any = gauss_newton_cg

    def solve(kind, tolerance):
        w, s, *rest = (a.astype(kind) for a in (rows, signs, rows @ rows.T, e, h, right))
        damping: Any = kind(1.0)
        return cg(w, s, 3, *rest, damping, 100, tolerance, False)[0]

    low = solve(np.float32, 1e-6)
    assert low.dtype == np.float32
    np.testing.assert_allclose(low, solve(np.float64, 1e-6), atol=1e-4)


@pytest.mark.parametrize("order", [3, 4, 5])
def test_gram_powers_equal_their_numpy_twin(rng, order):
    gram, signs = rng.standard_normal((7, 7)), np.where(rng.random(7) < 0.5, -1.0, 1.0)
    wide, total = gram_powers(gram, signs, order)
    S = np.outer(signs, signs)
    np.testing.assert_allclose(wide, S * gram ** (order - 1), rtol=1e-14)
    assert total == pytest.approx((S * gram**order).sum(), rel=1e-12)


@pytest.mark.parametrize("order", [3, 4, 5])
@pytest.mark.parametrize("name", PENALTIES)
def test_penalties_give_their_gradient(rng, name, order):
    # d/dw of P at weight mu is k e_i w_i: compare with central differences.
    penalty, rows, step = PENALTIES[name], rng.standard_normal((3, 4)), 1e-6
    norms_sq = lambda w: np.einsum("ij,ij->i", w, w)  # noqa: E731
    _, e, _ = penalty(norms_sq(rows), 0.7, order)
    for index in np.ndindex(rows.shape):
        high, low = rows.copy(), rows.copy()
        high[index] += step
        low[index] -= step
        slope = (penalty(norms_sq(high), 0.7, order)[0] - penalty(norms_sq(low), 0.7, order)[0]) / (
            2 * step
        )
        assert slope == pytest.approx(order * e[index[0]] * rows[index], rel=1e-6)


@pytest.mark.parametrize(("name", "share"), [("ridge", 0.5), ("nuclear", 1.0)])
@pytest.mark.parametrize("order", [3, 4, 5])
def test_penalties_give_their_curvature(rng, name, share, order):
    # The Hessian of P over k is e x + (k-1) h <w, x> w: h exact for nuclear, half of it for ridge.
    penalty, w, x, step = PENALTIES[name], rng.standard_normal(4), rng.standard_normal(4), 1e-6

    def parts(point):
        _, e, h = penalty(np.array([point @ point]), 0.7, order)
        return e[0], h[0]

    slope = (parts(w + step * x)[0] * (w + step * x) - parts(w - step * x)[0] * (w - step * x)) / (
        2 * step
    )
    e, h = parts(w)
    np.testing.assert_allclose(slope, e * x + (order - 1) * h / share * (w @ x) * w, rtol=1e-6)


@pytest.mark.parametrize("order", [3, 4])
def test_the_spread_of_coefficients_has_its_curvature(rng, order):
    # At a fixed mean (it is stationary): s/2 (|w|^k - m)^2, exactly; the ridge's part is halved.
    rows, mu, step = rng.standard_normal((3, 4)), 0.7, 1e-6
    g = np.einsum("ij,ij->i", rows, rows)
    _, e, h = PENALTIES["equal"](g, mu, order)
    _, e0, h0 = PENALTIES["ridge"](g, mu, order)
    mean, x = (g ** (order / 2)).mean(), rng.standard_normal(4)

    def gradient(w):
        n = w @ w
        return 0.1 * (n ** (order / 2) - mean) * n ** (order / 2 - 1) * w

    slope = (gradient(rows[0] + step * x) - gradient(rows[0] - step * x)) / (2 * step)
    form = (e - e0)[0] * x + (order - 1) * (h - h0)[0] * (rows[0] @ x) * rows[0]
    np.testing.assert_allclose(form, slope, rtol=1e-5)


def test_a_step_never_raises_what_it_minimises():
    truth = tdlab.sample_network(8, 14, "He3", "sphere", rng=0).weights
    tensor = tdlab.FactoredTensor(truth)
    start = np.random.default_rng(1).standard_normal((14, 8)) * 0.3
    run = Descent(Target.of(tensor, 14), start, Effort(Budget(), 100))
    values = [run.penalised(0.2)]
    for _ in range(30):
        run.step(0.2, 60, 0.1, single=True, floor=1e-4)
        values.append(run.penalised(0.2))
    assert all(after <= before for before, after in itertools.pairwise(values))
    assert values[-1] < 0.7 * values[0]


def test_the_budget_is_steps_not_seconds():
    tensor = tdlab.sample_network(10, 21, "He3", "sphere", rng=4).hermite_tensor(3)
    result = tdlab.decompose(
        tdlab.gaussian_tensor(10, rng=0), 12, "homotopy", rng=0, steps=150, noise=0.0
    )
    # A polish that has begun may take one step more.
    assert 150 <= result.nit <= 152 and result.status.value == "stagnated"
    first, again = (tdlab.decompose(tensor, 21, "homotopy", rng=3, steps=400) for _ in range(2))
    assert first.nit == again.nit and first.residual == again.residual


@pytest.mark.parametrize(("dim", "rank"), [(10, 20), (15, 40), (20, 64), (30, 120)])
def test_homotopy_is_exact_far_beyond_lm(dim, rank):
    for seed in range(3):
        truth = tdlab.sample_network(dim, rank, "He3", "sphere", rng=seed).weights
        result = tdlab.decompose(tdlab.FactoredTensor(truth), rank, "homotopy", rng=seed)
        assert result.success and tdlab.match(result.components, truth).worst > 1 - 1e-8


@pytest.mark.parametrize("key", [(6, 9), (5, 7), (10, 24), (12, 34)])
def test_auto_fits_at_and_beyond_uniqueness_and_says_so(key):
    dim, rank = key
    truth = tdlab.sample_network(dim, rank, "He3", "sphere", rng=1).weights
    result = tdlab.decompose(tdlab.FactoredTensor(truth), rank, rng=0)
    assert result.status is tdlab.Status.FIT_NOT_UNIQUE, result.message


def test_no_dense_array_on_a_factored_tensor():
    # d^3 doubles would be 64 GiB here; steps of the homotopy need a few megabytes.
    net = tdlab.sample_network(2000, 6, "He3", "sphere", rng=0)
    result = tdlab.decompose(net.hermite_tensor(3), 6, "homotopy", rng=0, steps=60)
    # So far from all components a start may miss one.
    assert tdlab.match(result.components, net.weights).recovered >= 5 / 6
