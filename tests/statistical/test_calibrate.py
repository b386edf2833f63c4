"""Adaptive scans: intervals cover, at a fraction of a grid's price (seeds fixed).

With coverage of 95%, fewer than 69 of 80 scans cover with probability 0.1%. The full table is
`tdlab calibrate`; its figures are in docs/calibration.md.
"""

import re
import subprocess
import sys

import numpy as np
import pytest

from tdlab.errors import InputError
from tdlab.stats.calibrate import calibrate, simulate
from tdlab.stats.search.rule import Rule
from tdlab.stats.truths import TRUTHS

SOME = ["logistic .05", "step", "lapse .20, steep", "kink at 1/2, steep above"]


def test_every_truth_is_one_half_at_its_threshold():
    for truth in TRUTHS:
        near = truth.curve(np.array([-1e-9, 1e-9]))
        assert near[0] >= 0.5 - 1e-6 and near[1] <= 0.5 + 1e-6, truth.name
        # It falls through it for good: nothing beyond is above.
        assert (truth.curve(np.linspace(1e-6, 3.0, 2000)) <= 0.5).all(), truth.name


def test_intervals_cover_for_half_the_trials_and_a_third_of_the_cost():
    found = calibrate(scans=20, truths=SOME, seed=1)
    assert sum(row.scans * row.coverage for row in found.rows) >= 69
    for row in found.rows:
        assert row.half_width <= 0.05
        # A grid of two trials a rank brackets a step as well as this one does: 96 trials.
        assert row.trials <= row.grid_trials * (0.55 if row.truth == "step" else 0.5), row
        assert row.cost <= row.grid_cost / 3, row
    # Three standard errors below 95%: with probability 0.1%.
    straight = [row for row in found.exponents if row.drift == 0]
    fits = sum(row.fits for row in straight)
    assert fits > 100
    assert sum(row.fits * row.coverage for row in straight) >= fits * (0.95 - 3 * 0.22 / fits**0.5)
    (bent,) = (row for row in found.exponents if row.drift)
    # A drift that is left out is caught by no interval; the term b/d is there for it.
    assert bent.coverage < 0.5 < bent.drift_coverage


def test_scans_of_jumps_cover():
    """Without whole gaps about half of these are covered, 20 of 24 with probability .001."""
    covered = []
    for name in ("jump, shelf above", "jump, lower shelf"):
        (truth,) = (truth for truth in TRUTHS if truth.name == name)
        for seed in range(12):
            scan = simulate(truth, Rule(), np.random.default_rng([3, seed]))
            covered.append(scan.covers and np.isfinite(scan.half_width))
    assert sum(covered) >= 20


def test_processes_change_nothing(monkeypatch):
    # Two scans a job, so that jobs go to both.
    monkeypatch.setattr("tdlab.stats.calibrate._CHUNK", 2)
    rule = Rule(half_width=0.2, budget_trials=100)
    one = calibrate(scans=5, truths=["step"], rule=rule)
    two = calibrate(scans=5, truths=["step"], rule=rule, workers=2)
    assert one == two


def test_the_verb_prints_the_table():
    command = [sys.executable, "-m", "tdlab", "calibrate", "--truth", "step", "--half-width", "0.2"]
    done = subprocess.run([*command, "--scans", "4"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""
    assert re.search(r"^step +4 +100\.0 \(", done.stdout, flags=re.M), done.stdout
    assert "dimensions" in done.stdout
    bad = subprocess.run([*command, "--truth", "stp"], capture_output=True, text=True)
    assert (bad.returncode, bad.stderr.count("\n")) == (2, 1) and "'stp'" in bad.stderr


def test_bad_numbers_are_refused():
    with pytest.raises(InputError, match="scans: got 0"):
        calibrate(scans=0)


@pytest.mark.long
def test_every_promised_truth_covers():
    # 400 scans: coverage of 95% falls below 91.5% with probability 0.2%.
    for row in calibrate(scans=400, seed=2).rows:
        if row.promised:
            assert row.coverage >= 0.915, row
