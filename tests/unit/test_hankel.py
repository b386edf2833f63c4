"""Pencils of catalecticants: exact on forms that are sums of powers, and truthful on the others.

Examples are those of TensorDec.jl and of Brachat, Comon, Mourrain and Tsigaridas (2010), remade
from the forms they print; the others are planted.
"""

import math

import numpy as np
import pytest

import tdlab
from tdlab import Status
from tdlab.algorithms.parts.apolar import points
from tdlab.tensors.packed import Forms
from tests import cases


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def planted(order, dim, rank, seed, spread=1.0, complex_pairs=0):
    """A tensor of terms with sizes from 1/spread to 1 and both signs, and its real rows."""
    g = np.random.default_rng(seed)
    rows = unit(g.standard_normal((rank, dim)))
    weights = spread ** -g.random(rank) * np.sign(g.standard_normal(rank))
    array = cases.powers(rows, order, weights)
    if complex_pairs:
        z = unit(g.standard_normal((complex_pairs, 2 * dim)).view(complex))
        axes = "abcdefghi"[:order]
        terms = ",".join("z" + axis for axis in axes)
        array = array + np.einsum(f"{terms}->{axes}", *[z] * order, optimize=True).real
    signs = np.sign(weights) if order % 2 else np.ones(rank)
    return tdlab.DenseTensor(array), rows * signs[:, None]


def solved(tensor, truth, **options):
    result = tdlab.decompose(tensor, len(truth), "hankel", rng=1, **options)
    assert result.success, result.message
    assert len(result.components) == len(truth)
    assert tdlab.match(result.components, truth, order=tensor.order).worst > 1 - 1e-7
    return result


SIZES = [
    (4, 3, 4),
    (4, 4, 7),
    (4, 6, 14),
    (4, 8, 24),
    (5, 3, 6),
    (5, 3, 7),
    (5, 4, 12),
    (5, 8, 36),
    (6, 3, 8),
    (6, 4, 16),
    (6, 5, 25),
    (7, 3, 10),
    (5, 2, 3),
    (7, 2, 4),
    (4, 2, 2),
    (9, 2, 5),
]


@pytest.mark.parametrize("spread", [1.0, 1e3])
@pytest.mark.parametrize(("order", "dim", "rank"), SIZES)
def test_planted_terms_are_found_at_any_sizes_and_signs(order, dim, rank, spread):
    for seed in range(2):
        # No term can move, however near the draw is to those where they do.
        assert solved(*planted(order, dim, rank, seed, spread)).status is Status.CONVERGED


def test_quaternary_cubics_of_five_terms_are_perfect():
    assert solved(*planted(3, 4, 5, 0)).unique == "generic"


@pytest.mark.parametrize(
    ("order", "dim", "pairs", "real"),
    [(4, 4, 2, 1), (5, 3, 2, 1), (6, 3, 3, 0), (5, 2, 1, 1), (3, 8, 5, 0)],
)
def test_conjugate_pairs_are_named_and_no_success(order, dim, pairs, real):
    tensor, _ = planted(order, dim, real, 3, complex_pairs=pairs)
    rank = 2 * pairs + real
    result = tdlab.decompose(tensor, rank, "hankel", rng=0)
    assert result.status is Status.COMPLEX and not result.success
    assert f"{rank} terms" in result.message and f"{pairs} conjugate pair" in result.message


@pytest.mark.parametrize(
    ("monomials", "dim", "order", "border"),
    [
        ({(2, 1): 1}, 2, 3, 2),
        ({(2, 1, 0): 1, (0, 2, 1): 1}, 3, 3, 3),
        ({(0, 2, 1): 1, (3, 0, 0): -1}, 3, 3, 3),
        ({(3, 1): 1}, 2, 4, 2),
        ({(5, 0, 0): 1, (0, 4, 1): 1, (0, 3, 2): 1}, 3, 5, 4),
    ],
)
def test_limits_of_sums_are_told_from_sums(monomials, dim, order, border):
    array = cases.form(monomials, dim, order)
    result = tdlab.decompose(array, border, "hankel", rng=0)
    assert result.status is Status.DEGENERATE and not result.success
    assert f"border rank {border}" in result.message


def test_a_generalised_additive_decomposition_is_a_limit():
    # TensorDec.jl: (x+y+z)^5 / 2 + 3/10 (x-z)^4 (x+y), a point and a tangent.
    forms = [np.array(v, dtype=float) for v in ([1, 1, 1], [1, 0, -1], [1, 1, 0])]
    array = 0.5 * cases.powers(forms[0][None], 5)
    for place in range(5):
        factors = [forms[2] if mode == place else forms[1] for mode in range(5)]
        array = array + 0.3 / 5 * np.einsum("a,b,c,d,e->abcde", *factors)
    result = tdlab.decompose(array, 3, "hankel", rng=0)
    assert result.status is Status.DEGENERATE and "2 of their terms coincide" in result.message


@pytest.mark.parametrize("last", [0.75, 1.0])
def test_the_ternary_quartic_of_tensordec(last):
    rows = np.array([[1, 1, last], [1, -1, 0], [1, 0, -1]])
    tensor = tdlab.DenseTensor(cases.powers(rows, 4, [1.0, 1.5, -2.0]))
    result = solved(tensor, unit(rows))
    # The printed weights of unit forms: 6.566406250000015, 6, -8.
    expected = [-8.0, 6.0, (2 + last**2) ** 2]
    np.testing.assert_allclose(np.sort(result.weights), expected, rtol=1e-10)


def test_the_perpendicular_space_of_four_terms_is_two_conics():
    # TensorDec.jl, test0: perp(T, 2) has two elements for four random ternary quartics.
    tensor, _ = planted(4, 3, 4, 0)
    values = np.linalg.svd(tensor.catalecticant(2), compute_uv=False)
    assert (values < 1e-12 * values[0]).sum() == 2


def test_the_series_of_tensordec_as_a_form():
    # sigma = 2 e_(-1,1,1) - e_(4,2,1) + 5 e_(2,3,1) known to degree 3, homogenised.
    rows = np.array([[1.0, -1, 1, 1], [1, 4, 2, 1], [1, 2, 3, 1]])
    sigma = {(0, 0, 0): 6.0, (1, 0, 0): 4.0, (0, 1, 0): 15.0, (2, 1, 0): 30.0, (3, 0, 0): -26.0}
    weights = np.array([2.0, -1.0, 5.0])
    for exponents, moment in sigma.items():
        assert np.isclose(weights @ np.prod(rows[:, 1:] ** np.array(exponents), axis=1), moment)
    tensor = tdlab.DenseTensor(cases.powers(rows, 3, weights))
    solved(tensor, unit(rows) * np.sign(weights)[:, None])


def test_sylvester_finds_small_terms_of_a_binary_quintic():
    rows = np.random.default_rng(0).standard_normal((3, 2))
    weights = np.array([1.0, -2.0, 0.5])
    tensor = tdlab.DenseTensor(cases.powers(rows, 5, weights))
    assert solved(tensor, unit(rows) * np.sign(weights)[:, None]).unique == "generic"


@pytest.mark.parametrize(
    ("monomials", "order", "rank"),
    [
        ({(2, 1): 1}, 3, 3),
        ({(2, 2): 1}, 4, 4),
        ({(3, 0): 1, (1, 2): -3}, 3, 3),
        ({(4, 1): 1}, 5, 5),
    ],
)
def test_binary_forms_have_real_terms_at_their_real_rank(monomials, order, rank):
    array = cases.form(monomials, 2, order)
    result = tdlab.decompose(array, rank, "hankel", rng=0)
    assert result.success and result.status is Status.FIT_NOT_UNIQUE
    np.testing.assert_allclose(result.tensor().dense(), array, atol=1e-7)
    fewer = tdlab.decompose(array, rank - 1, "hankel", rng=0)
    assert not fewer.success


def test_points_of_a_space_include_those_that_the_tensor_lacks():
    # Seven quartic powers of four variables: three quadrics, which meet in an eighth point.
    tensor, rows = planted(4, 4, 7, 0)
    left = np.linalg.svd(tensor.catalecticant(2))[0][:, :7]
    found = points(left, Forms.of(4, 2), np.random.default_rng(0))
    assert found is not None and found.shape == (8, 4)
    assert (np.abs(found.conj() @ rows.T).max(axis=0) > 1 - 1e-12).all()


def test_a_rank_below_the_catalecticants_is_refused_with_its_rank():
    tensor, _ = planted(6, 4, 9, 0)
    result = tdlab.decompose(tensor, 6, "hankel", rng=0)
    assert result.status is Status.BREAKDOWN and "rank=9" in result.message


def test_fewer_terms_than_asked_are_found_as_they_are():
    tensor, rows = planted(5, 4, 6, 0)
    result = tdlab.decompose(tensor, 9, "hankel", rng=0)
    assert result.success and len(result.components) == 6
    assert tdlab.match(result.components, rows, order=5).worst > 1 - 1e-9


def test_a_tensor_without_structure_is_no_success():
    for order, dim, rank in [(4, 4, 7), (5, 3, 6), (6, 3, 8), (5, 2, 2)]:
        null = tdlab.gaussian_tensor(dim, order, rng=0)
        assert not tdlab.decompose(null, rank, "hankel", rng=0).success


def test_noise_is_looked_through_within_the_catalecticant():
    tensor, rows = planted(5, 6, 8, 0)
    noise = tdlab.gaussian_tensor(6, 5, norm=1e-3 * tensor.norm(), rng=1)
    noisy = tdlab.DenseTensor(tensor.dense() + noise.dense())
    result = tdlab.decompose(noisy, 8, "hankel", rng=0, noise=1e-3)
    assert result.success, result.message
    assert tdlab.match(result.components, rows, order=5).worst > 0.999


def test_coordinates_agree_with_the_array():
    array = tdlab.gaussian_tensor(3, 4, rng=0)
    forms = Forms.of(3, 4)
    x = np.random.default_rng(0).standard_normal((5, 3))
    np.testing.assert_allclose(forms.lift(x) @ array.packed(), array.evaluate(x))
    assert math.isclose(np.linalg.norm(array.packed()), array.norm())
