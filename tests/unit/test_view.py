"""Figures of a real store: they exist, hold the data they show, and come out the same twice."""

import csv

import pytest

import tdlab
from tdlab.lab.spec.file import parse_spec
from tdlab.stats.binomial import median_interval
from tdlab.view.figures.every import plot_store

SPEC = """
name = "figures"
trials = 3
time_limit = 30
[[problem]]
activation = "He3"
ensemble = "isotropic"
dims = [4, 5]
ranks = { from = 1.3, to = 1.5, steps = 2, unit = "d" }
null = true
[[problem]]
activation = "x**3"
ensemble = "sphere"
dims = [4]
ranks = [2, 4, 6]
[[method]]
name = "jennrich"
[[method]]
name = "lm"
restarts = 2
iterations = 30
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("figures") / "figures.db"
    return tdlab.run(parse_spec(SPEC), store=path, workers=1)


@pytest.fixture(scope="module")
def drawn(store, tmp_path_factory):
    """(folder, paths) of the figures of the store."""
    folder = tmp_path_factory.mktemp("drawn")
    return folder, plot_store(store, folder)


def read(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_every_figure_comes_in_three_formats_with_its_data(drawn):
    _, paths = drawn
    stems = {path.stem for path in paths}
    assert stems == {"phase-He3-isotropic", "phase-x-3-sphere", "risk-He3-isotropic"}
    assert {path.suffix for path in paths} == {".png", ".svg", ".pdf", ".csv"}
    assert len(paths) == 12 and all(path.stat().st_size > 100 for path in paths)


def test_the_data_are_those_of_the_store(store, drawn):
    folder, _ = drawn
    rows = read(folder / "phase-x-3-sphere.csv")
    counts = {
        (c.method, c.rank): c for c in store.counts() if c.problem == "x**3/sphere" and not c.null
    }
    assert len(rows) == len(counts) == 6
    for row in rows:
        cell = counts[row["method"], int(row["rank"])]
        assert int(row["recovered"]) == cell.outcomes["recovered"]
        assert int(row["unsupported"]) == cell.outcomes["unsupported"]
        assert float(row["r_id"]) == 5.0 and float(row["r_LD"]) == 8.0
    risks = read(folder / "risk-He3-isotropic.csv")
    assert {row["kind"] for row in risks} == {"planted", "null"}
    assert {row["method"] for row in risks} == {"lm"}  # jennrich is outside its range


def test_the_figure_says_where_the_window_is_empty(drawn):
    folder, _ = drawn
    text = (folder / "phase-He3-isotropic.svg").read_text()
    assert "empty at d = 4, 5" in text and "outside method's range" in text
    risk = (folder / "risk-He3-isotropic.svg").read_text()
    assert "improper" in risk and "null" in risk and "trivial" in risk


def test_the_same_store_gives_the_same_bytes(store, drawn, tmp_path):
    first, second = drawn[1], plot_store(store, tmp_path)
    assert {path.name: path.read_bytes() for path in first} == {
        path.name: path.read_bytes() for path in second
    }


def test_median_intervals_cover():
    # By enumeration: the interval between order statistics j and n+1-j misses the median with
    # probability 2 P(Bin(n, 1/2) < j).
    from scipy.stats import binom

    for n in range(6, 60):
        _, low, high = median_interval(range(n))
        j = int(low) + 1
        assert high == n - j
        assert 2 * binom.cdf(j - 1, n, 0.5) <= 0.05
