"""The method `sos`: its convex step, its contraction, and where it ends."""

import numpy as np
import pytest

import tdlab
from tdlab import Status
from tdlab.sos.basis import Relaxation
from tdlab.sos.forms import Form
from tdlab.sos.pseudo import contract, flattest_moments


def iid(dim, rank, seed):
    rows = np.random.default_rng(seed).standard_normal((rank, dim))
    return rows / np.linalg.norm(rows, axis=1)[:, None]


def test_the_flattest_pseudo_expectation_is_feasible_and_flat():
    rows = iid(6, 6, 0)
    tensor = tdlab.FactoredTensor(rows)
    relaxation, form = Relaxation(6, 3, 4), Form.of(tensor, 2**20)
    tau = tensor.evaluate(rows).mean() / 2.0**form.exponent
    moments, nit = flattest_moments(
        relaxation, form.target(relaxation), tau, iterations=3000, expired=lambda: False
    )
    assert nit == 3000
    assert np.linalg.eigvalsh(moments)[0] >= -1e-12
    np.testing.assert_allclose(relaxation.project(moments), moments, atol=1e-5)
    assert np.trace(moments) == pytest.approx(2.0, abs=1e-5)
    # The uniform law on the components reaches tau as well: the flattest is no larger.
    vectors = relaxation.vectors(rows)
    assert np.linalg.norm(moments) <= np.linalg.norm(vectors.T @ vectors / len(rows)) + 1e-5


def test_contractions_are_those_of_the_law(rng):
    relaxation, rows = Relaxation(5, 3, 4), iid(5, 4, 1)
    vectors = relaxation.vectors(rows)
    directions = rng.standard_normal((3, 15))
    matrices = contract(relaxation, vectors.T @ vectors, directions)
    expected = np.einsum("br,ri,rj->bij", directions @ vectors[:, :15].T, rows, rows)
    np.testing.assert_allclose(matrices, expected, atol=1e-12)


def test_overcomplete_components_are_found():
    rows = iid(8, 12, 3)
    result = tdlab.decompose(tdlab.FactoredTensor(rows), 12, "sos", rng=0)
    assert result.success, result.message
    assert tdlab.match(result.components, rows).recovered == 1.0


def test_failures_are_statuses_with_messages():
    noise = tdlab.gaussian_tensor(6, rng=0)
    failed = tdlab.decompose(noise, 4, "sos", rng=0, iterations=20)
    assert not failed.success and failed.message
    late = tdlab.decompose(noise, 4, "sos", rng=0, max_seconds=0.0)
    assert late.status == Status.TIME_LIMIT
    large = tdlab.FactoredTensor(np.eye(120))
    refused = tdlab.decompose(large, 120, "sos", rng=0)
    assert refused.status == Status.UNSUPPORTED and "1 GiB" in refused.message
