"""Every even-order method on planted order-4 problems, in the shape of the order-3 matrix."""

import numpy as np
import pytest

import tdlab
from tdlab import Status

METHODS = ["auto", "foobi", "hankel", "homotopy", "hss19", "jennrich", "lbfgs", "lm", "spm"]


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def planted(dim, rank, order=4, seed=0, signed=False):
    rng = np.random.default_rng(1000 + seed)
    rows = unit(rng.standard_normal((rank, dim)))
    signs = np.where(np.arange(rank) % 3 == 0, -1.0, 1.0) if signed else np.ones(rank)
    return tdlab.FactoredTensor(rows, signs * (0.7 + rng.random(rank)), order), rows


PROBLEMS = {
    "orthogonal": lambda: (tdlab.FactoredTensor(np.eye(8), order=4), np.eye(8)),
    "half-dim": lambda: planted(8, 4),
    "signed": lambda: planted(8, 7, signed=True),
    "overcomplete": lambda: planted(8, 14, signed=True),
    "dense": lambda: (tdlab.DenseTensor(planted(8, 6)[0].dense()), planted(8, 6)[1]),
}


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("method", METHODS)
def test_recovers_what_it_accepts(method, problem):
    tensor, truth = PROBLEMS[problem]()
    result = tdlab.decompose(tensor, len(truth), method, rng=1)
    if result.status is Status.UNSUPPORTED:
        assert method == "jennrich" and len(truth) > tensor.dim
    else:
        assert result.success, result.message
        assert result.residual <= 1e-7
        assert tdlab.match(result.components, truth, order=4).recovered == 1.0


@pytest.mark.parametrize("method", METHODS)
def test_coefficients_keep_their_signs_and_units(method):
    tensor, truth = planted(8, 7, signed=True)
    for scale in (1e-6, 1e6):
        scaled = tdlab.FactoredTensor(truth, scale * tensor.weights, 4)
        result = tdlab.decompose(scaled, 7, method, rng=1)
        assert result.success, result.message
        np.testing.assert_allclose(np.sort(result.weights), np.sort(scaled.weights), rtol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_bits(method):
    tensor, _ = planted(8, 7, signed=True)
    first, second = (tdlab.decompose(tensor, 7, method, rng=7) for _ in range(2))
    np.testing.assert_array_equal(first.components, second.components)


@pytest.mark.parametrize("method", METHODS)
def test_does_not_find_structure_in_the_null(method):
    null = tdlab.gaussian_tensor(6, 4, rng=0)
    result = tdlab.decompose(null, 5, method, rng=1)
    assert not result.success and result.message.endswith(".")


@pytest.mark.parametrize("method", METHODS)
def test_fewer_terms_than_asked_never_count_as_another_answer(method):
    tensor, _ = planted(8, 4)
    result = tdlab.decompose(tensor, 6, method, rng=1)
    assert result.residual <= 1e-7 or not result.success


@pytest.mark.parametrize("method", ["foobi", "hss19", "spm", "schramm-steurer"])
def test_refuses_another_order_as_a_result(method):
    result = tdlab.decompose(tdlab.FactoredTensor(np.eye(4), order=3), 2, method)
    assert result.status is Status.UNSUPPORTED and "order" in result.message


def test_a_rank_above_the_asked_one_is_named():
    tensor, _ = planted(8, 12)
    result = tdlab.decompose(tensor, 9, "spm", rng=0)
    assert not result.success and "rank=12" in result.message


@pytest.mark.parametrize("method", ["auto", "spm"])
@pytest.mark.parametrize(("order", "dim", "rank"), [(4, 8, 12), (6, 5, 8)])
@pytest.mark.parametrize("level", [1e-3, 0.03])
def test_noise_that_nobody_stated_is_looked_through(method, order, dim, rank, level):
    tensor, truth = planted(dim, rank, order)
    noise = tdlab.gaussian_tensor(dim, order, norm=level * tensor.norm(), rng=1)
    noisy = tensor.dense() + noise.dense()
    result = tdlab.decompose(noisy, rank, method, rng=0)
    assert result.success, result.message
    assert result.noise == pytest.approx(level, rel=0.3)
    assert tdlab.match(result.components, truth, order=order, threshold=0.9).recovered == 1.0
    # An exact fit of so few terms cannot be, and no time goes into looking for one.
    exact = tdlab.decompose(noisy, rank, "spm", rng=0, noise=0.0)
    assert exact.status is Status.BREAKDOWN and exact.nit == 0


@pytest.mark.parametrize(("dim", "rank", "order"), [(8, 60, 6), (10, 40, 4), (20, 100, 4)])
def test_spm_beyond_the_dimension(dim, rank, order):
    tensor, truth = planted(dim, rank, order, signed=True)
    result = tdlab.decompose(tensor, rank, "spm", rng=0)
    assert result.success and tdlab.match(result.components, truth, order=order).recovered == 1.0


@pytest.mark.parametrize("order", [4, 5, 6])
def test_jennrich_beyond_order_three(order):
    tensor, truth = planted(8, 8, order)
    result = tdlab.decompose(tensor, 8, "jennrich", rng=0)
    assert result.success and tdlab.match(result.components, truth, order=order).recovered == 1.0


@pytest.mark.long
@pytest.mark.parametrize(("order", "dim", "rank"), [(4, 10, 43), (5, 8, 49)])
@pytest.mark.parametrize("seed", range(3))
def test_lm_at_its_measured_reach(order, dim, rank, seed):
    tensor, truth = planted(dim, rank, order, seed)
    result = tdlab.decompose(tensor, rank, "lm", rng=seed)
    assert result.success and tdlab.match(result.components, truth, order=order).recovered == 1.0


@pytest.mark.long
@pytest.mark.parametrize(("dim", "rank"), [(20, 180), (40, 533), (50, 833)])
def test_spm_at_its_measured_reach(dim, rank):
    tensor, truth = planted(dim, rank)
    result = tdlab.decompose(tensor, rank, "spm", rng=0)
    assert result.success and tdlab.match(result.components, truth, order=4).recovered == 1.0
