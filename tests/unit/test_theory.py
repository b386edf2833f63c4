"""Thresholds and exceptions against direct counts."""

import math

import numpy as np
import pytest

import tdlab
from tdlab import theory


@pytest.mark.parametrize(("order", "first"), [(3, 30), (4, 18)])
def test_where_the_window_opens(order, first):
    opens = next(d for d in range(3, 100) if theory.window(d, order))
    # Below the first dimension every window is empty, from it on none is.
    assert opens == first
    assert all(theory.window(d, order) for d in range(first, 200))


@pytest.mark.parametrize("dim", [2, 5, 10, 60])
def test_r_id_counts_parameters(dim):
    assert theory.r_id(dim, 3) == pytest.approx((dim + 1) * (dim + 2) / 6)
    assert theory.r_id(dim, 4) * dim == math.comb(dim + 3, 4)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ((3, 20, 76), "generic"),
        ((3, 20, 77), "no"),
        ((3, 5, 7), "no"),
        ((4, 3, 5), "no"),
        ((4, 4, 8), "no"),
        ((4, 5, 14), "no"),
        ((3, 6, 9), "no"),
        ((6, 3, 9), "no"),
        ((3, 4, 5), "generic"),
        ((3, 2, 2), "generic"),
        ((3, 2, 3), "no"),
        ((2, 5, 2), "no"),
        ((2, 5, 1), "generic"),
    ],
)
def test_uniqueness_classes(key, expected):
    order, dim, rank = key
    assert theory.uniqueness_class(dim, rank, order) == expected


@pytest.mark.parametrize("key", sorted(theory.DEFECTIVE))
def test_defective_cases_have_a_singular_jacobian(key, rng):
    # J = d(sum w_i^k)/dW has rank below min(r d, N): the fibres have positive dimension.
    order, dim, rank = key
    W = rng.standard_normal((rank, dim))
    columns = []
    for w in W:
        for axis in np.eye(dim):
            # Sym(e (x) w^{k-1}) as a polynomial on random points determines it.
            columns.append((axis, w))
    points = rng.standard_normal((600, dim))
    J = np.stack([(points @ a) * (points @ w) ** (order - 1) for a, w in columns], axis=1)
    full = min(rank * dim, math.comb(dim + order - 1, order))
    assert np.linalg.matrix_rank(J, tol=1e-9 * np.linalg.norm(J, 2)) < full


def test_every_threshold_names_its_source():
    assert all("arXiv" in t.source and t.claim for t in theory.THRESHOLDS)


def test_turned_rows_cost_nothing_unturned_and_2_orthonormal():
    assert theory.turned_risk(np.eye(4), 1.0) == pytest.approx(0.0, abs=1e-15)
    # Orthonormal rows stay so in the mean: no cross terms.
    for c in (0.0, 0.3, 0.9):
        assert theory.turned_risk(np.eye(5)[:3], c) == pytest.approx(2 * (1 - c**3))
        assert theory.turned_risk(np.eye(1, 7), c, rescaled=True) == pytest.approx(1 - c**6)
    for weights, cosine, name in (
        (2 * np.eye(3), 0.5, "weights"), (np.ones(3), 0.5, "weights"), (np.eye(3), 1.1, "cosine"),
    ):  # fmt: skip
        with pytest.raises(tdlab.InputError, match=name):
            theory.turned_risk(weights, cosine)
