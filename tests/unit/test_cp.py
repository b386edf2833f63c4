"""Tensors and results to and from other libraries, each against its own reconstruction."""

import numpy as np
import pytest

import tdlab
from tdlab import FactoredTensor, InputError


@pytest.mark.parametrize("order", [3, 4])
def test_tensorly_sees_the_same_tensor_and_gives_it_back(rng, order):
    import tensorly

    tensor = FactoredTensor(rng.standard_normal((4, 5)), [1.0, -2.0, 0.5, 3.0], order)
    theirs = tensor.to_tensorly()
    np.testing.assert_allclose(tensorly.cp_to_tensor(theirs), tensor.dense(), atol=1e-12)
    back = FactoredTensor.from_cp(theirs)
    assert back.order == order and back.rank == 4
    np.testing.assert_allclose(back.dense(), tensor.dense(), atol=1e-12)


def test_a_result_goes_to_tensorly(rng):
    import tensorly

    truth = rng.standard_normal((3, 6))
    result = tdlab.decompose(FactoredTensor(truth), 3, rng=0)
    full = tensorly.cp_to_tensor(result.to_tensorly())
    np.testing.assert_allclose(full, FactoredTensor(truth).dense(), atol=1e-6)


def test_what_is_handed_out_is_a_copy(rng):
    tensor = FactoredTensor(rng.standard_normal((2, 3)))
    before = tensor.dense().copy()
    theirs = tensor.to_tensorly()
    theirs.factors[0][:] = 0.0
    theirs.weights[:] = 0.0
    np.testing.assert_array_equal(tensor.dense(), before)


def test_scales_and_signs_of_the_modes_go_to_the_coefficient(rng):
    rows = rng.standard_normal((3, 4))
    columns = rows.T
    scaled = [columns * [2.0, -1.0, 1.0], columns * [0.5, 1.0, -3.0], columns]
    tensor = FactoredTensor.from_cp((None, scaled))
    expected = FactoredTensor(rows, [1.0, -1.0, -3.0])
    np.testing.assert_allclose(tensor.dense(), expected.dense(), atol=1e-12)


def test_terms_that_vanish_are_left_out(rng):
    columns = rng.standard_normal((4, 3))
    columns[:, 1] = 0.0
    tensor = FactoredTensor.from_cp((np.array([1.0, 5.0, 0.0]), [columns] * 3))
    assert tensor.rank == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda a, b: (None, [a, a, b]), "differ between modes .*tdlab.symmetrize"),
        (lambda a, b: (None, [a, a[:3], a]), "cp: got factors of shapes .*wanted equal ones"),
        (lambda a, b: (None, [a]), "got 1 factor matrices"),
        (lambda a, b: (np.ones(4), [a, a, a]), "cp, weights: got shape"),
        (lambda a, b: (np.zeros(2), [a, a, a]), "only zero terms"),
        (lambda a, b: (None, [a, a, a * np.nan]), "cp, factor 2: got .* NaN"),
        (lambda a, b: a, "cp: got ndarray, wanted a tensorly CPTensor"),
    ],
)
def test_what_is_no_symmetric_cp_is_refused(rng, make, message):
    first, second = rng.standard_normal((2, 4, 2))
    with pytest.raises(InputError, match=message) as caught:
        FactoredTensor.from_cp(make(first, second))
    assert "\n" not in str(caught.value)


@pytest.mark.peers
def test_pyttb_ktensors(rng):
    import pyttb

    rows = rng.standard_normal((3, 4))
    theirs = pyttb.ktensor([rows.T.copy() for _ in range(3)], np.array([1.0, 2.0, 3.0]))
    tensor = FactoredTensor.from_cp(theirs)
    np.testing.assert_allclose(tensor.dense(), theirs.full().double(), atol=1e-12)
    theirs.normalize()
    np.testing.assert_allclose(FactoredTensor.from_cp(theirs).dense(), tensor.dense(), atol=1e-12)


def test_torch_tensors_that_record_gradients():
    torch = pytest.importorskip("torch")
    factor = torch.eye(3, dtype=torch.float64, requires_grad=True)[:, :2]
    weights = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    tensor = FactoredTensor.from_cp((weights, [factor] * 3))
    np.testing.assert_array_equal(tensor.weights, [1.0, 2.0])
    assert type(tensor.components) is np.ndarray
