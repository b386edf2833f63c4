"""Power iteration, plain and shifted (SS-HOPM): what its fixed points are, and are not."""

import numpy as np
import pytest

import tdlab
from tdlab.algorithms.base import Budget
from tdlab.algorithms.parts.candidates import power_steps, random_units


def steps(tensor, rows, count, shift=0.0, block=4096):
    return power_steps(tensor.mttkrp, rows, count, Budget(), shift=shift, block=block)


@pytest.fixture
def tensor():
    return tdlab.gaussian_tensor(7, rng=0)


def test_with_the_shift_the_ascent_is_monotone(tensor, rng):
    # 2 |T| bounds the spectral radius of the Hessian of T(x, x, x) / 3 on the sphere.
    rows = random_units(20, 7, rng)
    values = [tensor.evaluate(rows)]
    for _ in range(50):
        rows = steps(tensor, rows, 1, shift=2.0 * tensor.norm())
        values.append(tensor.evaluate(rows))
    assert (np.diff(values, axis=0) >= -1e-14).all()


def test_limits_are_eigenvectors_and_stay(tensor, rng):
    shift = 2.0 * tensor.norm()
    rows = steps(tensor, random_units(20, 7, rng), 6000, shift)
    images, values = tensor.mttkrp(rows), tensor.evaluate(rows)
    np.testing.assert_allclose(images, values[:, None] * rows, atol=1e-8)
    np.testing.assert_allclose(steps(tensor, rows, 1, shift), rows, atol=1e-8)


def test_a_batch_is_as_good_as_single_runs(tensor, rng):
    rows = random_units(10, 7, rng)
    batch = steps(tensor, rows, 15, 1.0)
    single = np.vstack([steps(tensor, rows[i : i + 1], 15, 1.0) for i in range(10)])
    np.testing.assert_allclose(batch, single, atol=1e-12)
    np.testing.assert_allclose(steps(tensor, rows, 15, 1.0, block=3), batch, atol=1e-12)


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_exact_on_orthogonal_components_without_least_squares(rng, shift):
    rows = np.linalg.qr(rng.standard_normal((12, 12)))[0]
    tensor = tdlab.FactoredTensor(rows, np.linspace(1.0, 2.0, 12))
    result = tdlab.decompose(
        tensor, 12, "power", rng=0, refine=False, shift=shift, starts=200, iterations=300
    )
    assert result.success and tdlab.match(result.components, rows).worst > 1 - 1e-10


@pytest.mark.parametrize("dim", [10, 20])
def test_raw_fixed_points_are_biased_where_components_are_not_orthogonal(dim):
    # Of r = d components .08 (d = 10) and .03 (d = 20) were measured within cosine .99; joint least
    # squares from the same rows recovers nearly all.
    raw, refined = [], []
    for seed in range(6):
        rows = tdlab.sample_network(dim, dim, "He3", "sphere", rng=seed).weights
        tensor = tdlab.FactoredTensor(rows)
        for refine, shares in ((False, raw), (True, refined)):
            result = tdlab.decompose(tensor, dim, "power", rng=seed, refine=refine)
            shares.append(tdlab.match(result.components, rows).recovered)
    assert np.mean(raw) <= 0.36
    assert np.mean(refined) > np.mean(raw)
