"""Hermite moment tensors against the entry-by-entry definition, and against the law of samples."""

import itertools
import math
import string

import numpy as np
import pytest

import tdlab
from tdlab import DenseTensor, HermiteMomentTensor, InputError
from tdlab._kernels.hermite import weighted_hermite
from tdlab.tensors import moment_vector
from tdlab.tensors.hermite_pairs import HermiteKernel
from tdlab.tensors.power_sums import PowerSum, colex_monomials

ORDERS = [2, 3, 4, 5]


def hermite_entry(x, index):
    """The entry of He_k(x): a product over coordinates of one-dimensional He_m(x_i)."""
    value = 1.0
    for i in set(index):
        value *= np.polynomial.hermite_e.hermeval(x[i], [0.0] * index.count(i) + [1.0])
    return value


def definition(X, y, order):
    """(1/n) sum y He_k(x) / k!, entry by entry: shares no line with the code."""
    out = np.empty((X.shape[1],) * order)
    for index in itertools.product(range(X.shape[1]), repeat=order):
        entries = [hermite_entry(x, index) for x in X]
        out[index] = np.dot(y, entries) / (len(y) * math.factorial(order))
    return out


def samples(rng, n=40, dim=3):
    # Not Gaussian on purpose: the identities are algebra, and hold for any inputs.
    return rng.uniform(-2.0, 2.0, (n, dim)), rng.standard_normal(n)


def contract_naively(array, *vectors):
    letters = string.ascii_lowercase[: array.ndim]
    inputs = ",".join([letters, *letters[: len(vectors)]])
    return np.einsum(f"{inputs}->{letters[len(vectors) :]}", array, *vectors)


def forms(X, y, order):
    """The tensor from the samples alone, and after its dense form was accumulated."""
    held = HermiteMomentTensor(X, y, order)
    held.dense()
    return [HermiteMomentTensor(X, y, order, max_bytes=0), held]


@pytest.mark.parametrize("order", ORDERS)
def test_actions_agree_with_the_definition(rng, order):
    X, y = samples(rng)
    array = definition(X, y, order)
    factors = rng.standard_normal((6, 3))
    for tensor in forms(X, y, order):
        assert tensor.order == order and tensor.shape == array.shape
        assert tensor.norm() == pytest.approx(np.linalg.norm(array), rel=1e-10)
        expected = np.stack([contract_naively(array, *[w] * (order - 1)) for w in factors])
        np.testing.assert_allclose(tensor.mttkrp(factors), expected, atol=1e-11)
        values = [contract_naively(array, *[w] * order) for w in factors]
        np.testing.assert_allclose(tensor.evaluate(factors), values, atol=1e-11)
        for modes in range(1, order + 1):
            vectors = rng.standard_normal((modes, 6, 3))
            single = contract_naively(array, *vectors[:, 0])
            np.testing.assert_allclose(tensor.contract(*vectors[:, 0]), single, atol=1e-11)
            batch = np.stack([contract_naively(array, *vectors[:, b]) for b in range(6)])
            np.testing.assert_allclose(tensor.contract(*vectors), batch, atol=1e-11)
        np.testing.assert_allclose(tensor.dense(), array, atol=1e-12)


@pytest.mark.parametrize("order", ORDERS)
def test_flattenings_are_the_reshaped_array(rng, order):
    X, y = samples(rng)
    for tensor in forms(X, y, order):
        for rows in range(1, order):
            matrix = definition(X, y, order).reshape(3**rows, -1)
            flat = tensor.flattening(rows)
            # Arguments without symmetry, so that each mode of theirs counts on its own.
            right, left = rng.standard_normal(flat.shape[1]), rng.standard_normal(flat.shape[0])
            np.testing.assert_allclose(flat @ right, matrix @ right, atol=1e-11)
            np.testing.assert_allclose(flat.rmatvec(left), matrix.T @ left, atol=1e-11)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("size", [2, 3, 5])
def test_any_change_of_variables_acts_on_every_mode(rng, order, size):
    X, y = samples(rng)
    matrix = rng.standard_normal((size, 3))
    expected = tdlab.DenseTensor(definition(X, y, order)).rotate(matrix)
    turned = HermiteMomentTensor(X, y, order).rotate(matrix)
    vectors = rng.standard_normal((order - 1, size))
    argument = rng.standard_normal(size ** (order - 1))
    close = {"rtol": 1e-10, "atol": 1e-10 * expected.norm()}
    np.testing.assert_allclose(turned.mttkrp(vectors), expected.mttkrp(vectors), **close)
    np.testing.assert_allclose(turned.contract(*vectors), expected.contract(*vectors), **close)
    np.testing.assert_allclose(
        turned.flattening(1) @ argument, expected.flattening(1) @ argument, **close
    )
    np.testing.assert_allclose(turned.dense(), expected.dense(), **close)
    assert turned.norm() == pytest.approx(expected.norm())
    back = rng.standard_normal((3, size))
    np.testing.assert_allclose(
        turned.rotate(back).dense(), expected.rotate(back).dense(), rtol=1e-9, atol=1e-9
    )


def test_rotating_the_inputs_rotates_the_tensor(rng, rotation):
    X, y = samples(rng, dim=4)
    turn = rotation(4)
    turned = HermiteMomentTensor(X, y, max_bytes=0).rotate(turn)
    again = HermiteMomentTensor(X @ turn.T, y, max_bytes=0)
    factors = rng.standard_normal((5, 4))
    np.testing.assert_allclose(turned.mttkrp(factors), again.mttkrp(factors), atol=1e-11)
    assert turned.norm() == pytest.approx(again.norm(), rel=1e-11)


@pytest.mark.parametrize("order", ORDERS)
def test_the_norm_after_a_general_change_of_variables_needs_no_array(order, rng):
    X, y = samples(rng)
    turn = rng.standard_normal((4, 3))
    implicit = HermiteMomentTensor(X, y, order, max_bytes=0).rotate(turn)
    array = DenseTensor(definition(X, y, order)).rotate(turn)
    assert implicit.norm() == pytest.approx(array.norm(), rel=1e-11)


@pytest.mark.parametrize(("dim", "order"), [(1, 3), (9, 3), (17, 3), (9, 4), (6, 5), (11, 2)])
@pytest.mark.parametrize("batch", [1, 2])
def test_power_sums_equal_their_numpy_twin(rng, dim, order, batch):
    X, weights = rng.standard_normal((70, dim)), rng.standard_normal((70, batch))
    sums = PowerSum(dim, order, batch)
    sums.add(X[:50], weights[:50])
    sums.add(X[50:], weights[50:])
    letters = string.ascii_lowercase[1 : order + 1]
    inputs = ",".join(["az", *(f"a{letter}" for letter in letters)])
    twin = np.einsum(f"{inputs}->z{letters}", weights, *[X] * order, optimize=True)
    np.testing.assert_allclose(sums.arrays(), twin, atol=1e-11)


def test_many_chunks_of_a_wide_panel_add_up(rng):
    # More samples than any block holds, and a dimension that fills several blocks of rows.
    X, y = rng.standard_normal((5000, 30)), rng.standard_normal(5000)
    plain = np.einsum("i,ia,ib,ic->abc", y, X, X, X, optimize=True) / (6 * 5000)
    trace = np.einsum("i,ia,bc->abc", y, X, np.eye(30)) / (6 * 5000)
    plain -= trace + trace.transpose(1, 0, 2) + trace.transpose(1, 2, 0)
    tensor = HermiteMomentTensor(X, y, max_bytes=0)
    factors = rng.standard_normal((400, 30))
    expected = tdlab.DenseTensor(plain).mttkrp(factors)
    np.testing.assert_allclose(tensor.mttkrp(factors), expected, atol=1e-10)
    np.testing.assert_allclose(tensor.dense(), plain, atol=1e-12)


def test_monomials_are_ordered_by_their_largest_index():
    lists = colex_monomials(4, 2)
    assert [tuple(one) for one in lists[:6]] == [(0, 0), (0, 1), (1, 1), (0, 2), (1, 2), (2, 2)]


@pytest.mark.parametrize("order", ORDERS)
def test_the_pair_kernel_is_the_inner_product_of_hermite_tensors(rng, order):
    x, z = rng.standard_normal((2, 3))
    first, second = (definition(v[None], np.ones(1), order) for v in (x, z))
    expected = math.factorial(order) ** 2 * np.vdot(first, second)
    assert HermiteKernel(3, order)(x @ z, x @ x, z @ z) == pytest.approx(expected)


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_weighted_hermite_equals_its_numpy_twin(rng, degree):
    t, coefficients = rng.standard_normal((7, 5)), rng.standard_normal(7)
    squares = rng.uniform(0.5, 2.0, 5)
    powers = [np.ones((7, 5)), t]
    for k in range(2, degree + 1):
        powers.append(t * powers[-1] - (k - 1) * squares * powers[-2])
    out, back = t.copy(), np.ones(5)
    weighted_hermite(out, squares, coefficients, degree, back)
    np.testing.assert_allclose(out, coefficients[:, None] * powers[degree], atol=1e-13)
    np.testing.assert_allclose(back, 1.0 + coefficients @ powers[degree - 1], atol=1e-13)


@pytest.mark.torch
@pytest.mark.parametrize("order", ORDERS)
def test_torch_computes_the_same(rng, order):
    X, y = samples(rng)
    turned = HermiteMomentTensor(X, y, order, max_bytes=0).rotate(rng.standard_normal((4, 3)))
    dense = HermiteMomentTensor(X, y, order).rotate(np.eye(3))
    dense.dense()
    for tensor in (turned, dense):
        held = tensor.to("cpu")
        factors = rng.standard_normal((5, tensor.dim))
        found = held.mttkrp(held.lift(factors))
        assert type(found).__module__ == "torch"
        np.testing.assert_allclose(found.numpy(), tensor.mttkrp(factors), rtol=1e-9, atol=1e-11)


@pytest.mark.filterwarnings("ignore::tdlab.InputWarning")  # integers are not Gaussian
@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int64])
def test_memory_maps_of_any_real_type_give_the_same_tensor(rng, tmp_path, kind):
    X = rng.integers(-3, 4, (300, 5)).astype(kind)
    y = rng.standard_normal(300)
    path = tmp_path / "X.npy"
    np.save(path, X)
    mapped = HermiteMomentTensor(np.load(path, mmap_mode="r"), y, max_bytes=0)
    plain = HermiteMomentTensor(X.astype(np.float64), y)
    factors = rng.standard_normal((3, 5))
    np.testing.assert_allclose(mapped.mttkrp(factors), plain.mttkrp(factors), rtol=1e-12)
    np.testing.assert_allclose(mapped.dense(), plain.dense(), rtol=1e-12, atol=1e-15)


def test_a_large_dimension_needs_no_array_of_its_entries(rng):
    X, y = rng.standard_normal((50, 3000)), rng.standard_normal(50)
    tensor = HermiteMomentTensor(X, y)  # 216 GB dense
    rows = rng.standard_normal((4, 3000))
    assert tensor.mttkrp(rows).shape == (4, 3000)
    # Cauchy-Schwarz with the norm from pairs of samples.
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    assert 0 < np.abs(tensor.evaluate(unit)).max() < tensor.norm()
    with pytest.raises(InputError, match=r"dense: .* wanted at most max_bytes="):
        tensor.dense()


def test_order_one_is_a_vector(rng):
    X, y = samples(rng)
    np.testing.assert_allclose(moment_vector(X, y), y @ X / len(y), atol=1e-13)


@pytest.mark.parametrize("order", ORDERS)
def test_the_estimate_is_unbiased(order):
    """The mean over 300 draws is within 4 standard errors of T_k in each distinct entry."""
    net = tdlab.sample_network(3, 4, f"x^{order} + x^2 - x", rng=order)
    draws = []
    for seed in range(300):
        X, y = net.sample(400, noise=0.5, rng=seed)
        draws.append(HermiteMomentTensor(X, y, order).dense())
    error = np.mean(draws, axis=0) - net.hermite_tensor(order).dense()
    deviation = np.abs(error) / (np.std(draws, axis=0) / math.sqrt(300))
    # At most 21 distinct entries: P(any beyond 4) < 0.2% per order.
    assert deviation.max() < 4.0


@pytest.mark.parametrize(
    ("X", "y", "order", "message"),
    [
        (np.ones((3, 2)), np.ones(3), 6, r"order: got 6, wanted 2 to 5"),
        (np.ones((3, 2)), np.ones(3), 1, r"order: got 1, wanted an integer >= 2"),
        (np.ones((3, 2)), np.ones(3), 3.0, r"order: got 3\.0, wanted"),
        (np.ones(3), np.ones(3), 3, r"X: got shape \(3,\), wanted \(n, d\)"),
        (np.ones((0, 2)), np.ones(0), 3, r"X: got an empty array of shape \(0, 2\)"),
        (np.ones((3, 0)), np.ones(3), 3, r"X: got an empty array of shape \(3, 0\)"),
        (np.ones((3, 2)), np.ones((3, 1)), 3, r"y: got shape \(3, 1\), wanted \(3,\)"),
        (np.ones((3, 2)), np.ones(4), 3, r"y: got shape \(4,\), wanted \(3,\)"),
        (np.array([[1.0, 2.0], [3.0, np.nan]]), np.ones(2), 3, r"X: .* infinite entry at \[1, 1\]"),
        (np.ones((2, 2)), np.array([1.0, np.inf]), 3, r"y: got 1 NaN or infinite"),
        (np.ones((2, 2), dtype=complex), np.ones(2), 3, r"X: got complex128, wanted a real array"),
        ("words", np.ones(2), 3, r"X: got"),
    ],
)
def test_bad_samples_are_refused_in_one_line(X, y, order, message):
    with pytest.raises(InputError, match=message) as caught:
        HermiteMomentTensor(X, y, order)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("method", ["auto", "homotopy", "lm"])
def test_samples_are_decomposed(method):
    """|T_hat - T| / |T| = 7% here: the components come out to cosine .99, their noise is told."""
    net = tdlab.sample_network(8, 6, "He3", "sphere", rng=0)
    X, y = net.sample(100_000, rng=1)
    tensor = HermiteMomentTensor(X, y)
    res = tdlab.decompose(tensor, 6, method, rng=0)
    assert res.success, res.message
    assert tdlab.match(res.components, net.weights, order=3, threshold=0.99).recovered == 1.0
    true = net.hermite_tensor(3)
    error = np.linalg.norm(tensor.dense() - true.dense()) / true.norm()
    # The noise that was told is what stays off the components: most of the error, and no more.
    assert 0.5 * error < res.noise < 1.1 * error
