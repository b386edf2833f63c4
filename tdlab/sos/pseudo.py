"""Pseudo-expectations spread over the components of a tensor.

Solves     min |M|_F over moment matrices M of degree 4 (order-3 forms) with pseudo-expectation 1 of
           |x|^4 and tau of T(x, x, x): of all laws that reach the value tau, the flattest
Role       the convex step of Ma, Shi and Steurer (FOCS 2016, arXiv 1610.01980), who bound the
           spectral norm of the traceless block instead of the Frobenius norm of all
Cost       a dense eigendecomposition of side d(d+3)/2 a step
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tdlab.sos.basis import Relaxation

_RELAX = 1.6


def flattest_moments(
    relaxation: Relaxation,
    target: np.ndarray,
    tau: float,
    *,
    iterations: int,
    expired: Callable[[], bool],
) -> tuple[np.ndarray, int]:
    """The positive semidefinite iterate of ADMM (N, N), and its steps; near M where it exists."""
    identity = relaxation.project(np.eye(relaxation.size))
    cost = relaxation.matrix(relaxation.moments(target))
    rows = np.stack([identity.ravel(), cost.ravel()])
    gram, wanted = rows @ rows.T, np.array([relaxation.mass, tau])
    positive, scaled = np.zeros_like(identity), np.zeros_like(identity)
    nit = 0
    while nit < iterations and not expired():
        # The proximal step of |M|^2 / 2 with penalty 1 halves the point before the projection.
        moments = relaxation.project(0.5 * (positive - scaled))
        missing = wanted - rows @ moments.ravel()
        moments += np.reshape(rows.T @ np.linalg.solve(gram, missing), moments.shape)
        mixed = _RELAX * moments + (1.0 - _RELAX) * positive
        values, vectors = np.linalg.eigh(0.5 * (mixed + mixed.T) + scaled)
        kept = values > 0.0
        positive = (vectors[:, kept] * values[kept]) @ vectors[:, kept].T
        scaled = (vectors[:, ~kept] * values[~kept]) @ vectors[:, ~kept].T
        nit += 1
    return positive, nit


def contract(relaxation: Relaxation, moments: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """E~ <G, x x^T> x x^T for each row G of (b, d(d+1)/2) directions: (b, d, d) matrices."""
    lists = relaxation.blocks[0].lists
    upper = len(lists)
    images = (directions @ moments[:upper, :upper]) / relaxation.weights[:upper]
    out = np.zeros((len(directions), relaxation.dim, relaxation.dim))
    out[:, lists[:, 0], lists[:, 1]] = images
    out[:, lists[:, 1], lists[:, 0]] = images
    return out
