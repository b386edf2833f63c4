"""Thresholds and exponents of a store's counts."""

import itertools
from dataclasses import replace

import pytest

from tdlab.cli.tables import exponent_table
from tdlab.lab.results.summary import exponent_rows, threshold_rows
from tdlab.lab.spec.file import parse_spec
from tdlab.lab.store.counts import CellCounts
from tdlab.lab.store.reader import open_store
from tdlab.lab.store.writer import StoreWriter
from tdlab.lab.trial.run import OUTCOMES
from tests.lab_tools import SMALL

NONE = dict.fromkeys(OUTCOMES, 0)
WHAT = parse_spec(SMALL).cells[0].what


def scan(dims, threshold, trials=40, method="lm", curve="a"):
    """Cells whose recovery falls from one to zero in three steps around threshold(d)."""
    number = itertools.count()
    for dim in dims:
        centre = threshold(dim)
        for share, odds in ((0.6, 1.0), (0.8, 0.9), (0.9, 0.8), (1.1, 0.2), (1.2, 0.1), (1.4, 0)):
            won = round(odds * trials)
            outcomes = {**NONE, "recovered": won, "failed": trials - won}
            yield CellCounts(
                next(number), "", curve, WHAT, "p", method, "sphere", dim, round(share * centre),
                3, None, False, trials, outcomes, outcomes, 0.1,
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


def test_no_exponent_crosses_a_change_of_schedule():
    # From d = 50 on the method is another one, and reaches half as far.
    def reach(d):
        return 2 * d**1.5 if d < 50 else d**1.5

    dims = [10, 14, 20, 28, 40, 60, 80]
    counts = [
        replace(cell, schedule="long" if cell.dim >= 50 else "short") for cell in scan(dims, reach)
    ]
    (row,) = exponent_rows(counts)
    assert row["dims"] == 5 and row["exponent"] == pytest.approx(1.5, abs=0.1)
    assert "schedule changes before d = 60: fitted to d = 10 to 40 alone" in row["message"]
    assert "40-60" not in row["slopes"]
    assert "schedule changes" in exponent_table(counts)
    (mixed,) = exponent_rows(scan(dims, reach))
    assert mixed["dims"] == 7 and mixed["exponent"] < 1.4, "what it keeps from being said"
    few = [cell for cell in counts if cell.dim >= 28]
    (row,) = exponent_rows(few)
    assert row["exponent"] is None and row["status"] == "too-few-dimensions"


def test_a_store_knows_the_schedule_of_homotopy(tmp_path):
    text = """
    trials = 1
    [problem]
    activation = "He3"
    ensemble = "sphere"
    dims = [20, 21, 49, 50]
    ranks = [3]
    [[method]]
    name = "homotopy"
    [[method]]
    name = "homotopy"
    stages = 50
    cycle = 30
    [[method]]
    name = "lm"
    """
    with StoreWriter(tmp_path / "a.db") as writer:
        writer.begin(parse_spec(text), 1)
    with open_store(tmp_path / "a.db") as store:
        told = {}
        for cell in store.counts():
            told.setdefault(cell.method.partition("(")[0] + "(" * ("=" in cell.method), []).append(
                cell.schedule
            )
    assert told["homotopy"] == [
        "100 stages, cycles of 60", *["100 stages, cycles of 80"] * 2, "200 stages, cycles of 80",
    ]  # fmt: skip
    assert told["homotopy("] == ["50 stages, cycles of 30"] * 4 and told["lm"] == [""] * 4
