"""The front door: what `decompose` accepts, refuses and reports."""

import dataclasses
import sys
import types

import numpy as np
import pytest

import tdlab
from tdlab import InputError, Status, plugins
from tdlab.algorithms.base import finish


def test_arrays_are_accepted(rng):
    w = rng.standard_normal((2, 6))
    result = tdlab.decompose(np.einsum("ri,rj,rk->ijk", w, w, w), 2, rng=0)
    assert result.success and tdlab.match(result.components, w).recovered == 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "jenrich"}, "method: got 'jenrich'.*did you mean 'jennrich'"),
        ({"rank": 0}, "rank: got 0, wanted an integer >= 1"),
        ({"rank": 2.5}, "rank: got 2.5"),
        ({"rank": 10**6}, "rank: got 1000000, wanted at most 32768: the Gram matrix"),
        ({"method": "lm", "restart": 3}, "method 'lm': got option 'restart', wanted restarts"),
        ({"method": "lm", "restarts": "3"}, "option 'restarts': got '3', wanted int"),
        ({"method": "lm", "restarts": 0}, "option 'restarts': got 0, wanted an integer >= 1"),
        ({"method": "lm", "restarts": True}, "option 'restarts': got True, wanted int"),
        ({"method": "tensorly-als", "init": "svg"}, "option 'init': got 'svg'.*did you mean 'svd'"),
        ({"noise": -0.1}, "noise: got -0.1"),
        ({"noise": float("nan")}, "noise: got nan"),
        ({"max_seconds": "soon"}, "max_seconds: got 'soon'"),
    ],
)
def test_bad_requests_are_refused_in_one_line(arguments, message):
    with pytest.raises(InputError, match=message) as caught:
        tdlab.decompose(tdlab.FactoredTensor(np.eye(3)), **{"rank": 3, **arguments})
    assert "\n" not in str(caught.value)


def test_a_zero_tensor_is_unsupported():
    result = tdlab.decompose(np.zeros((3, 3, 3)), 2)
    assert result.status is Status.UNSUPPORTED and "zero" in result.message


def test_jennrich_above_its_dimension_is_unsupported():
    result = tdlab.decompose(tdlab.gaussian_tensor(4, rng=0), 5, "jennrich")
    assert result.status is Status.UNSUPPORTED and "rank <= 4" in result.message


def test_fewer_components_than_asked_are_not_padded():
    result = tdlab.decompose(tdlab.FactoredTensor(np.eye(5)[:2]), 4, "lm", rng=0, restarts=20)
    assert result.success and len(result.components) <= 4
    assert (result.weights > 0).all()


def test_noise_counts_only_where_the_fit_beats_the_null():
    recovered = []
    for seed in range(5):
        truth = tdlab.sample_network(10, 8, "He3", "sphere", rng=seed).weights
        array = tdlab.FactoredTensor(truth).dense()
        error = tdlab.gaussian_tensor(10, norm=0.1 * np.linalg.norm(array), rng=seed).dense()
        noisy = tdlab.DenseTensor(array + error)
        exact = tdlab.decompose(noisy, 8, "lm", rng=0, noise=0.0)
        assert not exact.success
        found = tdlab.decompose(noisy, 8, "lm", rng=0, noise=0.1)
        if found.success:
            recovered.append(tdlab.match(found.components, truth, threshold=0.97).recovered)
    # Components that nearly coincide are lost in that noise: most draws have none.
    assert len(recovered) >= 3 and np.mean(np.array(recovered) == 1.0) > 0.5
    nothing = tdlab.decompose(tdlab.gaussian_tensor(10, rng=2), 8, "lm", rng=0, noise=0.99)
    assert not nothing.success and nothing.status is Status.BELOW_NOISE


def test_the_record_says_what_a_user_must_know():
    for record in tdlab.methods():
        assert record.guarantee and record.cost and record.source and record.version >= 1
        reach = record.reach(20, 3)
        assert reach is None or reach >= 1


def test_results_print_and_cannot_be_changed():
    result = tdlab.decompose(tdlab.FactoredTensor(np.eye(3)), 3)
    assert "status: converged" in repr(result)
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.success = False


@dataclasses.dataclass(frozen=True)
class Oracle:
    """A plug-in that knows the answer."""

    name = "oracle"
    orders = (3,)
    version = 1
    guarantee = "exact"
    cost = "none"
    source = "a test"

    def reach(self, dim, order):
        return dim

    def limit(self, dim, order):
        return None

    def run(self, tensor, rank, *, rng, budget):
        return finish(self, tensor, rank, budget, components=np.eye(tensor.dim)[:rank])


def test_a_plug_in_joins_by_an_entry_point(monkeypatch, tmp_path):
    module = types.ModuleType("a_plugin")
    module.Oracle = Oracle
    monkeypatch.setitem(sys.modules, "a_plugin", module)
    info = tmp_path / "oracle_pack-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: oracle-pack\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[tdlab.methods]\noracle = a_plugin:Oracle\n")
    monkeypatch.syspath_prepend(tmp_path)
    plugins._found.cache_clear()
    try:
        assert "oracle" in [m.name for m in tdlab.methods()]
        assert tdlab.decompose(tdlab.FactoredTensor(np.eye(3)), 3, "oracle").success
    finally:
        monkeypatch.undo()
        plugins._found.cache_clear()
    assert "oracle" not in [m.name for m in tdlab.methods()]


def test_a_method_object_serves_as_well_as_a_name():
    result = tdlab.decompose(tdlab.FactoredTensor(np.eye(3)), 2, Oracle())
    assert not result.success and result.method == "oracle"


@pytest.mark.parametrize("method", ["lm", "lbfgs"])
def test_a_seed_shared_with_the_teacher_does_not_start_at_it(method):
    """(20, 72) is beyond one start of either: recovery would mean that it began at the answer."""
    for seed in (0, 1):
        net = tdlab.sample_network(20, 72, "x**3", "sphere", rng=seed)
        result = tdlab.decompose(net.hermite_tensor(3), 72, method, rng=seed, restarts=1, noise=0.0)
        assert not result.success
