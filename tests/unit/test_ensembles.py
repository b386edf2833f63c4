"""What every draw of a structured ensemble promises."""

import numpy as np
import pytest

import tdlab
from tdlab import InputError
from tdlab.networks import ensembles


def rows_of(name, dim, rank, seed=0):
    rows = tdlab.sample_network(dim, rank, "x**3", name, rng=seed).weights
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-12)
    return rows


def leak(rows):
    energies = tdlab.TwoLayerNetwork(rows, activation="x**3").hermite_energies()
    return energies[1] / energies[1:].sum()


@pytest.mark.parametrize("name", [law.name for law in ensembles()])
def test_every_ensemble_is_drawn_turned_at_random_and_reproducible(name):
    first, again, other = (rows_of(name, 6, 42, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1
    # No coordinate is special: the mean square of each over draws is rank / dim.
    squares = np.mean(
        [(rows_of(name, 6, 42, seed) ** 2).sum(axis=0) for seed in range(200)], axis=0
    )
    np.testing.assert_allclose(squares, 7.0, rtol=0.9)


def test_orthobases():
    rows = rows_of("orthobases", 7, 21)
    np.testing.assert_allclose(rows.T @ rows, 3 * np.eye(7), atol=1e-12)
    for start in (0, 7, 14):
        basis = rows[start : start + 7]
        np.testing.assert_allclose(basis @ basis.T, np.eye(7), atol=1e-12)
    assert np.linalg.norm(rows.mean(axis=0)) > 0.05
    assert 0.45 < np.mean([leak(rows_of("orthobases", 7, 21, s)) for s in range(40)]) < 0.7


def test_simplices():
    rows = rows_of("simplices", 7, 24)
    np.testing.assert_allclose(rows.T @ rows, 24 / 7 * np.eye(7), atol=1e-12)
    for start in (0, 8, 16):
        corners = rows[start : start + 8]
        np.testing.assert_allclose(corners.sum(axis=0), 0.0, atol=1e-12)
        off = corners @ corners.T - np.eye(8)
        np.testing.assert_allclose(off[~np.eye(8, dtype=bool)], -1 / 7, atol=1e-12)
    assert leak(rows) < 1e-12


def test_two_simplices_are_a_trap_for_free_norms_and_none_for_unit_ones():
    rows = rows_of("simplices", 5, 12)
    shift = np.random.default_rng(0).standard_normal(5)
    moved = np.vstack([rows[:6] + shift, rows[6:] - shift])
    first, second = (tdlab.FactoredTensor(each) for each in (rows, moved))
    np.testing.assert_allclose(first.dense(), second.dense(), atol=1e-10)
    # Below r_id, 51 at d = 16, unit norms leave only the true weights.
    rows = rows_of("simplices", 16, 34)
    tensor = tdlab.FactoredTensor(rows)
    free = tdlab.decompose(tensor, 34, "lm", restarts=5, iterations=100, rng=0)
    assert free.residual < 1e-6 and tdlab.match(free.components, rows).recovered < 1.0
    unit = tdlab.decompose(tensor, 34, "lbfgs", norms="unit", restarts=100, rng=0)
    assert unit.success and tdlab.match(unit.components, rows).recovered == 1.0


@pytest.mark.parametrize(("dim", "rank"), [(8, 16), (10, 40), (20, 60)])
def test_low_coherence(dim, rank):
    def coherence(rows):
        return np.abs(rows @ rows.T - np.eye(len(rows))).max()

    found = [coherence(rows_of("low-coherence", dim, rank, s)) for s in range(5)]
    random = [coherence(rows_of("sphere", dim, rank, s)) for s in range(5)]
    welch = np.sqrt((rank - dim) / (dim * (rank - 1)))
    assert max(found) < 0.67 * min(random) and min(found) >= welch - 1e-12
    rows = rows_of("low-coherence", dim, dim)
    np.testing.assert_allclose(rows @ rows.T, np.eye(dim), atol=1e-12)


def test_collinear():
    rows = rows_of("collinear", 20, 30)
    cosines = (rows @ rows.T)[~np.eye(30, dtype=bool)]
    assert cosines.mean() == pytest.approx(0.9, abs=0.01)
    assert cosines.min() >= 0.8 and cosines.max() < 1.0
    # Linear regression explains (9 S1)/(9 S1 + 6 S3) of x^3 with nearly equal sums: about 3/5.
    assert leak(rows) == pytest.approx(9 / (9 + 6 * 0.9**2), abs=0.02)


@pytest.mark.parametrize(
    ("name", "dim", "rank"),
    [
        ("orthobases", 5, 7),
        ("simplices", 5, 10),
        ("simplices", 5, 5),
        ("collinear", 2, 4),
        ("low-coherence", 5, 600),
    ],
)
def test_sizes_that_do_not_exist_are_refused(name, dim, rank):
    with pytest.raises(InputError, match=f"rank: got {rank} with ensemble '{name}'") as caught:
        tdlab.sample_network(dim, rank, "x**3", name)
    assert "\n" not in str(caught.value)
