"""The normal matrix J^H J of W -> sum_i s_i w_i^{(x)k}, and what it says of a fit.

Cost       O(r^2 d^2) to form, (r d)^3 for its eigenvalues
"""

from __future__ import annotations

import math

import numpy as np

from tdlab.tensors.packed import Forms, size

# Eigenvalues of J^H J carry an error of 1e-16 of the largest; below this share they may be zero.
_SINGULAR = 1e-11
# Singular values of J itself tell 1e-10 from zero. Where N (r d)^2 is at most that many, they are
# asked when the eigenvalues cannot tell: just under the ranks where the terms do move, a draw in
# a hundred is as ill-conditioned as that, and determined all the same.
_STILL = 1e-10
_AFFORDABLE = 1e9
# Mean squared angle of a component, in radians, from which on its direction is anyone's guess:
# twice it, about its 95% quantile, is (pi/2)^2.
_LOOSE = 0.5 * (math.pi / 2) ** 2


def normal_matrix(rows: np.ndarray, signs: np.ndarray, order: int) -> np.ndarray:
    """J^H J (r d, r d) of the rows: J has the columns k s_i Sym(w_i^{k-1} (x) e_a)."""
    rank, dim = rows.shape
    gram = rows.conj() @ rows.T
    coupling = np.outer(signs, signs)
    low = order * coupling * gram ** (order - 2)
    # Entry (i a, j b): k s_i s_j [G_ij^{k-1} delta_ab + (k-1) G_ij^{k-2} (w_j)_a (w_i^*)_b].
    # In C order from the start: numpy would lay the product out as its factors are.
    left = ((order - 1) * low)[:, None, :] * np.ascontiguousarray(rows.T)[None, :, :]
    blocks = left[:, :, :, None] * rows.conj()[:, None, None, :]
    high = low * gram
    for a in range(dim):
        blocks[:, a, :, a] += high
    return blocks.reshape(rank * dim, rank * dim)


def regular(rows: np.ndarray, signs: np.ndarray, order: int) -> bool:
    """Whether the terms cannot move while their sum stays: the Jacobian has full rank."""
    # Loaded here, because every command imports this file, and few fit anything.
    from scipy.linalg import get_lapack_funcs

    normal = normal_matrix(rows, signs, order)
    scale = np.sqrt(np.maximum(np.real(np.diagonal(normal)), 1e-300))
    normal /= scale[:, None]
    normal /= scale
    # The least eigenvalue exceeds that share of the largest where the difference has a Cholesky
    # factor, which takes a fifth of the time of eigenvalues.
    where = np.arange(len(normal))
    normal[where, where] -= _SINGULAR * _largest(normal)
    (factor,) = get_lapack_funcs(("potrf",), (normal,))
    if factor(normal.T, lower=True, overwrite_a=True, clean=False)[1] == 0:
        return True
    rank, dim = rows.shape
    entries = size(dim, order)
    if entries < rank * dim or entries * (rank * dim) ** 2 > _AFFORDABLE:
        return False
    columns = jacobian(rows, order)
    values = np.linalg.svd(columns / np.linalg.norm(columns, axis=0), compute_uv=False)
    return bool(values[-1] > _STILL * values[0])


def jacobian(rows: np.ndarray, order: int) -> np.ndarray:
    """J (N, r d) of nonzero rows, with signs left out, in orthonormal coordinates of Sym^order."""
    low, high = Forms.of(rows.shape[1], order - 1), Forms.of(rows.shape[1], order)
    powers, children = low.lift(rows), low.children()
    out = np.zeros((len(high.scales), *rows.shape), dtype=rows.dtype)
    for a, places in enumerate(children.T):
        out[places, :, a] = (order * low.scales / high.scales[places])[:, None] * powers.T
    return out.reshape(len(high.scales), -1)


def _largest(matrix: np.ndarray) -> float:
    """The largest eigenvalue of a positive semidefinite matrix, to about a tenth."""
    vector = np.abs(matrix).sum(axis=1)
    for _ in range(6):
        vector = matrix @ (vector / np.linalg.norm(vector))
    return float(np.linalg.norm(vector))


def undetermined(
    rows: np.ndarray,
    weights: np.ndarray,
    order: int,
    residual: float,
    gain: float,
    largest: int = 600,
) -> tuple[int, int]:
    """Components whose direction noise leaves open, and those that may be nothing but noise.

    Least squares has Cov(W) = s^2 (J^T J)^{-1}, s^2 = residual^2 / (N - r d): to first order the
    mean squared angle of a component is the trace of its block across the component, over |w|^2.
    Without a component, the others moving freely, |R|^2 rises by w^T C^{-1} w / k^2, where C is its
    block of (J^T J)^{-1}: a fit that takes no more than it would take of noise may be wherever
    noise happened to be largest, and its own covariance says nothing of that. There s^2 is taken
    two standard deviations of its estimate higher.
    Large problems take the inverse of each block alone, which is less.

    Parameters
    ----------
    rows : (r, d) unit rows
    weights : (r,) array
    residual : float
        |T - T_hat|.
    gain : float
        What one component takes of noise, in units of s^2.
    largest : int
        Parameters r d up to which the inverse is whole.

    Returns
    -------
    (int, int)
    """
    # Loaded here, because every command imports this file, and few fit anything.
    from scipy.linalg import solve_triangular

    rank, dim = rows.shape
    left = math.comb(dim + order - 1, order) - rank * dim
    if dim == 1 or left <= 0:
        return 0, 0
    sizes = np.abs(weights) ** (1.0 / order)
    variance = residual**2 / left
    most = gain * variance * (1.0 + 2.0 * math.sqrt(2.0 / left))
    if rank * dim > largest:
        # J^T J has k |w|^{2(k-1)} across the component.
        angles = variance * (dim - 1) / (order * weights**2)
        return int((angles > _LOOSE).sum()), int((weights**2 <= most).sum())
    normal = normal_matrix(rows * sizes[:, None], np.where(weights < 0.0, -1.0, 1.0), order)
    scale = np.sqrt(np.diagonal(normal))
    try:
        root = np.linalg.cholesky(normal / np.outer(scale, scale))
    except np.linalg.LinAlgError:
        return rank, 0
    half = solve_triangular(root, np.diag(1.0 / scale), lower=True).T.reshape(rank, dim, -1)
    across = half - rows[:, :, None] * np.einsum("ia,iab->ib", rows, half)[:, None, :]
    angles = variance * np.einsum("iab,iab->i", across, across) / sizes**2
    # Near singular blocks give a small rise, as they should.
    inside = np.linalg.pinv(half @ half.transpose(0, 2, 1), hermitian=True)
    rises = np.einsum("ia,iab,ib->i", rows, inside, rows) * sizes**2 / order**2
    return int((angles > _LOOSE).sum()), int((rises <= most).sum())
