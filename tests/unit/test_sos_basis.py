"""Moment structure: the projection against brute force, the kernels against plain NumPy."""

import numpy as np
import pytest

from tdlab._kernels import moments as kernels
from tdlab.sos.basis import Relaxation, add_square, monomials, product_numbers, trace

SHAPES = [(3, 3, 4), (4, 4, 4), (3, 3, 6), (3, 4, 6), (2, 5, 8), (3, 5, 6), (1, 3, 4), (3, 2, 2)]


def symmetric(size, rng):
    matrix = rng.standard_normal((size, size))
    return matrix + matrix.T


def sphere(count, dim, rng):
    points = rng.standard_normal((count, dim))
    return points / np.linalg.norm(points, axis=1)[:, None]


def span_of_point_evaluations(relaxation, rng):
    """Orthonormal rows spanning {v(x) v(x)^T}: the moment structure, without using its formulas."""
    vectors = relaxation.vectors(sphere(3 * relaxation.size**2, relaxation.dim, rng))
    products = np.einsum("bi,bj->bij", vectors, vectors).reshape(len(vectors), -1)
    values, rows = np.linalg.eigh(products.T @ products / len(products))
    return rows[:, values > 1e-10 * values[-1]].T


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_projection_is_the_nearest_combination_of_point_evaluations(shape, rng):
    relaxation = Relaxation(*shape)
    rows = span_of_point_evaluations(relaxation, rng)
    matrix = symmetric(relaxation.size, rng)
    nearest = (rows.T @ (rows @ matrix.ravel())).reshape(matrix.shape)
    np.testing.assert_allclose(relaxation.project(matrix), nearest, atol=1e-7)


@pytest.mark.parametrize("shape", [*SHAPES, (8, 3, 4), (6, 3, 6)], ids=str)
def test_the_projection_is_idempotent_and_symmetric(shape, rng):
    relaxation = Relaxation(*shape)
    first, second = (symmetric(relaxation.size, rng) for _ in range(2))
    image = relaxation.project(first)
    np.testing.assert_allclose(relaxation.project(image), image, atol=1e-12)
    assert np.vdot(image, second) == pytest.approx(np.vdot(first, relaxation.project(second)))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_correcting_reaches_the_form_and_moves_nothing_else(shape, rng):
    relaxation = Relaxation(*shape)
    wanted, matrix = (symmetric(relaxation.size, rng) for _ in range(2))
    before = matrix.copy()
    relaxation.correct(matrix, relaxation.coefficients(wanted))
    vectors = relaxation.vectors(sphere(20, relaxation.dim, rng))
    values = [np.einsum("bi,ij,bj->b", vectors, m, vectors) for m in (wanted, matrix)]
    np.testing.assert_allclose(*values, atol=1e-11)
    # What was taken away lies in L: it is its own projection.
    np.testing.assert_allclose(relaxation.project(before - matrix), before - matrix, atol=1e-11)


def test_basis_vectors_have_the_stated_length(rng):
    for dim, order, degree in SHAPES:
        relaxation = Relaxation(dim, order, degree)
        lengths = np.square(relaxation.vectors(sphere(5, dim, rng))).sum(axis=1)
        np.testing.assert_allclose(lengths, relaxation.mass, rtol=1e-13)


def test_monomials_are_numbered_in_their_own_order():
    for dim, degree in [(1, 3), (3, 1), (4, 3), (5, 4)]:
        basis = monomials(dim, degree)
        empty = np.empty((1, 0), dtype=np.int64)
        np.testing.assert_array_equal(
            product_numbers(basis.lists, empty)[:, 0], np.arange(len(basis))
        )
        assert basis.counts.sum() == dim**degree


def test_squares_and_traces_agree_with_arrays(rng):
    low, high = monomials(3, 2), monomials(3, 4)
    point = rng.standard_normal((1, 3))
    coefficients = rng.standard_normal(len(low))
    raised = add_square(coefficients, low, len(high))
    assert high.values(point)[0] @ raised == pytest.approx(
        np.sum(point**2) * (low.values(point)[0] @ coefficients)
    )
    # tr of x (x) x (x) x (x) x is |x|^2 x (x) x.
    np.testing.assert_allclose(
        trace(high.values(point)[0], low), np.sum(point**2) * low.values(point)[0]
    )


def test_kernels_agree_with_numpy(rng):
    size, count = 7, 9
    matrix, weights = symmetric(size, rng), rng.uniform(1, 2, size)
    index = rng.integers(0, count, (size, size)).astype(np.int32)
    moments, outer = rng.standard_normal(count), np.outer(weights, weights)
    sums = np.bincount(index.ravel(), (outer * matrix).ravel(), count)

    out = np.zeros(count)
    kernels.add_up(matrix, weights, index, out)
    np.testing.assert_allclose(out, sums, atol=1e-13)

    left, right = rng.standard_normal((2, size, 3))
    out = np.zeros(count)
    kernels.add_up_product(left, right, weights, index, out)
    expected = np.bincount(index.ravel(), (outer * (left @ right.T)).ravel(), count)
    np.testing.assert_allclose(out, expected, atol=1e-13)

    full = outer * moments[index]
    out = np.ones((size, size))
    kernels.expand(moments, weights, index, -2.0, out)
    np.testing.assert_allclose(out, 1.0 - 2.0 * full, atol=1e-13)
    out = np.ones((size, 3))
    kernels.expand_times(moments, weights, index, right, out)
    np.testing.assert_allclose(out, 1.0 + full @ right, atol=1e-13)
