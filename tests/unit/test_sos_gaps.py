"""Forms whose relaxation has a gap, with maxima known exactly, by every solver."""

import itertools

import numpy as np
import pytest

import tdlab
from tdlab.sos.admm import Moments
from tdlab.sos.basis import Relaxation
from tdlab.sos.face import face
from tdlab.sos.forms import Form
from tdlab.sos.maximize import maximisers


def graph_quartic(adjacency):
    """sum over edges of x_i^2 x_j^2; its maximum is (1 - 1/omega)/2 (Motzkin and Straus 1965)."""
    dim = len(adjacency)
    array = np.zeros((dim,) * 4)
    for i, j in itertools.combinations(range(dim), 2):
        for place in set(itertools.permutations((i, i, j, j))):
            array[place] = adjacency[i, j] / 6.0
    return array


def cycle(size):
    shift = np.roll(np.eye(size), 1, axis=1)
    return shift + shift.T


def wheel(size):
    out = np.ones((size + 1, size + 1)) - np.eye(size + 1)
    out[:size, :size] = cycle(size)
    return out


def complement(adjacency):
    return 1.0 - adjacency - np.eye(len(adjacency))


def paley(prime):
    squares = {i * i % prime for i in range(1, prime)}
    numbers = range(prime)
    return np.array([[float((i - j) % prime in squares) for j in numbers] for i in numbers])


def icosahedron():
    golden = (1.0 + 5.0**0.5) / 2.0
    corners = []
    for one, other in itertools.product((1.0, -1.0), (golden, -golden)):
        corners += [(0.0, one, other), (one, other, 0.0), (other, 0.0, one)]
    points = np.array(corners)
    return np.isclose(np.linalg.norm(points[:, None] - points, axis=2), 2.0).astype(float)


# Graph, clique number omega, theta, whether degree 6 closes the gap. Degree 4 proves
# (1 - 1/theta) / 2 with the Lovasz number of the complement (de Klerk and Pasechnik 2002); for the
# cycles theta(C_n) = n cos(pi/n) / (1 + cos(pi/n)) (Lovasz 1979).
COSINE = np.cos(np.pi / 7)
GRAPHS = {
    "C5": (cycle(5), 2, 5**0.5, True),
    "W5": (wheel(5), 3, 1 + 5**0.5, True),
    "C7-complement": (complement(cycle(7)), 3, 7 * COSINE / (1 + COSINE), True),
    "Paley-13": (paley(13), 3, 13**0.5, True),
    "icosahedron": (icosahedron(), 3, 1 + 5**0.5, False),
}


def value(number):
    return (1.0 - 1.0 / number) / 2.0


@pytest.mark.parametrize("name", GRAPHS)
def test_degree_4_proves_the_lovasz_number(name):
    adjacency, clique, theta, _ = GRAPHS[name]
    certificate = tdlab.sos.certify(graph_quartic(adjacency), 4, rng=0)
    assert certificate.lower_bound <= value(clique) <= certificate.lower_bound * (1 + 1e-9)
    assert certificate.upper_bound >= value(theta)
    assert certificate.upper_bound == pytest.approx(value(theta), rel=1e-7)
    assert certificate.status == "gap" and "pseudo-expectation" in certificate.message
    assert certificate.pseudo_value == pytest.approx(value(theta), rel=1e-7)


@pytest.mark.parametrize("name", ["C5", "W5", "C7-complement"])
def test_degree_6_closes_the_gap(name):
    adjacency, clique, _, _ = GRAPHS[name]
    certificate = tdlab.sos.certify(graph_quartic(adjacency), 6, rng=0)
    assert certificate.status == "certified"
    assert certificate.lower_bound <= value(clique) <= certificate.upper_bound


@pytest.mark.long
@pytest.mark.parametrize("name", ["Paley-13", "icosahedron"])
def test_degree_6_of_the_larger_graphs(name):
    adjacency, clique, theta, closed = GRAPHS[name]
    certificate = tdlab.sos.certify(graph_quartic(adjacency), 6, rng=0)
    assert certificate.lower_bound <= value(clique) <= certificate.upper_bound
    assert (certificate.status == "certified") == closed
    if not closed:
        assert certificate.upper_bound == pytest.approx(value(theta), rel=1e-7)


def choi_lam_form(scales):
    """w^4 + x^2 y^2 + y^2 z^2 + z^2 x^2 - 4xyzw at scaled variables: >= 0, no sum of squares."""
    array = np.zeros((4,) * 4)
    terms = {(3, 3, 3, 3): 1.0, (0, 0, 1, 1): 1.0, (1, 1, 2, 2): 1.0, (0, 0, 2, 2): 1.0}
    terms[(0, 1, 2, 3)] = -4.0
    for variables, factor in terms.items():
        places = set(itertools.permutations(variables))
        for place in places:
            array[place] = factor / len(places)
    return np.einsum("ijkl,i,j,k,l->ijkl", array, *[np.array(scales)] * 4)


def choi_lam_cubic(scales):
    """T = sum_k y_k q_k(x) with sum_k q_k^2 = lam |x|^4 - p(x), p the Choi-Lam form.

    p >= 0 has zeros, so max |q| = sqrt(lam) |x|^2, and max |y| |x|^2 = 2 / (3 sqrt 3) gives max T.
    With the smallest lam for which lam |x|^4 - p is a sum of squares, p weighs most.
    """
    relaxation, rng = Relaxation(4, 4, 4), np.random.default_rng(0)
    form = Form.of(tdlab.symmetrize(choi_lam_form(scales)), 2**20)
    points = maximisers(form.tensor, rng)
    dual = face(
        relaxation,
        form.target(relaxation),
        points,
        form.tensor.evaluate(points[:1])[0],
        rng=rng,
        max_iterations=500,
        expired=lambda: False,
    )
    # lam I - H is a Gram matrix of lam |x|^4 - p for every H that represents p.
    values, vectors = np.linalg.eigh(dual.matrix * 2.0**form.exponent)
    lam = values[-1]
    kept = values < lam - 1e-8
    rows = (vectors[:, kept] * np.sqrt(lam - values[kept])).T * relaxation.weights
    dim = 4 + len(rows)
    array = np.zeros((dim,) * 3)
    for k, row in enumerate(rows):
        for entry, pair in zip(row, relaxation.blocks[0].lists, strict=True):
            places = set(itertools.permutations((4 + k, *pair)))
            for place in places:
                array[place] += entry / len(places)
    return array, float(np.sqrt(lam)) * 2.0 / (3.0 * 3.0**0.5)


def test_a_cubic_with_a_gap_at_degree_4():
    array, truth = choi_lam_cubic((1.05, 1.52, 1.38, 0.4))
    certificate = tdlab.sos.certify(array, 4, rng=0)
    assert certificate.lower_bound <= truth * (1 + 1e-9)
    assert certificate.lower_bound == pytest.approx(truth, rel=1e-7)
    assert certificate.status == "gap" and certificate.upper_bound <= truth * 1.001
    assert certificate.pseudo_value > truth * (1 + 1e-4)


@pytest.mark.parametrize("solver", ["admm", "clarabel", "scs"])
@pytest.mark.parametrize("order, degree, dim", [(3, 4, 6), (4, 4, 5), (3, 6, 3)])
def test_fast_and_reference_paths_agree(order, degree, dim, solver):
    tensor = tdlab.gaussian_tensor(dim, order, rng=5)
    fast = tdlab.sos.certify(tensor, degree, solver="face", rng=0)
    other = tdlab.sos.certify(tensor, degree, solver=solver, rng=0)
    assert fast.status == "certified" and fast.solver == "face"
    assert other.upper_bound >= fast.lower_bound
    assert other.upper_bound == pytest.approx(fast.upper_bound, rel=1e-4)


@pytest.mark.parametrize("solver", ["clarabel", "scs"])
@pytest.mark.parametrize("name", ["C5", "W5"])
def test_reference_paths_agree_on_gaps(name, solver):
    adjacency, _, theta, _ = GRAPHS[name]
    certificate = tdlab.sos.certify(graph_quartic(adjacency), 4, solver=solver, rng=0)
    assert certificate.upper_bound >= value(theta)
    assert certificate.upper_bound == pytest.approx(value(theta), rel=1e-4)
    assert certificate.pseudo_value <= certificate.upper_bound


@pytest.mark.parametrize("solver", ["clarabel", "scs"])
def test_a_reference_solver_stopped_early_leaves_valid_bounds(solver):
    tensor = tdlab.gaussian_tensor(5, rng=0)
    truth = tdlab.sos.certify(tensor, rng=0)
    stopped = tdlab.sos.certify(tensor, solver=solver, max_iterations=1, rng=0)
    assert stopped.status == "stopped" and solver in stopped.message
    assert stopped.upper_bound >= truth.lower_bound


@pytest.mark.parametrize("shape", [(4, 3, 4), (4, 4, 4), (3, 3, 6)], ids=str)
def test_uniform_moments_are_those_of_the_sphere(shape, rng):
    relaxation = Relaxation(*shape)
    uniform = Moments(relaxation, np.zeros(relaxation.starts[-1])).uniform
    points = rng.standard_normal((200_000, shape[0]))
    vectors = relaxation.vectors(points / np.linalg.norm(points, axis=1)[:, None])
    np.testing.assert_allclose(uniform, vectors.T @ vectors / len(points), atol=5e-3)
    np.testing.assert_allclose(relaxation.project(uniform), uniform, atol=1e-14)
    assert np.trace(uniform) == pytest.approx(relaxation.mass)


@pytest.mark.parametrize("shape", [(4, 3, 4), (4, 4, 4)], ids=str)
def test_a_pseudo_expectation_is_no_better_than_the_bound(shape, rng):
    relaxation = Relaxation(*shape)
    tensor = tdlab.gaussian_tensor(shape[0], shape[1], rng=2)
    form = Form.of(tensor, 2**20)
    space = Moments(relaxation, form.target(relaxation))
    bound = tdlab.sos.certify(tensor, rng=0).upper_bound / 2.0**form.exponent
    for _ in range(5):
        matrix = rng.standard_normal((relaxation.size,) * 2)
        assert space.feasible_value(matrix @ matrix.T / relaxation.size) <= bound
