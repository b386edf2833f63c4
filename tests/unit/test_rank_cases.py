"""Ranks of published forms, planted tensors that misled, and moments of data: right or refused."""

import numpy as np
import pytest

import tdlab
from tests import cases


def told(array, **options):
    # More time than the default: what is tested is the answer, not the machine.
    return tdlab.estimate_rank(array, rng=0, **{"max_seconds": 200.0, **options})


@pytest.mark.parametrize("name", cases.border_rank())
def test_a_rank_is_told_above_the_border_rank(name):
    array, rank, border = cases.border_rank()[name]
    found = told(array)
    assert (found.rank, found.evidence) == (rank, "exact")
    assert ("the rank is larger" in found.message) == (border < rank)


@pytest.mark.parametrize("name", cases.perfect())
def test_perfect_cases_are_told_at_the_counting_bound(name):
    array, rank = cases.perfect()[name]
    found = told(array)
    assert (found.rank, found.evidence) == (rank, "exact")


@pytest.mark.parametrize(
    ("make", "rank"),
    [
        (cases.binary_quintic_small_terms, 3),
        (cases.stuck_quintic, 6),
        (cases.exact_quintic, 9),
        (cases.subspace, 6),
    ],
)
def test_exact_tensors_of_odd_order_or_in_a_subspace(make, rank):
    array, rows = make()
    found = told(array)
    assert (found.rank, found.evidence) == (rank, "exact")
    fit = found.fits[rank].tensor().dense()
    np.testing.assert_allclose(fit, array, atol=1e-7 * np.linalg.norm(array))
    assert len(rows) == rank


@pytest.mark.parametrize(("dim", "pairs"), [(8, 5), (6, 3)])
def test_conjugate_pairs_are_said_to_be_complex(dim, pairs):
    found = told(cases.complex_pairs(1, dim, pairs))
    assert found.rank is None and found.evidence == "complex"
    assert f"Over the complex numbers {2 * pairs} terms" in found.message


def test_one_conjugate_pair_has_three_real_cubes():
    # z^3 + conj z^3 is a binary cubic with one real root, whose real rank is 3.
    found = told(cases.complex_pairs(0, 2, 1))
    assert found.rank == 3 and "complex" in found.message


def test_almost_any_small_tensor_has_its_rank_only_without_noise():
    array = cases.random_cubic()
    found = told(array)
    assert found.rank is None and "Almost any tensor" in found.message
    exact = told(array, noise=0)
    assert exact.rank == 6 and exact.evidence == "exact"


@pytest.mark.parametrize(
    ("make", "rank"), [(cases.orthogonal_with_noise, 6), (cases.topic_model, 4)]
)
def test_moments_and_noisy_tensors(make, rank):
    array, rows = make()
    found = told(array, max_rank=8)
    assert found.rank == rank and found.evidence in ("noise", "drop")
    row = next(row for row in found.rows if row.rank == rank)
    assert row.agreement > 0.5 and row.residual < 0.1 * row.null
    assert tdlab.match(found.fits[rank].components, rows, order=array.ndim).worst > 0.99


def test_sources_below_the_noise_are_not_counted_wrong():
    # The smallest of the five is below the noise of the cumulant: refused, or told right.
    array, _ = cases.ica()
    for seed in range(3):
        assert tdlab.estimate_rank(array, rng=seed, max_rank=8).rank in (5, None)


def test_the_least_rank_within_a_stated_noise():
    array, _ = cases.topic_model()
    for noise, rank in ((0.25, 2), (0.15, 3), (0.01, 4)):
        found = told(array, noise=noise)
        assert (found.rank, found.evidence, found.noise) == (rank, "stated noise", noise)
        residuals = {row.rank: row.residual for row in found.rows}
        assert residuals[rank] <= noise < residuals[rank - 1]


def test_exact_ranks_are_successes_of_decompose():
    array, rank = cases.perfect()["four variables, five cubes"]
    assert told(array).rank == rank
    assert tdlab.decompose(array, rank, rng=0).success


@pytest.mark.peers
@pytest.mark.parametrize("name", ["iris", "wine", "breast cancer", "digits"])
def test_moments_of_data_get_a_table(name):
    found = told(cases.shipped_data(name), max_seconds=20)
    assert found.rank is None and found.message
    table = found.table
    assert list(table.columns) == ["rank", "residual", "agreement", "null", "gain"]
    assert list(table["rank"][:4]) == [1, 2, 3, 4]
    # Every term helps, and more than it does without structure.
    assert (table.residual.diff().dropna() < 0).all()
    assert (table.residual < table.null).iloc[:4].all()


def test_the_clock_holds_for_everything():
    import time

    started = time.perf_counter()
    found = told(tdlab.gaussian_tensor(16, rng=0), max_seconds=1.0)
    # Ten times as much as stated is a stuck clock, whatever the machine.
    assert time.perf_counter() - started < 10.0
    assert found.rank is None and "1 s ended the table" in found.message


def test_progress_is_told_as_it_goes():
    heard = []
    found = told(cases.random_cubic(), progress=heard.append)
    assert sum(sentence.startswith("rank ") for sentence in heard) == len(found.rows)


def test_matrices():
    rows = np.random.default_rng(0).standard_normal((3, 12))
    array = rows.T @ np.diag([1.0, -2.0, 0.5]) @ rows
    exact = told(array)
    assert (exact.rank, exact.evidence) == (3, "exact")
    noise = np.random.default_rng(1).standard_normal((12, 12))
    noise = 1e-4 * (noise + noise.T) * np.linalg.norm(array) / 12
    assert (told(array + noise).rank, told(array + noise).evidence) == (3, "noise")
    assert told(array + noise, noise=0.01).rank == 3
    # Without terms that stand out a matrix is a sum of as many terms as its eigenvalues, no fewer.
    assert (told(noise).rank, told(noise).evidence) == (12, "exact")
