"""Inputs that are not N(0, I) are told with the figure, and Gaussian ones never are."""

import warnings

import numpy as np
import pytest

import tdlab
from tdlab import InputWarning, Status
from tdlab.tensors.gaussian_inputs import GaussianCheck


def deviations(X):
    check = GaussianCheck(X.shape[1])
    check.add(np.asarray(X, dtype=float))
    return check.deviations()


@pytest.mark.parametrize("dim", [1, 2, 5, 20, 60])
@pytest.mark.parametrize("n", [1, 2, 10, 60, 1000])
def test_gaussian_inputs_never_warn(n, dim):
    rng = np.random.default_rng([n, dim])
    for _ in range(200 if n * dim < 2000 else 20):
        assert deviations(rng.standard_normal((n, dim))) == []


def test_the_tests_have_the_level_that_they_claim(monkeypatch):
    # At a chance of 1e-7 nothing is seen in a test; at 1% each, four tests give at most 4%.
    import tdlab.tensors.gaussian_inputs as module

    monkeypatch.setattr(module, "_CHANCE", 0.01)
    monkeypatch.setattr(module, "_HARMLESS", 0.0)
    for n, dim in ((30, 4), (8, 12), (200, 10)):
        rng = np.random.default_rng(n)
        trials = 1500
        seen = sum(bool(deviations(rng.standard_normal((n, dim)))) for _ in range(trials))
        # Three standard deviations above 4%, and not so far below that nothing is ever told.
        assert 0.005 * trials < seen < (0.04 + 3 * (0.04 / trials) ** 0.5) * trials, (n, dim)


def shifted(rng, n):
    return rng.standard_normal((n, 6)) + 0.5


def scaled(rng, n):
    return 0.05 * rng.standard_normal((n, 6))


def one_column_scaled(rng, n):
    return rng.standard_normal((n, 6)) * np.array([1, 1, 1.6, 1, 1, 1])


def correlated(rng, n):
    common = rng.standard_normal((n, 1))
    X = 0.6 * common + 0.8 * rng.standard_normal((n, 6))
    return (X - X.mean(0)) / X.std(0)


def weakly_correlated(rng, n):
    # No pair is telling on its own: all together are.
    common = rng.standard_normal((n, 1))
    return 0.4 * common + (1.0 - 0.16) ** 0.5 * rng.standard_normal((n, 20))


def dependent(rng, n):
    X = rng.standard_normal((n, 4))
    return np.column_stack([X, X.sum(axis=1) / 2.0])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (shifted, "a mean of 0.6"),
        (scaled, "a mean square of 0.00"),
        (one_column_scaled, "in column 2, wanted 1"),
        (correlated, "with cosine"),
        (weakly_correlated, "with cosine"),
        (dependent, "with cosine"),
    ],
)
def test_other_inputs_are_told_with_the_figure(make, says):
    X = make(np.random.default_rng(0), 400)
    y = X[:, 0] ** 3
    assert any(says in one for one in deviations(X)), deviations(X)
    with pytest.warns(InputWarning, match=says):
        tdlab.HermiteMomentTensor(X, y)
    with pytest.warns(InputWarning, match=says):
        tdlab.learner("linear").fit(X, y)
    with pytest.warns(InputWarning, match=says):
        tdlab.least_squares_tensor(X, y)
    with pytest.warns(InputWarning, match=says):
        tdlab.MomentAccumulator().add(X[:150], y[:150]).add(X[150:], y[150:]).tensor()


def test_the_remedy_of_the_message_is_one():
    X = correlated(np.random.default_rng(0), 400)
    with pytest.warns(InputWarning) as caught:
        tdlab.HermiteMomentTensor(X, X[:, 0])
    code = str(caught[0].message).split("Whiten them: ")[1]
    whitened = eval(code, {"X": X, "numpy": np})
    assert deviations(whitened) == []


def test_what_does_no_harm_is_not_told():
    X = np.random.default_rng(0).standard_normal((200_000, 2)) * 1.004
    assert deviations(X) == []


@pytest.mark.parametrize("name", ["moment-predictor", "polynomial-regression"])
def test_a_fit_that_is_worse_than_the_mean_has_not_converged(name):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 3)) * np.array([1.0, 30.0, 900.0]) + 5.0
    y = rng.standard_normal(300)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        fit = tdlab.learner(name).fit(X, y, rng=0)
    risk = np.mean((fit.predict(X) - y) ** 2)
    assert (fit.status is Status.CONVERGED) == (risk <= np.var(y) * (1 + 1e-6))
    if name == "moment-predictor":
        assert risk > np.var(y) and "nothing was learned" in fit.message


def test_diabetes_is_told_and_is_no_success():
    datasets = pytest.importorskip("sklearn.datasets")
    X, y = datasets.load_diabetes(return_X_y=True)
    y = (y - y.mean()) / y.std()
    for learner in (
        tdlab.learner("moment-predictor"),
        tdlab.learner("moments-decompose", rank=5, activation="x**3", tensor="moments"),
    ):
        with pytest.warns(InputWarning, match="mean square of 0.00"):
            fit = learner.fit(X, y, rng=0)
        risk = np.mean((fit.predict(X) - y) ** 2)
        assert fit.status is not Status.CONVERGED or risk <= 1.0 + 1e-6
