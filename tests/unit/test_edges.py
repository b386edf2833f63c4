"""Every method at the edges: one or two dimensions, torch tensors, broken linear algebra."""

import numpy as np
import pytest
from scipy.sparse.linalg import ArpackNoConvergence

import tdlab
from tdlab import Status
from tdlab.algorithms.registry import get_method

CASES = [(order, one.name) for order in (2, 3, 4, 5) for one in tdlab.methods(order=order)]


@pytest.mark.parametrize(("order", "name"), CASES)
def test_tiny_dimensions_give_a_result_or_a_status(order, name):
    for dim in (1, 2):
        for rank in (1, 2):
            rows = np.random.default_rng(10 * dim + rank).standard_normal((rank, dim))
            tensor = tdlab.FactoredTensor(rows, order=order)
            for held in (tensor, tdlab.DenseTensor(tensor.dense())):
                result = tdlab.decompose(held, rank, name, rng=0, max_seconds=5)
                assert np.isfinite(result.residual) and np.isfinite(result.weights).all()
                np.testing.assert_allclose(np.linalg.norm(result.components, axis=1), 1.0)
                if result.success:
                    fitted = result.tensor().dense()
                    np.testing.assert_allclose(fitted, tensor.dense(), atol=1e-5 * tensor.norm())


@pytest.mark.parametrize("order", [3, 4])
def test_every_method_takes_a_tensor_held_by_torch(order):
    pytest.importorskip("torch")
    tensor = tdlab.sample_network(8, 6, f"He{order}", "sphere", rng=0).hermite_tensor(order)
    for held in (tensor.to("cpu"), tdlab.DenseTensor(tensor.dense()).to("cpu")):
        for one in tdlab.methods(order=order):
            if one.name.startswith(("tensorly", "pyttb", "ding", "schramm", "largest")):
                continue
            result = tdlab.decompose(held, 6, one.name, rng=0)
            assert result.success, (one.name, result.message)
            assert type(result.components) is np.ndarray


def test_a_cycling_active_set_is_no_exception(monkeypatch):
    def cycles(*_):
        raise RuntimeError("Maximum number of iterations reached.")

    monkeypatch.setattr("tdlab.algorithms.methods.rtpm.nnls", cycles)
    tensor = tdlab.FactoredTensor(np.eye(4)[:3])
    result = tdlab.decompose(tensor, 3, "rtpm", rng=0)
    assert not result.success and result.message


def test_a_solver_that_gives_up_is_a_status():
    class Stuck(type(get_method("jennrich"))):
        def run(self, tensor, rank, *, rng, budget):
            raise ArpackNoConvergence("no convergence", np.empty(0), np.empty((0, 0)))

    result = tdlab.decompose(tdlab.FactoredTensor(np.eye(3)), 3, Stuck(), rng=0)
    assert result.status is Status.BREAKDOWN and "no convergence" in result.message
