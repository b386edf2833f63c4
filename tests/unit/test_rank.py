"""The number of terms, told or refused."""

import dataclasses

import numpy as np
import pytest

import tdlab
from tdlab import InputError
from tests.draws import draws, later


def planted(dim, rank, seed, order=3):
    truth = tdlab.sample_network(dim, rank, "He3", "sphere", rng=[dim, rank, seed]).weights
    return tdlab.FactoredTensor(truth, order=order)


def noisy(tensor, level, seed):
    noise = tdlab.gaussian_tensor(tensor.dim, tensor.order, level * tensor.norm(), rng=500 + seed)
    return tdlab.DenseTensor(tensor.dense() + noise.dense())


@pytest.mark.parametrize(
    ("dim", "rank"),
    [
        (6, 1), (8, 8), (11, 16), (30, 45), (12, 21),
        later(8, 7), later(8, 12), later(10, 18), later(20, 30),
    ],
)  # fmt: skip
def test_exact_tensors(dim, rank):
    found = tdlab.estimate_rank(planted(dim, rank, 0), rng=0)
    assert (found.rank, found.noise, found.evidence) == (rank, 0.0, "exact")
    # The fit is there, and it is the planted one.
    assert tdlab.match(found.fits[rank].components, planted(dim, rank, 0).components).worst > 0.999


@pytest.mark.parametrize(
    ("dim", "rank"), [(10, 1), (12, 16), later(10, 7), later(15, 10), later(20, 14)]
)
def test_noisy_tensors(dim, rank):
    found = tdlab.estimate_rank(noisy(planted(dim, rank, 1), 0.05, 1), rng=0)
    assert found.rank == rank and found.evidence == "noise"
    assert found.noise == pytest.approx(0.05, rel=0.2)


def test_even_orders():
    assert tdlab.estimate_rank(planted(7, 5, 0, order=4), rng=0).rank == 5
    assert tdlab.estimate_rank(np.diag([1.0, 2.0, 0.0, -1.0])).rank == 3


@pytest.mark.parametrize("dim", draws([6, 9]))
def test_noise_has_no_rank(dim):
    found = tdlab.estimate_rank(tdlab.gaussian_tensor(dim, rng=1), rng=0, max_seconds=5)
    assert found.rank is None and found.evidence == "" and "State the rank" in found.message


def test_decompose_takes_the_rank_it_is_told():
    tensor = planted(9, 12, 0)
    result = tdlab.decompose(tensor, rng=0)
    assert result.rank == 12 and result.success
    assert tdlab.match(result.components, tensor.components).recovered == 1.0


def test_decompose_refuses_where_no_rank_is_told():
    for tensor in (tdlab.gaussian_tensor(6, rng=0), np.zeros((3, 3, 3))):
        with pytest.raises(InputError, match="rank: got None") as caught:
            tdlab.decompose(tensor, rng=0)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="rank: got None for a tensor of kind flattening4"):
        tdlab.decompose(tdlab.Flattening4(np.eye(9)))


def test_records_are_frozen_and_reproducible():
    tensor = noisy(planted(7, 3, 0), 0.05, 0)
    first, second = (tdlab.estimate_rank(tensor, rng=1) for _ in range(2))
    assert first == second
    with pytest.raises(dataclasses.FrozenInstanceError):
        first.rank = 3


@pytest.mark.long
@pytest.mark.parametrize("dim", [8, 12, 20, 30])
def test_ninety_five_percent_without_noise(dim):
    right = [
        tdlab.estimate_rank(planted(dim, rank, seed), rng=seed).rank == rank
        for rank in {1, dim // 2, dim - 1, dim, dim + 1, 5 * dim // 4, 3 * dim // 2}
        for seed in range(10)
    ]
    assert np.mean(right) >= 0.95


@pytest.mark.long
@pytest.mark.parametrize("dim", [8, 12, 20, 30])
def test_ninety_five_percent_with_noise(dim):
    right = [
        tdlab.estimate_rank(noisy(planted(dim, rank, seed), 0.05, seed), rng=seed).rank == rank
        for rank in {1, dim // 4, dim // 2, int(0.7 * dim)}
        for seed in range(10 if dim < 30 else 5)
    ]
    assert np.mean(right) >= 0.95


@pytest.mark.parametrize(("inside", "rank"), [(5, 6), later(6, 8), later(8, 13)])
def test_components_in_a_subspace(inside, rank):
    # The flattening shows the dimension that they span, which is not their number.
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((11, inside)))[0]
    tensor = planted(inside, rank, 0).rotate(basis)
    found = tdlab.estimate_rank(tensor, rng=0)
    assert (found.rank, found.evidence) == (rank, "exact")
    assert f"{inside} of 11 dimensions" in found.message
    # Components are given where the tensor lives, and not in coordinates of the subspace.
    fit = found.fits[rank].tensor()
    assert np.linalg.norm(fit.dense() - tensor.dense()) < 1e-6 * tensor.norm()


def test_a_border_rank_is_not_a_rank():
    # x^2 y: the flattening has rank 2, fits of two terms approach it and have no limit.
    entries = np.zeros((3, 3, 3))
    entries[0, 0, 1] = entries[0, 1, 0] = entries[1, 0, 0] = 1.0
    found = tdlab.estimate_rank(entries, rng=0)
    assert found.rank == 3 and "border rank" in found.message


@pytest.mark.parametrize(
    ("dim", "rank", "seed"),
    [(6, 8, 0), *(pytest.param(8, 14, seed, marks=pytest.mark.long) for seed in range(3))],
)
def test_what_no_search_solves_is_no_noise(dim, rank, seed):
    # Exact tensors near the counting bound: told right.
    assert tdlab.estimate_rank(planted(dim, rank, seed), rng=seed).rank == rank


@pytest.mark.parametrize("dim", draws([20, 25]))
def test_large_noise_has_no_rank(dim):
    found = tdlab.estimate_rank(tdlab.gaussian_tensor(dim, rng=dim), rng=0, max_seconds=5)
    assert found.rank is None


def test_limits_of_the_search():
    tensor = planted(5, 6, 0)
    told = tdlab.estimate_rank(tensor, rng=0, max_rank=5)
    assert told.rank is None and "more than max_rank = 5" in told.message
    with pytest.raises(InputError, match=r"noise: got 1\.5, wanted a share"):
        tdlab.estimate_rank(tensor, rng=0, noise=1.5)
    noise = tdlab.gaussian_tensor(9, rng=0)
    late = tdlab.estimate_rank(noise, rng=0, max_seconds=0.0)
    assert late.rank is None and "passed before" in late.message
    with pytest.raises(InputError, match="passed before"):
        tdlab.decompose(noise, rng=0, max_seconds=0.0)
    for scale in (1e-120, 1e120):
        scaled = tdlab.FactoredTensor(tensor.components, scale * tensor.weights)
        assert tdlab.estimate_rank(scaled, rng=0).rank == 6


@pytest.mark.parametrize(
    ("order", "dim", "rank"), [(4, 8, 14), (4, 12, 40), (4, 4, 4), (6, 5, 20), (6, 6, 5)]
)
def test_even_orders_are_told_by_the_symmetric_flattening(order, dim, rank, rng):
    rows = rng.standard_normal((rank, dim))
    rows /= np.linalg.norm(rows, axis=1)[:, None]
    signs = np.where(np.arange(rank) % 3 == 0, -1.0, 1.0)
    told = tdlab.estimate_rank(tdlab.FactoredTensor(rows, signs, order), rng=0)
    assert told.rank == rank and told.evidence == "exact" and told.noise == 0.0
