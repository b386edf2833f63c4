"""Order 2: a matrix has the decomposition that its eigenvectors give, and a continuum of others."""

import numpy as np
import pytest

import tdlab
from tdlab import InputError, Status

METHODS = ["auto", "eigen"]


def planted(dim, rank, seed=0):
    rows = np.linalg.qr(np.random.default_rng(seed).standard_normal((dim, dim)))[0][:rank]
    values = np.array([3.0, -2.0, 1.5, 1.0, -0.5, 0.25, 0.1, 0.05])[:rank]
    return tdlab.FactoredTensor(rows, values, order=2), rows


def test_every_registered_method_is_in_the_matrix():
    assert [m.name for m in tdlab.methods(order=2)] == METHODS


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rank", [1, 3, 8])
def test_orthogonal_components_are_recovered_with_signs(method, rank):
    tensor, rows = planted(8, rank)
    for held in (tensor, tensor.dense(), 1e-300 * tensor.dense()):
        found = tdlab.decompose(held, rank, method, rng=0)
        assert found.success and found.residual <= 1e-7 and found.method == method
        assert tdlab.match(found, rows).worst > 1.0 - 1e-10
    assert tdlab.estimate_rank(tensor).rank == rank


@pytest.mark.parametrize("method", METHODS)
def test_only_one_term_is_unique_and_the_message_says_among_which(method):
    one = tdlab.decompose(planted(6, 1)[0], 1, method)
    assert one.unique == "generic" and one.status is Status.CONVERGED
    assert tdlab.uniqueness(one) == "certified"
    three = tdlab.decompose(planted(6, 3)[0], 3, method)
    assert three.unique == "no" and three.status is Status.FIT_NOT_UNIQUE
    assert tdlab.uniqueness(three) == "no"
    assert "only this one: the eigenvalues differ" in three.message
    equal = tdlab.decompose(np.eye(4), 4, method)
    assert "eigenvalues agree" in equal.message


@pytest.mark.parametrize("method", METHODS)
def test_fewer_terms_give_the_best_fit(method):
    tensor, _ = planted(8, 8)
    found = tdlab.decompose(tensor, 3, method, noise=0.0)
    assert not found.success and found.message
    left = np.array([1.0, 0.5, 0.25, 0.1, 0.05])
    assert found.residual == pytest.approx(np.linalg.norm(left) / tensor.norm())


@pytest.mark.parametrize("method", METHODS)
def test_more_terms_than_dimensions_are_unsupported(method):
    found = tdlab.decompose(np.eye(3), 4, method)
    assert found.status is Status.UNSUPPORTED and "rank <= 3" in found.message


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("level", [0.02, 0.2])
def test_noise_is_told_from_terms_by_the_semicircle(seed, level):
    rows = np.linalg.qr(np.random.default_rng(seed).standard_normal((20, 20)))[0][:3]
    array = tdlab.FactoredTensor(rows, [1.0, -1.2, 1.1], order=2).dense()
    size = level * np.linalg.norm(array)
    noisy = array + tdlab.gaussian_tensor(20, 2, norm=size, rng=seed).dense()
    told = tdlab.estimate_rank(noisy)
    assert told.rank == 3 and told.noise == pytest.approx(level, rel=0.2)
    found = tdlab.decompose(noisy, 3)
    assert found.success and found.noise == pytest.approx(level, rel=0.2)
    stated = tdlab.decompose(noisy, 3, noise=level)
    assert stated.success and tdlab.estimate_rank(noisy, noise=level).rank == 3


def test_matrices_without_structure_are_not_taken_for_noisy_ones():
    for seed in range(20):
        noise = tdlab.gaussian_tensor(20, 2, rng=seed)
        told = tdlab.estimate_rank(noise)
        assert told.rank == 20 and told.noise == 0.0
        assert not tdlab.decompose(noise, 2).success
    falling = np.diag(0.7 ** np.arange(20.0))
    assert tdlab.estimate_rank(falling).rank == 20
    assert not tdlab.decompose(falling, 4).success


def test_numerical_rank_follows_the_type():
    tensor, _ = planted(8, 4)
    assert tdlab.estimate_rank(tensor.dense().astype(np.float32)).rank == 4
    found = tdlab.decompose(tensor.dense().astype(np.float32), 4)
    assert found.success and found.noise == 0.0


def test_orders_beyond_a_method_are_one_sentence():
    tensor = tdlab.FactoredTensor(np.eye(2), order=9)
    for rank in (2, 5):
        for method in ("jennrich", "lm", "spm"):
            found = tdlab.decompose(tensor, rank, method)
            assert found.status is Status.UNSUPPORTED and "order" in found.message
    try:
        assert tdlab.decompose(tensor, 2).message
        assert tdlab.estimate_rank(tensor).message
        assert tdlab.decompose(tensor).message
    except InputError as error:
        assert "\n" not in str(error)
