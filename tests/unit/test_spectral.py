"""`hsss` and `ding`: implicit operators against dense ones, exactness, hits, honest failures."""

import numpy as np
import pytest

import tdlab
from tdlab.algorithms.base import Budget
from tdlab.algorithms.methods.ding import Ding, contracted_candidates, harmonic_part, sextic_product
from tdlab.algorithms.methods.hsss import HSSS, contracted_square
from tdlab.algorithms.parts.precondition import harmonic, precondition

FORMS = ["published", "preconditioned"]


def planted(dim, rank, seed=0):
    seed += 1000 * dim + 10 * rank
    rows = tdlab.sample_network(dim, rank, "He3", "sphere", rng=seed).weights
    return tdlab.FactoredTensor(rows), rows


@pytest.mark.parametrize("held", ["dense", "factored"])
def test_the_contracted_square_is_the_matrix_it_stands_for(rng, held):
    tensor, _ = planted(4, 6)
    array, g = tensor.dense(), rng.standard_normal(4)
    # The d^2 x d^2 matrix sum_kl G_kl T_k (x) T_l and R = I - (1 - sqrt(2/(d+2))) ii'/d.
    G = np.einsum("a,abc->bc", g, array)
    big = sum(G[k, m] * np.kron(array[k], array[m]) for k in range(4) for m in range(4))
    eye = np.eye(4).ravel()
    R = np.eye(16) + (np.sqrt(2 / 6) - 1) * np.outer(eye, eye) / 4
    X = rng.standard_normal((4, 4))
    X = X + X.T
    given = tensor if held == "factored" else tdlab.DenseTensor(array)
    expected = (R @ big @ R @ X.ravel()).reshape(4, 4)
    np.testing.assert_allclose(contracted_square(given, g)(X), expected, atol=1e-12)


def test_the_sextic_product_is_the_contraction_it_stands_for(rng):
    array = tdlab.gaussian_tensor(4, rng=rng).dense()
    form = tdlab.gaussian_tensor(4, rng=rng).dense()
    expected = np.einsum("abc,ail,bjm,ckn,lmn->ijk", *[array] * 4, form, optimize=True)
    np.testing.assert_allclose(sextic_product(array)(form), expected, atol=1e-14)


def test_the_harmonic_part_is_an_orthogonal_projection(rng):
    X, Y = (tdlab.gaussian_tensor(5, rng=rng).dense() for _ in range(2))
    once = harmonic_part(X)
    np.testing.assert_allclose(harmonic_part(once), once, atol=1e-14)
    assert np.vdot(once, Y) == pytest.approx(np.vdot(X, harmonic_part(Y)))
    assert np.abs(np.einsum("iij", once)).max() < 1e-14
    # The tensor class's own harmonic part, without preconditioning, is the same.
    frame = precondition(tdlab.DenseTensor(X))
    np.testing.assert_allclose(
        harmonic(frame).dense(), harmonic_part(frame.tensor.dense()), atol=1e-12
    )


def test_contractions_of_the_exact_span_find_components_exactly(rng):
    rows = np.linalg.qr(rng.standard_normal((8, 8)))[0][:5]
    forms = np.stack([np.einsum("i,j,k->ijk", w, w, w) for w in rows])
    mixed = np.einsum("pq,qijk->pijk", np.linalg.qr(rng.standard_normal((5, 5)))[0], forms)
    found = contracted_candidates(mixed, 40, rng)
    cosines = np.abs(found @ rows.T)
    np.testing.assert_allclose(cosines.max(axis=1), 1.0, atol=1e-9)
    assert len(set(cosines.argmax(axis=1))) == 5


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("method", ["hsss", "ding"])
def test_orthogonal_components_of_any_weight(method, form, rng):
    rows = np.linalg.qr(rng.standard_normal((9, 9)))[0][:6]
    tensor = tdlab.FactoredTensor(rows, np.linspace(1.0, 2.0, 6))
    result = tdlab.decompose(tensor, 6, method, rng=0, form=form)
    assert result.success and tdlab.match(result.components, rows).worst > 1 - 1e-9


@pytest.mark.parametrize(("method", "dim", "rank"), [("hsss", 20, 30), ("ding", 14, 20)])
def test_more_components_than_dimensions(method, dim, rank):
    tensor, rows = planted(dim, rank)
    result = tdlab.decompose(tensor, rank, method, rng=0)
    assert result.success and tdlab.match(result.components, rows).recovered == 1.0


@pytest.mark.parametrize("method", ["hsss", "ding"])
def test_whitening_multiplies_raw_hits(method):
    tensor, rows = planted(24, 40) if method == "hsss" else planted(14, 18)
    hits = {}
    for form in FORMS:
        draw = np.random.default_rng(0)
        if method == "hsss":
            found = HSSS(form=form).candidates(tensor, 40, rng=draw, budget=Budget())
        else:
            found = Ding(form=form).candidates(tensor, 18, 60, rng=draw, budget=Budget())
        hits[form] = float((np.abs(found @ rows.T).max(axis=1) >= 0.9).mean())
    assert hits["preconditioned"] > 0.65 and hits["published"] < 0.6 * hits["preconditioned"]


@pytest.mark.parametrize("method", ["hsss", "ding"])
def test_what_is_not_there_is_not_called_success(method):
    result = tdlab.decompose(tdlab.gaussian_tensor(8, rng=0), 6, method, rng=0, rounds=2)
    assert not result.success
    assert result.status in (tdlab.Status.STAGNATED, tdlab.Status.DEGENERATE)
    assert "beyond the method" in result.message


def test_dimensions_that_ding_cannot_hold_are_refused():
    result = tdlab.decompose(tdlab.FactoredTensor(np.eye(41)), 3, "ding", rng=0)
    assert result.status is tdlab.Status.UNSUPPORTED and "dimension 41" in result.message


def test_nothing_of_size_d_to_the_fourth_is_formed():
    # d^4 doubles would be 128 GiB, d^3 0.2 GiB; the run needs a few r x r blocks.
    tensor, _ = planted(360, 12)
    result = tdlab.decompose(
        tensor, 12, "hsss", rng=0, form="published", contractions=2, lanczos=4, rounds=1
    )
    assert len(result.components) >= 1


@pytest.mark.parametrize("method", ["hsss", "ding"])
def test_bad_options_are_refused(method):
    with pytest.raises(tdlab.InputError, match="option 'form'"):
        tdlab.decompose(np.zeros((3, 3, 3)), 2, method, form="fast")
