"""Fixtures shared by all tests, and one thread a process.

Two test workers with two BLAS threads each wait for one another, on two cores, more than they
compute. numpy reads these variables when it is first imported, which is below.
"""

import os

for _library in ("OPENBLAS", "OMP", "MKL", "NUMBA"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")

import numpy as np  # noqa: E402
import pytest  # noqa: E402


@pytest.fixture
def rng():
    return np.random.default_rng(20260101)


@pytest.fixture
def rotation(rng):
    """Function dim -> a random orthogonal matrix."""
    return lambda dim: np.linalg.qr(rng.standard_normal((dim, dim)))[0]
