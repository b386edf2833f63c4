"""The dense finish: to rounding where an exact fit is near, and cheap where there is none."""

import numpy as np
import pytest

import tdlab
from tdlab.algorithms.base import Budget
from tdlab.algorithms.descent.damped import affordable, damped_finish, ended


def planted(order, dim, rank, seed=0):
    g = np.random.default_rng(seed)
    rows = g.standard_normal((rank, dim))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    weights = (0.5 + g.random(rank)) * (np.sign(g.standard_normal(rank)) if order % 2 == 0 else 1.0)
    return tdlab.FactoredTensor(rows, weights, order), rows, weights, g


@pytest.mark.parametrize(("order", "dim", "rank"), [(3, 6, 8), (4, 5, 9), (5, 3, 6), (6, 3, 7)])
def test_perturbed_terms_come_back_to_rounding(order, dim, rank):
    tensor, rows, weights, g = planted(order, dim, rank)
    near = rows + 1e-2 * g.standard_normal(rows.shape)
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    found, coefficients, history = damped_finish(tensor, near, weights, Budget())
    assert history[-1] < 1e-14 and len(history) < 60
    assert tdlab.match(found, rows, order=order).worst > 1 - 1e-14
    np.testing.assert_allclose(coefficients, weights, rtol=1e-8)


def test_every_step_lowers_the_residual():
    tensor, rows, weights, g = planted(4, 5, 9)
    start = rows + 0.1 * g.standard_normal(rows.shape)
    start /= np.linalg.norm(start, axis=1, keepdims=True)
    _, _, history = damped_finish(tensor, start, weights, Budget())
    assert (np.diff(history) < 0).all()


def test_a_least_squares_fit_of_noise_ends_it_in_a_few_steps():
    tensor, rows, weights, _ = planted(4, 5, 6)
    noisy = tensor.dense() + tdlab.gaussian_tensor(5, 4, norm=1e-2 * tensor.norm(), rng=1).dense()
    noisy = tdlab.DenseTensor(noisy)
    first, coefficients, _ = damped_finish(noisy, rows, weights, Budget())
    _, _, history = damped_finish(noisy, first, coefficients, Budget())
    assert len(history) <= 3 and 1e-3 < min(history) < 1e-2


def test_it_leaves_large_problems_and_far_starts_alone():
    tensor, rows, weights, _ = planted(3, 30, 60)
    assert not affordable(tensor, 60)
    same, _, history = ended(tensor, rows, weights, Budget(), 1e-3)
    assert same is rows and history == ()
    small, rows, weights, _ = planted(3, 5, 6)
    assert ended(small, rows, weights, Budget(), 0.2)[2] == ()
