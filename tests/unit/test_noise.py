"""Noise given and estimated: what counts as success, and what must not."""

import math

import numpy as np
import pytest

import tdlab
from tdlab import Status
from tdlab.algorithms.base import Budget
from tdlab.algorithms.noise import (
    freedom,
    gain_of_one_more,
    noise_behind,
    null_bar,
    null_residual,
    residual_under,
)
from tests.draws import draws, later


def noisy(truth, level, seed, order=3):
    """Components under Gaussian noise of that Frobenius norm relative to their tensor's."""
    clean = tdlab.FactoredTensor(truth, order=order)
    noise = tdlab.gaussian_tensor(truth.shape[1], order, level * clean.norm(), rng=1000 + seed)
    return tdlab.DenseTensor(clean.dense() + noise.dense())


def sphere(dim, rank, seed):
    return tdlab.sample_network(dim, rank, "He3", "sphere", rng=seed).weights


def of_the_sum(level):
    """Level relative to the noisy tensor, whose norm is what `noise` refers to."""
    return level / math.sqrt(1.0 + level**2)


@pytest.mark.parametrize(
    ("level", "threshold", "given"), [(0.1, 0.99, True), (0.3, 0.9, True), (0.3, 0.9, False)]
)
def test_components_are_found_far_beyond_the_dimension(level, threshold, given):
    truth = sphere(40, 100, 5)
    result = tdlab.decompose(
        noisy(truth, level, 5), 100, rng=0, noise=of_the_sum(level) if given else None
    )
    assert result.success and result.status is Status.CONVERGED
    assert tdlab.match(result.components, truth, threshold=threshold).recovered >= 0.97
    assert result.noise == pytest.approx(of_the_sum(level), rel=0.05)


@pytest.mark.parametrize(
    ("dim", "rank", "level"),
    [(5, 3, 0.1), (10, 8, 1e-4), (10, 8, 0.1), (12, 18, 0.05), (20, 3, 1.0), (20, 30, 0.2)],
)
def test_the_level_is_estimated(dim, rank, level):
    truth = sphere(dim, rank, 1)
    result = tdlab.decompose(noisy(truth, level, 1), rank, rng=0)
    left = freedom(dim, rank, 3)
    assert result.success and "noise" in result.message
    # chi^2 of `left` degrees: five standard deviations of its root.
    assert result.noise == pytest.approx(of_the_sum(level), rel=5 / math.sqrt(2 * left))
    assert tdlab.match(result.components, truth, threshold=0.9).recovered == 1.0


def test_an_exact_fit_carries_no_noise():
    truth = sphere(12, 18, 0)
    result = tdlab.decompose(tdlab.FactoredTensor(truth), 18, rng=0)
    assert result.success and result.noise == 0.0 and result.residual <= 1e-7


@pytest.mark.parametrize(("dim", "rank", "asked"), [(8, 5, 4), (10, 8, 6), (10, 16, 15)])
@pytest.mark.parametrize("level", [0.0, 0.02])
@pytest.mark.parametrize("seed", draws(range(3)))
def test_a_missing_component_is_not_noise(dim, rank, asked, level, seed):
    tensor = noisy(sphere(dim, rank, seed), level + 1e-300, seed)
    result = tdlab.decompose(tensor, asked, rng=seed, steps=400)
    assert not result.success and result.noise == 0.0 and result.unique == "unknown"


@pytest.mark.parametrize(("dim", "rank"), [(4, 1), (6, 2), (10, 1), (10, 5), (10, 16), (16, 24)])
@pytest.mark.parametrize("seed", draws(range(3)))
def test_structure_is_not_found_in_noise(dim, rank, seed):
    result = tdlab.decompose(tdlab.gaussian_tensor(dim, rng=seed), rank, rng=0, steps=300)
    assert not result.success and result.noise == 0.0


@pytest.mark.parametrize("method", ["lm", "als", "homotopy", "koszul-young", "jennrich", "rtpm"])
def test_every_method_takes_noise(method):
    options = {"steps": 200} if method == "homotopy" else {}
    # Kernels of Koszul-Young flattenings stand less of it than searches do.
    level = 0.001 if method == "koszul-young" else 0.01
    recovered = []
    for seed in range(5):
        truth = sphere(12, 6, seed)
        tensor = noisy(truth, level, seed)
        blind = tdlab.decompose(tensor, 6, method, rng=0, **options)
        exact = tdlab.decompose(tensor, 6, method, rng=0, noise=0.0, **options)
        assert not exact.success
        found = tdlab.match(blind.components, truth, threshold=0.99).recovered == 1.0
        recovered.append(found)
        if found and method in ("lm", "als", "homotopy"):
            # These end at least squares.
            told = tdlab.decompose(tensor, 6, method, rng=0, noise=level, **options)
            assert told.success and told.noise == level
            assert blind.success and blind.noise == pytest.approx(level, rel=0.2)
        if sum(recovered) == 2:
            break
    # The first two that are recovered, of five: a start may end elsewhere.
    assert sum(recovered) == 2


def test_even_orders_too():
    truth = sphere(8, 10, 0)
    result = tdlab.decompose(noisy(truth, 0.05, 0, order=4), 10, "lm", rng=0)
    assert result.success and result.noise == pytest.approx(0.05, rel=0.2)
    assert tdlab.match(result.components, truth, order=4).recovered == 1.0


def test_a_level_that_is_too_low_is_not_reached():
    truth = sphere(12, 8, 2)
    result = tdlab.decompose(noisy(truth, 0.1, 2), 8, "lm", rng=0, noise=0.05)
    assert not result.success and result.status is Status.STAGNATED


def test_at_the_counting_bound_noise_says_nothing():
    rank = math.ceil(tdlab.theory.r_id(6))
    result = tdlab.decompose(noisy(sphere(6, 4, 0), 0.1, 0), rank, "lm", rng=0, noise=0.1)
    assert result.status in (Status.BELOW_NOISE, Status.FIT_NOT_UNIQUE, Status.STAGNATED)
    assert result.residual > 1e-7 or result.status is Status.FIT_NOT_UNIQUE


def test_estimates_are_reproducible():
    tensor = noisy(sphere(12, 18, 4), 0.1, 4)
    first, second = (tdlab.decompose(tensor, 18, rng=3) for _ in range(2))
    np.testing.assert_array_equal(first.components, second.components)
    assert first.noise == second.noise


def test_the_level_and_the_residual_it_leaves_are_inverse():
    for dim, rank, order in [(10, 5, 3), (20, 60, 3), (10, 30, 4)]:
        level = noise_behind(residual_under(0.2, dim, rank, order), dim, rank, order)
        assert 0.2 < level < 0.2 * (1 + 8 / math.sqrt(freedom(dim, rank, order)))
    assert residual_under(0.2, 6, 10, 3) == 0.0 and noise_behind(0.1, 6, 10, 3) == math.inf


def test_the_bar_is_below_the_null():
    for dim in (3, 10, 40):
        for rank in range(1, math.ceil(tdlab.theory.r_id(dim))):
            assert null_bar(dim, rank, 3) < null_residual(dim, rank, 3) <= 1.0


@pytest.mark.parametrize("dim", [6, 12])
def test_one_component_more_takes_little_of_noise_and_much_of_structure(dim):
    truth = sphere(dim, dim, 0)
    tensor = noisy(truth, 0.02, 0)
    full = tdlab.decompose(tensor, dim, "lm", rng=0)
    less = tdlab.decompose(tensor, dim - 1, "lm", rng=0)
    assert gain_of_one_more(tensor, full.components, full.weights, Budget()) < 1.0
    assert gain_of_one_more(tensor, less.components, less.weights, Budget()) > 1.0


@pytest.mark.parametrize(
    ("dim", "rank", "order", "level"), [(4, 3, 4, 0.1), (5, 3, 3, 0.3), (6, 6, 3, 0.1)]
)
@pytest.mark.parametrize("seed", draws(range(500, 504), quick=2))
def test_a_success_has_lost_no_component_to_the_noise(dim, rank, order, level, seed):
    # Gaussian rows: the coefficients of some terms are under what one term takes of the noise, and
    # its largest direction is then fitted in their place. Of such fits a fifth passed once.
    truth = np.random.default_rng(seed).standard_normal((rank, dim))
    found = tdlab.decompose(noisy(truth, level, seed, order), rank, rng=seed, steps=300)
    if found.success:
        assert tdlab.match(found.components, truth, order=order).worst > 0.7
    else:
        assert found.status is not Status.CONVERGED


def test_one_of_a_nearly_coinciding_pair_is_not_lost_unnoticed():
    # 625 parameters. Alone, the term that noise made in its place would look well determined.
    rng = np.random.default_rng(100)
    truth = rng.standard_normal((25, 25))
    truth /= np.linalg.norm(truth, axis=1, keepdims=True)
    aside = rng.standard_normal(25)
    aside -= (aside @ truth[0]) * truth[0]
    truth[1] = 0.98 * truth[0] + math.sqrt(1 - 0.98**2) * aside / np.linalg.norm(aside)
    found = tdlab.decompose(noisy(truth, 0.1, 3), 25, "lm", rng=0)
    assert not found.success or tdlab.match(found.components, truth).worst > 0.7


@pytest.mark.parametrize("seed", draws(range(500, 504), quick=2))
def test_weak_components_above_the_noise_are_a_success(seed):
    truth = np.random.default_rng(seed).standard_normal((5, 6))
    found = tdlab.decompose(noisy(truth, 0.001, seed, 4), 5, rng=seed)
    assert found.success and found.noise == pytest.approx(0.001, rel=0.3)
    assert tdlab.match(found.components, truth, order=4).worst > 0.99


@pytest.mark.parametrize(
    ("dim", "rank", "level"),
    [(10, 8, 0.1), later(10, 14, 0.05)],
)
def test_confidence_covers_where_the_noise_is_estimated(dim, rank, level):
    # Nominal 95%; over 30 tensors the standard error is below 2% even if the errors of one tensor
    # were as good as 4 independent ones.
    truth = sphere(dim, rank, 7)
    covered = []
    for seed in range(30):
        result = tdlab.decompose(noisy(truth, level, seed), rank, "lm", rng=seed)
        assert result.success
        found = tdlab.match(result.components, truth, threshold=0.9)
        covered.extend(found.cosines >= result.confidence()[found.assignment])
    assert np.mean(covered) >= 0.90
