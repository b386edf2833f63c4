"""Thresholds and exponents of a store's counts."""

import itertools

import pytest

from tdlab.cli.tables import exponent_table
from tdlab.lab.store import CellCounts
from tdlab.lab.summary import exponent_rows, threshold_rows
from tdlab.lab.trial import OUTCOMES

NONE = dict.fromkeys(OUTCOMES, 0)


def scan(dims, threshold, trials=40, method="lm", curve="a"):
    """Cells whose recovery falls from one to zero in three steps around threshold(d)."""
    number = itertools.count()
    for dim in dims:
        centre = threshold(dim)
        for share, odds in ((0.6, 1.0), (0.8, 0.9), (0.9, 0.8), (1.1, 0.2), (1.2, 0.1), (1.4, 0)):
            won = round(odds * trials)
            outcomes = {**NONE, "recovered": won, "failed": trials - won}
            yield CellCounts(
                next(number), "", curve, "p", method, "sphere", dim, round(share * centre), 3, None,
                False, trials, outcomes, outcomes, 0.1,
            )  # fmt: skip


def test_exponents_of_a_store_are_those_of_its_thresholds():
    dims = [10, 14, 20, 28, 40]
    counts = [*scan(dims, lambda d: 2 * d**1.5), *scan([10, 20], lambda d: 9 * d, curve="b")]
    fit, short = exponent_rows(counts)
    assert fit["status"] == "estimated" and fit["low"] < 1.5 < fit["high"]
    assert fit["exponent"] == pytest.approx(1.5, abs=0.1)
    assert fit["slopes"].startswith("10-14: 1.") and fit["slopes"].count(";") == 3
    assert short["status"] == "too-few-dimensions" and short["exponent"] is None
    assert short["slopes"].startswith("10-20: ")
    table = exponent_table(counts)
    assert table.splitlines()[1].startswith("p        lm      1.")


def test_a_single_dimension_has_a_threshold_and_no_exponent():
    counts = list(scan([12], lambda d: 40))
    assert threshold_rows(counts)[0]["r_star"] == pytest.approx(40, rel=0.1)
    assert exponent_rows(counts) == [] and exponent_table(counts) == ""


def test_censored_trials_widen_the_threshold_both_ways():
    plain, censored = (list(scan([12], lambda d: 40)) for _ in range(2))
    for cell in censored:
        share = cell.prefix["failed"] // 5
        cell.prefix.update(failed=cell.prefix["failed"] - share, timeout=share)
    row, wide = threshold_rows(plain)[0], threshold_rows(censored)[0]
    assert wide["timeouts"] > 0 and wide["low"] <= row["low"] and wide["high"] > row["high"]
