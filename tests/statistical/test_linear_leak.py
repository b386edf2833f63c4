"""What linear regression explains of cubic networks with iid spherical weights (seeds fixed)."""

import numpy as np
import pytest

import tdlab


def test_each_draw_follows_the_formula():
    # sigma = a1 x + a3 x^3: (a1 + 3 a3)^2 S1 / [(a1 + 3 a3)^2 S1 + 6 a3^2 S3].
    for seed, (a1, a3) in enumerate([(0.0, 1.0), (1.0, 0.5), (-1.0, 1.0)] * 5):
        net = tdlab.sample_network(20, 60, (0.0, a1, 0.0, a3), "sphere", rng=seed)
        gram = net.weights @ net.weights.T
        linear = (a1 + 3 * a3) ** 2 * gram.sum()
        expected = linear / (linear + 6 * a3**2 * (gram**3).sum())
        assert net.hermite_energies()[1] / net.variance() == pytest.approx(expected, rel=1e-10)


def test_the_mean_over_draws_is_58_6_percent():
    # One draw has a standard deviation of 7 points, so 300 draws are within 2 points at 5 sigma.
    shares = []
    for seed in range(300):
        net = tdlab.sample_network(20, 60, "x**3", "sphere", rng=[11, seed])
        shares.append(net.hermite_energies()[1] / net.variance())
    assert np.mean(shares) == pytest.approx(0.586, abs=0.02)


def test_a_linear_fit_to_samples_explains_that_share():
    net = tdlab.sample_network(10, 30, "x**3", "sphere", rng=0)
    X, y = net.sample(200_000, rng=1)
    fitted = X @ np.linalg.lstsq(X, y, rcond=None)[0]
    share = net.hermite_energies()[1] / net.variance()
    assert 1 - np.mean((y - fitted) ** 2) / y.var() == pytest.approx(share, abs=0.02)
