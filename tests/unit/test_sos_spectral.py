"""Bounds by one eigenvalue problem: valid, no better than sums of squares, known where exact."""

import numpy as np
import pytest

import tdlab
from tdlab import InputError
from tdlab.sos import flattening_bound, traceless_bound

BOUNDS = [flattening_bound, traceless_bound]


def problems():
    for order in (3, 4):
        yield tdlab.gaussian_tensor(7, order, rng=1)
        rows = np.random.default_rng(2).standard_normal((20, 6))
        yield tdlab.FactoredTensor(rows, np.linspace(-1, 1, 20), order)
        yield tdlab.FactoredTensor(-np.eye(5), order=order)


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("tensor", list(problems()), ids=str)
def test_never_below_the_truth_nor_the_relaxation(bound, tensor):
    certificate = tdlab.sos.certify(tensor, rng=0)
    assert certificate.status == "certified"
    assert bound(tensor) >= certificate.lower_bound
    assert bound(tensor) >= certificate.upper_bound * (1 - 1e-8)
    assert traceless_bound(tensor) <= flattening_bound(tensor) * (1 + 1e-8)


@pytest.mark.parametrize("order", [2, 3, 4, 5])
def test_the_flattening_bound_is_the_norm_of_the_flattening(order):
    tensor = tdlab.gaussian_tensor(4, order, rng=3)
    matrix = tensor.dense().reshape(4 ** (order // 2), -1)
    expected = np.linalg.norm(matrix, 2) if order % 2 else np.linalg.eigvalsh(matrix)[-1]
    assert flattening_bound(tensor) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("order", [3, 4])
def test_removing_the_trace_is_exact_where_there_is_nothing_else(order):
    # T(x) = <s, x> |x|^(k-1) or |x|^4: the flattening is large along the identity, the form is not.
    identity = np.eye(9)
    text = "ij,kl->ijkl" if order == 4 else "i,jk->ijk"
    array = np.einsum(text, identity if order == 4 else identity[0], identity)
    tensor, truth = tdlab.symmetrize(array), 1.0
    assert flattening_bound(tensor) > 1.2
    assert truth <= traceless_bound(tensor) <= 1.001


@pytest.mark.parametrize("bound", BOUNDS)
def test_scales_and_rotations(bound, rotation):
    for order in (3, 4):
        tensor = tdlab.gaussian_tensor(5, order, rng=0)
        expected = bound(tensor)
        assert bound(tensor.rotate(rotation(5))) == pytest.approx(expected, rel=1e-8)
        assert bound(1e-100 * tensor.dense()) == pytest.approx(1e-100 * expected, rel=1e-8)


def test_refusals():
    with pytest.raises(InputError, match=r"^max_memory: got 1000 bytes"):
        flattening_bound(tdlab.gaussian_tensor(5, rng=0), max_memory=1000)
    with pytest.raises(InputError, match=r"^tensor: got order 5"):
        traceless_bound(tdlab.gaussian_tensor(2, 5, rng=0))
