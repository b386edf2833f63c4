"""Penalty homotopy: unit norms against dense linear algebra, and failures that say why."""

import itertools
from typing import Any

import numpy as np
import pytest
from scipy.linalg import null_space
from scipy.optimize import minimize_scalar

import tdlab
from tdlab._kernels.gauss_newton import gauss_newton_cg
from tdlab.algorithms.base import Budget
from tdlab.algorithms.descent.loop import Descent, Effort, Target


def planted(dim, rank, seed):
    truth = tdlab.sample_network(dim, rank, "He3", "sphere", rng=seed).weights
    return truth, tdlab.FactoredTensor(truth)


def descent(tensor, rank, unit, seed=1):
    start = np.random.default_rng(seed).standard_normal((rank, tensor.dim)) * 0.3
    return Descent(Target.of(tensor, rank), start, Effort(Budget(), 500), unit=unit)


def test_the_tangent_kernel_solves_the_system_restricted_to_the_tangent_space(rng):
    rows, right = rng.standard_normal((2, 5, 4))
    e, h, damping = rng.uniform(0, 1, 5), np.zeros(5), 0.3
    gram = rows @ rows.T
    X, decrease, _ = gauss_newton_cg(
        rows, np.ones(5), 3, gram, e, h, right, damping, 500, 1e-12, True
    )
    np.testing.assert_allclose(np.einsum("ij,ij->i", X, rows), 0.0, atol=1e-10)

    form = np.empty((20, 20))
    for column, unit in enumerate(np.eye(20)):
        Z = unit.reshape(5, 4)
        form[:, column] = ((gram**2 + np.diag(e)) @ Z + 2 * (gram * (rows @ Z.T)) @ rows).ravel()
    radial = np.zeros((5, 20))
    for i in range(5):
        radial[i, 4 * i : 4 * i + 4] = rows[i]
    basis = null_space(radial)
    reduced = basis.T @ (form + damping * np.eye(20)) @ basis
    expected = basis @ np.linalg.solve(reduced, basis.T @ right.ravel())
    np.testing.assert_allclose(X.ravel(), expected, atol=1e-9)
    assert decrease == pytest.approx(right.ravel() @ expected - expected @ form @ expected / 2)


@pytest.mark.parametrize("mu", [1.0, 0.1, 0.0])
def test_unit_rows_take_the_coefficient_that_minimises_the_ridge_loss(mu):
    truth, tensor = planted(8, 12, 0)
    run = descent(tensor, 12, unit=True)
    run.reset(truth + 0.2 * np.random.default_rng(3).standard_normal(truth.shape), mu, unit=True)
    norms = np.linalg.norm(run.rows, axis=1)
    np.testing.assert_allclose(norms, norms[0], rtol=1e-12)
    units = run.rows / norms[:, None]
    target = tdlab.DenseTensor(tensor.dense() * np.sqrt(12) / tensor.norm())

    def ridge_loss(a):
        rest = target.dense() - tdlab.FactoredTensor(units, np.full(12, a)).dense()
        return 0.5 * (rest**2).sum() + 0.5 * mu * 12 * a**2

    options = {"xatol": 1e-10}
    best: Any = minimize_scalar(ridge_loss, bounds=(0, 3), method="bounded", options=options)
    assert norms[0] ** 3 == pytest.approx(best.x, rel=1e-6)
    assert run.penalised(mu) == pytest.approx(best.fun, rel=1e-9)


def test_a_unit_step_keeps_one_norm_and_never_raises_the_loss():
    _, tensor = planted(8, 14, 0)
    run = descent(tensor, 14, unit=True)
    values = []
    for _ in range(40):
        run.step(0.2, 60, 0.1, single=True, floor=1e-4)
        values.append(run.penalised(0.2))
    norms = np.linalg.norm(run.rows, axis=1)
    np.testing.assert_allclose(norms, norms[0], rtol=1e-12)
    assert all(after <= before for before, after in itertools.pairwise(values))
    assert values[-1] < 0.8 * values[0]


@pytest.mark.parametrize(("dim", "rank"), [(10, 20), (15, 42), (20, 70)])
@pytest.mark.parametrize("option", [{"norms": "unit"}, {"penalty": "equal"}])
def test_equal_coefficients_help_near_the_counting_bound(dim, rank, option):
    for seed in range(2):
        truth, tensor = planted(dim, rank, 10 + seed)
        result = tdlab.decompose(tensor, rank, "homotopy", rng=seed, noise=0.0, **option)
        assert result.success and tdlab.match(result.components, truth).worst > 1 - 1e-8


def test_the_end_of_a_unit_path_frees_the_norms():
    # Coefficients that differ by a tenth: no exact fit has equal ones.
    rng = np.random.default_rng(0)
    truth, _ = planted(12, 20, 0)
    tensor = tdlab.FactoredTensor(truth, rng.uniform(0.95, 1.05, 20))
    result = tdlab.decompose(tensor, 20, "homotopy", rng=0, norms="unit")
    assert result.success and tdlab.match(result.components, truth).recovered == 1.0


def test_failures_say_why():
    # Sym(a, a, b) has rank 3 and border rank 2: two terms approach it only by cancelling.
    a, b = np.eye(4)[:2]
    parts = [np.einsum("i,j,k->ijk", *p) for p in ((a, a, b), (a, b, a), (b, a, a))]
    array = np.sum(parts, axis=0)
    result = tdlab.decompose(array, 2, "lm", rng=0, noise=0.0)
    assert result.status is tdlab.Status.DEGENERATE and "cancel" in result.message

    null = tdlab.gaussian_tensor(10, rng=0)
    result = tdlab.decompose(null, 15, "homotopy", rng=0, steps=100)
    assert result.status is tdlab.Status.STAGNATED
    assert "68% of the counting bound at dimension 10" in result.message
    null = tdlab.gaussian_tensor(20, rng=0)
    result = tdlab.decompose(null, 70, "homotopy", rng=0, max_seconds=0.05)
    assert result.status is tdlab.Status.TIME_LIMIT


@pytest.mark.parametrize(
    ("option", "value"), [("norms", "one"), ("penalty", "lasso"), ("stages", 0), ("renewed", -1.0)]
)
def test_bad_options_are_refused_in_one_line(option, value):
    with pytest.raises(tdlab.InputError, match=f"option '{option}'") as caught:
        tdlab.decompose(np.zeros((3, 3, 3)), 2, "homotopy", **{option: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("method", ["lm", "lbfgs", "homotopy", "auto"])
@pytest.mark.parametrize("eps", [1e-4, 1e-5, 3e-6])
def test_terms_that_cancel_are_no_exact_fit_by_rounding(method, eps):
    # w^3 - (w + eps v)^3 is eps long, and every Gram matrix loses those digits.
    rng = np.random.default_rng(0)
    w, v = np.linalg.qr(rng.standard_normal((6, 2)))[0].T
    tensor = tdlab.FactoredTensor(np.array([w, w + eps * v]), [1.0, -1.0])
    result = tdlab.decompose(tensor, 2, method, rng=0, noise=0.0, max_seconds=1)
    if result.success:
        entries = tensor.dense()
        rest = entries - result.tensor().dense()
        assert np.linalg.norm(rest) < 1e-6 * np.linalg.norm(entries)


@pytest.mark.parametrize("scale", [1e-155, 1e160])
def test_norms_whose_squares_overflow_are_served(scale):
    found = tdlab.decompose(tdlab.FactoredTensor(np.eye(4), np.full(4, scale)), 4, rng=0)
    assert found.success and found.weights == pytest.approx(np.full(4, scale), rel=1e-6)


@pytest.mark.parametrize("scale", [1e-140, 1e-40, 1e40, 1e140])
@pytest.mark.parametrize("method", ["hsss", "ding", "auto", "pipe"])
def test_any_scale_that_doubles_hold_is_served(method, scale):
    truth = np.linalg.qr(np.random.default_rng(0).standard_normal((6, 6)))[0][:4]
    tensor = tdlab.FactoredTensor(truth, scale * np.linspace(1.0, 1.5, 4))
    result = tdlab.decompose(tensor, 4, method, rng=0, noise=0.0)
    assert result.success and tdlab.match(result.components, truth).recovered == 1.0
    np.testing.assert_allclose(np.sort(result.weights), np.sort(tensor.weights), rtol=1e-6)
