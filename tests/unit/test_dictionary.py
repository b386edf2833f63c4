"""Dictionaries: recovery, refusal where the cumulant vanishes, the peer on the same data."""

import itertools

import numpy as np
import pytest

import tdlab
from tdlab import InputError, Status
from tdlab.dictionary import learn_dictionary, sparse_coefficients


def planted(dim, count, density, kind, seed=0):
    atoms = np.linalg.qr(np.random.default_rng(seed).standard_normal((dim, dim)))[0]
    return atoms @ sparse_coefficients(dim, count, density, kind, rng=seed + 1), atoms


@pytest.mark.parametrize(
    ("kind", "density"),
    [
        ("gaussian", 0.05),
        ("gaussian", 0.6),
        ("rademacher", 0.1),
        ("rademacher", 0.7),
        ("fixed-size", 0.2),
    ],
)
def test_all_atoms_are_found(kind, density):
    samples, atoms = planted(20, 20_000, density, kind)
    result = learn_dictionary(samples, rng=3)
    assert result.success, result.message
    assert tdlab.match(result.atoms.T, atoms.T, order=4).recovered == 1.0
    np.testing.assert_allclose(result.atoms.T @ result.atoms, np.eye(20), atol=1e-10)


def test_polishing_sharpens():
    samples, atoms = planted(20, 20_000, 0.1, "gaussian")
    worst = [
        tdlab.match(learn_dictionary(samples, polish=p, rng=3).atoms.T, atoms.T, order=4).worst
        for p in (False, True)
    ]
    assert worst[1] > 1 - 1e-6 > worst[0]


@pytest.mark.parametrize(("kind", "density"), [("rademacher", 1 / 3), ("gaussian", 1.0)])
def test_a_vanishing_cumulant_is_refused_with_the_reason(kind, density):
    samples, _ = planted(12, 10_000, density, kind)
    result = learn_dictionary(samples, rng=3)
    assert result.status is Status.UNSUPPORTED and not result.success
    assert "fourth cumulant" in result.message and result.atoms.shape == (12, 0)


@pytest.mark.parametrize("dim", [2, 3, 5, 20])
def test_samples_that_no_rotation_changes_have_no_atoms(dim, rng):
    # One random size a sample: the cumulant is large, and the same in all directions.
    samples = rng.standard_normal((dim, 4000)) * rng.choice([0.3, 2.0], 4000)
    result = learn_dictionary(samples, rng=3)
    assert not result.success and result.message.endswith(".")


@pytest.mark.parametrize("mixing", ["correlated", "unequal"])
def test_gaussian_samples_of_any_covariance_are_refused(mixing, rng):
    mix = rng.standard_normal((12, 12)) if mixing == "correlated" else np.diag(np.arange(1, 13.0))
    result = learn_dictionary(mix @ rng.standard_normal((12, 10_000)), rng=3)
    assert result.status is Status.UNSUPPORTED and not result.success


def test_atoms_of_unequal_use_are_found(rng):
    atoms = np.linalg.qr(rng.standard_normal((20, 20)))[0]
    density = np.linspace(0.02, 0.3, 20)[:, None]
    values = (rng.random((20, 20_000)) < density) * rng.standard_normal((20, 20_000))
    result = learn_dictionary(atoms @ values, rng=3)
    assert result.success, result.message
    assert tdlab.match(result.atoms.T, atoms.T, order=4).recovered == 1.0


@pytest.mark.parametrize("value", [0.0, 1.0, 1e6])
def test_a_constant_row_is_no_success(value):
    samples, _ = planted(12, 10_000, 0.1, "gaussian")
    samples[2] = value
    result = learn_dictionary(samples, rng=3)
    assert not result.success and "span 11 of 12 dimensions" in result.message


def test_equal_samples_are_no_success():
    assert not learn_dictionary(np.ones((3, 50)), rng=3).success


def test_a_success_is_right_at_any_number_of_samples():
    """Around the number that suffices some fail; none of the successes may be wrong."""
    successes = 0
    for dim, count, density, kind in itertools.product(
        (3, 6, 20), (60, 200, 1000), (0.1, 0.4, 0.9), ("gaussian", "fixed-size")
    ):
        samples, atoms = planted(dim, count, density, kind, seed=count + dim)
        result = learn_dictionary(samples, rng=3)
        if result.success:
            successes += 1
            assert result.stability >= 0.95
            assert tdlab.match(result.atoms.T, atoms.T, order=4, threshold=0.9).recovered == 1.0
    assert successes >= 8


def test_what_the_halves_do_not_confirm_is_shown_but_no_success():
    atoms = np.random.default_rng(5).standard_normal((20, 20))
    samples = atoms @ sparse_coefficients(20, 20_000, 0.1, rng=1)
    result = learn_dictionary(samples, rng=0)
    assert not result.success and result.status is Status.STAGNATED
    if result.atoms.size:
        assert result.stability < 0.95 and "halves" in result.message


def test_units_do_not_matter():
    samples, atoms = planted(8, 5000, 0.2, "gaussian")
    for scale in (1e-300, 1e-6, 1e6, 1e300):
        result = learn_dictionary(scale * samples, rng=3)
        assert tdlab.match(result.atoms.T, atoms.T, order=4).recovered == 1.0


def test_fixed_size_coefficients_are_dependent():
    squares = sparse_coefficients(10, 50_000, 0.3, "fixed-size", rng=0) ** 2
    assert abs(np.corrcoef(squares)[0, 1]) > 0.01


@pytest.mark.parametrize("bad", [np.ones((3, 4)), np.zeros((3, 40)), np.full((3, 40), np.nan)])
def test_bad_samples_are_refused(bad):
    with pytest.raises(InputError, match="samples: got"):
        learn_dictionary(bad)


@pytest.mark.peers
def test_finds_at_least_what_the_peer_finds():
    from sklearn.decomposition import MiniBatchDictionaryLearning

    samples, atoms = planted(10, 3000, 0.2, "gaussian")
    peer = MiniBatchDictionaryLearning(10, alpha=0.5, max_iter=20, random_state=0)
    theirs = tdlab.match(peer.fit(samples.T).components_, atoms.T, order=4).recovered
    ours = tdlab.match(learn_dictionary(samples, rng=0).atoms.T, atoms.T, order=4).recovered
    assert ours == 1.0 >= theirs


def independent_sources(rng, count):
    """Rows of unit variance, cumulants -2, -1.2, 3, 6 and -1.5."""
    return np.stack(
        [
            np.sign(rng.standard_normal(count)),
            rng.uniform(-1.0, 1.0, count) * 3**0.5,
            rng.laplace(size=count) / 2**0.5,
            rng.exponential(size=count) - 1.0,
            np.sin(np.arange(count) * 0.37) * 2**0.5,
        ]
    )


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("shift", [0.0, 3.0])
def test_cumulants_of_both_signs_and_samples_off_centre(seed, shift):
    rng = np.random.default_rng(seed)
    atoms = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    samples = atoms @ independent_sources(rng, 20_000) + shift * rng.standard_normal((5, 1))
    found = learn_dictionary(samples, rng=seed)
    assert found.success, found.message
    assert tdlab.match(found.atoms.T, atoms.T, order=4).worst > 0.99
    assert ("had a mean of" in found.message) == (shift > 0.0)
    assert "2 with positive and 3 with negative" in found.message


def test_whitened_mixtures_give_the_mixing_matrix():
    rng = np.random.default_rng(2)
    sources = independent_sources(rng, 20_000)
    mixing = rng.standard_normal((5, 5))
    samples = mixing @ sources
    values, vectors = np.linalg.eigh(np.cov(samples))
    found = learn_dictionary((vectors / values**0.5).T @ samples, rng=0)
    assert found.success
    columns = (vectors * values**0.5) @ found.atoms
    assert tdlab.match(columns.T, mixing.T, order=4).worst > 0.99


def test_a_shift_does_not_change_a_sparse_dictionary():
    rng = np.random.default_rng(0)
    atoms = np.linalg.qr(rng.standard_normal((8, 8)))[0]
    samples = atoms @ sparse_coefficients(8, 8000, 0.2, rng=1) + 0.5
    found = learn_dictionary(samples, rng=2)
    assert found.success and tdlab.match(found.atoms.T, atoms.T, order=4).recovered == 1.0


@pytest.mark.parametrize("seed", range(5))
def test_several_gaussian_sources_are_no_success(seed):
    rng = np.random.default_rng(seed)
    atoms = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    sources = independent_sources(rng, 20_000)
    sources[[0, 3]] = rng.standard_normal((2, 20_000))
    assert not learn_dictionary(atoms @ sources, rng=seed).success
