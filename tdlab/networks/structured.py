"""Structured laws of hidden weights: orthonormal bases, simplices, low coherence, collinear rows.

Random rows hide what structure does. Unions of simplices are traps: several of them sum to the same
tensor along whole families of weights (shift the rows of one by u and those of another by -u), so a
fit of zero risk need not have found them unless norms are held at one.
"""

from __future__ import annotations

import numpy as np
from scipy import linalg

# Beyond this, drawing weights of low coherence costs more than learning from them.
LARGEST_LOW_COHERENCE = 500
# Common cosine of the rows of ``collinear``.
COLLINEARITY = 0.9
_SWEEPS = 200


def orthobases(dim: int, rank: int, rng: np.random.Generator) -> np.ndarray:
    """rank / dim random orthonormal bases: sum w w^T = (rank/dim) I exactly; not centred.

    Rows of one basis are orthogonal, of two different ones like random rows. The mean does not
    vanish: linear regression explains of x^3 what it does for iid rows, about 60%.
    """
    return np.vstack([_orthogonal(dim, rng) for _ in range(rank // dim)])


def simplices(dim: int, rank: int, rng: np.random.Generator) -> np.ndarray:
    """rank / (dim + 1) randomly turned regular simplices: centred, and sum w w^T = (rank/dim) I.

    Both hold exactly. Cosines within a simplex are -1/dim. Two or more are a trap: the sum over A
    of (w + u)^{(x)3} and over B of (w - u)^{(x)3} is the same tensor for every u; below r_id unit
    norms exclude that.
    """
    # The rows of I - 11'/(d+1), in an orthonormal basis of the plane that they span.
    centred = np.eye(dim + 1) - 1.0 / (dim + 1)
    corners = np.linalg.svd(centred)[0][:, :dim]
    corners /= np.linalg.norm(corners, axis=1, keepdims=True)
    return np.vstack([corners @ _orthogonal(dim, rng) for _ in range(rank // (dim + 1))])


def low_coherence(dim: int, rank: int, rng: np.random.Generator) -> np.ndarray:
    """Unit rows whose largest |cosine| is well below that of random ones; orthonormal to rank dim.

    The Gram matrix is projected in turn onto entries of at most the Welch bound
    sqrt((r - d)/(d (r - 1))) and onto rank d (Tropp, Dhillon, Heath and Strohmer 2005), from a
    random start: the result stays random, its largest |cosine| is below two thirds of the start's
    (1.2 to 1.7 over sqrt(d), measured). 200 eigenproblems of size r: seconds at r = 250.
    """
    if rank <= dim:
        return _orthogonal(dim, rng)[:rank]
    bound = np.sqrt((rank - dim) / (dim * (rank - 1)))
    rows = rng.standard_normal((rank, dim))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    for _ in range(_SWEEPS):
        gram = np.clip(rows @ rows.T, -bound, bound)
        np.fill_diagonal(gram, 1.0)
        values, vectors = linalg.eigh(gram, subset_by_index=[rank - dim, rank - 1])
        rows = vectors * np.sqrt(np.maximum(values, 0.0))
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    # Eigenvectors fix a frame: turn it at random.
    return rows @ _orthogonal(dim, rng)


def collinear(dim: int, rank: int, rng: np.random.Generator) -> np.ndarray:
    """sqrt(c) e + sqrt(1 - c) u_i, c = 0.9: rows that nearly agree.

    e is one random direction and u_i are iid in the plane orthogonal to it, so cosines are c on
    average, within (1 - c) |<u_i, u_j>|. Linear regression explains 9c/(9c + 6c^3) = 65% of x^3 for
    many rows. In two dimensions u_i is one of two: dim is 3 at least.
    """
    axis = rng.standard_normal(dim)
    axis /= np.linalg.norm(axis)
    aside = rng.standard_normal((rank, dim))
    aside -= (aside @ axis)[:, None] * axis
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    return np.sqrt(COLLINEARITY) * axis + np.sqrt(1.0 - COLLINEARITY) * aside


def _orthogonal(dim: int, rng: np.random.Generator) -> np.ndarray:
    """A uniform orthogonal matrix."""
    q, r = np.linalg.qr(rng.standard_normal((dim, dim)))
    return q * np.sign(np.diag(r))
