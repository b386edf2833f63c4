"""Learners: known cases, exact risks, and what they refuse."""

import dataclasses
import math

import numpy as np
import pytest

import tdlab
from tdlab import InputError
from tdlab.learning.kernel_ridge import kernel_matrix
from tdlab.learning.polynomial_regression import regress
from tdlab.networks.hermite import hermite_basis


def made(name, **options):
    """A learner with what proper ones must be told."""
    record = next(one for one in tdlab.learners() if one.name == name)
    told = {"rank": 4, "activation": "x**3", "teacher": tdlab.sample_network(3, 4, "He3", rng=0)}
    needed = {k: v for k, v in told.items() if record.options.get(k) is dataclasses.MISSING}
    return tdlab.learner(name, **needed, **options)


NAMES = [one.name for one in tdlab.learners()]


@pytest.mark.parametrize("name", NAMES)
def test_bad_data_is_refused_in_one_line(name):
    learner = made(name)
    X, y = np.random.default_rng(0).standard_normal((30, 3)), np.ones(30)
    nan = X.copy()
    nan[3, 1] = np.nan
    bad = [
        (X[:, 0], y),
        (X, y[:-1]),
        (X, y[:, None]),
        (nan, y),
        (X, np.full(30, np.inf)),
        (X[:0], y[:0]),
        (X.astype(str), y),
        (X.astype(complex), y),
    ]
    for inputs in bad:
        with pytest.raises(InputError) as caught:
            learner.fit(*inputs)
        assert "\n" not in str(caught.value) and "got" in str(caught.value)
    with pytest.raises(InputError, match="X: got shape"):
        learner.fit(X, y, rng=0).predict(np.ones((2, 5)))
    with pytest.raises(InputError, match="option 'no'"):
        tdlab.learner(name, no=1)


@pytest.mark.parametrize("name", NAMES)
def test_records_and_fits(name):
    record = next(one for one in tdlab.learners() if one.name == name)
    assert record.samples == record.reach and record.cost and record.source and record.guarantee
    learner = made(name)
    X, y = tdlab.sample_network(3, 4, rng=0).sample(60, rng=1)
    first, second = (learner.fit(X, y, rng=2) for _ in range(2))
    np.testing.assert_array_equal(first.predict(X), second.predict(X))
    assert (first.network is not None) == record.proper == first.proper
    with pytest.raises(dataclasses.FrozenInstanceError):
        first.nit = 3


def test_least_squares_is_exact_from_as_many_samples_as_features():
    # And below, the projection onto n random features leaves 1 - n/C.
    net = tdlab.sample_network(6, 9, "x**3 + x", rng=0)
    size = math.comb(9, 3)
    for n in (size + 2, 2 * size):
        X, y = net.sample(n, rng=n)
        fit = tdlab.learner("polynomial-regression", degree=3).fit(X, y)
        assert net.risk(fit.predictor) / net.variance() < 1e-12
    ratios = []
    for seed in range(60):
        null = tdlab.gaussian_polynomial(
            6, tdlab.sample_network(6, 9, rng=0).hermite_energies(), rng=seed
        )
        X, y = null.sample(size // 2, rng=1000 + seed)
        fit = tdlab.learner("polynomial-regression", degree=3).fit(X, y)
        ratios.append(null.risk(fit.predictor) / null.variance())
    error = np.std(ratios) / math.sqrt(len(ratios))
    # Hermite features have heavier tails than independent ones: a little worse than 1/2.
    assert 0.5 - 4 * error < np.mean(ratios) < 0.62


def test_below_the_features_it_interpolates_with_least_norm():
    net = tdlab.sample_network(5, 8, rng=0)
    X, y = net.sample(30, rng=1)
    fit = tdlab.learner("polynomial-regression", degree=3).fit(X, y)
    np.testing.assert_allclose(fit.predict(X), y, atol=1e-8)
    features = hermite_basis(5, 3).features(X)
    np.testing.assert_allclose(fit.predictor.coefficients, np.linalg.pinv(features) @ y, atol=1e-8)


def test_primal_normal_and_kernel_forms_agree(monkeypatch):
    X, y = tdlab.sample_network(4, 6, rng=0).sample(80, 0.3, rng=1)
    for ridge in (0.0, 0.1):
        primal, _ = regress(X, y, 3, ridge)
        monkeypatch.setattr("tdlab.learning.polynomial_regression._QR_DOUBLES", 0)
        normal, _ = regress(X, y, 3, ridge)
        monkeypatch.undo()
        np.testing.assert_allclose(normal, primal, atol=1e-9)
    features = hermite_basis(4, 3).features(X)
    direct = np.linalg.solve(features.T @ features + 0.1 * 80 * np.eye(35), features.T @ y)
    np.testing.assert_allclose(primal, direct, atol=1e-9)
    few, form = regress(X[:20], y[:20], 3, 0.1)
    part = features[:20]
    direct = part.T @ np.linalg.solve(part @ part.T + 2.0 * np.eye(20), y[:20])
    assert form == "kernel"
    np.testing.assert_allclose(few, direct, atol=1e-9)


def test_repeated_samples_and_constants():
    X = np.repeat(np.random.default_rng(0).standard_normal((5, 4)), 3, axis=0)
    y = X[:, 0]
    for name in ("polynomial-regression", "linear", "kernel-ridge", "norm-trivial"):
        fit = tdlab.learner(name).fit(X, y)
        assert np.isfinite(fit.predict(X)).all()
    for name in ("kernel-ridge", "trivial", "linear"):
        fit = tdlab.learner(name).fit(X, np.full(15, 2.5))
        np.testing.assert_allclose(fit.predict(X), 2.5, atol=1e-6)


def test_noise_makes_a_spike_where_samples_meet_features():
    size = math.comb(8, 3)
    net = tdlab.sample_network(5, 8, rng=0)
    noise = 0.3 * math.sqrt(net.variance())

    def ratio(n):
        risks = []
        for seed in range(12):
            X, y = net.sample(n, noise, rng=seed)
            fit = tdlab.learner("polynomial-regression", degree=3).fit(X, y)
            risks.append(net.risk(fit.predictor) / net.variance())
        return np.median(risks)

    below, at, above = ratio(size // 2), ratio(size), ratio(3 * size)
    assert at > 5 * below > 0 and at > 20 * above and above < 0.2


def test_least_squares_tensor():
    net = tdlab.sample_network(5, 8, "x**3 + 2x", rng=0)
    X, y = net.sample(math.comb(8, 3) + 1, rng=1)
    tensor = tdlab.least_squares_tensor(X, y)
    np.testing.assert_allclose(tensor.dense(), net.hermite_tensor(3).dense(), atol=1e-8)


@pytest.mark.parametrize("kernel", ["polynomial", "cubic-ntk", "relu-ntk"])
def test_kernel_ridge_predicts_what_its_kernel_says(kernel):
    # With less noise the least ridges are chosen, and the direct solves have no six digits.
    net = tdlab.sample_network(4, 6, rng=2)
    X, y = net.sample(80, 3.0, rng=1)
    fit = tdlab.learner("kernel-ridge", kernel=kernel).fit(X, y)
    ridge = dict(fit.chosen)["ridge"]
    mean = y.mean()
    matrix = kernel_matrix(kernel, 3, X, X)
    alpha = np.linalg.solve(matrix + ridge * np.eye(80), y - mean)
    Z = np.random.default_rng(5).standard_normal((20, 4))
    direct = kernel_matrix(kernel, 3, Z, X) @ alpha + mean
    np.testing.assert_allclose(fit.predict(Z), direct, rtol=1e-6, atol=1e-8)
    # Exact leave-one-out against leaving out for real, at the chosen ridge.
    keep = np.arange(80) != 7
    rest = np.linalg.solve(matrix[np.ix_(keep, keep)] + ridge * np.eye(79), (y - mean)[keep])
    inverse = np.linalg.inv(matrix + ridge * np.eye(80))
    left_out = (y - mean)[7] - matrix[7, keep] @ rest
    assert left_out == pytest.approx(alpha[7] / inverse[7, 7], rel=1e-6)


def test_tangent_kernels_are_expectations_over_weights():
    # u E s'(w.x)s'(w.z) + E s(w.x)s(w.z), w ~ N(0, I): four standard errors.
    rng = np.random.default_rng(0)
    X, Z = rng.standard_normal((2, 3, 3))
    W = rng.standard_normal((400_000, 3))
    for kernel, scale, value, slope in (
        ("relu-ntk", 3.0 / 2.0, lambda t: np.maximum(t, 0), lambda t: (t > 0).astype(float)),
        ("cubic-ntk", 27.0, lambda t: t**3, lambda t: 3 * t**2),
    ):
        exact = kernel_matrix(kernel, 3, X, Z) * scale
        for i in range(3):
            for j in range(3):
                s, t = W @ X[i], W @ Z[j]
                draws = (X[i] @ Z[j]) * slope(s) * slope(t) + value(s) * value(t)
                error = draws.std() / math.sqrt(len(W))
                assert abs(draws.mean() - exact[i, j]) < 4 * error


def test_the_norm_alone_explains_even_networks():
    # Isotropic x^2 + x^3: sum <w, x>^2 = (r/d)|x|^2 exactly, a function of the norm.
    net = tdlab.sample_network(6, 12, "x**2", rng=0)
    X, y = net.sample(400, rng=1)
    fit = tdlab.learner("norm-trivial", degree=2).fit(X, y)
    Z, z = net.sample(200, rng=2)
    np.testing.assert_allclose(fit.predict(Z), z, atol=1e-8)
    # Of x^4 it is the projection onto functions of the norm: nothing correlates with the rest.
    net = tdlab.sample_network(5, 10, "x**4", rng=0)
    X, y = net.sample(100_000, rng=1)
    fit = tdlab.learner("norm-trivial", degree=4).fit(X, y)
    rest = y - fit.predict(X)
    for power in (0, 2, 4):
        moment = rest * np.linalg.norm(X, axis=1) ** power
        assert abs(moment.mean()) < 4 * moment.std() / math.sqrt(len(X))


@pytest.mark.parametrize("cosine", [1.0, 0.9, 0.0])
def test_the_ideal_learner_turns_rows_by_the_stated_angle(cosine):
    net = tdlab.sample_network(8, 20, "He3", rng=0)
    X, y = net.sample(10, rng=1)
    fit = tdlab.learner("ideal", teacher=net, cosine=cosine).fit(X, y, rng=2)
    found = (fit.network.weights * net.weights).sum(axis=1)
    np.testing.assert_allclose(found, cosine, atol=1e-12)
    scaled = tdlab.learner("ideal", teacher=net, cosine=cosine, rescaled=True).fit(X, y, rng=2)
    assert net.risk(scaled.network) <= net.risk(fit.network) + 1e-12


@pytest.mark.parametrize(("ensemble", "rank"), [("isotropic", 20), ("sphere", 30)])
@pytest.mark.parametrize("cosine", [0.9, 0.4])
def test_random_errors_cost_what_the_law_says(ensemble, rank, cosine):
    # At d = 8 the cross terms are large: rows on their own would cost 0.542 and 1.872.
    net = tdlab.sample_network(8, rank, "He3", ensemble=ensemble, rng=0)
    X, y = net.sample(5, rng=1)
    learner = tdlab.learner("ideal", teacher=net, cosine=cosine)
    best = tdlab.learner("ideal", teacher=net, cosine=cosine, rescaled=True)
    fits = [each.fit(X, y, rng=s) for s in range(300) for each in (learner, best)]
    ratios = np.array([net.risk(fit.network) for fit in fits]).reshape(300, 2) / net.variance()
    error = 4 * ratios.std(axis=0) / math.sqrt(300)
    law = tdlab.theory.turned_risk(net.weights, cosine)
    assert abs(ratios[:, 0].mean() - law) < error[0]
    assert abs(law - 2 * (1 - cosine**3)) > error[0]
    # The factor of each draw is better than one for all, and no better than by its variation.
    fixed = tdlab.theory.turned_risk(net.weights, cosine, rescaled=True)
    assert fixed - 0.05 < ratios[:, 1].mean() < fixed + error[1]


def test_the_list_answers_whatever_was_imported_first():
    import tdlab.learning.base

    assert [one.name for one in tdlab.learners()] == NAMES


def test_moment_predictor_is_the_average_and_shrinks_as_its_error_asks():
    net = tdlab.sample_network(6, 10, "He3", rng=0)
    X, y = net.sample(500, rng=1)
    fit = tdlab.learner("moment-predictor", shrink=False).fit(X, y)
    features = hermite_basis(6, 3).features(X)
    averages = features.T @ (y - y.mean()) / 500
    np.testing.assert_allclose(fit.predictor.coefficients[1:], averages[1:], atol=1e-10)
    # Over draws: the mean shrinkage of degree 3 is 1/(1 + e) with e of the exact error law.
    d, p3 = 6, math.comb(8, 3)
    kappa = (d + 6) * (d**2 + 15 * d + 38) / (d * (d + 1) * (d + 2))
    error = (kappa * p3 - 1) / 500
    found, ratios = [], []
    for seed in range(60):
        X, y = net.sample(500, rng=100 + seed)
        shrunk = tdlab.learner("moment-predictor").fit(X, y)
        found.append(dict(shrunk.chosen)["shrinkage of degree 3"])
        ratios.append(net.risk(shrunk.predictor) / net.variance())
    assert np.mean(found) == pytest.approx(1 / (1 + error), rel=0.15)
    raw = [
        net.risk(
            tdlab.learner("moment-predictor", shrink=False).fit(*net.sample(500, rng=s)).predictor
        )
        for s in range(100, 130)
    ]
    assert np.mean(ratios) < 0.9 * np.mean(raw) / net.variance()


def test_residualising_helps_where_low_degrees_are_large():
    net = tdlab.sample_network(6, 10, "x**3", "sphere", rng=0)
    X, y = net.sample(400, rng=1)
    plain, linear = (
        net.risk(tdlab.learner("moment-predictor", residualise=j).fit(X, y).predictor)
        for j in (0, 1)
    )
    assert linear < 0.7 * plain


@pytest.mark.parametrize("tensor", ["auto", "least-squares", "moments"])
def test_moments_decompose_recovers_weights_and_predicts(tensor):
    # Not isotropic ones: those of (7, 10) have a singular Jacobian, a curve of equal fits.
    net = tdlab.sample_network(7, 10, "x**3", "sphere", rng=3)
    n = 150 if tensor != "moments" else 60_000
    X, y = net.sample(n, rng=1)
    fit = tdlab.learner("moments-decompose", rank=10, activation="x**3", tensor=tensor).fit(
        X, y, rng=0
    )
    assert fit.network.rank == 10 and fit.status == "converged"
    assert tdlab.match(fit.network.weights, net.weights).recovered == 1.0
    assert net.risk(fit.network) / net.variance() < 1e-10
    assert dict(fit.chosen)["tensor"] == ("moment" if tensor == "moments" else "least-squares")


def test_moments_decompose_with_noise_mixtures_and_even_degrees():
    for activation, n, noise in (
        ("x**3 + x", 800, 0.1),
        ("x**4", 800, 0.0),
        ("He3 + He2", 800, 0.0),
    ):
        net = tdlab.sample_network(5, 6, activation, rng=4)
        X, y = net.sample(n, noise * math.sqrt(net.variance()), rng=1)
        fit = tdlab.learner("moments-decompose", rank=6, activation=activation).fit(X, y, rng=0)
        order = 4 if activation == "x**4" else 3
        assert tdlab.match(fit.network.weights, net.weights, order=order).recovered == 1.0, (
            activation
        )
        assert net.risk(fit.network) / net.variance() < max(noise**2 * 0.2, 1e-9)


def test_far_too_few_samples_do_not_pass_for_recovery():
    net = tdlab.sample_network(8, 12, "x**3", rng=0)
    X, y = net.sample(40, rng=1)
    fit = tdlab.learner("moments-decompose", rank=12, activation="x**3").fit(X, y, rng=0)
    assert tdlab.match(fit.network.weights, net.weights).recovered < 0.5
    with pytest.raises(InputError, match="order"):
        tdlab.learner("moments-decompose", rank=3, activation="x")


def test_isotropic_weights_at_the_edge_are_a_trap():
    # r = d + 2: two orthogonal regular simplices, whose rows move by any +-u with T unchanged.
    net = tdlab.sample_network(6, 8, "x**3", rng=3)
    X, y = net.sample(400, rng=1)
    learner = tdlab.learner("moments-decompose", rank=8, activation="x**3", method="lm")
    # Each start of lm ends at the tensor or in a local minimum; of eight some end at the tensor.
    found = [learner.fit(X, y, rng=seed).network for seed in range(8)]
    exact = [each for each in found if net.risk(each) / net.variance() < 1e-10]
    assert exact
    assert all(tdlab.match(each.weights, net.weights).recovered < 1.0 for each in exact)


def test_the_exact_risk_of_kernel_ridge_survives_a_singular_kernel():
    # 30 samples, 20 features: at a tiny ridge the coefficients in the null space were 1e9 large,
    # and the risk from pairs of samples was off by more than the variance of the target.
    net = tdlab.sample_network(3, 5, "He5", "sphere", signs="random", rng=2)
    fit = tdlab.learner("kernel-ridge").fit(*net.sample(30, rng=7))
    # E (f - g)^2 has degree 10: six Gauss-Hermite nodes an axis are exact.
    nodes, weights = np.polynomial.hermite_e.hermegauss(6)
    grid = np.stack(np.meshgrid(*[nodes] * 3), axis=-1).reshape(-1, 3)
    product = np.einsum("i,j,k->ijk", *[weights / weights.sum()] * 3).ravel()
    expected = product @ (net.predict(grid) - fit.predict(grid)) ** 2
    assert net.risk(fit.predictor) == pytest.approx(expected, rel=1e-9)


@pytest.mark.filterwarnings("ignore::tdlab.InputWarning")  # inputs that are all zero
@pytest.mark.parametrize("kernel", ["polynomial", "cubic-ntk", "relu-ntk"])
def test_kernel_ridge_at_the_origin(kernel):
    X, y = tdlab.sample_network(3, 4, rng=0).sample(20, rng=1)
    learner = tdlab.learner("kernel-ridge", kernel=kernel)
    X[4] = 0.0
    assert np.isfinite(learner.fit(X, y).predict(np.vstack([X, np.zeros((1, 3))]))).all()
    np.testing.assert_allclose(learner.fit(0.0 * X, y).predict(X[4:5]), y.mean())


@pytest.mark.parametrize("name", NAMES)
def test_sizes_that_doubles_cannot_square_are_refused(name):
    X, y = tdlab.sample_network(3, 4, rng=0).sample(30, rng=1)
    for inputs, what in [((1e60 * X, y), "X"), ((X, 1e150 * y), "y"), ((X, 1e-150 * y), "y")]:
        with pytest.raises(InputError, match=f"^{what}: got entries up to"):
            made(name).fit(*inputs)


def test_the_ideal_learner_needs_rows_that_can_turn():
    X, y = np.ones((3, 1)), np.ones(3)
    with pytest.raises(InputError, match="X: got 1 column"):
        tdlab.learner("ideal", teacher=tdlab.TwoLayerNetwork(np.ones((2, 1)))).fit(X, y)
    with pytest.raises(InputError, match="option 'teacher': got a zero row"):
        tdlab.learner("ideal", teacher=tdlab.TwoLayerNetwork(np.zeros((2, 3))))
    with pytest.raises(InputError, match="option 'teacher'"):
        tdlab.learner("ideal", teacher=5)


def test_normal_equations_of_dependent_features(monkeypatch):
    # He_2 vanishes at +-1 and He_3 is proportional to x there: minimum norm, by both ways.
    X = np.sign(np.random.default_rng(0).standard_normal((200, 3)))
    y = X[:, 0] + X[:, 1] * X[:, 2]
    expected, _ = regress(X, y, 3, 0.0)
    monkeypatch.setattr("tdlab.learning.polynomial_regression._QR_DOUBLES", 0)
    np.testing.assert_allclose(regress(X, y, 3, 0.0)[0], expected, atol=1e-9)


def test_a_seed_shared_with_teacher_and_samples_leaks_neither():
    # From one seed a random start used to be the teacher's own rows.
    # 150 samples for 200 weights: only a start at the teacher ends there.
    learner = tdlab.learner("student", rank=20, activation="He3", restarts=1)
    for given in (int, np.random.SeedSequence, np.random.default_rng):
        wide = tdlab.sample_network(10, 20, "He3", "sphere", rng=given(0))
        X, y = wide.sample(150, rng=given(0))
        fit = learner.fit(X, y, rng=given(0))
        assert tdlab.match(fit.network.weights, wide.weights, threshold=0.9).recovered < 0.5


@pytest.mark.parametrize("activation", ["1 + x + x**2 + x**3", "He4 + x**2", "x**5"])
def test_the_norm_predictor_is_scored_exactly(activation):
    net = tdlab.sample_network(3, 5, activation, "sphere", signs="random", rng=2)
    null = tdlab.gaussian_polynomial(3, net.hermite_energies(), rng=3)
    # Degrees up to 6 + 6 squared: seven Gauss-Hermite nodes an axis are exact.
    nodes, weights = np.polynomial.hermite_e.hermegauss(7)
    grid = np.stack(np.meshgrid(*[nodes] * 3), axis=-1).reshape(-1, 3)
    product = np.einsum("i,j,k->ijk", *[weights / weights.sum()] * 3).ravel()
    for target in (net, null):
        for degree in (0, 2, 6):
            fit = tdlab.learner("norm-trivial", degree=degree).fit(*target.sample(40, rng=5))
            expected = product @ (target.predict(grid) - fit.predict(grid)) ** 2
            found = tdlab.metrics.score(target, fit)
            assert found.standard_error == 0.0
            assert found.ratio == pytest.approx(expected / target.variance(), rel=1e-9)
    with pytest.raises(InputError, match="target: got a constant"):
        tdlab.metrics.score(tdlab.TwoLayerNetwork(np.ones((1, 3)), np.zeros(1)), fit)
