"""Other libraries' methods behind our front door: faithful, silent, and optional."""

import numpy as np
import pytest

import tdlab
from tdlab import InputError, Status
from tdlab.algorithms.peers import pyttb_als


@pytest.fixture
def orthogonal(rng):
    rows = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    return tdlab.FactoredTensor(rows, np.arange(1.0, 7.0)), rows


def test_tensorly_power_is_what_tensorly_does(rng):
    from tensorly.decomposition import symmetric_parafac_power_iteration

    truth = rng.standard_normal((2, 6))
    tensor = tdlab.FactoredTensor(truth)
    result = tdlab.decompose(tensor, 2, "tensorly-power", rng=3)
    np.random.seed(np.random.default_rng(3).integers(2**32))  # noqa: NPY002
    weights, factor = symmetric_parafac_power_iteration(tensor.dense() / tensor.norm(), 2)
    np.testing.assert_allclose(result.components, factor.T, atol=1e-8)
    np.testing.assert_allclose(result.weights, tensor.norm() * weights, rtol=1e-8)
    # Deflation of biased directions does not fit, and the result says so.
    assert not result.success and "not orthogonal" in result.message


def test_tensorly_power_is_exact_on_orthogonal_components(orthogonal):
    tensor, rows = orthogonal
    result = tdlab.decompose(tensor, 6, "tensorly-power", rng=0)
    assert result.success and tdlab.match(result.components, rows).worst > 1 - 1e-10


def test_tensorly_power_leaves_the_global_stream_alone(orthogonal):
    np.random.seed(5)  # noqa: NPY002
    expected = np.random.random_sample(3)  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    tdlab.decompose(orthogonal[0], 6, "tensorly-power", rng=0)
    np.testing.assert_array_equal(np.random.random_sample(3), expected)  # noqa: NPY002


def test_pyttb_is_optional(orthogonal, monkeypatch):
    monkeypatch.setattr(pyttb_als, "find_spec", lambda name: None)
    assert "pyttb-als" in [record.name for record in tdlab.methods(order=3)]
    result = tdlab.decompose(orthogonal[0], 6, "pyttb-als", rng=0)
    assert result.status is Status.UNSUPPORTED and "tdlab[peers]" in result.message
    assert "\n" not in result.message


@pytest.mark.peers
def test_pyttb_is_silent(capfd):
    rows = tdlab.sample_network(10, 5, "He3", "sphere", rng=0).weights
    result = tdlab.decompose(tdlab.FactoredTensor(rows), 5, "pyttb-als", rng=0)
    assert result.success and tdlab.match(result.components, rows).recovered == 1.0
    assert capfd.readouterr() == ("", "")


@pytest.mark.peers
def test_pyttb_stops_by_the_clock():
    tensor = tdlab.sample_network(12, 30, "He3", "sphere", rng=0).hermite_tensor(3)
    result = tdlab.decompose(tensor, 30, "pyttb-als", rng=0, max_seconds=0.01)
    assert result.status is Status.TIME_LIMIT


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("tensorly-power", {"repeats": 0}, "'tensorly-power', option 'repeats': got 0"),
        ("pyttb-als", {"iterations": 0}, "'pyttb-als', option 'iterations': got 0"),
        ("pyttb-als", {"tolerance": -1.0}, "'pyttb-als', option 'tolerance': got -1.0"),
    ],
)
def test_bad_options_are_refused(orthogonal, method, options, message):
    with pytest.raises(InputError, match=message):
        tdlab.decompose(orthogonal[0], 6, method, **options)
