"""Points from spaces of symmetric tensors: what pencils of catalecticants are made of.

Solves     the w_i, real or complex, of a space S_D = span{w_i^{(x)D}} in Sym^D, given by a basis
Method     contraction by u maps S_D to Sym^{D-1} as sum_i <u, w_i> w_i^{(x)(D-1)} q_i^T: for
           independent w_i^{(x)(D-1)} two contractions are a pencil whose eigenvectors are dual to
           the q_i. Where these powers are dependent, S_D is prolonged: S_{D+1} holds the tensors
           all of whose contractions lie in S_D, the annihilator of the ideal of S_D^perp
Guarantee  exact where prolongation ends with as many dimensions as points; what it returns for
           other spaces is for the caller to verify
Cost       one SVD of size C(d+D, D+1) a prolongation, eigenproblems of size s
Sources    Brachat, Comon, Mourrain and Tsigaridas (2010), arXiv 0901.3706; Harmouch, Khalil and
           Mourrain (2018), arXiv 1609.05720

Coordinates of Sym^m are those of `tdlab.tensors.packed`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tdlab.tensors.packed import Forms, size

# Largest packed size of a space that is prolonged, and of a catalecticant: 2000^2 doubles, 32 MB.
LARGEST_SPACE = 2000
# Singular values below this share of the largest may be rounding: of entries, and of bases that
# unequal terms have made less accurate than the entries.
ROUNDING = 1e-9
_BLURRED = 1e-5
_TRIES = 4


def numerical_rank(values: np.ndarray, most: int | None = None) -> int:
    """How many of decreasing singular values are not rounding: those before the widest gap.

    Only gaps below which all is at most `ROUNDING` of the largest count; terms of very unequal
    sizes have small singular values too, but a wider gap below them.
    """
    least = np.finfo(float).eps * values[0]
    values = np.append(np.maximum(values, least), least)
    candidates = np.flatnonzero(values[1:] <= ROUNDING * values[0]) + 1
    if most is not None and (candidates <= most).any():
        candidates = candidates[candidates <= most]
    gaps = values[candidates - 1] / values[candidates]
    return int(candidates[np.argmax(gaps)])


def contractions(space: np.ndarray, forms: Forms) -> np.ndarray:
    """(N', dim, s): each column of a basis (N, s) of a space in Sym^D contracted with each e_j."""
    low = Forms.of(forms.dim, forms.degree - 1)
    child = low.children()
    ratio = low.scales[:, None] / forms.scales[child]
    return space[child] * ratio[:, :, None]


def multiples(equations: np.ndarray, forms: Forms) -> np.ndarray:
    """(N', dim, m): each column of (N, m), a form of degree D, times each variable x_j."""
    high = Forms.of(forms.dim, forms.degree + 1)
    child = forms.children()
    # A form q is the functional <q, x^(x)D>; x^(beta + e_j) has another scale than x^beta.
    ratio = forms.scales[:, None] / high.scales[child]
    out = np.zeros((len(high.scales), forms.dim, equations.shape[1]))
    for j in range(forms.dim):
        out[child[:, j], j] = equations * ratio[:, j, None]
    return out


def prolong(space: np.ndarray, forms: Forms, least: int) -> np.ndarray:
    """Orthonormal basis (N', s') of {t in Sym^{D+1} : every contraction of t lies in the space}.

    ``least`` is the number of points whose powers are known to be in it.
    """
    normal = np.linalg.qr(space, mode="complete")[0][:, space.shape[1] :]
    matrix = multiples(normal, forms).reshape(size(forms.dim, forms.degree + 1), -1).T
    if len(matrix) > matrix.shape[1]:
        matrix = np.asarray(np.linalg.qr(matrix, mode="r"))
    _, values, right = np.linalg.svd(matrix)
    values = np.append(values, np.zeros(matrix.shape[1] - len(values)))
    floor = np.finfo(float).eps * values[0]
    ascending = np.maximum(values[::-1], floor)
    kept = np.arange(1, int((ascending <= _BLURRED * values[0]).sum()) + 1)
    kept = kept[kept >= least]
    if len(kept) == 0:
        return right[len(right) - least :].T
    above = ascending[np.minimum(kept, len(ascending) - 1)]
    number = int(kept[np.argmax(above / ascending[kept - 1])])
    return right[len(right) - number :].T


def points(
    space: np.ndarray,
    forms: Forms,
    rng: np.random.Generator,
    *,
    exact: bool = True,
    stop: Callable[[], bool] = lambda: False,
) -> np.ndarray | None:
    """The points (s, dim), unit complex rows, whose powers span a space in Sym^D.

    Parameters
    ----------
    space : (N, s) array
        Orthonormal columns.
    exact : bool
        Whether the space is known to rounding: only then may it be prolonged.
    stop : callable
        Asked before the space is prolonged.

    Returns
    -------
    None where the space is that of no finite number of points, as far as `LARGEST_SPACE` shows, or
    stopped.
    """
    least = space.shape[1]
    # Beyond it the dimension of finitely many points does not change (Macaulay).
    last = (forms.dim - 1) * (forms.degree - 1) + 2
    while True:
        parts = contractions(space, forms)
        low, dim, count = parts.shape
        left, values, _ = np.linalg.svd(parts.reshape(low, -1), full_matrices=False)
        enough = len(values) >= count and values[count - 1] > ROUNDING * values[0]
        tight = len(values) <= count or values[count] <= _BLURRED * values[0]
        if enough and (tight or not exact):
            return _pencil(np.einsum("ap,ajs->jps", left[:, :count], parts), parts, rng)
        open_ended = space.shape[1] == len(space) or forms.degree >= last
        if not exact or open_ended or size(dim, forms.degree + 1) > LARGEST_SPACE or stop():
            return None
        space, forms = prolong(space, forms, least), Forms.of(dim, forms.degree + 1)


def _pencil(matrices: np.ndarray, parts: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """Points from (dim, s, s) contractions B_j = L diag(w_ij) Q: eigenvectors of B_v^{-1} B_u."""
    dim = len(matrices)
    directions = rng.standard_normal((_TRIES, dim))
    mixed = np.einsum("vj,jps->vps", directions, matrices)
    # The denominators <v, w_i> should not be small: of a few v, the best conditioned.
    best = int(np.argmin(np.linalg.cond(mixed)))
    other = np.einsum("j,jps->ps", rng.standard_normal(dim), matrices)
    try:
        _, vectors = np.linalg.eig(np.linalg.solve(mixed[best], other))
    except np.linalg.LinAlgError:
        return None
    # N q = w^{(x)D}, and its contractions are w^{(x)(D-1)} w^T.
    powers = np.einsum("ajs,si->iaj", parts, vectors)
    grams = np.einsum("iaj,iak->ijk", powers.conj(), powers)
    return np.linalg.eigh(grams)[1][:, :, -1].conj()
