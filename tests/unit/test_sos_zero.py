"""Is a form nonnegative? Maxima of zero are certified or refuted, and limits of time hold."""

import itertools

import numpy as np
import pytest

import tdlab
from tdlab.sos import front
from tests.cases import form, forms_of_maximum_zero

CERTIFIED, GAP, STOPPED = "certified", "gap", "stopped"


def sums_of_squares():
    """-sum_j q_j^2 with quadratic forms or cubics q_j that share a zero, or a curve of them."""
    for dim, rank in ((3, 2), (4, 2), (6, 5)):
        half = np.random.default_rng(dim).standard_normal((dim, rank))
        yield f"the square of a form of rank {rank}, d = {dim}", [half @ half.T]
    for dim in (3, 5):
        matrix = np.random.default_rng(dim).standard_normal((dim, dim))
        yield f"the square of an indefinite form, d = {dim}", [matrix + matrix.T]
    for dim, terms in ((3, 2), (5, 8)):
        g = np.random.default_rng(10 * dim + terms)
        z = np.eye(dim)[0]
        made = []
        for _ in range(terms):
            matrix = g.standard_normal((dim, dim))
            matrix += matrix.T
            made.append(matrix - (z @ matrix @ z) * np.outer(z, z))
        yield f"{terms} squares with a common zero, d = {dim}", made
    g = np.random.default_rng(0)
    cubics = [tdlab.gaussian_tensor(3, rng=g).dense().copy() for _ in range(4)]
    for cubic in cubics:
        cubic[0, 0, 0] = 0.0
    yield "four squares of cubics, d = 3", cubics


def minus(parts):
    return -tdlab.symmetrize(sum(np.multiply.outer(part, part) for part in parts)).dense()


SUMS = dict(sums_of_squares())


@pytest.mark.parametrize("name", SUMS)
@pytest.mark.parametrize("scale", [1.0, 1e-200])
def test_minus_a_sum_of_squares_has_maximum_zero_certified(name, scale):
    array = scale * minus(SUMS[name])
    found = tdlab.sos.certify(array, rng=0)
    size = np.linalg.norm(array / scale) * scale
    assert found.status == CERTIFIED and found.gap <= 1e-8
    assert abs(found.upper_bound) <= 1e-9 * size and abs(found.lower_bound) <= 1e-9 * size
    assert found.lower_bound <= 0.0 <= found.upper_bound
    assert "The maximum is zero" in found.message


@pytest.mark.parametrize("name", SUMS)
@pytest.mark.parametrize("height", [1e-2, 1e-5])
def test_a_bump_at_a_zero_is_found_and_refutes(name, height):
    array = minus(SUMS[name])
    zero = tdlab.sos.certify(array, rng=0).maximizer
    bump = tdlab.FactoredTensor(zero[None], [height * np.linalg.norm(array)], array.ndim)
    found = tdlab.sos.certify(array + bump.dense(), rng=1)
    assert found.lower_bound > 0.9 * height * np.linalg.norm(array)
    x = found.maximizer
    assert tdlab.DenseTensor(array + bump.dense()).evaluate(x[None])[0] >= found.lower_bound
    assert found.status != CERTIFIED or "positive at the maximizer" in found.message


def test_a_nonnegative_form_plus_a_margin_is_negative_for_every_x():
    array = minus(SUMS["2 squares with a common zero, d = 3"])
    sphere = tdlab.symmetrize(np.multiply.outer(np.eye(3), np.eye(3))).dense()
    found = tdlab.sos.certify(array - 0.1 * sphere, rng=0)
    assert found.status == CERTIFIED and found.upper_bound == pytest.approx(-0.1, abs=1e-8)
    assert "negative for every x" in found.message


FORMS = {
    "Motzkin": ({(4, 2, 0): -1, (2, 4, 0): -1, (0, 0, 6): -1, (2, 2, 2): 3}, 3, 6),
    "Choi-Lam": (
        {(2, 2, 0, 0): -1, (0, 2, 2, 0): -1, (2, 0, 2, 0): -1, (0, 0, 0, 4): -1, (1, 1, 1, 1): 4},
        4,
        4,
    ),
    "Robinson": (
        {tuple(6 * (j == i) for j in range(3)): -1 for i in range(3)}
        | {tuple(p): 1 for p in itertools.permutations((4, 2, 0))}
        | {(2, 2, 2): -3},
        3,
        6,
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_forms_that_are_no_sums_of_squares_need_the_next_degree(name):
    array = form(*FORMS[name])
    size = np.linalg.norm(array)
    low = tdlab.sos.certify(array, rng=0)
    # An honest answer: a bound above zero, a pseudo-expectation that shows why, the next step.
    assert low.status == GAP and low.upper_bound > 1e-3 * size
    assert low.pseudo_value is not None and low.pseudo_value > 0.99 * low.upper_bound
    assert f"try degree={array.ndim + 2}" in low.message
    high = tdlab.sos.certify(array, degree=array.ndim + 2, rng=0)
    assert high.status == CERTIFIED and abs(high.upper_bound) <= 1e-9 * size
    assert "The maximum is zero" in high.message


def test_the_cases_of_maximum_zero():
    for name, array in forms_of_maximum_zero().items():
        degree = 8 if "Motzkin" in name else None
        found = tdlab.sos.certify(array, degree=degree, rng=0)
        assert found.status == CERTIFIED
        assert found.upper_bound == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("scale", [1e-320, 1e-300, 1e150, 1e305])
def test_bounds_hold_in_any_unit(scale):
    array = tdlab.gaussian_tensor(4, rng=0).dense()
    plain = tdlab.sos.certify(array, rng=0)
    found = tdlab.sos.certify(scale * array, rng=0)
    assert found.status == plain.status == CERTIFIED
    digits = 1e-2 if scale < 1e-310 else 1e-7
    assert found.upper_bound == pytest.approx(scale * plain.upper_bound, rel=digits)
    assert found.lower_bound <= found.upper_bound
    rows = np.random.default_rng(0).standard_normal((3, 4))
    small = tdlab.sos.certify(tdlab.FactoredTensor(1e-150 * rows), rng=0)
    assert small.status == CERTIFIED and 0.0 <= small.upper_bound <= 1e-300


def test_a_hosted_solver_gives_the_bound_of_one_in_this_process(monkeypatch):
    tensor = tdlab.gaussian_tensor(4, rng=0)
    here = tdlab.sos.certify(tensor, solver="clarabel", rng=0)
    monkeypatch.setattr(front, "_SMALL_SIZE", 0)
    hosted = tdlab.sos.certify(tensor, solver="clarabel", max_seconds=300.0, rng=0)
    assert hosted.status == here.status and hosted.solver == "clarabel"
    assert hosted.upper_bound == pytest.approx(here.upper_bound, rel=1e-9)


@pytest.mark.parametrize("solver", ["auto", "face", "admm", "clarabel", "scs"])
def test_every_solver_stops_on_time_with_bounds_that_hold(solver):
    # Clarabel takes ten seconds and more for each of these.
    tensor = tdlab.gaussian_tensor(12, rng=0)
    found = tdlab.sos.certify(tensor, solver=solver, max_seconds=1e-3, max_memory=2**32, rng=0)
    assert found.status == STOPPED and "max_seconds" in found.message
    best = tdlab.sos.certify(tensor, rng=0)
    assert found.upper_bound >= best.upper_bound * (1.0 - 1e-9)
    assert found.lower_bound <= best.upper_bound
