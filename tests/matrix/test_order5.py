"""Methods of odd orders above 3 on planted problems: terms of both signs and unequal sizes."""

import numpy as np
import pytest

import tdlab
from tests import cases

ALGEBRAIC = ["hankel", "spm"]


def planted(order, dim, rank, seed, spread):
    g = np.random.default_rng(2000 + seed)
    rows = g.standard_normal((rank, dim))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    weights = spread ** -g.random(rank) * np.sign(g.standard_normal(rank))
    return tdlab.FactoredTensor(rows, weights, order), rows * np.sign(weights)[:, None]


@pytest.mark.parametrize(("method", "spread"), [("hankel", 1.0), ("hankel", 1e3), ("spm", 2.0)])
@pytest.mark.parametrize(("order", "dim", "rank"), [(5, 3, 6), (5, 4, 10), (5, 8, 36), (7, 3, 7)])
def test_finds_all_that_it_claims_to_reach(method, order, dim, rank, spread):
    record = next(m for m in tdlab.methods(order=order) if m.name == method)
    assert record.reach(dim, order) >= rank
    tensor, truth = planted(order, dim, rank, 0, spread)
    result = tdlab.decompose(tensor, rank, method, rng=1)
    assert result.success, result.message
    assert tdlab.match(result.components, truth, order=order).worst > 1 - 1e-6


@pytest.mark.parametrize("method", ALGEBRAIC)
@pytest.mark.parametrize("rank", [9, 10])
def test_a_quintic_that_local_minima_stopped_is_exact(method, rank):
    for seed in range(5):
        array, truth = cases.exact_quintic(205 + seed, rank=rank)
        result = tdlab.decompose(array, rank, method, rng=seed)
        assert result.success and result.noise == 0.0
        assert tdlab.match(result.components, truth, order=5).worst > 1 - 1e-9


@pytest.mark.parametrize("method", ["homotopy", "lm"])
@pytest.mark.parametrize("seed", range(3))
def test_a_start_that_stalled_beside_an_exact_fit_reaches_it(method, seed):
    array, _ = cases.stuck_quintic()
    result = tdlab.decompose(array, 6, method, rng=seed, noise=0.0)
    assert result.success and result.residual <= 1e-7
    np.testing.assert_allclose(result.tensor().dense(), array, atol=1e-10)
