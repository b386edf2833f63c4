"""Koszul-Young: exact up to its inequality, whatever the coefficients and the angles."""

from math import comb

import numpy as np
import pytest

import tdlab
from tdlab import InputError, Status
from tdlab.algorithms.methods.koszul_young import KoszulYoung, largest_rank


def solve(rows, weights=None, **options):
    tensor = tdlab.FactoredTensor(rows, weights)
    return tdlab.decompose(tensor, len(rows), "koszul-young", rng=0, **options)


@pytest.mark.parametrize("dim", [12, 13, 20, 30])
@pytest.mark.parametrize("p", [1, 2, 3])
def test_recovers_up_to_the_inequality_and_refuses_beyond(dim, p):
    rank = largest_rank(dim, p)

    def holds(r):
        return r * comb(2 * p, p) + comb(2 * p + 1, p - 1) < comb(2 * p + 1, p) * dim

    assert holds(rank) and not holds(rank + 1)
    rng = np.random.default_rng(dim + p)
    rows = tdlab.sample_network(dim, rank, "He3", "sphere", rng=rng).weights
    weights = rng.uniform(-2.0, 2.0, rank)
    result = solve(rows, weights, p=p)
    assert result.success, result.message
    signs = np.sign(weights)[:, None]
    assert tdlab.match(result.components, rows * signs, threshold=0.9999).recovered == 1.0
    beyond = tdlab.decompose(tdlab.FactoredTensor(rows), rank + 1, "koszul-young", p=p)
    assert beyond.status is Status.UNSUPPORTED


@pytest.mark.parametrize("rank", [10, 20, 28])
@pytest.mark.parametrize("seed", range(3))
def test_collinear_components(rank, seed):
    # Unit vectors with pairwise cosines .94 on average: one shared direction.
    rng = np.random.default_rng(seed)
    around = rng.standard_normal((rank, 19))
    around /= np.linalg.norm(around, axis=1, keepdims=True)
    rows = np.hstack([np.full((rank, 1), np.sqrt(0.94)), np.sqrt(0.06) * around])
    result = solve(rows)
    assert result.success and tdlab.match(result.components, rows, threshold=0.999).recovered == 1


@pytest.mark.parametrize("rank", [20, 26, 32])
@pytest.mark.parametrize("seed", range(3))
def test_lognormal_coefficients(rank, seed):
    rng = np.random.default_rng(seed)
    rows = tdlab.sample_network(20, rank, "He3", "sphere", rng=rng).weights
    result = solve(rows, np.exp(rng.standard_normal(rank)))
    assert result.success and tdlab.match(result.components, rows, threshold=0.999).recovered == 1


def test_an_unknown_degree_is_refused():
    with pytest.raises(InputError, match="option 'p': got 4"):
        KoszulYoung(p=4)
