"""Sums, multiples and what is left of a tensor: lazy operators against arrays, and memory."""

import tracemalloc

import numpy as np
import pytest

import tdlab
from tdlab import DenseTensor, FactoredTensor, HermiteMomentTensor, InputError, Status
from tdlab.algorithms import refusals as _refusal
from tdlab.algorithms.refusals import refusal
from tdlab.algorithms.registry import get_method
from tdlab.tensors import SumTensor, SymmetricTensor, weighted_sum

ORDERS = [2, 3, 4, 5]
KINDS = ["factored", "dense", "moment", "lazy"]


def known(rng, order, dim=3, rank=4):
    return FactoredTensor(rng.standard_normal((rank, dim)), rng.standard_normal(rank), order)


def moment(rng, order, dim=3, n=30, max_bytes=0):
    X, y = rng.standard_normal((n, dim)), rng.standard_normal(n)
    return HermiteMomentTensor(X, y, order, max_bytes=max_bytes)


def held(kind, rng, order):
    tensors = {
        "factored": lambda: known(rng, order),
        "dense": lambda: tdlab.gaussian_tensor(3, order, rng=rng),
        "moment": lambda: moment(rng, order),
        "lazy": lambda: moment(rng, order) - 0.5 * known(rng, order),
    }
    return tensors[kind]()


class Bare(SymmetricTensor):
    """What a class of someone else's defines: the actions alone."""

    def __init__(self, array):
        self.inside = DenseTensor(array)
        self.order, self.dim = array.ndim, len(array)

    def norm(self):
        return self.inside.norm()

    def mttkrp(self, factors):
        return self.inside.mttkrp(factors)

    def contract(self, *vectors):
        return self.inside.contract(*vectors)

    def rotate(self, rotation):
        return Bare(self.inside.rotate(rotation).dense())

    def dense(self, max_bytes=2**30):
        return self.inside.dense()

    def _flat_apply(self, vector, rows):
        return self.inside._flat_apply(vector, rows)

    def to(self, device):
        return self.inside.to(device)


def assert_acts_as(tensor, array, rng, atol=1e-11):
    order, dim = array.ndim, len(array)
    close = {"rtol": 1e-9, "atol": atol}
    told = DenseTensor(array)
    factors = rng.standard_normal((5, dim))
    v, turn = rng.standard_normal(dim), rng.standard_normal((dim + 1, dim))
    np.testing.assert_allclose(tensor.dense(), array, **close)
    np.testing.assert_allclose(tensor.norm(), told.norm(), **close)
    np.testing.assert_allclose(tensor.mttkrp(factors), told.mttkrp(factors), **close)
    np.testing.assert_allclose(tensor.evaluate(factors), told.evaluate(factors), **close)
    np.testing.assert_allclose(tensor.contract(v), told.contract(v), **close)
    np.testing.assert_allclose(tensor.contract(factors), told.contract(factors), **close)
    np.testing.assert_allclose(tensor.rotate(turn).dense(), told.rotate(turn).dense(), **close)
    np.testing.assert_allclose(tensor.packed(), told.packed(), **close)
    np.testing.assert_allclose(tensor.mode_gram(), told.mode_gram(), **close)
    for rows in range(1, order):
        flat = array.reshape(dim**rows, -1)
        w = rng.standard_normal(flat.shape[1])
        np.testing.assert_allclose(tensor.flattening(rows) @ w, flat @ w, **close)
        np.testing.assert_allclose(tensor.catalecticant(rows), told.catalecticant(rows), **close)
    other = known(rng, order, dim)
    np.testing.assert_allclose(tensor.inner(other), told.inner(other), **close)
    np.testing.assert_allclose(tensor.inner(told), told.inner(told), **close)
    assert tensor.magnitude() >= told.norm() ** 2 * (1 - 1e-9)
    unit, exponent = tensor.at_unit_scale()
    np.testing.assert_allclose(np.ldexp(unit.dense(), exponent), array, **close)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", KINDS)
def test_multiples_and_what_is_left_act_as_their_arrays(kind, order, rng):
    tensor = held(kind, rng, order)
    array = tensor.dense()
    rows, weights = rng.standard_normal((2, 3)), rng.standard_normal(2)
    assert_acts_as(tensor.scaled(-1.5), -1.5 * array, rng)
    taken = FactoredTensor(rows, weights, order).dense()
    assert_acts_as(tensor.minus(rows, weights), array - taken, rng)
    assert tensor.minus(rows[:0], weights[:0]) is tensor


@pytest.mark.parametrize("second", KINDS)
@pytest.mark.parametrize("first", KINDS)
def test_sums_act_as_the_sums_of_arrays(first, second, rng):
    a, b = held(first, rng, 3), held(second, rng, 3)
    assert_acts_as(2.0 * a - b, 2.0 * a.dense() - b.dense(), rng)
    assert_acts_as(np.float64(0.5) * b + a, 0.5 * b.dense() + a.dense(), rng)


@pytest.mark.parametrize("order", ORDERS)
def test_actions_alone_make_a_tensor(order, rng):
    tensor = Bare(tdlab.gaussian_tensor(3, order, rng=rng).dense())
    assert_acts_as(tensor, tensor.dense(), rng)
    assert tensor.terms() is None and not tensor.entries_at_hand
    assert_acts_as(-tensor, -tensor.dense(), rng)
    one = rng.standard_normal((1, 3))
    rest = tensor.minus(one, np.ones(1))
    assert isinstance(rest, SumTensor)
    assert_acts_as(rest, tensor.dense() - FactoredTensor(one, order=order).dense(), rng)


def test_terms_stay_terms_and_arrays_stay_arrays(rng):
    factored, dense, lazy = (held(kind, rng, 3) for kind in ("factored", "dense", "moment"))
    assert len((factored + factored).minus(np.eye(3), np.ones(3)).terms()[1]) == 11
    assert type(dense - factored) is type(factored - dense) is DenseTensor
    both = lazy - factored - factored + dense + dense
    assert isinstance(both, SumTensor) and len(both.parts) == 2
    within = moment(rng, 3, max_bytes=8 * 27)
    assert type(within.minus(np.eye(3), np.ones(3))) is DenseTensor


def test_the_norm_of_what_is_left_keeps_its_digits_where_the_array_is_never_formed(rng):
    # sum_i y_i He_3(x_i) / (3! n) = sum_i y_i (x_i^3 - 3 Sym(x_i I)) / (3! n), and
    # (s + e)^3 + (s - e)^3 = 2 s^3 + 6 Sym(s e e): a moment tensor is a sum of known terms.
    X, y = rng.standard_normal((20, 4)), rng.standard_normal(20)
    tensor = HermiteMomentTensor(X, y, max_bytes=0)
    eye, coefficients = np.eye(4), y / (6 * len(y))
    rows = [X, *(np.vstack([x + eye, x - eye]) for x in X), X]
    weights = [coefficients, *(np.full(8, -c / 2) for c in coefficients), 4 * coefficients]
    rest = tensor.minus(np.vstack(rows), np.concatenate(weights))
    assert isinstance(rest, SumTensor)
    # Squares alone would end at 1e-8.
    assert rest.norm() < 1e-13 * tensor.norm()
    small = rest + FactoredTensor(np.eye(4)[:1], [1e-7 * tensor.norm()])
    assert small.norm() == pytest.approx(1e-7 * tensor.norm(), rel=1e-6)


@pytest.mark.parametrize("unit", [1e-200, 1e200])
def test_sums_in_any_unit_have_a_norm(unit, rng):
    X, y = rng.standard_normal((30, 3)), rng.standard_normal(30)
    terms = known(rng, 3)
    plain = HermiteMomentTensor(X, y, max_bytes=0) - terms
    tiny = HermiteMomentTensor(X, unit * y, max_bytes=0) - terms.scaled(unit)
    assert tiny.norm() == pytest.approx(unit * plain.norm(), rel=1e-7)
    scaled, exponent = tiny.in_plain_units()
    assert 0.1 < scaled.norm() < 10
    assert float(np.ldexp(scaled.norm(), exponent)) == pytest.approx(tiny.norm(), rel=1e-7)


def test_rounding_of_the_data_is_a_larger_share_of_what_is_left(rng):
    rows = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    coarse = DenseTensor(FactoredTensor(rows, [1.0, 1.0, 1.0, 1e-3]).dense().astype(np.float32))
    rest = coarse.minus(rows[:3], np.ones(3))
    assert rest.rounding == pytest.approx(coarse.rounding * coarse.norm() / rest.norm())
    assert (coarse - FactoredTensor(rows[:3])).rounding == pytest.approx(rest.rounding)
    assert coarse.scaled(2.0).rounding == coarse.rounding


def test_what_does_not_add_up_is_refused(rng):
    tensor = known(rng, 3)
    with pytest.raises(InputError, match=r"tensors: got shapes .* wanted one or more tensors of"):
        tensor + known(rng, 4)
    with pytest.raises(InputError, match="a: got 1 NaN or infinite entries"):
        tensor.scaled(np.inf)
    with pytest.raises(InputError, match="coefficients: got 1, wanted 2"):
        weighted_sum([tensor, tensor], [1.0])
    with pytest.raises(TypeError):
        tensor + 1.0
    with pytest.raises(TypeError):
        tensor * tensor


@pytest.mark.torch
def test_torch_computes_the_same(rng):
    tensor = moment(rng, 3) - known(rng, 3)
    factors = rng.standard_normal((5, 3))
    there = tensor.to("cpu")
    found = there.scaled(2.0).minus(factors, np.ones(5)).mttkrp(there.lift(factors))
    assert type(found).__module__ == "torch"
    expected = tensor.scaled(2.0).minus(factors, np.ones(5)).mttkrp(factors)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9, atol=1e-11)
    with pytest.raises(InputError, match="got parts held in 2 places"):
        tensor + there


def test_a_moment_tensor_of_large_dimension_is_deflated_without_its_array():
    # 560^3 doubles are 1.4 GB.
    dim, n, rank = 560, 40, 20
    net = tdlab.sample_network(dim, rank, "He3", "sphere", rng=0)
    X, y = net.sample(n, rng=1)
    tensor, w = HermiteMomentTensor(X, y), net.weights
    tracemalloc.start()
    try:
        rest = tensor.minus(w, net.output_weights).scaled(0.5)
        norm, values = rest.norm(), rest.evaluate(w)
        found = rest.mttkrp(w)
        again = rest.minus(w[:3], np.ones(3)).evaluate(w)
        unit, exponent = rest.at_unit_scale()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 50 * 2**20
    # He_3(x) contracted with w^3 is t^3 - 3 |w|^2 t; known terms give a_i <w_i, w_j>^3.
    t = X @ w.T
    squares = (w**2).sum(axis=1)
    cubes = (w @ w.T) ** 3
    hermite = y @ (t**3 - 3 * squares * t) / (6 * n)
    np.testing.assert_allclose(values, (hermite - cubes @ net.output_weights) / 2, rtol=1e-9)
    np.testing.assert_allclose((found * w).sum(axis=1), values, rtol=1e-9)
    np.testing.assert_allclose(again, values - cubes[:, :3].sum(axis=1), rtol=1e-9)
    # |T - S|^2 = |T|^2 - 2 <T, S> + |S|^2.
    terms = net.output_weights @ cubes @ net.output_weights
    squared = tensor.norm() ** 2 - 2 * net.output_weights @ hermite + terms
    assert norm == pytest.approx(np.sqrt(squared) / 2, rel=1e-9)
    assert np.ldexp(unit.norm(), exponent) == pytest.approx(norm, rel=1e-9)
    with pytest.raises(InputError, match=r"needs 1404928000 bytes, wanted at most max_bytes="):
        rest.dense()


@pytest.mark.parametrize("method", ["power", "pipe", "jennrich"])
def test_methods_find_the_same_where_no_array_is_ever_formed(method, rng):
    net = tdlab.sample_network(5, 2, "He3", "sphere", rng=3)
    X, y = net.sample(1000, rng=4)
    lazy, dense = HermiteMomentTensor(X, y, max_bytes=0), HermiteMomentTensor(X, y)
    wanted = tdlab.decompose(dense, 2, method, rng=0, noise=0.0).components
    for tensor in (lazy, lazy - 1e-9 * known(rng, 3, 5)):
        found = tdlab.decompose(tensor, 2, method, rng=0, noise=0.0).components
        assert tdlab.match(found, wanted).worst > 1 - 1e-5


X560 = np.random.default_rng(0).standard_normal((5, 560))
MATRIX = FactoredTensor(np.random.default_rng(0).standard_normal((2, 12_000)), order=2)


@pytest.mark.parametrize(
    "method",
    ["tensorly-als", "tensorly-power", "pyttb-als", "hsss", "largest", "sos", "eigen", "auto"],
)
def test_a_method_that_needs_the_array_says_so_before_it_runs(method):
    matrix = method in ("eigen", "auto")
    tensor = MATRIX if matrix else HermiteMomentTensor(X560, np.ones(5))
    result = tdlab.decompose(tensor, 1, method, rng=0)
    assert result.status is Status.UNSUPPORTED
    assert f"'{method}' needs" in result.message and "takes at most" in result.message
    assert str(tensor.shape) in result.message and result.message.endswith(".")


@pytest.mark.parametrize("method", ["hsss", "largest"])
def test_known_terms_need_no_array(method):
    assert not refusal(get_method(method), FactoredTensor(X560), 1)
    assert "needs" in refusal(get_method(method), HermiteMomentTensor(X560, np.ones(5)), 1)


def test_the_rank_of_a_matrix_that_is_too_large_is_not_told():
    told = tdlab.estimate_rank(MATRIX)
    assert told.rank is None and "1152000000 bytes" in told.message


class TooLarge(HermiteMomentTensor):
    """A moment tensor at a small size that stands for one whose array does not fit."""

    array_bytes = 2**40

    def dense(self, max_bytes=2**30):
        raise AssertionError(f"asked for the array of shape {self.shape}")


# Beyond the sizes that are small whatever the tensor is made of.
@pytest.mark.parametrize(("order", "dim"), [(3, 70), (4, 25), (5, 13)])
def test_no_method_asks_for_an_array_that_it_did_not_declare(order, dim, monkeypatch):
    monkeypatch.setattr(_refusal, "ARRAY_BYTES", 0)  # what declares anything is not run
    X, y = np.random.default_rng(0).standard_normal((2, 30, dim))
    tensor = TooLarge(X, y[:, 0], order, max_bytes=0)
    assert tensor.minus(X[:2], np.ones(2)).parts[0] is tensor
    ran = []
    for record in tdlab.methods(order=order):
        result = tdlab.decompose(tensor, 1, record.name, rng=0, max_seconds=0.5)
        if "takes at most 0" not in result.message:
            ran.append(record.name)
    assert "homotopy" in ran and "lbfgs" in ran and "tensorly-als" not in ran
    told = tdlab.estimate_rank(tensor, rng=0, max_seconds=0.5, max_rank=2)
    assert told.rank is None and told.message
