"""Orthonormal 4-tensors under spectral errors: recovery, refusals, what the truncations buy."""

import numpy as np
import pytest

import tdlab
from tdlab import InputError, Status
from tdlab.tensors.errors4 import KINDS, orthonormal_with_error
from tdlab.tensors.flattening4 import lifted, swap_middle


@pytest.mark.parametrize("kind", KINDS)
def test_errors_have_their_stated_norm(kind):
    tensor, basis = orthonormal_with_error(6, 0.4, kind, rng=0)
    error = tensor.matrix - lifted(basis).T @ lifted(basis)
    assert np.linalg.norm(error, 2) == pytest.approx(0.4, rel=1e-6)


def test_swapping_the_middle_modes_twice_is_nothing(rng):
    matrix = rng.standard_normal((16, 16))
    swapped = swap_middle(matrix)
    assert swapped[1 * 4 + 2, 3 * 4 + 0] == matrix[1 * 4 + 3, 2 * 4 + 0]
    np.testing.assert_array_equal(swap_middle(swapped), matrix)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("error", [0.4, 0.5])
def test_recovers_under_half_an_error_and_is_sure_of_less(kind, error):
    tensor, basis = orthonormal_with_error(20, error, kind, rng=1)
    result = tdlab.decompose(tensor, 20, "schramm-steurer", rng=2)
    assert tdlab.match(result.components, basis, order=4).recovered == 1.0
    assert result.success or error == 0.5, result.message


def test_two_orthonormal_tensors_half_an_error_from_one_tensor(rng):
    """Halfway between two bases neither answer may be called right."""
    first, second = (np.linalg.qr(rng.standard_normal((8, 8)))[0] for _ in range(2))
    flat = sum(lifted(basis).T @ lifted(basis) for basis in (first, second)) / 2
    result = tdlab.decompose(tdlab.Flattening4(flat), 8, "schramm-steurer", rng=0, error=0.9)
    assert result.success is False and "nothing is sure" in result.message


def test_one_round_needs_the_truncations():
    shares = {}
    for truncate in (True, False):
        found = []
        for seed in range(6):
            tensor, basis = orthonormal_with_error(20, 0.5, "hard", rng=100 + seed)
            result = tdlab.decompose(
                tensor,
                20,
                "schramm-steurer",
                rng=seed,
                truncate=truncate,
                rounds=1,
                contractions=4,
            )
            found.append(tdlab.match(result.components, basis, order=4).recovered)
        shares[truncate] = np.mean(found)
    assert shares[True] > 0.9 > shares[False] + 0.1


def test_a_message_bounds_the_cosines_of_small_errors():
    tensor, _ = orthonormal_with_error(10, 0.1, "random", rng=1)
    result = tdlab.decompose(tensor, 10, "schramm-steurer", rng=2)
    assert result.success and "cosine >= 0.8" in result.message


def test_an_error_out_of_range_is_no_success(rng):
    for scale in (3.0, 30.0):
        noise = tdlab.Flattening4(scale * rng.standard_normal((64, 64)))
        result = tdlab.decompose(noise, 8, "schramm-steurer", rng=0)
        assert not result.success and result.message.endswith(".")


@pytest.mark.parametrize("scale", [1e-140, 1e-40, 1e-3, 3.0, 1e40, 1e140])
def test_coefficients_other_than_one_are_no_success(scale):
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((4, 4)))[0]
    pairs = lifted(basis)
    tensor = tdlab.Flattening4(scale * pairs.T @ pairs)
    result = tdlab.decompose(tensor, 4, "schramm-steurer", rng=1)
    assert not result.success and result.message.endswith(".")


@pytest.mark.parametrize("dim", [1, 2, 3, 8])
def test_small_dimensions_and_too_large_a_rank(dim):
    pairs = lifted(np.eye(dim))
    for kept in range(1, dim + 1):
        tensor = tdlab.Flattening4(pairs[:kept].T @ pairs[:kept])
        exact = tdlab.decompose(tensor, kept, "schramm-steurer", rng=1)
        assert exact.success and exact.status is Status.CONVERGED
        assert tdlab.match(exact.components, np.eye(dim)[:kept], order=4).recovered == 1.0
        # With components missing either the fit is exact or nothing is claimed.
        result = tdlab.decompose(tensor, dim, "schramm-steurer", rng=1)
        # Fewer terms than asked for suffice, so that others fit as well.
        fits = (Status.CONVERGED, Status.FIT_NOT_UNIQUE)
        assert result.success == (result.status in fits)
        assert not result.success or result.residual <= 1e-7


def test_a_stop_by_the_clock_says_so():
    tensor, _ = orthonormal_with_error(8, 0.1, rng=0)
    result = tdlab.decompose(tensor, 8, "schramm-steurer", rng=0, max_seconds=0.0)
    assert result.status is Status.TIME_LIMIT and "max_seconds" in result.message


def test_only_methods_that_declare_it_take_a_flattening():
    tensor, _ = orthonormal_with_error(4, 0.1, rng=0)
    result = tdlab.decompose(tensor, 4, "spm")
    assert result.status is Status.UNSUPPORTED and "flattening4" in result.message
    symmetric = tdlab.FactoredTensor(np.eye(4), order=4)
    result = tdlab.decompose(symmetric, 4, "schramm-steurer")
    assert result.status is Status.UNSUPPORTED and "symmetric" in result.message


def test_a_flattening_has_a_square_side():
    with pytest.raises(InputError, match=r"matrix: got shape \(5, 5\), wanted \(n\^2, n\^2\)"):
        tdlab.Flattening4(np.eye(5))
