"""Tensors against entry-by-entry formulas, and their two forms against each other."""

import itertools
import string

import numpy as np
import pytest

import tdlab
from tdlab import DenseTensor, FactoredTensor, InputError
from tdlab._kernels.khatri_rao import packed_khatri_rao


def both(rng, order, dim=4, rank=3):
    factored = FactoredTensor(
        rng.standard_normal((rank, dim)), rng.standard_normal(rank), order=order
    )
    return factored, DenseTensor(factored.dense())


def contract_naively(array, *vectors):
    letters = string.ascii_lowercase[: array.ndim]
    inputs = ",".join([letters, *letters[: len(vectors)]])
    return np.einsum(f"{inputs}->{letters[len(vectors) :]}", array, *vectors)


@pytest.mark.parametrize("order", [2, 3, 4, 5])
def test_entries_of_a_factored_tensor(rng, order):
    tensor, _ = both(rng, order)
    array = tensor.dense()
    for index in itertools.product(range(4), repeat=order):
        expected = sum(
            a * np.prod([w[i] for i in index])
            for a, w in zip(tensor.weights, tensor.components, strict=True)
        )
        assert array[index] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("order", [2, 3, 4, 5])
@pytest.mark.parametrize("form", [0, 1])
def test_actions_agree_with_the_entries(rng, order, form):
    tensor = both(rng, order)[form]
    array = both(np.random.default_rng(20260101), order)[0].dense()
    factors = rng.standard_normal((6, 4))
    assert tensor.norm() == pytest.approx(np.linalg.norm(array))
    expected = np.stack([contract_naively(array, *[w] * (order - 1)) for w in factors])
    np.testing.assert_allclose(tensor.mttkrp(factors), expected, atol=1e-10)
    values = [contract_naively(array, *[w] * order) for w in factors]
    np.testing.assert_allclose(tensor.evaluate(factors), values, atol=1e-10)
    for modes in range(1, order + 1):
        vectors = rng.standard_normal((modes, 6, 4))
        single = contract_naively(array, *vectors[:, 0])
        np.testing.assert_allclose(tensor.contract(*vectors[:, 0]), single, atol=1e-10)
        batch = np.stack([contract_naively(array, *vectors[:, b]) for b in range(6)])
        np.testing.assert_allclose(tensor.contract(*vectors), batch, atol=1e-10)


@pytest.mark.parametrize("order", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("form", [0, 1])
def test_one_dimension_has_powers_too(rng, order, form):
    tensor = (FactoredTensor([[1.0]], [2.0], order), DenseTensor(np.full((1,) * order, 2.0)))[form]
    factors = rng.standard_normal((5, 1))
    np.testing.assert_allclose(tensor.mttkrp(factors), 2.0 * factors ** (order - 1))
    np.testing.assert_allclose(tensor.evaluate(factors), 2.0 * factors[:, 0] ** order)


@pytest.mark.parametrize("order", [2, 3, 4, 5])
@pytest.mark.parametrize("form", [0, 1])
def test_flattenings_are_the_reshaped_array(rng, order, form):
    tensor = both(rng, order)[form]
    for rows in range(1, order):
        flat = tensor.flattening(rows)
        matrix = tensor.dense().reshape(4**rows, -1)
        assert flat.shape == matrix.shape
        right, left = rng.standard_normal(flat.shape[1]), rng.standard_normal(flat.shape[0])
        np.testing.assert_allclose(flat @ right, matrix @ right, atol=1e-10)
        np.testing.assert_allclose(flat.rmatvec(left), matrix.T @ left, atol=1e-10)
        block = rng.standard_normal((flat.shape[1], 2))
        np.testing.assert_allclose(flat @ block, matrix @ block, atol=1e-10)


@pytest.mark.parametrize("order", [2, 3, 4])
def test_rotation_moves_the_components(rng, rotation, order):
    factored, dense = both(rng, order)
    turn = rotation(4)
    expected = FactoredTensor(factored.components @ turn.T, factored.weights, order).dense()
    for tensor in (factored, dense):
        np.testing.assert_allclose(tensor.rotate(turn).dense(), expected, atol=1e-12)


def test_rotation_applies_one_matrix_to_every_mode(rng):
    _, tensor = both(rng, 3)
    matrix = rng.standard_normal((2, 4))
    expected = np.einsum("ijk,ai,bj,ck->abc", tensor.dense(), matrix, matrix, matrix)
    np.testing.assert_allclose(tensor.rotate(matrix).dense(), expected, atol=1e-12)


@pytest.mark.parametrize("order", [2, 3, 4])
def test_inner_products_agree_between_forms(rng, order):
    first, second = both(rng, order), both(rng, order)
    expected = np.vdot(first[0].dense(), second[0].dense())
    for a, b in itertools.product(first, second):
        assert a.inner(b) == pytest.approx(expected)


@pytest.mark.parametrize(("dim", "rank"), [(1, 1), (2, 3), (7, 5), (30, 40), (41, 600)])
def test_packed_mttkrp_equals_the_plain_sum(rng, dim, rank):
    tensor = tdlab.gaussian_tensor(dim, rng=0)
    factors = rng.standard_normal((rank, dim))
    expected = np.einsum("ijk,rj,rk->ri", tensor.dense(), factors, factors, optimize=True)
    np.testing.assert_allclose(tensor.mttkrp(factors), expected, atol=1e-11 * dim)


@pytest.mark.parametrize("first", [0, 3, 7, 14])
def test_packed_khatri_rao_equals_its_numpy_twin(rng, first):
    factors = rng.standard_normal((5, 3))
    rows, columns = np.triu_indices(5)
    twin = (factors[rows] * factors[columns])[first:]
    out = np.empty((len(twin), 3))
    packed_khatri_rao(factors, first, out)
    np.testing.assert_array_equal(out, twin)


def test_a_factored_tensor_never_forms_the_array():
    rows = np.random.default_rng(0).standard_normal((50, 2000)) / np.sqrt(2000)
    tensor = FactoredTensor(rows, order=4)  # 1.6e13 entries
    assert tensor.norm() == pytest.approx(np.sqrt(((rows @ rows.T) ** 4).sum()))
    assert tensor.mttkrp(rows[:2]).shape == (2, 2000)
    with pytest.raises(InputError, match=r"dense: .* needs .* bytes, wanted at most max_bytes="):
        tensor.dense()


def test_gaussian_tensor_is_symmetric_and_rotation_invariant_in_law():
    tensor = tdlab.gaussian_tensor(6, norm=3.0, rng=1)
    assert DenseTensor(tensor.dense()).norm() == pytest.approx(3.0)
    # In law T(v,v,v) is the same for every unit v: compare an axis and the diagonal.
    axis, diagonal = np.eye(6)[:1], np.full((1, 6), 6**-0.5)
    draws = [tdlab.gaussian_tensor(6, rng=seed) for seed in range(600)]
    spread = [np.std([t.evaluate(v)[0] for t in draws]) for v in (axis, diagonal)]
    assert spread[0] == pytest.approx(spread[1], rel=0.12)  # 3 standard errors of a ratio


def test_the_input_array_is_copied(rng):
    array = both(rng, 3)[1].dense().copy()
    tensor = DenseTensor(array)
    array[:] = 0.0
    assert np.linalg.norm(tensor.dense()) == pytest.approx(tensor.norm())
    with pytest.raises(ValueError, match="read-only"):
        tensor.dense()[0, 0, 0] = 1.0


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.arange(8.0).reshape(2, 2, 2), r"non-symmetric .* tdlab\.symmetrize"),
        (np.ones((2, 3, 2)), r"got shape \(2, 3, 2\), wanted \(d,\) \* k"),
        (np.ones(3), r"got shape \(3,\)"),
        (np.ones((0, 0, 0)), "empty"),
        (np.full((2, 2), np.nan), r"NaN or infinite entries \(first at \[0, 0\]\)"),
        (np.ma.masked_less(np.eye(2), 0.5), "got 2 masked entries, wanted none"),
        (np.zeros((0, 0)), "empty array"),
        (np.full((2, 2), 1j), "wanted a real array"),
        (np.full((2, 2), "a"), "wanted a real array"),
    ],
)
def test_bad_arrays_are_refused_in_one_line(array, message):
    with pytest.raises(InputError, match=message) as caught:
        DenseTensor(array)
    assert "\n" not in str(caught.value)


def test_bad_vectors_are_refused_in_one_line(rng):
    for tensor in both(rng, 3):
        with pytest.raises(InputError, match=r"wanted \(4,\) or \(b, 4\)"):
            tensor.contract(np.ones(3))
        with pytest.raises(InputError, match="wanted 1 to 3"):
            tensor.contract(*[np.ones(4)] * 4)
        with pytest.raises(InputError, match=r"wanted \(r, 4\)"):
            tensor.mttkrp(np.ones((2, 5)))
        with pytest.raises(InputError, match="wanted 1 to 2"):
            tensor.flattening(3)
        with pytest.raises(InputError, match="wanted"):
            tensor.inner(tdlab.gaussian_tensor(5, rng=0))


def test_symmetrize_keeps_symmetric_arrays_and_projects_others(rng):
    array = rng.standard_normal((3, 3, 3))
    once = tdlab.symmetrize(array)
    np.testing.assert_allclose(tdlab.symmetrize(once.dense()).dense(), once.dense(), atol=1e-14)
    # Orthogonal projection: what was taken off is orthogonal to every symmetric tensor.
    other = tdlab.gaussian_tensor(3, rng=0)
    assert np.vdot(array - once.dense(), other.dense()) == pytest.approx(0.0, abs=1e-12)
