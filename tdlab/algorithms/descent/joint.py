"""Joint diagonalisation of symmetric matrices by one rotation: JADE's second half.

Solves     max over orthogonal Q of sum_m sum_i (Q^T M_m Q)_ii^2, for M_m = Q_0 D_m Q_0^T + error
Method     Jacobi: each pair of axes turns by the angle that is best for all matrices at once, the
           top eigenvector of a 2 x 2 problem, until no pair turns
Guarantee  exact without error where the D_m tell the columns apart; signs of D_m do not matter
Cost       n^2/2 rotations of m rows and columns a sweep, about ten sweeps
Source     Cardoso and Souloumiac, SIAM J. Matrix Anal. Appl. 17 (1996)
"""

from __future__ import annotations

import math

import numpy as np

_SWEEPS = 60
_TURNS = 1e-9


def joint_diagonaliser(matrices: np.ndarray) -> np.ndarray:
    """Orthogonal (n, n) matrix whose columns nearly diagonalise all of (m, n, n) matrices.

    Examples
    --------
    >>> import numpy as np
    >>> Q = np.linalg.qr(np.random.default_rng(0).standard_normal((4, 4)))[0]
    >>> D = np.random.default_rng(1).standard_normal((3, 4))
    >>> found = joint_diagonaliser(np.einsum("ia,ma,ja->mij", Q, D, Q))
    >>> np.abs(found.T @ Q).round(6).sum(axis=0)
    array([1., 1., 1., 1.])
    """
    work = np.array(matrices, dtype=float)
    dim = work.shape[1]
    axes = np.eye(dim)
    for _ in range(_SWEEPS):
        largest = 0.0
        for p in range(dim - 1):
            for q in range(p + 1, dim):
                # The rotation by t maximises |(a, b) (cos 2t, sin 2t)|^2 summed over matrices.
                apart = work[:, p, p] - work[:, q, q]
                beside = 2.0 * work[:, p, q]
                gain, cross = apart @ apart - beside @ beside, 2.0 * (apart @ beside)
                angle = 0.25 * math.atan2(cross, gain)
                if abs(angle) < _TURNS:
                    continue
                largest = max(largest, abs(angle))
                turn = np.array([[math.cos(angle), -math.sin(angle)],
                                 [math.sin(angle), math.cos(angle)]])  # fmt: skip
                pair = [p, q]
                work[:, :, pair] = work[:, :, pair] @ turn
                work[:, pair, :] = turn.T @ work[:, pair, :]
                axes[:, pair] = axes[:, pair] @ turn
        if largest == 0.0:
            break
    return axes
