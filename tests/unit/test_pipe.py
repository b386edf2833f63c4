"""PIPE: many random components, found directly."""

import pytest

import tdlab


@pytest.mark.parametrize("seed", range(2))
def test_recovers_random_components_beyond_twice_the_dimension(seed):
    rows = tdlab.sample_network(20, 44, "He3", "sphere", rng=seed).weights
    result = tdlab.decompose(tdlab.FactoredTensor(rows), 44, "pipe", rng=seed)
    assert result.success and tdlab.match(result.components, rows).recovered == 1.0


@pytest.mark.long
@pytest.mark.parametrize(("dim", "rank"), [(60, 371), (100, 800)])
def test_recovers_at_three_halves_power_scale(dim, rank):
    rows = tdlab.sample_network(dim, rank, "He3", "sphere", rng=0).weights
    result = tdlab.decompose(tdlab.FactoredTensor(rows), rank, "pipe", rng=0)
    assert result.success and tdlab.match(result.components, rows).recovered == 1.0
