"""One larger component: its estimate, its score, and the experiment that asks for it."""

import itertools

import numpy as np
import pytest
from scipy.stats import beta

import tdlab
from tdlab import InputError, Status
from tdlab.lab.results.verdicts import judge
from tdlab.lab.spec.cells import cell_from
from tdlab.lab.spec.file import parse_spec
from tdlab.lab.trial.run import Task, run_trial
from tdlab.stats import interval, mean_interval

SPEC = """
name = "boosted"
seed = 2
trials = 6
[claim]
statement = "found while r << d^1.5"
source = "Wein (2022)"
expectation = "1 and 0"
[[claim.check]]
text = "small r"
quantity = "correlation"
where = { ld_to = 0.2, method = { name = "largest", degree = 9 } }
above = 0.4
[[claim.check]]
text = "large r"
quantity = "correlation"
where = { ld_from = 7 }
below = 0.7
[profile.full]
trials = 7
[[problem]]
activation = "He3"
ensemble = "hypercube"
kind = "boosted"
boost = 1.0
dims = [12]
ranks = { values = [0.1, 8.0], unit = "d^1.5" }
null = true
[[method]]
name = "largest"
degree = 9
terms = 1
[[method]]
name = "largest"
degree = 3
terms = 1
[[method]]
name = "power"
terms = 1
starts = 8
rounds = 1
iterations = 20
refine = false
"""


def polynomial(array, degree):
    """The estimate from its definition, on the entries."""
    dim = len(array)
    form = np.eye(dim)
    for _ in range(degree // 2):
        form = np.einsum("kai,ij,kjb->ab", array, form, array)
        form -= np.trace(form) / dim * np.eye(dim)
    return np.einsum("kij,ij->k", array, form)


def estimate(tensor, degree):
    return tdlab.decompose(tensor, 1, "largest", degree=degree, noise=0.0).components[0]


def boosted(dim, rank, boost, rng):
    return tdlab.sample_network(dim, rank, "He3", "hypercube", boost=boost, rng=rng)


@pytest.mark.parametrize("degree", [1, 3, 5, 9])
@pytest.mark.parametrize("rank", [4, 30])  # 30 > 7^1.5: held as an array
def test_it_is_the_stated_polynomial(degree, rank):
    tensor = boosted(7, rank, 0.5, 0).hermite_tensor(3)
    wanted = polynomial(tensor.dense(), degree)
    wanted /= np.linalg.norm(wanted)
    for held in (tensor, tdlab.DenseTensor(tensor.dense())):
        found = estimate(held, degree)
        # Components have positive coefficients: the sign is that of T(x, x, x).
        assert abs(found @ wanted) == pytest.approx(1.0, abs=1e-12)
        assert held.evaluate(found[None])[0] > 0.0


def test_high_degrees_read_the_leading_eigenvector():
    net = boosted(8, 5, 1.0, 1)
    array = net.hermite_tensor(3).dense()
    off = np.eye(64) - np.outer(np.eye(8).ravel(), np.eye(8).ravel()) / 8
    square = sum(np.kron(slice_, slice_) for slice_ in array)
    values, vectors = np.linalg.eigh(off @ square @ off)
    leading = vectors[:, -1].reshape(8, 8)
    wanted = np.einsum("kij,ij->k", array, leading)
    found = estimate(net.hermite_tensor(3), 401)
    assert values[-1] > 1.2 * values[-2], "a gap: the power steps have converged"
    assert abs(found @ wanted) / np.linalg.norm(wanted) == pytest.approx(1.0, abs=1e-9)


def test_equivariant_under_rotations_signed_permutations_and_sign(rotation, rng):
    tensor = boosted(9, 12, 0.3, 3).hermite_tensor(3)
    signed = np.eye(9)[rng.permutation(9)] * rng.choice([-1.0, 1.0], 9)
    for turn in (rotation(9), signed):
        np.testing.assert_allclose(
            estimate(tensor.rotate(turn), 9), turn @ estimate(tensor, 9), atol=1e-9
        )
    minus = tdlab.FactoredTensor(tensor.components, -tensor.weights)
    np.testing.assert_allclose(estimate(minus, 9), -estimate(tensor, 9), atol=1e-12)


def test_one_term_is_exact_and_more_are_refused():
    tensor = tdlab.FactoredTensor(np.ones((1, 6)), [-2.0])
    result = tdlab.decompose(tensor, 1, "largest")
    assert result.success and result.weights[0] == pytest.approx(2 * 6**1.5)
    refused = tdlab.decompose(tensor, 2, "largest")
    assert refused.status is Status.UNSUPPORTED and "rank <= 1" in refused.message
    with pytest.raises(InputError, match="degree': got 4, wanted an odd number"):
        tdlab.decompose(tensor, 1, "largest", degree=4)


@pytest.mark.parametrize("degree", [1, 3])
def test_mean_correlation_equals_the_enumeration_of_all_corners(degree):
    # By symmetry the larger component is (1, 1, 1)/sqrt(3), and the other any of eight corners.
    first = np.ones(3) / np.sqrt(3)
    squared = []
    for corner in itertools.product([-1.0, 1.0], repeat=3):
        second = np.array(corner) / np.sqrt(3)
        array = 2 * np.einsum("i,j,k", first, first, first)
        array += np.einsum("i,j,k", second, second, second)
        found = polynomial(array, degree)
        squared.append((found @ first) ** 2 / (found @ found))
    cell = parse_spec(f"""
[problem]
activation = "He3"
ensemble = "hypercube"
kind = "boosted"
boost = 1.0
dims = [3]
ranks = [2]
[method]
name = "largest"
degree = {degree}
terms = 1
""").cells[0]
    found = [run_trial(Task(cell, index)).recovered for index in range(400)]
    # Four standard errors.
    error = np.std(squared) / 20
    assert np.mean(found) == pytest.approx(np.mean(squared), abs=4 * error)
    assert error < 0.02 and {round(x, 9) for x in found} <= {round(x, 9) for x in squared}


def test_near_one_for_few_components_and_near_zero_for_many():
    def mean(rank):
        found = []
        for seed in range(10):
            net = boosted(30, rank, 0.5, seed)
            rows = estimate(net.hermite_tensor(3), 45)[None]
            found.append(tdlab.metrics.largest_overlap(rows, np.ones(1), net, 3))
        return np.mean(found)

    assert mean(5) > 0.95
    # 18 d^1.5 components: like a random direction, 1/30 on average; its 10-trial mean exceeds
    # 0.15 with probability below 1e-6 (chi-square).
    assert mean(3000) < 0.15


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tdlab.run(parse_spec(SPEC), store=tmp_path_factory.mktemp("b") / "b.db", workers=1)


def test_trials_score_the_larger_component(store):
    frame = store.trials()
    null = frame["null"]
    assert set(frame[null]["outcome"]) == {"measured"} and frame[null]["recovered"].isna().all()
    planted = frame[~null]
    won = planted["outcome"] == "recovered"
    assert (won == (planted["recovered"] >= 0.5)).all() and 0 < won.sum() < len(won)
    cell = next(c for c in parse_spec(SPEC).cells if c.method.name == "power")
    assert cell.method.label == "power" and cell.method.terms(99) == 1
    seen = []
    result = run_trial(Task(cell, 3), seen.append)
    row = planted[(planted["method"] == "power") & (planted["rank"] == cell.rank)]
    assert result.recovered == row["recovered"].iloc[3] and len(seen[0].components) == 1


def test_claims_on_correlations(store):
    few, many = judge(parse_spec(SPEC).claim, store)
    assert few.status == many.status == "holds"
    assert len(few.intervals) == 1 and len(many.intervals) == 3
    frame = store.trials()
    values = frame[(frame["method"] == "largest(degree=9)") & (frame["rank"] == 4)]["recovered"]
    mean, low, high = mean_interval(values.dropna())
    # The checks of an experiment share its level: each interval is wider than one alone.
    assert few.worst[1] == mean and few.worst[2] <= low and high <= few.worst[3]


def test_figures_of_correlations(store, tmp_path):
    from tdlab.view.figures.every import plot_store

    names = {path.name for path in plot_store(store, tmp_path)}
    assert "correlation-He3-hypercube.png" in names
    assert not any(name.startswith(("phase", "risk", "sweep")) for name in names)
    rows = (tmp_path / "correlation-He3-hypercube.csv").read_text().splitlines()
    assert len(rows) == 1 + 2 * 3


def test_identities_and_mistakes():
    # Without a boost a claim on correlations names no cell, and is refused.
    unclaimed = SPEC[: SPEC.index("[claim]")] + SPEC[SPEC.index("[profile.full]") :]
    plain, boosted_ = (
        parse_spec(unclaimed.replace('kind = "boosted"\nboost = 1.0', kind))
        for kind in ("", 'kind = "boosted"\nboost = 1.0')
    )
    digests = [cell.digest for scan in (plain, boosted_) for cell in scan.cells]
    assert len(set(digests)) == len(digests)
    assert "boost" not in plain.cells[0].identity["problem"]
    for cell in boosted_.cells:
        assert cell_from(cell.identity).digest == cell.digest
    two = unclaimed.replace("degree = 3\nterms = 1", "degree = 9\nterms = 2")
    labels = {cell.method.label for cell in parse_spec(two).cells}
    assert {"largest(degree=9, terms=1)", "largest(degree=9, terms=2)"} <= labels
    for old, new, match in (
        ("boost = 1.0", "boost = -0.1", "boost: got -0.1"),
        ("terms = 1", "terms = 0", "terms"),
        ("terms = 1", "terms = 1\nwidth = 1.0", "terms: got it beside width"),
    ):
        with pytest.raises(InputError, match=match) as caught:
            parse_spec(SPEC.replace(old, new, 1))
        assert "\n" not in str(caught.value)


def test_learners_are_scored_on_the_larger_component_too():
    spec = parse_spec("""
[problem]
activation = "x**3"
ensemble = "hypercube"
kind = "boosted"
boost = 2.0
dims = [5]
ranks = [2]
samples = [400]
[[method]]
name = "student"
restarts = 4
""")
    found = [run_trial(Task(spec.cells[0], index)) for index in range(3)]
    assert {one.outcome for one in found} <= {"recovered", "failed"}
    # Outputs of a student are 1: its rows are longer where the teacher's output is larger.
    assert max(one.recovered for one in found) > 0.9999


def test_a_boost_makes_one_output_larger():
    net = tdlab.sample_network(6, 9, "He3", "sphere", signs="random", boost=0.5, rng=0)
    plain = tdlab.sample_network(6, 9, "He3", "sphere", signs="random", rng=0)
    np.testing.assert_array_equal(net.weights, plain.weights)
    np.testing.assert_allclose(net.output_weights / plain.output_weights, [1.5, *[1.0] * 8])
    rows = tdlab.sample_network(7, 500, "He3", "hypercube", rng=0).weights * np.sqrt(7)
    assert set(np.unique(np.abs(np.round(rows, 12)))) == {1.0}
    assert np.abs(rows.mean(axis=0)).max() < 4 / np.sqrt(500)


def test_the_overlap_is_of_the_largest_with_the_largest():
    net = tdlab.TwoLayerNetwork(np.eye(3), [1.0, -2.0, 1.0], "He3")
    overlap = tdlab.metrics.largest_overlap
    rows = np.array([[1.0, 0.0, 0.0], [0.0, 3.0, 4.0]])
    assert overlap(rows, np.array([1.0, -5.0]), net, 3) == pytest.approx(0.36)
    assert overlap(rows, np.array([5.0, 1.0]), net, 3) == 0.0
    assert overlap(np.empty((0, 3)), np.empty(0), net, 3) == 0.0


def test_intervals_of_means():
    for won, n in ((0, 5), (3, 7), (9, 10), (20, 20)):
        mean, low, high = mean_interval([1.0] * won + [0.0] * (n - won))
        exact = interval(won, n, method="clopper-pearson")
        # Quantiles of 20 000 draws: their error is below 0.01 here.
        np.testing.assert_allclose((low, high), exact, atol=0.01)
        assert mean == won / n
    rng = np.random.default_rng(0)
    for a, b in ((0.2, 0.2), (5.0, 0.3), (1.0, 1.0)):
        law = beta(a, b)
        covered = 0
        for _ in range(200):
            _, low, high = mean_interval(law.rvs(16, random_state=rng))
            covered += low <= law.mean() <= high
        # 95% of 200, less three standard errors.
        assert covered >= 181, (a, b)
    assert mean_interval([])[1:] == (0.0, 1.0)
    for bad in ([1.2], [float("nan")]):
        with pytest.raises(InputError, match="outside"):
            mean_interval(bad)
