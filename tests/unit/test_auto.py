"""`auto` uses what wins, verifies it, and says what it tried."""

from typing import Any

import numpy as np
import pytest

import tdlab
from tdlab.algorithms.auto import Auto


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def lognormal(rank, rng):
    return unit(rng.standard_normal((rank, 20))), rng.lognormal(size=rank)


def collinear(rank, rng):
    """Every pair of rows has cosine near .94: a common direction of squared share .94."""
    axis = unit(rng.standard_normal((1, 20)))
    across = rng.standard_normal((rank, 20))
    across = unit(across - (across @ axis.T) * axis)
    return np.sqrt(0.94) * axis + np.sqrt(0.06) * across, np.ones(rank)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("make", "rank"), [(lognormal, 24), (lognormal, 32), (collinear, 20), (collinear, 28)]
)
def test_algebra_serves_where_local_search_fails(make, rank, seed):
    rows, weights = make(rank, np.random.default_rng([17, seed]))
    result = tdlab.decompose(tdlab.FactoredTensor(rows, weights), rank, rng=seed)
    assert result.success and result.method == "auto"
    assert tdlab.match(result.components, rows).recovered == 1.0
    np.testing.assert_allclose(np.sort(result.weights), np.sort(weights), rtol=1e-3)


@pytest.mark.parametrize("seed", [0, 1, 3])
def test_unequal_coefficients_beyond_the_algebra(seed):
    # r = 2 d is beyond koszul-young: only the nuclear penalty finds these.
    rng = np.random.default_rng([15, 30, seed])
    rows, weights = unit(rng.standard_normal((30, 15))), rng.lognormal(sigma=0.8, size=30)
    result = tdlab.decompose(tdlab.FactoredTensor(rows, weights), 30, rng=seed, noise=0.0)
    assert result.success and tdlab.match(result.components, rows).recovered == 1.0


@pytest.mark.parametrize(("dim", "rank"), [(1, 1), (2, 1), (2, 3), (3, 4), (4, 6)])
def test_small_dimensions_end_with_a_status(dim, rank):
    result = tdlab.decompose(tdlab.gaussian_tensor(dim, rng=1), rank, rng=0, noise=0.0, steps=50)
    assert isinstance(result.status, tdlab.Status)


def test_the_clock_stops_every_attempt_and_says_so():
    result = tdlab.decompose(
        tdlab.gaussian_tensor(40, rng=0), 60, rng=0, noise=0.0, max_seconds=0.3
    )
    assert result.status is tdlab.Status.TIME_LIMIT and "max_seconds" in result.message


def test_the_cheapest_method_that_fits_ends_it():
    tensor = tdlab.sample_network(12, 10, "He3", "sphere", rng=0).hermite_tensor(3)
    assert "Tried: jennrich (residual" in tdlab.decompose(tensor, 10, rng=0).message
    assert "homotopy" not in tdlab.decompose(tensor, 10, rng=0).message


def test_a_failure_tells_the_whole_story():
    null = tdlab.gaussian_tensor(8, rng=0)
    result = tdlab.decompose(null, 10, rng=0, noise=0.0, steps=600)
    assert not result.success
    for tried in ("ridge 250 steps", "nuclear 500 steps", *(
        f"{penalty} 200 steps" for penalty in ("nuclear", "equal", "ridge")
    )):  # fmt: skip
        assert f"homotopy {tried} (residual" in result.message
    assert "koszul-young (residual" in result.message
    assert result.nit > 600


def test_large_dimensions_never_meet_the_dense_kernel():
    assert "koszul-young" not in {method.name for method in Auto()._ladder(300, 400, 3)}
    assert "koszul-young" in {method.name for method in Auto()._ladder(30, 40, 3)}


def test_slow_attempts_share_the_steps():
    for steps in (1, 2, 700, 60000):
        ladder: list[Any] = Auto(steps=steps)._ladder(20, 74, 3)
        assert sum(getattr(method, "steps", 0) for method in ladder) == steps


@pytest.mark.parametrize(
    ("order", "dim", "rank", "winner"),
    [(4, 8, 6, "jennrich"), (4, 12, 60, "spm"), (4, 8, 30, "homotopy"), (5, 7, 12, "hankel"),
     (6, 5, 15, "hankel")],
)  # fmt: skip
def test_other_orders_take_what_wins_there(order, dim, rank, winner):
    rng = np.random.default_rng(order)
    rows = unit(rng.standard_normal((rank, dim)))
    signs = np.where(rng.random(rank) < 0.3, -1.0, 1.0) if order % 2 == 0 else None
    result = tdlab.decompose(tdlab.FactoredTensor(rows, signs, order), rank, rng=0)
    assert result.success and tdlab.match(result.components, rows, order=order).recovered == 1.0
    assert winner in result.message.rsplit(",", 1)[-1]
