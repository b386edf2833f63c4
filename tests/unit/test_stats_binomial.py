"""Intervals for a probability: equal to SciPy's, and covering as their sources claim."""

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from tdlab.errors import InputError
from tdlab.stats import interval


@pytest.mark.parametrize(
    ("method", "scipy_name"), [("wilson", "wilson"), ("clopper-pearson", "exact")]
)
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_equals_scipy(method, scipy_name, level):
    for trials in (1, 7, 30):
        lower, upper = interval(np.arange(trials + 1), trials, level, method)
        for successes in range(trials + 1):
            other = binomtest(successes, trials).proportion_ci(level, scipy_name)
            assert lower[successes] == pytest.approx(other.low, abs=1e-12)
            assert upper[successes] == pytest.approx(other.high, abs=1e-12)


def coverage(method, trials, probability):
    """Exact coverage: the probability of the counts whose interval holds the truth."""
    successes = np.arange(trials + 1)
    lower, upper = interval(successes, trials, 0.95, method)
    held = (lower <= probability) & (probability <= upper)
    return binom.pmf(successes, trials, probability)[held].sum()


def test_clopper_pearson_always_covers_and_the_others_do_on_average():
    truths = np.linspace(0.02, 0.98, 49)
    for trials in (5, 12, 40):
        assert min(coverage("clopper-pearson", trials, p) for p in truths) >= 0.95
        for method in ("wilson", "jeffreys"):
            mean = np.mean([coverage(method, trials, p) for p in truths])
            assert 0.93 <= mean <= 0.97, (method, trials, mean)


@pytest.mark.parametrize("method", ["wilson", "clopper-pearson", "jeffreys"])
def test_success_and_failure_are_mirror_images(method):
    lower, upper = interval(np.arange(13), 12, method=method)
    assert np.allclose(lower, 1 - upper[::-1])
    assert lower[0] == 0.0 and upper[-1] == 1.0
    assert [float(end) for end in interval(0, 0, method=method)] == [0.0, 1.0]


@pytest.mark.parametrize(
    "arguments", [(3, 2), (-1, 2), (0.5, 2), (1, 2, 1.0), (1, 2, 0.95, "wald"), (np.nan, 2)]
)
def test_what_is_no_count_is_refused(arguments):
    with pytest.raises(InputError, match="got"):
        interval(*arguments)


def test_fisher_equals_scipy():
    from scipy.stats import fisher_exact

    from tdlab.stats.binomial import fisher

    rng = np.random.default_rng(0)
    for _ in range(200):
        n1, n2 = rng.integers(1, 60, 2).tolist()
        s1, s2 = int(rng.integers(0, n1 + 1)), int(rng.integers(0, n2 + 1))
        expected = fisher_exact([[s1, n1 - s1], [s2, n2 - s2]]).pvalue
        assert fisher(s1, n1, s2, n2) == pytest.approx(expected, rel=1e-6)
