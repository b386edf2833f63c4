"""Fixtures shared by all tests."""

import numpy as np
import pytest


@pytest.fixture
def rng():
    return np.random.default_rng(20260101)


@pytest.fixture
def rotation(rng):
    """Function dim -> a random orthogonal matrix."""
    return lambda dim: np.linalg.qr(rng.standard_normal((dim, dim)))[0]
