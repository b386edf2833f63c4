"""Certificates: never below the truth, tight where they must be, honest where they fail."""

import numpy as np
import pytest

import tdlab
from tdlab import InputError
from tdlab.sos.basis import Relaxation
from tdlab.sos.forms import Form
from tdlab.sos.maximize import maximisers
from tdlab.sos.rigor import upper_bound


def on_circle(count):
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def on_sphere(count):
    """A spiral grid on the sphere in three dimensions."""
    height = np.linspace(-1, 1, count)
    angle = np.pi * (1 + 5**0.5) * np.arange(count)
    radius = np.sqrt(1 - height**2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), height], axis=1)


@pytest.mark.parametrize("order", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("grid", [on_circle(200_000), on_sphere(200_000)], ids=["d=2", "d=3"])
def test_brute_force_lies_within_the_bounds(grid, order, seed):
    tensor = tdlab.gaussian_tensor(grid.shape[1], order, rng=seed)
    certificate = tdlab.sos.certify(tensor, rng=0)
    best = tensor.evaluate(grid).max()
    assert certificate.status == "certified"
    # The grid misses the maximiser by about 1e-2, so by 1e-4 in the value.
    assert certificate.upper_bound - 1e-3 <= best <= certificate.upper_bound
    assert best <= certificate.lower_bound * (1 + 1e-12)


@pytest.mark.parametrize("dim, order, degree", [(12, 3, 4), (20, 3, 4), (6, 3, 6), (8, 4, 4)])
def test_random_forms_are_tight_and_no_start_beats_the_bound(dim, order, degree, rng):
    tensor = tdlab.gaussian_tensor(dim, order, rng=7)
    certificate = tdlab.sos.certify(tensor, degree, rng=0)
    assert certificate.status == "certified" and 0.0 <= certificate.gap <= 1e-8
    points = maximisers(tensor, rng)
    assert tensor.evaluate(points).max() <= certificate.upper_bound
    value = tensor.evaluate(certificate.maximizer[None])[0]
    assert certificate.lower_bound == pytest.approx(value, rel=1e-12)
    assert np.linalg.norm(certificate.maximizer) == pytest.approx(1.0)


@pytest.mark.parametrize("order", [3, 4])
@pytest.mark.parametrize("dim", [2, 5, 12])
def test_orthogonal_tensors_have_their_largest_coefficient(dim, order, rotation):
    weights = np.linspace(1.0, 2.0, dim)
    tensor = tdlab.FactoredTensor(rotation(dim), weights, order)
    certificate = tdlab.sos.certify(tensor, rng=0)
    assert certificate.status == "certified"
    assert certificate.lower_bound <= 2.0 <= certificate.upper_bound
    assert certificate.upper_bound == pytest.approx(2.0, rel=1e-8)


@pytest.mark.parametrize("order", [3, 4])
def test_exact_ties_are_certified(order, rotation):
    certificate = tdlab.sos.certify(tdlab.FactoredTensor(rotation(8), order=order), rng=0)
    assert certificate.status == "certified"
    assert certificate.lower_bound <= 1.0 <= certificate.upper_bound


def test_a_form_that_is_constant_on_the_sphere():
    identity = np.einsum("ij,kl->ijkl", np.eye(4), np.eye(4))
    for sign in (1.0, -1.0):
        certificate = tdlab.sos.certify(tdlab.symmetrize(sign * identity), rng=0)
        assert certificate.status == "certified"
        assert certificate.lower_bound <= sign <= certificate.upper_bound


def test_rotations_leave_the_bounds_and_turn_the_maximiser(rotation):
    tensor, turn = tdlab.gaussian_tensor(10, rng=3), rotation(10)
    first = tdlab.sos.certify(tensor, rng=0)
    second = tdlab.sos.certify(tensor.rotate(turn), rng=1)
    assert second.upper_bound == pytest.approx(first.upper_bound, rel=1e-8)
    np.testing.assert_allclose(second.maximizer, turn @ first.maximizer, atol=1e-6)


@pytest.mark.parametrize("scale", [1e-320, 1e-200, 1e-8, 1e8, 1e150, 1e300])
def test_scales_carry_over(scale):
    array = tdlab.gaussian_tensor(4, rng=0).dense()
    small, large = tdlab.sos.certify(array, rng=0), tdlab.sos.certify(scale * array, rng=0)
    assert large.status == "certified"
    assert large.lower_bound <= large.upper_bound
    assert large.upper_bound == pytest.approx(scale * small.upper_bound, rel=1e-8, abs=1e-322)


def test_dense_factored_and_array_agree(rng):
    factored = tdlab.FactoredTensor(rng.standard_normal((9, 6)))
    bounds = [
        tdlab.sos.certify(t, rng=0).upper_bound
        for t in (factored, tdlab.DenseTensor(factored.dense()), factored.dense())
    ]
    np.testing.assert_allclose(bounds, bounds[0], rtol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_a_wrong_maximiser_never_certifies(seed, rng):
    tensor = tdlab.gaussian_tensor(10, rng=seed)
    truth = tdlab.sos.certify(tensor, rng=0)
    starts = rng.standard_normal((100, 10))
    wrong = 0
    for start in starts[:4]:
        certificate = tdlab.sos.certify(tensor, maximizer=start, max_iterations=60, rng=0)
        assert certificate.upper_bound >= truth.lower_bound
        if certificate.lower_bound < truth.lower_bound * (1 - 1e-6):
            wrong += 1
            assert certificate.status != "certified" and certificate.gap > 1e-6
            # This relaxation is tight: the message must not say that the gap is the degree's.
            if certificate.status == "gap":
                assert "not the maximiser" in certificate.message
    assert wrong > 0, "every start led to the maximiser: the test tests nothing"


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_an_early_stop_leaves_valid_bounds(steps):
    tensor = tdlab.gaussian_tensor(15, rng=0)
    truth = tdlab.sos.certify(tensor, rng=0)
    stopped = tdlab.sos.certify(tensor, max_iterations=steps, rng=0)
    assert stopped.status == "stopped" and "max_iterations" in stopped.message
    assert stopped.upper_bound > truth.upper_bound and stopped.nit == steps
    late = tdlab.sos.certify(tensor, max_seconds=0.0, rng=0)
    assert late.status == "stopped" and "max_seconds" in late.message
    assert late.upper_bound >= truth.lower_bound


def test_the_zero_tensor_is_certified():
    certificate = tdlab.sos.certify(np.zeros((3, 3, 3)))
    assert certificate.upper_bound == certificate.lower_bound == certificate.gap == 0.0
    assert certificate.status == "certified"


@pytest.mark.parametrize("order", [2, 3, 4, 5, 6, 7])
def test_one_variable(order):
    certificate = tdlab.sos.certify(-2.0 * np.ones((1,) * order), rng=0)
    assert certificate.status == "certified"
    truth = 2.0 if order % 2 else -2.0
    assert certificate.lower_bound <= truth <= certificate.upper_bound
    assert certificate.maximizer[0] == -1.0 or order % 2 == 0


@pytest.mark.parametrize("order, signs", [(3, [1.0, 1.0]), (4, [1.0, -1.0])])
def test_terms_that_cancel_leave_their_rounding(order, signs, rng):
    row = rng.standard_normal((1, 5))
    rows = np.vstack([row, -row])
    certificate = tdlab.sos.certify(tdlab.FactoredTensor(rows, signs, order), rng=0)
    assert certificate.status == "gap" and "cancel" in certificate.message
    assert certificate.lower_bound <= 0.0 <= certificate.upper_bound <= 1e-12


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_the_length_of_a_maximiser_does_not_matter(scale):
    tensor = tdlab.gaussian_tensor(4, rng=0)
    best = tdlab.sos.certify(tensor, rng=0)
    again = tdlab.sos.certify(tensor, maximizer=scale * best.maximizer, rng=0)
    assert again.status == "certified"
    np.testing.assert_allclose(again.maximizer, best.maximizer, atol=1e-9)


@pytest.mark.parametrize("solver", ["admm", "clarabel", "scs"])
def test_no_iterations_at_all(solver):
    tensor = tdlab.gaussian_tensor(4, rng=0)
    stopped = tdlab.sos.certify(tensor, solver=solver, max_iterations=0, rng=0)
    assert stopped.status == "stopped" and stopped.solver == "norm"
    assert stopped.upper_bound >= tensor.norm() >= stopped.lower_bound


def test_any_matrix_gives_a_bound(rng):
    """The proof step alone: whatever matrix and guess it is handed, the bound holds."""
    tensor = tdlab.gaussian_tensor(5, rng=0)
    form, relaxation = Form.of(tensor, 2**20), Relaxation(5, 3, 4)
    target = form.target(relaxation)
    best = tdlab.sos.certify(tensor, rng=0).lower_bound / 2.0**form.exponent
    for guess in (-1e3, 0.0, 1e-3, 1e3):
        for scale in (0.0, 1e-3, 1.0):
            matrix = scale * rng.standard_normal((relaxation.size,) * 2)
            matrix += matrix.T
            assert upper_bound(relaxation, target, matrix, guess) >= best
            relaxation.correct(matrix, target)
            assert upper_bound(relaxation, target, matrix, guess) >= best
    nothing = upper_bound(relaxation, target, np.zeros_like(matrix), 0.0)
    assert best <= nothing <= 4.0 * form.norm


def test_memory_is_computed_first_and_refused():
    tensor = tdlab.FactoredTensor(np.eye(200))
    with pytest.raises(InputError, match=r"^max_memory: got 1073741824 bytes, wanted at least"):
        tdlab.sos.certify(tensor)
    assert tdlab.sos.required_memory(200, 3, 4) > 2**30


def test_general_solvers_need_more_memory_and_are_refused_earlier():
    # Measured: Clarabel adds 837 MiB at d = 12, SCS 49 MiB at d = 20, beside CVXPY itself.
    needs = {s: tdlab.sos.required_memory(12, 3, 4, s) for s in ("auto", "scs", "clarabel")}
    assert needs["auto"] < needs["scs"] < needs["clarabel"]
    assert 837 * 2**20 < needs["clarabel"] < 2 * 837 * 2**20
    with pytest.raises(InputError, match=r"^max_memory: got .* with solver='clarabel'"):
        tdlab.sos.certify(tdlab.gaussian_tensor(16, rng=0), solver="clarabel")


@pytest.mark.parametrize(
    "options, message",
    [
        ({"degree": 5}, "degree: got 5, wanted an even number >= 4"),
        ({"degree": 2}, "degree: got 2"),
        ({"solver": "mosek"}, "solver: got 'mosek'"),
        ({"maximizer": np.zeros(3)}, "maximizer: got the zero vector"),
        ({"maximizer": np.ones(4)}, "maximizer: got shape"),
        ({"tolerance": -1.0}, "tolerance: got"),
        ({"max_iterations": 1.5}, "max_iterations: got"),
        ({"max_seconds": -1}, "max_seconds: got"),
        ({"max_memory": float("nan")}, "max_memory: got nan"),
        ({"max_memory": "1G"}, "max_memory: got '1G'"),
    ],
)
def test_bad_input_is_one_line(options, message):
    with pytest.raises(InputError) as caught:
        tdlab.sos.certify(tdlab.gaussian_tensor(3, rng=0), **options)
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


def test_arrays_are_checked():
    for bad in (np.ones((2, 3)), np.full((2, 2, 2), np.nan), np.arange(8.0).reshape(2, 2, 2)):
        with pytest.raises(InputError):
            tdlab.sos.certify(bad)
    with pytest.raises(InputError, match=r"^tensor: got a Flattening4"):
        tdlab.sos.certify(tdlab.Flattening4(np.eye(9)))


def test_bounds_beyond_the_doubles_are_still_bounds():
    certificate = tdlab.sos.certify(np.full((3, 3, 3), 1e308))
    assert certificate.upper_bound == np.inf
    assert certificate.lower_bound == np.finfo(float).max
