"""PIPE: many random components, found directly."""

import numpy as np
import pytest

import tdlab
from tdlab.algorithms.base import Budget
from tdlab.algorithms.descent.gram import refine


@pytest.mark.parametrize(
    ("dim", "rank", "seed"),
    [(20, 44, 0), (20, 44, 1), (40, 151, 1), pytest.param(40, 151, 0, marks=pytest.mark.long)],
)
def test_recovers_random_components_beyond_twice_the_dimension(dim, rank, seed):
    rows = tdlab.sample_network(dim, rank, "He3", "sphere", rng=seed).weights
    result = tdlab.decompose(tdlab.FactoredTensor(rows), rank, "pipe", rng=seed)
    assert result.success and tdlab.match(result.components, rows).recovered == 1.0


@pytest.mark.long
@pytest.mark.parametrize(("dim", "rank"), [(60, 371), (100, 800)])
def test_recovers_at_three_halves_power_scale(dim, rank):
    rows = tdlab.sample_network(dim, rank, "He3", "sphere", rng=0).weights
    result = tdlab.decompose(tdlab.FactoredTensor(rows), rank, "pipe", rng=0)
    assert result.success and tdlab.match(result.components, rows).recovered == 1.0


def test_least_squares_from_an_exact_fit_stays_there():
    # The gradient is zero to the last bit, so that a conjugate-gradient step has no length.
    rows, weights, squared = refine(tdlab.FactoredTensor(np.eye(4)), np.eye(4), Budget())
    np.testing.assert_allclose(rows, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(weights, 1.0)
    assert squared <= 1e-15
