"""Moments of samples: their error, its estimate, shrinkage, residuals, streams and memory."""

import math
import tracemalloc

import numpy as np
import pytest

import tdlab
from tdlab import HermiteMomentTensor, InputError, MomentAccumulator
from tdlab.tensors.hermite_pairs import HermiteKernel
from tdlab.tensors.lower_degrees import fit_residuals


def law(dim, n):
    """E|T_hat - T|^2 / |T|^2 for traceless T and pure He_3."""
    kappa = (dim + 6) * (dim**2 + 15 * dim + 38) / (dim * (dim + 1) * (dim + 2))
    return (kappa * math.comb(dim + 2, 3) - 1) / n


def squared_error(tensor, true):
    return float(np.sum((tensor.dense() - true.dense()) ** 2) / true.norm() ** 2)


def standard_errors(values, expected):
    return (np.mean(values) - expected) / (np.std(values, ddof=1) / math.sqrt(len(values)))


def draws(dim, rank, n, count):
    """The true tensor of an isotropic teacher (so traceless) and moments of ``count`` data sets."""
    net = tdlab.sample_network(dim, rank, "He3", "isotropic", rng=0)
    return net.hermite_tensor(3), [
        HermiteMomentTensor(*net.sample(n, rng=seed)) for seed in range(count)
    ]


@pytest.mark.parametrize("dim", [2, 5, 20, 100])
def test_the_error_law_is_exact(dim):
    """E y^2 |He_3(x)|^2 / 36 with y = |x|^3 Y(x/|x|): |x|^2 weighted by |x|^6 is chi^2(d+6)."""
    kernel = HermiteKernel(dim, 3)
    s = np.arange(4.0)
    coefficients = np.polynomial.polynomial.polyfit(s, kernel(s, s, s), 3)
    moments = np.cumprod([1.0] + [dim + 6 + 2.0 * i for i in range(3)])
    assert (coefficients @ moments / 6 - 1) / 7 == pytest.approx(law(dim, 7), rel=1e-9)


@pytest.mark.parametrize(
    ("dim", "rank", "n", "count"),
    [
        (6, 12, 500, 400),
        (8, 14, 1500, 300),
        (8, 20, 200, 400),
        (12, 20, 5000, 60),
        (20, 40, 8000, 50),
    ],
)
def test_error_and_its_estimate_follow_the_law(dim, rank, n, count):
    true, tensors = draws(dim, rank, n, count)
    errors = [squared_error(tensor, true) for tensor in tensors]
    assert abs(standard_errors(errors, law(dim, n))) < 3.0
    # |T_hat|^2 = signal + error gives back the U-statistic of the error.
    shares = [1.0 - 1.0 / (1.0 + tensor.relative_error()) for tensor in tensors]
    found = [
        share * tensor.norm() ** 2 / true.norm() ** 2
        for share, tensor in zip(shares, tensors, strict=True)
    ]
    if law(dim, n) < 1.0:
        # (Above, some data sets do not tell T from zero, and their share is cut off at 1.)
        assert max(shares) < 1.0
        assert abs(standard_errors(found, law(dim, n))) < 3.0


@pytest.mark.parametrize(("dim", "rank", "n", "count"), [(8, 14, 1500, 300), (8, 20, 200, 400)])
def test_shrinkage_reaches_the_optimal_risk(dim, rank, n, count):
    true, tensors = draws(dim, rank, n, count)
    e = law(dim, n)
    risks = [squared_error(tensor.shrunk(), true) for tensor in tensors]
    # The factor comes from the same samples: within 5% of the risk of the best fixed factor.
    assert np.mean(risks) == pytest.approx(e / (1 + e), rel=0.05)
    assert np.mean(risks) < np.mean([squared_error(tensor, true) for tensor in tensors])


def test_pure_noise_is_shrunk_away(rng):
    X, y = rng.standard_normal((400, 5)), rng.standard_normal(400)
    tensors = [HermiteMomentTensor(X, np.roll(y, k)) for k in range(40)]
    errors = [tensor.relative_error() for tensor in tensors]
    assert np.isinf(errors).any() and np.median(errors) > 1.0
    gone = tensors[int(np.argmax(errors))].shrunk()
    assert gone.norm() == 0.0 and gone.relative_error() == math.inf
    assert tdlab.decompose(gone, 2).status == "unsupported"


@pytest.mark.parametrize("order", [2, 3, 4, 5])
def test_the_error_estimate_is_the_sample_variance(rng, order):
    X, y = rng.standard_normal((30, 3)), rng.standard_normal(30)
    single = np.stack(
        [HermiteMomentTensor(X[i : i + 1], y[i : i + 1], order).dense().ravel() for i in range(30)]
    )
    error = single.var(axis=0, ddof=1).sum() / 30
    signal = np.sum(single.mean(axis=0) ** 2) - error
    expected = error / signal if signal > 0 else math.inf
    tensor = HermiteMomentTensor(X, y, order)
    assert tensor.relative_error() == pytest.approx(expected)
    assert tensor.shrunk().relative_error() == pytest.approx(expected)
    streamed = MomentAccumulator(order).add(X[:7], y[:7]).add(X[7:], y[7:])
    assert streamed.relative_error() == pytest.approx(expected)


def test_shrinking_twice_is_shrinking_once(rng, rotation):
    _, (tensor,) = draws(6, 12, 2000, 1)
    once = tensor.shrunk()
    factor = 1 / (1 + tensor.relative_error())
    np.testing.assert_allclose(once.dense(), factor * tensor.dense(), rtol=1e-12)
    rows = rng.standard_normal((3, 6))
    np.testing.assert_allclose(once.mttkrp(rows), factor * tensor.mttkrp(rows), rtol=1e-10)
    assert once.shrunk() is once
    turned = once.rotate(rotation(6))
    assert turned.shrunk() is turned
    assert turned.relative_error() == pytest.approx(tensor.relative_error())


def test_the_error_of_a_general_change_of_variables_is_refused(rng):
    _, (tensor,) = draws(6, 12, 100, 1)
    with pytest.raises(InputError, match="no isometry"):
        tensor.rotate(rng.standard_normal((6, 6))).relative_error()


@pytest.mark.parametrize("order", [2, 3, 4, 5])
def test_a_stream_of_chunks_gives_the_same_tensor(rng, order):
    X, y = rng.standard_normal((500, 4)), rng.standard_normal(500)
    expected = HermiteMomentTensor(X, y, order)
    pieces = np.split(np.arange(500), [1, 40, 300])
    streamed = MomentAccumulator.over(((X[part], y[part]) for part in pieces), order)
    np.testing.assert_allclose(streamed.dense(), expected.dense(), rtol=1e-11, atol=1e-13)
    sums = MomentAccumulator(order).add(X, y)
    np.testing.assert_allclose(
        sums.shrunk().dense(), expected.shrunk().dense(), rtol=1e-10, atol=1e-13
    )
    # Asking does not end the stream.
    again = sums.add(X, y).tensor()
    np.testing.assert_allclose(again.dense(), expected.dense(), rtol=1e-11, atol=1e-13)


def test_bad_streams_are_refused_in_one_line(rng):
    with pytest.raises(InputError, match="chunks: got no samples"):
        MomentAccumulator.over(iter(()))
    sums = MomentAccumulator().add(np.ones((1, 3)), np.ones(1))
    with pytest.raises(InputError, match="X: got 4 columns, wanted 3 as before"):
        sums.add(np.ones((2, 4)), np.ones(2))
    with pytest.raises(InputError, match=r"y: got shape \(3,\), wanted \(2,\)"):
        sums.add(np.ones((2, 3)), np.ones(3))
    with pytest.raises(InputError, match="n: got 1 sample, wanted at least 2"):
        sums.relative_error()
    with pytest.raises(InputError, match=r"needs 1000 bytes|wanted at most max_bytes=100"):
        MomentAccumulator(max_bytes=100).add(np.ones((1, 5)), np.ones(1))


def test_memory_stays_far_below_one_matrix_a_sample(rng):
    X, y = rng.standard_normal((40_000, 30)), rng.standard_normal(40_000)
    tensor = HermiteMomentTensor(X, y, max_bytes=0)
    rows = rng.standard_normal((60, 30))
    tensor.mttkrp(rows)
    tracemalloc.start()
    try:
        tensor.mttkrp(rows)
        tensor.contract(rows[0])
        tensor.dense()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**24  # n d^2 doubles are 288 MB, X is 9.6 MB


# Residuals.


@pytest.mark.parametrize(("order", "degree"), [(2, 1), (3, 0), (3, 1), (3, 2), (4, 3), (5, 4)])
@pytest.mark.parametrize("folds", [1, 3])
def test_a_polynomial_of_lower_degree_leaves_nothing(rng, order, degree, folds):
    X = rng.standard_normal((600, 3))
    y = 2.0 + (X @ [1.0, -2.0, 0.5]) ** degree + (X[:, 0] if degree else 0.0)
    rest = fit_residuals(X, y, degree, folds)
    assert np.abs(rest).max() < 1e-5 * np.abs(y).max()
    tensor = HermiteMomentTensor(X, y, order, residualise=degree, folds=folds)
    assert tensor.norm() < 1e-5 * HermiteMomentTensor(X, y, order).norm()


def test_residuals_are_least_squares_on_the_other_fold(rng):
    X, y = rng.standard_normal((300, 4)), rng.standard_normal(300)
    features = np.hstack(
        [
            np.ones((300, 1)),
            X,
            np.stack([X[:, i] * X[:, j] for i in range(4) for j in range(i, 4)], 1),
        ]
    )
    found = fit_residuals(X, y, 2, folds=2)
    for own, other in ((slice(0, 150), slice(150, 300)), (slice(150, 300), slice(0, 150))):
        solution = np.linalg.lstsq(features[other], y[other], rcond=None)[0]
        np.testing.assert_allclose(found[own], y[own] - features[own] @ solution, atol=1e-6)


def test_a_fold_never_sees_its_own_labels(rng):
    X, y = rng.standard_normal((300, 4)), rng.standard_normal(300)
    change = np.zeros(300)
    change[:100] = rng.standard_normal(100)
    before, after = (fit_residuals(X, labels, 1, folds=3) for labels in (y, y + change))
    np.testing.assert_allclose(after[:100] - before[:100], change[:100], atol=1e-7)
    assert np.abs(after[100:] - before[100:]).max() > 1e-3


def test_residuals_take_the_noise_of_lower_degrees_away():
    """With He_3 + 10 He_1 the linear part is most of the variance, so of the error too."""
    net = tdlab.sample_network(6, 10, "He3 + 10x", "sphere", rng=1)
    true = net.hermite_tensor(3)
    share = net.hermite_energies()[1] / net.variance()
    assert share > 0.8
    plain, clean, errors = [], [], []
    trials = 320
    for seed in range(trials):
        X, y = net.sample(600, rng=seed)
        plain.append(squared_error(HermiteMomentTensor(X, y), true))
        tensor = HermiteMomentTensor(X, y, residualise=2, folds=3)
        clean.append(squared_error(tensor, true))
        errors.append(tensor.dense() - true.dense())
    assert np.mean(clean) < 0.4 * np.mean(plain)
    # And stays unbiased. Without bias one of 56 Gaussian entries is 4 standard errors off in one
    # such test of 280, and 5 in one of 31 000; 5 of 320 trials are as far as 4 of 200.
    deviation = np.abs(np.mean(errors, axis=0)) / (np.std(errors, axis=0) / math.sqrt(trials))
    assert deviation.max() < 5.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"residualise": 3}, r"residualise: got 3, wanted less than the order, 3"),
        ({"residualise": -1}, r"residualise: got -1, wanted an integer >= 0"),
        ({"residualise": 1.0}, r"residualise: got 1\.0, wanted an integer"),
        ({"residualise": 2}, r"residualise: got 2 with 10 samples a fit, wanted at least 30"),
        ({"residualise": 0, "folds": 0}, r"folds: got 0, wanted an integer >= 1"),
        ({"residualise": 0, "folds": 21}, r"folds: got 21 for 20 samples, wanted at most as many"),
        ({"folds": 2}, r"folds: got 2 without residualise"),
        ({"max_bytes": -1}, r"max_bytes: got -1"),
    ],
)
def test_bad_options_are_refused_in_one_line(rng, options, message):
    X, y = rng.standard_normal((20, 4)), rng.standard_normal(20)
    with pytest.raises(InputError, match=message) as caught:
        HermiteMomentTensor(X, y, **options)
    assert "\n" not in str(caught.value)
