"""Small inputs with known right values: published forms, shipped data, planted tensors that misled.

Each function makes arrays only, by definitions of its own: it calls nothing of tdlab, so that what
it says is right is independent of what is tested.
"""

from __future__ import annotations

import itertools

import numpy as np


def powers(rows: np.ndarray, order: int, weights: np.ndarray | list[float] | None = None):
    """sum_i a_i rows_i^{(x)order}, an array (d,) * order; a_i = 1 unless given."""
    total = np.ones(len(rows)) if weights is None else np.asarray(weights, dtype=float)
    axes = "abcdefghi"[:order]
    terms = ",".join("z" + axis for axis in axes)
    return np.einsum(f"z,{terms}->{axes}", total, *[np.asarray(rows)] * order, optimize=True)


def form(monomials: dict[tuple[int, ...], float], dim: int, order: int) -> np.ndarray:
    """The symmetric array with T(x, ..., x) = sum of coefficient * monomial, keyed by exponents."""
    array = np.zeros((dim,) * order)
    for exponents, coefficient in monomials.items():
        index = [axis for axis, exponent in enumerate(exponents) for _ in range(exponent)]
        places = set(itertools.permutations(index))
        for place in places:
            array[place] += coefficient / len(places)
    return array


def symmetric(array: np.ndarray) -> np.ndarray:
    """The mean over all orders of the axes."""
    orders = list(itertools.permutations(range(array.ndim)))
    return sum(array.transpose(axes) for axes in orders) / len(orders)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def exact_quintic(seed: int = 205, dim: int = 4, rank: int = 9) -> tuple[np.ndarray, np.ndarray]:
    """Unit powers of order 5 near the counting bound, and their rows: exact, never noise."""
    rows = unit(np.random.default_rng(seed).standard_normal((rank, dim)))
    return powers(rows, 5), rows


def complex_pairs(seed: int = 0, dim: int = 8, pairs: int = 5, order: int = 3) -> np.ndarray:
    """sum_p Re z_p^{(x)order}: 2 * pairs complex terms, more over the reals."""
    flat = np.random.default_rng(seed).standard_normal((pairs, 2 * dim))
    return powers(flat.view(complex), order).real


def border_rank() -> dict[str, tuple[np.ndarray, int, int]]:
    """Name -> (array, rank over the reals, border rank over the complex numbers)."""
    square = {(4, 0, 0): 1, (0, 4, 0): 1, (0, 0, 4): 1, (2, 2, 0): 2, (2, 0, 2): 2, (0, 2, 2): 2}
    return {
        "conic and tangent, y(x^2+yz)": (form({(2, 1, 0): 1, (0, 2, 1): 1}, 3, 3), 5, 3),
        "cusp, y^2 z - x^3": (form({(0, 2, 1): 1, (3, 0, 0): -1}, 3, 3), 4, 3),
        "x^2 y": (form({(2, 1): 1}, 2, 3), 3, 2),
        "xyz": (form({(1, 1, 1): 1}, 3, 3), 4, 4),
        "x^2 y^2": (form({(2, 2): 1}, 2, 4), 4, 3),
        "(x^2+y^2+z^2)^2": (form(square, 3, 4), 6, 6),
    }


def perfect() -> dict[str, tuple[np.ndarray, int]]:
    """Name -> (array, rank): unique although the counting bound is met."""
    draws = np.random.default_rng(3)
    four = unit(draws.standard_normal((5, 4)))
    binary = draws.standard_normal((3, 2))
    ternary = unit(draws.standard_normal((7, 3)))
    return {
        "four variables, five cubes": (powers(four, 3), 5),
        "binary quintic, three powers": (powers(binary, 5), 3),
        "ternary quintic, seven powers": (powers(ternary, 5), 7),
    }


def binary_quintic_small_terms() -> tuple[np.ndarray, np.ndarray]:
    """Three powers of unequal size in two variables, and their rows: Sylvester is exact."""
    rows = np.random.default_rng(0).standard_normal((3, 2))
    return powers(rows, 5, [1.0, -2.0, 0.5]), rows


def stuck_quintic() -> tuple[np.ndarray, np.ndarray]:
    """Six powers in three variables, and their rows, on which searches stopped at 3.5e-5."""
    rows = unit(np.random.default_rng(0).standard_normal((6, 3)))
    return powers(rows, 5), rows


def subspace() -> tuple[np.ndarray, np.ndarray]:
    """Six cubes that span 4 of 20 dimensions, where five is the bound, and their rows."""
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((20, 4)))[0]
    rows = np.random.default_rng(1).standard_normal((6, 4)) @ basis.T
    return powers(rows, 3), rows


def orthogonal_with_noise() -> tuple[np.ndarray, np.ndarray]:
    """Six orthonormal cubes in dimension 6 with noise of norm .01, and their rows."""
    rows = np.linalg.qr(np.random.default_rng(0).standard_normal((6, 6)))[0]
    noise = symmetric(np.random.default_rng(1).standard_normal((6, 6, 6)))
    return powers(rows, 3) + 0.01 * noise / np.linalg.norm(noise), rows


def random_cubic(dim: int = 4) -> np.ndarray:
    """A cubic form without structure, whose best approximation of rank 1 is an answer."""
    return symmetric(np.random.default_rng(11).standard_normal((dim,) * 3))


def topic_model(
    documents: int = 5000, words: int = 20, topics: int = 4, length: int = 50
) -> tuple[np.ndarray, np.ndarray]:
    """Third moment of the words of documents of one topic each, and the topics (topics, words).

    The mean over triples of distinct words of a document is sum_k p_k beta_k^{(x)3}, with noise of
    counts, which is not isotropic.
    """
    draws = np.random.default_rng(0)
    beta, shares = draws.dirichlet(np.full(words, 0.2), topics), np.array([0.1, 0.2, 0.3, 0.4])
    total = np.zeros((words,) * 3)
    i = np.arange(words)
    for topic in draws.choice(topics, documents, p=shares / shares.sum()):
        counts = draws.multinomial(length, beta[topic]).astype(float)
        # Triples with a word taken twice, by inclusion and exclusion.
        pairs, triples = np.outer(counts, counts), np.einsum("i,j,k->ijk", counts, counts, counts)
        triples[i, i, :] -= pairs
        triples[i, :, i] -= pairs
        triples[:, i, i] -= pairs
        triples[i, i, i] += 2 * counts
        total += triples
    return symmetric(total) / (documents * length * (length - 1) * (length - 2)), beta


def ica(samples: int = 20000) -> tuple[np.ndarray, np.ndarray]:
    """Fourth cumulant of five mixed independent sources, and the mixing directions (5, 5)."""
    draws = np.random.default_rng(2)
    sources = np.column_stack(
        [
            np.sign(draws.standard_normal(samples)),
            draws.uniform(-1, 1, samples) * 3**0.5,
            draws.laplace(size=samples) / 2**0.5,
            draws.exponential(size=samples) - 1,
            np.sin(np.arange(samples) * 0.37) * 2**0.5,
        ]
    )
    mixing = draws.standard_normal((5, 5))
    return fourth_cumulant(sources @ mixing.T), mixing.T


def third_cumulant(x: np.ndarray) -> np.ndarray:
    """(d, d, d) of samples (n, d)."""
    z = x - x.mean(0)
    return np.einsum("ni,nj,nk->ijk", z, z, z, optimize=True) / len(z)


def fourth_cumulant(x: np.ndarray) -> np.ndarray:
    """(d, d, d, d) of samples (n, d)."""
    z = x - x.mean(0)
    dim = z.shape[1]
    pairs = (z[:, :, None] * z[:, None, :]).reshape(len(z), -1)
    moment = (pairs.T @ pairs / len(z)).reshape((dim,) * 4)
    second = z.T @ z / len(z)
    pairings = ("ij,kl->ijkl", "ik,jl->ijkl", "il,jk->ijkl")
    return moment - sum(np.einsum(one, second, second) for one in pairings)


def shipped_data(name: str) -> np.ndarray:
    """Third cumulant of a data set of scikit-learn, standardised where a column varies.

    ``name`` is "iris" (d = 4), "wine" (13), "breast cancer" (30) or "digits" (61 of 64 pixels that
    vary).
    """
    from sklearn import datasets

    load = {
        "iris": datasets.load_iris,
        "wine": datasets.load_wine,
        "breast cancer": datasets.load_breast_cancer,
        "digits": datasets.load_digits,
    }
    x = load[name](return_X_y=True)[0]
    x = x[:, x.std(0) > 0]
    return third_cumulant((x - x.mean(0)) / x.std(0))


def forms_of_maximum_zero() -> dict[str, np.ndarray]:
    """Name -> an array whose form is nowhere positive and somewhere 0 on the sphere."""
    factor = np.random.default_rng(4).standard_normal((3, 3))
    half = (factor @ factor.T)[:3, :2]
    square = half @ half.T
    motzkin = {(4, 2, 0): -1, (2, 4, 0): -1, (0, 0, 6): -1, (2, 2, 2): 3}
    return {
        "-(x'Ax)^2, A of rank 2": -symmetric(np.einsum("ij,kl->ijkl", square, square)),
        # Not a sum of squares at degree 6; higher degrees prove it.
        "-Motzkin": form(motzkin, 3, 6),
    }


def curves_that_are_not_covered() -> dict:
    """Name -> success probability as a function of t = ln(r / r*): shelves that mislead fits."""
    return {
        "jump beside a shelf above": lambda t: np.where(
            t < -0.25, 0.95, np.where(t < 0, 0.62, 0.05)
        ),
        "jump beside a shelf below": lambda t: np.where(
            t < 0, 0.95, np.where(t < 0.25, 0.45, 0.02)
        ),
        "slow decline, then a cliff": lambda t: np.where(
            t < 0, 0.55 + 0.4 * np.clip(-t / 2, 0, 1), 0.5 * np.exp(-np.maximum(t, 0) / 0.03)
        ),
    }


def same_seed_starts() -> list[tuple[int, int, int]]:
    """(dim, rank, seed): a teacher of that seed and a start of it must not be correlated."""
    return [(20, 60, 0), (40, 200, 0), (100, 500, 0)]
