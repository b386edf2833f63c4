"""What came in another unit, or in a coarser type, is the same tensor."""

import numpy as np
import pytest

import tdlab
from tdlab import DenseTensor, FactoredTensor, InputError, Status
from tests.draws import draws

SCALES = [1e-300, 1e-150, 1e150, 1e300]


def planted(order=3, dim=6, rank=5, seed=0):
    rows = np.random.default_rng(seed).standard_normal((rank, dim))
    return FactoredTensor(rows / np.linalg.norm(rows, axis=1)[:, None], order=order)


@pytest.mark.parametrize("scale", draws([1e-300, 1e150, 1e-150, 1e300], quick=2))
@pytest.mark.parametrize("order", [3, 4])
def test_components_and_residual_do_not_depend_on_the_unit(order, scale):
    plain = planted(order)
    array = plain.dense()
    for tensor in (array * scale, FactoredTensor(plain.components, scale * plain.weights, order)):
        found = tdlab.decompose(tensor, 5, rng=0)
        assert found.success and found.residual <= 1e-7, found.message
        assert tdlab.match(found, plain.components).recovered == 1.0
        np.testing.assert_allclose(found.weights / scale, 1.0, rtol=1e-6)
        assert tdlab.estimate_rank(tensor, rng=0).rank == 5
        assert tdlab.decompose(tensor, rng=0).rank == 5


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("method", ["als", "homotopy", "lbfgs", "lm", "pipe", "power"])
def test_every_kind_of_method_takes_any_unit(method, scale):
    rows = np.linalg.qr(np.random.default_rng(0).standard_normal((5, 5)))[0]
    found = tdlab.decompose(scale * FactoredTensor(rows).dense(), 5, method, rng=0)
    assert found.success and tdlab.match(found, rows).recovered == 1.0, found.message


@pytest.mark.parametrize("scale", [1e-320, 1e-300, 1e-150, 1e150, 1e300])
def test_norms_are_right_at_any_size(scale):
    array = np.full((3, 3, 3), scale)
    expected = scale * 27**0.5
    assert DenseTensor(array).norm() == pytest.approx(
        expected, rel=1e-3 if scale < 1e-310 else 1e-12
    )
    factored = FactoredTensor(np.ones((1, 3)), [scale])
    assert factored.norm() == pytest.approx(expected, rel=1e-3 if scale < 1e-310 else 1e-12)


@pytest.mark.parametrize("size", [1e-150, 1e150])
def test_coefficients_that_leave_the_doubles_are_said_to(size):
    tensor = FactoredTensor(size * planted().components)
    found = tdlab.decompose(tensor, 5, rng=0)
    assert found.success and tdlab.match(found, tensor.components).recovered == 1.0
    assert "leave the range of doubles" in found.message
    assert "1e-450" in found.message or "1e450" in found.message


def test_sizes_that_differ_widely_keep_what_double_precision_can_hold():
    # Beside terms of 1e-300, one of 1e-450 is below rounding, whatever its coefficient.
    tensor = FactoredTensor(np.diag([1.0, 1e-150, 1.0]), [1e-300, 1.0, 2e-300])
    found = tdlab.decompose(tensor, 2, rng=0)
    assert found.success
    np.testing.assert_allclose(np.sort(found.weights), [1e-300, 2e-300])


def test_a_zero_tensor_has_no_components_in_any_form():
    for tensor in (np.zeros((3, 3, 3)), FactoredTensor(np.eye(3), np.zeros(3))):
        assert tdlab.decompose(tensor, 1).status is Status.UNSUPPORTED
        assert tdlab.estimate_rank(tensor).rank is None


def cumulant(dtype, optimize):
    x = np.random.default_rng(0).exponential(size=(3000, 5)).astype(dtype)
    z = x - x.mean(0)
    return np.einsum("ni,nj,nk->ijk", z, z, z, optimize=optimize) / len(z)


@pytest.mark.parametrize("optimize", [True, False])
def test_cumulants_in_single_precision_are_symmetric(optimize):
    array = cumulant(np.float32, optimize)
    tensor = DenseTensor(array)
    np.testing.assert_allclose(tensor.dense(), cumulant(np.float64, True), atol=1e-4)
    exactly = tensor.dense()
    np.testing.assert_allclose(exactly, exactly.transpose(2, 0, 1), rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("dtype", "fine", "coarse"),
    [
        (np.float64, 3e-9, 1e-7),
        (np.int64, 0.0, 1e-2),
        (np.float32, 3e-6, 1e-4),
        (np.float16, 5e-3, 1e-1),
    ],
)
def test_the_tolerance_of_symmetry_follows_the_type(dtype, fine, coarse):
    for scale in (1.0, 1e-3) if dtype is not np.int64 else (1000.0,):
        array = np.full((3, 3, 3), scale)
        array[0, 1, 2] *= 1.0 + fine
        assert DenseTensor(array.astype(dtype)).dim == 3
        array[0, 1, 2] = scale * (1.0 + coarse)
        with pytest.raises(InputError, match=r"tdlab\.symmetrize"):
            DenseTensor(array.astype(dtype))
        assert tdlab.symmetrize(array.astype(dtype)).dim == 3


@pytest.mark.parametrize("rank", [4, 9])
@pytest.mark.parametrize("noise", [0.0, None])
def test_a_fit_to_the_rounding_of_single_precision_is_exact(rank, noise):
    rows = planted(3, 6, rank, seed=2).components.astype(np.float32)
    array = np.einsum("ri,rj,rk->ijk", rows, rows, rows)
    assert array.dtype == np.float32
    found = tdlab.decompose(array, rank, rng=0, noise=noise)
    assert found.success and found.noise == 0.0, found.message
    assert found.residual <= DenseTensor(array).rounding
    assert tdlab.match(found, rows).recovered == 1.0
    assert tdlab.estimate_rank(array, rng=0).rank == rank


def test_single_precision_excuses_no_more_than_its_rounding():
    rows = planted(3, 6, 5).components
    array = FactoredTensor(rows).dense() + 1e-4 * tdlab.gaussian_tensor(6, rng=0).dense()
    assert not tdlab.decompose(array.astype(np.float32), 5, "jennrich", rng=0, noise=0.0).success


@pytest.mark.parametrize("order", [5, 6, 8])
def test_symmetrising_high_orders_is_the_average_over_all_permutations(order, rng):
    array = rng.standard_normal((2,) * order)
    made = tdlab.symmetrize(array).dense()
    # Entries of a symmetric array depend on how many indices are 1: their class's mean.
    classes = np.indices(array.shape).sum(axis=0)
    for ones in range(order + 1):
        np.testing.assert_allclose(made[classes == ones], array[classes == ones].mean(), atol=1e-14)


def test_what_torch_holds_is_an_array():
    torch = pytest.importorskip("torch")
    array = planted().dense()
    tensor = DenseTensor(torch.tensor(array, requires_grad=True))
    np.testing.assert_array_equal(tensor.dense(), array)
    assert DenseTensor(torch.tensor(array, dtype=torch.float32)).rounding > 0.0


@pytest.mark.parametrize("scale", SCALES)
def test_uniqueness_and_confidence_do_not_depend_on_the_unit(scale):
    array = planted(3, 8, 4).dense()
    assert tdlab.uniqueness(tdlab.decompose(scale * array, 4, "jennrich", rng=0)) == "certified"
    noisy = array + tdlab.gaussian_tensor(8, norm=0.01, rng=1).dense()
    plain, scaled = (tdlab.decompose(s * noisy, 4, noise=0.01, rng=0) for s in (1.0, scale))
    assert plain.success and scaled.success
    np.testing.assert_allclose(scaled.confidence(), plain.confidence(), rtol=1e-6)
