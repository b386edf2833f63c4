"""Exponents: exact on exact laws, honest about bounds, gaps and too few dimensions."""

import math

import numpy as np
import pytest

from tdlab.errors import InputError
from tdlab.stats import Threshold, ThresholdStatus, fit_exponent


def two_sided(rank, error, flags=()):
    return Threshold(
        ThresholdStatus.BRACKETED, rank, rank * math.exp(-1.959964 * error),
        rank * math.exp(1.959964 * error), 0.95, None, "", flags, "",
    )  # fmt: skip


def bound(lower=None, upper=None):
    status = ThresholdStatus.ALL_RECOVERED if lower else ThresholdStatus.NONE_RECOVERED
    return Threshold(status, None, lower, upper, 0.95, None, "", (), "")


DIMS = [8, 12, 18, 27, 40]


def law(exponent=1.5, prefactor=0.7, error=0.03):
    return [two_sided(prefactor * d**exponent, error) for d in DIMS]


def test_an_exact_power_law_comes_back():
    fit = fit_exponent(DIMS, law())
    assert fit.estimate == pytest.approx(1.5) and fit.prefactor == pytest.approx(0.7)
    assert fit.between == 0.0 and fit.lower < 1.5 < fit.upper
    assert [slope.estimate for slope in fit.slopes] == pytest.approx([1.5] * 4)
    # Nothing between dimensions: the interval is the floor, that of known errors.
    spread = np.log(DIMS) - np.mean(np.log(DIMS))
    assert fit.upper - 1.5 == pytest.approx(1.959964 * 0.03 / math.sqrt(spread @ spread))


def test_order_and_units_of_the_dimensions_do_not_matter():
    found = law()
    again = fit_exponent(DIMS[::-1], found[::-1])
    assert again == fit_exponent(DIMS, found)
    doubled = fit_exponent([2 * d for d in DIMS], found)
    assert doubled.estimate == pytest.approx(1.5)
    assert doubled.prefactor == pytest.approx(0.7 / 2**1.5)


def test_scatter_beyond_the_errors_widens_the_interval():
    rough = [two_sided(0.7 * d**1.5 * math.exp(s * 0.1), 0.01) for d, s in zip(DIMS, [1, -1, 1, -1, 1], strict=True)]  # fmt: skip  # noqa: E501
    fit, exact = fit_exponent(DIMS, rough), fit_exponent(DIMS, law(error=0.01))
    assert 0.05 < fit.between < 0.2
    assert fit.upper - fit.lower > 5 * (exact.upper - exact.lower)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_fewer_than_four_dimensions_are_refused_in_prose(count):
    fit = fit_exponent(DIMS[:count], law()[:count])
    assert fit.status.value == "too-few-dimensions" and fit.estimate is None
    assert "at least 4" in fit.message and len(fit.slopes) == max(count - 1, 0)
    bounded = fit_exponent(DIMS, [*law()[:3], bound(lower=50.0), bound(lower=90.0)])
    assert bounded.estimate is None


def test_a_bound_pushes_only_where_the_line_violates_it():
    base = fit_exponent([*DIMS, 60], [*law(), Threshold(
        ThresholdStatus.TOO_FEW_TRIALS, None, None, None, 0.95, None, "", (), "")])  # fmt: skip
    line = 0.7 * 60**1.5
    harmless = fit_exponent([*DIMS, 60], [*law(), bound(lower=line / 2)])
    pushed = fit_exponent([*DIMS, 60], [*law(), bound(lower=line * 1.3)])
    pulled = fit_exponent([*DIMS, 60], [*law(), bound(upper=line / 1.3)])
    assert harmless.estimate == pytest.approx(base.estimate, abs=1e-6)
    assert pulled.estimate < base.estimate - 0.01 < base.estimate + 0.01 < pushed.estimate


def test_a_bound_far_off_a_precise_line_is_not_passed_over():
    # Two ranks beyond question that no power law joins: the interval must not stay precise.
    rough, fine = (
        fit_exponent([*DIMS, 60], [*law(error=error), bound(lower=1e6)]) for error in (1e-2, 1e-4)
    )
    assert fine.estimate == pytest.approx(rough.estimate, rel=1e-3)
    assert fine.upper - fine.lower > 1.0


def test_ends_that_agree_to_all_digits_are_no_proof_of_no_error():
    exact = [two_sided(0.7 * d**1.5, 0.0) for d in DIMS]
    assert fit_exponent(DIMS, exact).estimate == pytest.approx(1.5)
    assert fit_exponent(DIMS, [*law()[:4], exact[4]]).upper > 1.5


def test_a_gap_has_the_error_of_a_uniform_draw():
    gaps = [two_sided(0.7 * d**1.5, 0.1, ("quantised",)) for d in DIMS]
    width = 2 * 1.959964 * 0.1
    same = fit_exponent(DIMS, law(error=width / math.sqrt(12)))
    fit = fit_exponent(DIMS, gaps)
    assert fit.upper - fit.lower == pytest.approx(same.upper - same.lower, rel=1e-6)


def test_a_drift_shows_beside_the_power_law_that_takes_it_for_exponent():
    drifting = [two_sided(d**1.5 * math.exp(-4 / d), 0.005) for d in DIMS]
    fit = fit_exponent(DIMS, drifting)
    assert fit.estimate > 1.65
    assert fit.drift.estimate == pytest.approx(1.5) and fit.drift.drift == pytest.approx(-4)
    assert "b/d" in fit.message
    assert fit.slopes[0].estimate > fit.slopes[-1].estimate


@pytest.mark.parametrize(
    "dims", [[8, 8, 12, 18, 27], [1, 8, 12, 18, 27], [8, 12], [8.5, 9, 10, 11, 12]]
)
def test_dimensions_that_are_none_are_refused(dims):
    with pytest.raises(InputError, match="got"):
        fit_exponent(dims, law())
