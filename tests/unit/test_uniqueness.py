"""Jacobian certificates and confidence bounds against brute force and simulation."""

import dataclasses

import numpy as np
import pytest

import tdlab
from tdlab import FactoredTensor, InputError
from tdlab.algorithms.uniqueness import confidence, jacobian_gram, uniqueness


def exact(rows, order=3, weights=None):
    """A decomposition that holds the truth."""
    result = tdlab.decompose(FactoredTensor(np.eye(3)), 3, "jennrich", rng=0)
    tensor = FactoredTensor(rows, weights, order)
    norms = np.linalg.norm(rows, axis=1)
    return dataclasses.replace(
        result,
        components=rows / norms[:, None],
        weights=tensor.weights * norms**order,
        order=order,
        rank=len(rows),
    )


@pytest.mark.parametrize("order", [2, 3, 4])
def test_the_gram_matrix_is_that_of_the_numerical_jacobian(rng, order):
    rows, signs = rng.standard_normal((3, 4)), np.array([1.0, -1.0, 1.0])
    if order == 3:
        signs[:] = 1.0
    step = 1e-6
    columns = []
    for i, a in np.ndindex(rows.shape):
        moved = [rows.copy(), rows.copy()]
        moved[0][i, a] += step
        moved[1][i, a] -= step
        high, low = (FactoredTensor(m, signs, order).dense().ravel() for m in moved)
        columns.append((high - low) / (2 * step))
    J = np.stack(columns, axis=1)
    gram = jacobian_gram(rows, signs, order)
    np.testing.assert_allclose(gram, J.T @ J, atol=1e-6 * np.abs(gram).max())


@pytest.mark.parametrize(
    ("dim", "rank", "expected"),
    [(6, 4, "certified"), (8, 12, "certified"), (6, 9, "no"), (5, 7, "no"), (6, 12, "no")],
)
def test_what_is_certified(dim, rank, expected):
    rows = tdlab.sample_network(dim, rank, "He3", "sphere", rng=1).weights
    assert uniqueness(exact(rows)) == expected


def test_a_curve_of_decompositions_is_not_certified():
    # Two regular simplices: sum (w+u)^3 + sum (v-u)^3 is the same for every u.
    d = 5
    simplex = tdlab.sample_network(d, d + 1, "He3", "isotropic", rng=0).weights
    turn = np.linalg.qr(np.random.default_rng(1).standard_normal((d, d)))[0]
    rows = np.vstack([simplex, simplex @ turn])
    assert len(rows) >= tdlab.theory.r_id(d) or uniqueness(exact(rows)) == "unknown"
    d = 12
    simplex = tdlab.sample_network(d, d + 1, "He3", "isotropic", rng=0).weights
    turn = np.linalg.qr(np.random.default_rng(1).standard_normal((d, d)))[0]
    assert uniqueness(exact(np.vstack([simplex, simplex @ turn]))) == "unknown"


@pytest.mark.parametrize(
    ("order", "dim", "flat", "inside", "others"),
    [(3, 4, 2, 3, 4), (4, 4, 2, 4, 3), (3, 6, 3, 5, 5)],
)
def test_terms_that_move_inside_a_flat_are_not_generic(order, dim, flat, inside, others):
    # More powers in a flat than it has room for, and others that make the flat no summand.
    g = np.random.default_rng(order * dim)
    rows = np.concatenate(
        [
            g.standard_normal((inside, flat)) @ g.standard_normal((flat, dim)),
            g.standard_normal((others, dim)),
        ]
    )
    tensor = tdlab.FactoredTensor(rows / np.linalg.norm(rows, axis=1, keepdims=True), order=order)
    result = tdlab.decompose(tensor, len(rows), rng=1)
    assert result.status is tdlab.Status.FIT_NOT_UNIQUE and result.unique == "no"


def test_a_failed_fit_is_unknown():
    failed = tdlab.decompose(tdlab.gaussian_tensor(6, rng=0), 4, "lm", rng=0)
    assert uniqueness(failed) == "unknown"


def test_confidence_covers_at_the_minimum_next_to_the_truth():
    # 60 noisy tensors of 8 components: 480 cosines (dependent within a tensor). Nominal 95%; the
    # standard error is below 1.5%, so a true 95% stays above 90% at more than 3 errors.
    truth = tdlab.sample_network(10, 8, "He3", "sphere", rng=0).weights
    clean, like = FactoredTensor(truth).dense(), exact(truth)
    covered, bounds = [], []
    for seed in range(60):
        noise = tdlab.gaussian_tensor(10, norm=0.1 * np.linalg.norm(clean), rng=seed).dense()
        result = descended(like, truth, clean + noise)
        lower = confidence(result)
        covered.extend((result.components * truth).sum(axis=1) >= lower)
        bounds.extend(1 - lower)
    assert 0.90 <= np.mean(covered) <= 0.99
    assert np.median(bounds) < 0.05


def test_a_search_ends_at_the_minimum_next_to_the_truth():
    # Of the same tensors: what covers at that minimum covers for searches, which end there.
    truth = tdlab.sample_network(10, 8, "He3", "sphere", rng=0).weights
    clean, like = FactoredTensor(truth).dense(), exact(truth)
    for seed in (2, 3):
        noise = tdlab.gaussian_tensor(10, norm=0.1 * np.linalg.norm(clean), rng=seed).dense()
        runs = (tdlab.decompose(clean + noise, 8, "lm", rng=k, noise=0.1) for k in range(5))
        result = next(run for run in runs if run.success)
        order = tdlab.match(result.components, truth, threshold=0.9).assignment
        near = descended(like, truth, clean + noise)
        np.testing.assert_allclose(result.components[order], near.components, atol=1e-4)
        np.testing.assert_allclose(confidence(result)[order], confidence(near), atol=1e-3)


@pytest.mark.long
def test_confidence_covers():
    # The same 60 tensors, searched.
    truth = tdlab.sample_network(10, 8, "He3", "sphere", rng=0).weights
    array = FactoredTensor(truth).dense()
    covered, bounds = [], []
    for seed in range(60):
        noise = 0.1 * np.linalg.norm(array)
        noisy = tdlab.DenseTensor(array + tdlab.gaussian_tensor(10, norm=noise, rng=seed).dense())
        # One start in a hundred ends at the noise's level with components that cancel, and says so.
        runs = (tdlab.decompose(noisy, 8, "lm", rng=k, noise=0.1, restarts=20) for k in range(3))
        result = next(run for run in runs if run.success)
        found = tdlab.match(result.components, truth, threshold=0.9)
        assert found.recovered == 1.0
        lower = confidence(result)[found.assignment]
        covered.extend(found.cosines >= lower)
        bounds.extend(1 - lower)
    assert 0.90 <= np.mean(covered) <= 0.99
    assert np.median(bounds) < 0.05


def descended(like, truth, noisy, steps=10):
    """The decomposition in which Gauss-Newton ends from the truth: bounds are tested, no search."""
    rows = truth
    for _ in range(steps):
        rest = noisy - FactoredTensor(rows).dense()
        gradient = 3 * np.einsum("abc,ia,ib->ic", rest, rows, rows, optimize=True)
        gram = jacobian_gram(rows, np.ones(len(rows)), 3)
        rows = rows + np.linalg.solve(gram, gradient.ravel()).reshape(rows.shape)
    norms = np.linalg.norm(rows, axis=1)
    rest = noisy - FactoredTensor(rows).dense()
    return dataclasses.replace(
        like,
        components=rows / norms[:, None],
        weights=norms**3,
        residual=np.linalg.norm(rest) / np.linalg.norm(noisy),
    )


def test_bounds_of_a_noise_estimated_on_few_degrees_of_freedom_cover():
    """(10, 21): ten degrees of freedom. Chi-square quantiles hold 91% (benchmarks, 20 000 cosines).

    25 draws of 21 cosines: their shares have a standard deviation of 6% between draws, so a true
    95% lies above 91% with probability .999.
    """
    dim, rank = 10, 21
    rng = np.random.default_rng(3)
    truth = tdlab.sample_network(dim, rank, "He3", "sphere", rng=1).weights
    clean = FactoredTensor(truth).dense()
    like, each, all_of_them = exact(truth), [], []
    for _ in range(25):
        noise = tdlab.gaussian_tensor(dim, norm=0.001 * np.linalg.norm(clean), rng=rng).dense()
        result = descended(like, truth, clean + noise, steps=5)
        cosines = (result.components * truth).sum(axis=1)
        each.append(np.mean(cosines >= confidence(result)))
        all_of_them.append(np.all(cosines >= confidence(result, joint=True)))
    assert np.mean(each) >= 0.91
    # Of 25, fewer than 21 with probability .001.
    assert np.sum(all_of_them) >= 21


def test_joint_bounds_are_those_of_a_higher_level():
    truth = tdlab.sample_network(8, 6, "He3", "sphere", rng=0).weights
    array = FactoredTensor(truth).dense()
    noise = tdlab.gaussian_tensor(8, norm=0.02 * np.linalg.norm(array), rng=3).dense()
    result = tdlab.decompose(array + noise, 6, "lm", rng=0, noise=0.02)
    joint = result.confidence(0.95, joint=True)
    np.testing.assert_allclose(joint, result.confidence(1 - 0.05 / 6))
    assert (joint < result.confidence(0.95)).all()


def test_a_component_that_no_other_run_finds_has_no_bound():
    truth = tdlab.sample_network(8, 6, "He3", "sphere", rng=0).weights
    array = FactoredTensor(truth).dense()
    noise = tdlab.gaussian_tensor(8, norm=0.02 * np.linalg.norm(array), rng=3).dense()
    result = tdlab.decompose(array + noise, 6, "lm", rng=0, noise=0.02)
    np.testing.assert_array_equal(
        result.confidence(tensor=array + noise, rng=1), result.confidence()
    )
    # One component turned away: a fit that happened to reach the noise without it.
    rows = result.components.copy()
    rows[2] = np.linalg.qr(rows[:3].T)[0][:, 2]
    turned = dataclasses.replace(result, components=rows)
    bounds = turned.confidence(tensor=array + noise, rng=1)
    assert bounds[2] == -1.0 and (np.delete(bounds, 2) > -1.0).all()
    with pytest.raises(InputError, match="tensor: got order 3 and dimension 5"):
        result.confidence(tensor=tdlab.gaussian_tensor(5, rng=0), rng=1)


def test_confidence_scales_with_the_noise():
    truth = tdlab.sample_network(10, 8, "He3", "sphere", rng=0).weights
    array = FactoredTensor(truth).dense()
    gaps = []
    for level in (0.02, 0.04):
        noise = tdlab.gaussian_tensor(10, norm=level * np.linalg.norm(array), rng=3).dense()
        result = tdlab.decompose(array + noise, 8, "lm", rng=0, noise=level)
        gaps.append(np.median(1 - result.confidence()))
    # The angle is linear in the noise, one minus its cosine quadratic.
    assert gaps[1] / gaps[0] == pytest.approx(4.0, rel=0.1)


def test_bad_requests_are_refused():
    rows = tdlab.sample_network(6, 4, "He3", "sphere", rng=1).weights
    with pytest.raises(InputError, match=r"level: got 1, wanted a number in \(0, 1\)"):
        confidence(exact(rows), level=1.0)
    with pytest.raises(InputError, match="max_bytes: got 100, wanted at least"):
        jacobian_gram(rows, np.ones(len(rows)), 3, max_bytes=100)
    failed = tdlab.decompose(tdlab.gaussian_tensor(6, rng=0), 4, "lm", rng=0)
    with pytest.raises(InputError, match=r"got status '.*', wanted a success"):
        failed.confidence()
    many = tdlab.sample_network(4, 6, "He3", "sphere", rng=1).weights
    with pytest.raises(InputError, match="24 parameters for 20 entries"):
        confidence(exact(many))
    nothing = tdlab.decompose(tdlab.gaussian_tensor(4, rng=0), 5, "jennrich")
    with pytest.raises(InputError, match="wanted a success"):
        confidence(nothing)
