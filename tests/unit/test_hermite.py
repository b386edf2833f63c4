"""The Hermite basis, its kernels, polynomial targets and their exact risks."""

import math

import numpy as np
import pytest

import tdlab
from tdlab import InputError
from tdlab.networks import HermiteBasis, HermitePolynomial
from tdlab.networks.hermite import hermite_kernels


@pytest.mark.parametrize(("dim", "degree"), [(1, 5), (2, 4), (4, 3), (7, 2)])
def test_orthonormal_under_gauss_hermite_quadrature(dim, degree):
    nodes, weights = np.polynomial.hermite_e.hermegauss(degree + 1)
    grid = np.stack(np.meshgrid(*[nodes] * dim, indexing="ij"), -1).reshape(-1, dim)
    mass = np.prod(
        np.stack(np.meshgrid(*[weights / weights.sum()] * dim, indexing="ij"), -1), axis=-1
    ).ravel()
    basis = HermiteBasis(dim, degree)
    features = basis.features(grid)
    assert basis.size == math.comb(dim + degree, degree) == features.shape[1]
    np.testing.assert_allclose(
        features.T @ (mass[:, None] * features), np.eye(basis.size), atol=1e-10
    )


def test_kernels_are_inner_products_of_features():
    rng = np.random.default_rng(0)
    X, Z = rng.standard_normal((2, 6, 4))
    basis = HermiteBasis(4, 6)
    squares = (X**2).sum(1)[:, None] + (Z**2).sum(1)
    kernels = hermite_kernels(X @ Z.T, squares, 4, 6)
    left, right = basis.features(X), basis.features(Z)
    for k in range(7):
        block = basis.block(k)
        np.testing.assert_allclose(kernels[k], left[:, block] @ right[:, block].T, atol=1e-9)


@pytest.mark.parametrize("activation", ["x**3", "He4 + x", "x**5 - x**2", "He2"])
def test_a_network_is_its_polynomial(activation):
    net = tdlab.TwoLayerNetwork(
        np.random.default_rng(1).standard_normal((5, 3)), [1.0, -2.0, 1.0, 0.5, 1.0], activation
    )
    same = HermitePolynomial.of_network(net)
    X = np.random.default_rng(2).standard_normal((50, 3))
    np.testing.assert_allclose(same.predict(X), net.predict(X), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(
        same.hermite_energies(), net.hermite_energies(), rtol=1e-9, atol=1e-9
    )
    assert same.mean() == pytest.approx(net.mean())
    other = tdlab.TwoLayerNetwork(np.eye(3), activation="x**4 + x")
    assert same.risk(other) == pytest.approx(net.risk(other), rel=1e-9)
    assert net.risk(HermitePolynomial.of_network(other)) == pytest.approx(net.risk(other), rel=1e-9)
    assert other.risk(same, noise=2.0) == pytest.approx(net.risk(other) + 4.0, rel=1e-9)
    # A part of it misses what the other degrees hold.
    part = HermitePolynomial.of_network(net, 1)
    assert net.risk(part) == pytest.approx(net.hermite_energies()[2:].sum(), rel=1e-9, abs=1e-9)
    assert part.risk(net) == pytest.approx(net.risk(part), rel=1e-9, abs=1e-9)
    X1, y1 = net.sample(20, 0.5, rng=3)
    X2, y2 = same.sample(20, 0.5, rng=3)
    np.testing.assert_array_equal(X1, X2)
    np.testing.assert_allclose(y1, y2, atol=1e-9)


def test_tensors_and_coefficients_are_one_another():
    net = tdlab.TwoLayerNetwork(np.random.default_rng(0).standard_normal((4, 3)), activation="x^4")
    poly = HermitePolynomial.of_network(net)
    for k in (2, 4):
        entries = poly.basis.tensor_entries(poly.coefficients, k)
        np.testing.assert_allclose(entries, net.hermite_tensor(k).dense(), atol=1e-12)
        back = poly.basis.of_tensor(entries)
        np.testing.assert_allclose(back, poly.coefficients[poly.basis.block(k)], atol=1e-12)


def test_the_null_has_the_energies_and_no_structure():
    net = tdlab.sample_network(6, 9, "x**3 + He2", rng=0)
    energies = net.hermite_energies()
    nulls = [tdlab.gaussian_polynomial(6, energies, rng=seed) for seed in range(300)]
    np.testing.assert_allclose(nulls[0].hermite_energies(), energies, atol=1e-10)
    # Independent of the teacher: correlations have mean 0 and variance 1/N a degree.
    teacher = HermitePolynomial.of_network(net)
    block = teacher.basis.block(3)
    cosines = [
        float(n.coefficients[block] @ teacher.coefficients[block]) / energies[3] for n in nulls
    ]
    size = block.stop - block.start
    assert abs(np.mean(cosines)) < 4 / math.sqrt(300 * size)
    assert np.var(cosines) == pytest.approx(1 / size, rel=0.4)


def test_bad_input_is_one_line():
    for call in (
        lambda: tdlab.gaussian_polynomial(3, [0.0, -1.0]),
        lambda: HermitePolynomial(np.zeros(3), 3, 1),
        lambda: HermiteBasis(1000, 5),
        lambda: tdlab.gaussian_polynomial(3, [0.0, 1.0]).risk(tdlab.gaussian_polynomial(2, [0, 1])),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert "\n" not in str(caught.value)
