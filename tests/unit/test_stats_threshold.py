"""Thresholds from counts: statuses, one-sided bounds, timeouts, and what is never claimed."""

import math

import numpy as np
import pytest

from tdlab.errors import InputError
from tdlab.stats.threshold.estimate import estimate


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
    assert widths[0] > widths[1] and widths[0] > widths[2]
    # Ranks 16% apart, success surely changes on either side of 30: those two gaps are all of it.
    assert (found.lower, found.upper) == (26.0, 35.0) and "jump" in found.flags


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


@pytest.mark.parametrize("each", [12, 20, 100])
def test_a_gap_across_which_success_changes_is_taken_in_as_a_whole(each):
    # Inside the gap from 20 to 25 the curve may fall anywhere; a smooth one through it is narrow.
    ranks = [10, 13, 16, 20, 25, 31, 39]
    successes = np.round(each * np.array([0.95, 0.95, 0.62, 0.62, 0.05, 0.05, 0.05]))
    found = estimate(ranks, successes.astype(int), [each] * 7)
    assert found.lower <= 20.0 and found.upper >= 25.0
    assert {"jump", "shape", "quantised"} & set(found.flags)


def test_all_recovered_and_none_recovered_are_said_only_where_every_cell_is():
    for successes in ([10, 10, 3], [10, 10, 6], [20, 2, 10]):
        found = estimate([4, 8, 16], successes, [20, 10, 10])
        assert found.status.value not in {"all-recovered", "none-recovered"}, successes
    found = estimate([4, 8, 16], [10, 10, 3], [10] * 3)
    assert (found.status.value, found.lower, found.upper) == ("lower-bound", 8.0, None)
    # A low cell that fails: r* is the last crossing, and not everything was recovered.
    found = estimate([4, 8, 16], [0, 20, 20], [3, 20, 20])
    assert (found.status.value, found.lower) == ("lower-bound", 16.0)
    assert "non-monotone" in found.flags


@pytest.mark.parametrize("recovered", [6, 7, 20])
def test_no_bound_is_given_against_a_cell_on_the_other_side(recovered):
    # Pooled with rank 4 the counts are surely under one half, and rank 8 alone is above.
    found = estimate([4, 8], [0, recovered], [100, recovered])
    assert found.upper is None or found.upper > 8
    assert found.lower is None or found.lower >= 8
    found = estimate([4, 8, 16, 32], [20, 0, 15, 5], [20] * 4)
    assert found.status.value == "lower-bound" and found.lower == 4.0


@pytest.mark.parametrize("successes", [[8, 0, 0], [7, 6, 1], [9, 3, 0]])
def test_low_ranks_under_one_half_and_not_near_zero_bound_nothing(successes):
    # They may fall from a crossing below, or rise to one beyond.
    found = estimate([4, 5, 6], [4 * s for s in successes], [80] * 3)
    assert found.lower is None and found.upper is None
    assert found.status.value in {"indeterminate", "lapse-limited"}
    near_zero = estimate([4, 5, 6], [1, 0, 0], [20] * 3)
    assert (near_zero.status.value, near_zero.upper) == ("none-recovered", 4.0)


@pytest.mark.parametrize("successes", [[0, 4, 0], [0, 0, 4], [0, 4, 4]])
def test_a_rise_is_flagged_at_four_trials_a_rank(successes):
    assert "non-monotone" in estimate([4, 8, 16], successes, [4] * 3).flags
    assert "non-monotone" not in estimate([4, 8, 16], successes[::-1], [4] * 3).flags or (
        successes[0] == successes[2]
    )


def test_falling_curves_are_seldom_said_to_rise():
    rng, ranks = np.random.default_rng(0), np.unique(np.geomspace(8, 80, 12).astype(int))
    flagged = []
    for truth in (logistic(25, 0.1), logistic(25, 0.4), lambda x: 0.8 * logistic(25, 0.1)(x)):
        for trials in (3, 10, 30):
            for _ in range(40):
                counted = counts(truth, ranks, trials, rng)
                flagged.append("non-monotone" in estimate(*counted).flags)
    # 360 scans: a share of 2% shows 16 or more with probability .5%.
    assert sum(flagged) <= 15


def test_the_isotonic_interval_has_the_level_that_is_asked_for():
    """A falling curve, 200 ranks: the bar of the likelihood ratio at 80, 95 and 99%."""
    from tdlab.stats.threshold import isotonic

    rng, x = np.random.default_rng(5), np.linspace(-1, 1, 200, endpoint=False) + 1 / 200
    held = {level: [] for level in (0.8, 0.95, 0.99)}
    for _ in range(150):
        successes = rng.binomial(4, 1 / (1 + np.exp(2 * x)))
        for level, found in held.items():
            first, last = isotonic.guard(successes, np.full(200, 4), level)
            found.append(first <= 100 <= last)
    for level, found in held.items():
        # Three standard errors, and at 99% one miss in a hundred more for the limit law.
        spread = 3 * math.sqrt(level * (1 - level) / 150)
        assert abs(np.mean(found) - level) <= spread + 0.01, (level, np.mean(found))
