"""Gram-form methods on arrays of other libraries: the same source, the same numbers."""

from typing import Any

import array_api_strict
import numpy as np
import pytest

import tdlab
from tdlab._kernels.gauss_newton import gauss_newton_cg
from tdlab.algorithms.base import Budget
from tdlab.algorithms.descent.loop import PENALTIES, Descent, Effort, Target
from tdlab.algorithms.descent.step import any_gauss_newton_cg
from tdlab.tensors.arrays import to_numpy


def torch_asarray(array):
    return pytest.importorskip("torch").tensor(array)


LIBRARIES = {"strict": array_api_strict.asarray, "torch": torch_asarray}


@pytest.fixture(params=LIBRARIES)
def asarray(request):
    return LIBRARIES[request.param]


@pytest.mark.parametrize("order", [3, 4, 5])
@pytest.mark.parametrize("tangent", [False, True])
def test_the_kernel_and_its_twin_take_the_same_steps(rng, asarray, tangent, order):
    rows, right = rng.standard_normal((2, 9, 6))
    e, h = rng.uniform(0, 1, (2, 9)) * (0.0 if tangent else 1.0)
    signs = np.where(np.arange(9) % 3 == 0, -1.0, 1.0)
    given = (rows, signs, order, rows @ rows.T, e, h, right)
    kernel: Any = gauss_newton_cg
    twin: Any = any_gauss_newton_cg
    X, decrease, _ = kernel(*given, 0.2, 12, 1e-3, tangent)
    for arrays in (given, tuple(a if a is order else asarray(a) for a in given)):
        step, fall = twin(*arrays, 0.2, 12, 1e-3, tangent)
        np.testing.assert_allclose(to_numpy(step), X, atol=1e-12)
        assert fall == pytest.approx(decrease, rel=1e-12)


@pytest.mark.parametrize("order", [3, 4])
def test_actions_equal_those_on_numpy(rng, asarray, order):
    components, weights = rng.standard_normal((7, 5)), rng.standard_normal(7)
    here = tdlab.FactoredTensor(components, weights, order)
    there = tdlab.FactoredTensor(asarray(components), weights, order)
    rows = rng.standard_normal((4, 5))
    image = there.mttkrp(asarray(rows))
    assert type(image) is type(asarray(rows))
    np.testing.assert_allclose(to_numpy(image), here.mttkrp(rows), rtol=1e-12)
    np.testing.assert_allclose(there.mttkrp(rows), here.mttkrp(rows), rtol=1e-15)
    assert there.norm() == pytest.approx(here.norm(), rel=1e-13)
    assert there.inner(here) == pytest.approx(here.inner(here), rel=1e-12)


@pytest.mark.parametrize("order", [2, 3, 4])
def test_a_dense_tensor_computes_on_a_device_as_in_memory(rng, order):
    pytest.importorskip("torch")
    here = tdlab.gaussian_tensor(6, order, rng=rng)
    there = here.to("cpu:0")
    rows = rng.standard_normal((5, 6))
    image = there.mttkrp(there.lift(rows))
    assert type(image).__module__ == "torch"
    np.testing.assert_allclose(to_numpy(image), here.mttkrp(rows), rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(there.mttkrp(rows), here.mttkrp(rows))


@pytest.mark.parametrize("unit", [False, True])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_forty_steps_agree_to_nine_digits(asarray, penalty, unit):
    truth = tdlab.sample_network(10, 16, "He3", "sphere", rng=0).weights
    start = np.random.default_rng(1).standard_normal((16, 10)) * 0.3
    ends = []
    for lift in (np.asarray, asarray):
        tensor = tdlab.FactoredTensor(lift(truth))
        run = Descent(
            Target.of(tensor, 16), lift(start), Effort(Budget(), 40), PENALTIES[penalty], unit=unit
        )
        for mu in np.geomspace(1.0, 0.01, 40):
            run.step(float(mu), 60, 0.1, single=False, floor=1e-4)
        ends.append((to_numpy(run.rows), run.loss))
    np.testing.assert_allclose(ends[1][0], ends[0][0], atol=1e-9)
    assert ends[1][1] == pytest.approx(ends[0][1], rel=1e-9)


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("homotopy", {}),
        ("homotopy", {"norms": "unit"}),
        ("lbfgs", {}),
        ("lbfgs", {"norms": "unit"}),
        ("power", {}),
    ],
)
def test_methods_give_the_same_components(asarray, method, options):
    truth = np.linalg.qr(np.random.default_rng(5).standard_normal((10, 10)))[0]
    if method != "power":
        truth = tdlab.sample_network(10, 13, "He3", "sphere", rng=0).weights
    weights = None if method != "power" else np.arange(1.0, 11.0)
    found = [
        tdlab.decompose(
            tdlab.FactoredTensor(lift(truth), weights),
            len(truth),
            method,
            rng=0,
            noise=0.0,
            **options,
        )
        for lift in (np.asarray, asarray)
    ]
    assert all(result.success and type(result.components) is np.ndarray for result in found)
    np.testing.assert_allclose(found[1].components, found[0].components, atol=1e-9)


def test_devices_that_are_not_there_are_refused_in_one_line():
    tensor = tdlab.FactoredTensor(np.eye(3))
    with pytest.raises(tdlab.InputError, match="device: got 'nowhere'") as caught:
        tensor.to("nowhere")
    assert "\n" not in str(caught.value)
