"""Figures on synthetic counts: any number of panels, every count shown, censoring marked."""

import dataclasses

import numpy as np
import pytest

from tdlab.lab.results.summary import exponents, threshold_rows
from tdlab.lab.spec.file import parse_spec
from tdlab.lab.store.counts import CellCounts
from tdlab.lab.trial.run import OUTCOMES
from tdlab.view import marks as style
from tdlab.view.figures import every as figures
from tdlab.view.figures import phase, risk, scaling, sweep
from tests.lab_tools import SMALL

WHAT = parse_spec(SMALL).cells[0].what


def cells(methods, dims, trials=12):
    found = []
    for method in range(methods):
        for dim in dims:
            for rank in np.unique(np.geomspace(2, 3 * dim, 7).astype(int)):
                outcomes = dict.fromkeys(OUTCOMES, 0)
                if method == 1 and rank > dim:
                    outcomes["unsupported"] = trials
                elif rank > 2 * dim:
                    outcomes.update(failed=trials - 2, timeout=2)
                else:
                    outcomes["recovered"] = trials
                number = len(found)
                found.append(
                    CellCounts(
                        number, str(number), f"curve{method}", WHAT, "cubic", f"m{method}",
                        "sphere", dim, int(rank), 3, None, False, trials, outcomes, outcomes, 0.1,
                    )
                )  # fmt: skip
    return found


@pytest.mark.parametrize(("methods", "dims"), [(1, [20]), (2, [10, 100]), (5, [10, 15, 40])])
def test_a_phase_diagram_shows_every_panel_and_count(methods, dims, tmp_path):
    counts = cells(methods, dims)
    with style.drawing():
        paths = phase.draw(counts, threshold_rows(counts), tmp_path, "phase")
    text = (tmp_path / "phase.svg").read_text()
    assert len(paths) == 4
    for method in range(methods):
        assert f">m{method}<" in text
    assert text.count("12/12") == sum(cell.outcomes["recovered"] > 0 for cell in counts)
    assert "0/12*" in text and "censored" in text
    assert ("outside method" in text) == (methods > 1)


def test_no_median_of_a_risk_figure_lies_outside_the_axes(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(style, "save", lambda figure, *rest: drawn.append(figure) or [])
    ratios = [0.0, 0.3, 4.0]
    found = [
        risk.RiskCell("cubic", "m", dim, dim + 5 * i, 3, None, False, (ratio,) * 8)
        for dim in (10, 15, 20, 30)
        for i, ratio in enumerate(ratios)
    ]
    risk.draw("cubic", found, tmp_path, "risk")
    for panel in drawn[0].axes:
        low, high = panel.get_ylim()
        assert low < 0 < 4.0 < high


def test_thresholds_over_dimension_show_fits_slopes_and_censoring(tmp_path):
    counts = cells(1, [10, 15, 20, 30], trials=40)
    rows = tuple(threshold_rows(counts))
    ((*_, fit),) = exponents(counts)
    curves = [scaling.ScalingCurve("m0", rows, fit)]
    with style.drawing():
        paths = scaling.draw("cubic", curves, 3, tmp_path, "scaling")
    text = (tmp_path / "scaling.svg").read_text()
    assert len(paths) == 4 and "local slope" in text and "counting bound" in text
    assert "timeouts as failures to as successes" in text
    lines = (tmp_path / "scaling.csv").read_text().splitlines()
    assert len(lines) == 5 and "censored" in lines[1]
    assert f"{fit.slopes[0].estimate}" in lines[1] and f"{fit.lower}" in lines[4]


def test_methods_of_which_only_bounds_are_known_stand_beside_those_with_slopes():
    counts = [
        dataclasses.replace(cell, outcomes={**none, "failed": 40}, prefix={**none, "failed": 40})
        if cell.method == "m1" and (none := dict.fromkeys(OUTCOMES, 0))
        else cell
        for cell in cells(2, [10, 15, 20, 30], trials=40)
    ]
    curves = figures._curves(counts, threshold_rows(counts))
    assert [curve.method for curve in curves] == ["m0", "m1"]
    assert [len(curve.fit.slopes) for curve in curves] == [3, 0]
    alone = [cell for cell in counts if cell.method == "m1"]
    assert figures._curves(alone, threshold_rows(alone)) == []


@pytest.mark.parametrize("rows", ["isotropic", None])
def test_given_weights_are_drawn_beside_their_law_without_a_row_of_recovery(rows, tmp_path):
    found = [
        sweep.SweepCell(
            "He3/isotropic", "ideal", "cosine", c, 8, 12, 3, False, (0.5,) * 6, 0.0, rows
        )
        for c in (0.5, 0.7, 0.9)
    ]
    with style.drawing():
        sweep.draw("He3/isotropic", "cosine", found, tmp_path, "sweep")
    text = (tmp_path / "sweep.svg").read_text()
    assert "one row" in text and "recover" not in text
    assert ("exact mean" in text) == (rows is not None)
