"""Thresholds from counts: statuses, one-sided bounds, timeouts, and what is never claimed."""

import math

import numpy as np
import pytest

from tdlab.errors import InputError
from tdlab.stats.threshold import estimate


def counts(curve, ranks, trials, rng):
    ranks = np.asarray(ranks)
    return ranks, rng.binomial(trials, curve(np.log(ranks))), np.full(len(ranks), trials)


def logistic(r_star, width):
    return lambda x: 1 / (1 + np.exp((x - math.log(r_star)) / width))


@pytest.mark.parametrize(
    ("successes", "status", "bounds"),
    [
        ([10, 10, 10, 10], "all-recovered", (True, False)),
        ([0, 0, 0, 0], "none-recovered", (False, True)),
        ([10, 10, 0, 0], "bracketed", (True, True)),
    ],
)
def test_statuses_and_their_bounds(successes, status, bounds):
    found = estimate([4, 8, 16, 32], successes, [10] * 4)
    assert found.status.value == status
    assert (found.lower is not None, found.upper is not None) == bounds
    assert (found.estimate is not None) == (status == "bracketed")


def test_no_point_is_ever_outside_its_data():
    # All recovered up to 32: a lower bound within the data and nothing else.
    found = estimate([4, 8, 16, 32], [10] * 4, [10] * 4)
    assert found.upper is None and found.lower <= 32


def test_a_plateau_under_one_half_has_no_threshold():
    found = estimate([4, 8, 16, 32, 64], [7, 6, 7, 2, 0], [40] * 5)
    assert found.status.value == "lapse-limited" and found.estimate is None
    assert found.plateau == pytest.approx(0.167, abs=0.04)


def test_one_trial_a_rank_is_too_few():
    assert estimate([4, 8], [1, 0], [1, 1]).estimate is None
    assert estimate([], [], []).status.value == "too-few-trials"


def test_more_trials_narrow_the_interval():
    ranks = np.unique(np.geomspace(10, 80, 14).astype(int))
    widths = []
    for trials in (8, 32, 128):
        exact = np.round(trials * logistic(30, 0.15)(np.log(ranks))).astype(int)
        found = estimate(ranks, exact, np.full(len(ranks), trials))
        assert found.lower < 30 < found.upper
        widths.append(math.log(found.upper / found.lower))
    assert widths[0] > widths[1] > widths[2]


def test_timeouts_widen_and_never_vanish():
    ranks, successes, trials = [10, 20, 30, 40], [20, 20, 6, 0], [20] * 4
    plain = estimate(ranks, successes, trials)
    late = estimate(ranks, successes, trials, timeouts=[0, 0, 10, 1])
    assert late.lower <= plain.lower and late.upper > plain.upper
    everything = estimate(ranks, [20, 0, 0, 0], trials, timeouts=[0, 20, 20, 20])
    assert everything.estimate is None


def test_order_and_repeats_of_ranks_do_not_matter():
    first = estimate([4, 8, 16, 32], [10, 9, 2, 0], [10] * 4)
    again = estimate([32, 8, 4, 16, 16], [0, 9, 10, 1, 1], [10, 10, 10, 5, 5])
    assert (first.estimate, first.lower, first.upper) == (again.estimate, again.lower, again.upper)


@pytest.mark.parametrize(
    ("ranks", "successes", "trials"),
    [
        ([4, 8], [3], [5, 5]),
        ([4, 8], [6, 0], [5, 5]),
        ([4, 8], [-1, 0], [5, 5]),
        ([0], [1], [2]),
        ([4], [1e19], [1e19]),
    ],
)
def test_what_are_no_counts_is_refused(ranks, successes, trials):
    with pytest.raises(InputError, match="got"):
        estimate(ranks, successes, trials)


def test_confidence_is_named_as_asked():
    counts = [4, 8, 12, 16, 20, 24], [20, 20, 19, 8, 1, 0], [20] * 6
    assert "99.9% interval" in estimate(*counts, level=0.999).message
    assert "95% interval" in estimate(*counts).message
