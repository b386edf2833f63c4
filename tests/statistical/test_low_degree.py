"""Where one component larger by a fifth should be seen: what the others make of the eigenvalues."""

import numpy as np
import pytest

import tdlab
from tdlab.algorithms.methods.hsss import mixed_square


def largest_of_others(dim, seed, steps=120):
    """Top eigenvalue of X -> sum_k T_k X T_k on traceless X, no component larger, r = .1 d^1.5."""
    rank = round(0.1 * dim**1.5)
    rows = tdlab.sample_network(dim, rank, "He3", "hypercube", rng=seed).weights
    square = mixed_square(tdlab.FactoredTensor(rows), np.eye(dim))
    form = np.random.default_rng(seed).standard_normal((dim, dim))
    form, value = form + form.T, 0.0
    for _ in range(steps):
        form -= np.trace(form) / dim * np.eye(dim)
        form /= np.linalg.norm(form)
        image = square(form)
        value, form = float(np.vdot(form, image)), image
    return value


@pytest.mark.parametrize("dim", [40, 80])
def test_at_small_dimensions_the_others_hide_it(dim):
    assert np.mean([largest_of_others(dim, seed) for seed in range(5)]) > 1.2**2


def test_at_large_dimensions_they_do_not():
    # From below, so that more steps could only raise it: the last ones change it by less.
    few, many = (largest_of_others(320, 0, steps) for steps in (60, 90))
    assert many - few < 0.01 and many < 1.2**2
