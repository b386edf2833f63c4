"""ADMM on moment matrices: the value of a relaxation that has a gap.

Solves     max <C, M> over M in L with tr M = mass and M positive semidefinite, by splitting M = W:
           M = P(W - U + C/rho),  W = (M + U)_+,  U = U + M - W, P onto {M in L, tr M = mass}
Dual       rho U tends to C + mu I modulo L^perp with U <= 0. Without its identity component and
           projected to C + L^perp it is a matrix H for `rigor`, at every step
Primal     P_L(W), mixed with the moments of the uniform law until it is positive semidefinite: a
           pseudo-expectation, whose value no bound of this degree can be below
Cost       one dense eigendecomposition a step
Sources    Boyd, Parikh, Chu, Peleato and Eckstein, Found. Trends Mach. Learn. 3 (2011); for
           moment relaxations Zheng, Fantuzzi, Papachristodoulou, Goulart and Wynn (2020)
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tdlab.sos.basis import Relaxation, add_square, monomials, trace
from tdlab.sos.face import Dual

_RELAX = 1.6
_CHECK_EVERY = 25
_BALANCE = 3.0  # ratio of the two residuals at which the penalty is moved


class Moments:
    """{M in L : tr M = mass}: its projection and its centre, the moments of the uniform law."""

    def __init__(self, relaxation: Relaxation, target: np.ndarray) -> None:
        self.relaxation, self.target = relaxation, target
        # P_L(I): the direction in L along which the trace changes.
        self.identity = relaxation.project(np.eye(relaxation.size))
        self._square = float(np.trace(self.identity))
        self.cost = relaxation.matrix(relaxation.moments(target))
        self.uniform = relaxation.matrix(_uniform(relaxation))

    def project(self, matrix: np.ndarray) -> np.ndarray:
        """The nearest M in L with tr M = mass."""
        out = self.relaxation.project(matrix)
        out += ((self.relaxation.mass - np.trace(out)) / self._square) * self.identity
        return 0.5 * (out + out.T)

    def value(self, matrix: np.ndarray) -> float:
        """<C, M> of an M in L, its pseudo-expectation of the form."""
        return float(np.vdot(self.cost, matrix))

    def feasible_value(self, matrix: np.ndarray) -> float:
        """The value of the pseudo-expectation nearest to W between P(W) and the uniform law."""
        moments = self.project(matrix)
        low = float(np.linalg.eigvalsh(moments)[0])
        bottom = float(np.linalg.eigvalsh(self.uniform)[0])
        share = max(0.0, -low) / (max(0.0, -low) + bottom)
        return (1.0 - share) * self.value(moments) + share * self.value(self.uniform)

    def dual(self, scaled: np.ndarray) -> np.ndarray:
        """The H in C + L^perp nearest to ``scaled`` modulo the identity."""
        out = scaled.copy()
        # <P_L(rho U - C), P_L(I)> / |P_L(I)|^2 is the multiple of the identity in it.
        shift = float(np.vdot(scaled - self.cost, self.identity))
        out -= (shift / self._square) * np.eye(len(out))
        self.relaxation.correct(out, self.target)
        return 0.5 * (out + out.T)


def admm(
    relaxation: Relaxation,
    target: np.ndarray,
    *,
    start: np.ndarray,
    max_iterations: int,
    tolerance: float,
    scale: float,
    expired: Callable[[], bool],
) -> tuple[Dual, float]:
    """The best H met, and the value of a pseudo-expectation (-inf if none was formed).

    Parameters
    ----------
    start : (N, N) array
        An H to start from; any will do.
    tolerance : float
        Stop where the two values agree to this share of the larger, or of ``scale``.
    scale : float
    """
    space = Moments(relaxation, target)
    mass = relaxation.mass
    top = float(np.linalg.eigvalsh(start)[-1])
    rho = max(abs(top), float(np.linalg.norm(space.cost)) / len(start))
    positive = space.uniform.copy()
    scaled = (start - top * np.eye(len(start))) / rho
    best, primal = Dual(start, top, 0), -np.inf
    nit = 0
    while nit < max_iterations and not expired():
        moments = space.project(positive - scaled + space.cost / rho)
        mixed = _RELAX * moments + (1.0 - _RELAX) * positive
        values, vectors = np.linalg.eigh(mixed + scaled)
        kept = values > 0.0
        before = positive
        positive = (vectors[:, kept] * values[kept]) @ vectors[:, kept].T
        scaled = (vectors[:, ~kept] * values[~kept]) @ vectors[:, ~kept].T
        nit += 1
        if nit % _CHECK_EVERY:
            continue
        matrix = space.dual(rho * scaled)
        largest = float(np.linalg.eigvalsh(matrix)[-1])
        if largest < best.largest:
            best = Dual(matrix, largest, nit)
        primal = max(primal, space.feasible_value(positive))
        largest = max(abs(primal), mass * abs(best.largest), scale)
        if mass * best.largest - primal <= tolerance * largest:
            break
        apart = float(np.linalg.norm(moments - positive))
        moved = float(np.linalg.norm(positive - before))
        factor = 1.0
        if apart > _BALANCE * moved:
            factor = 1.5
        elif moved > _BALANCE * apart:
            factor = 1.0 / 1.5
        rho *= factor
        scaled /= factor
    return Dual(best.matrix, best.largest, nit), primal


def _uniform(relaxation: Relaxation) -> np.ndarray:
    """Moments of the uniform law on the sphere: at even degree Sym(I^(n/2)), scaled to trace 1."""
    out = []
    for level in relaxation.levels:
        if level.degree % 2 == 1:
            out.append(np.zeros(len(level)))
            continue
        coefficients, low = np.ones(1), monomials(level.dim, 0)
        while low.degree < level.degree:
            raised = monomials(level.dim, low.degree + 2)
            coefficients = add_square(coefficients, low, len(raised))
            low = raised
        entries = coefficients / level.counts
        full, degree = entries, level.degree
        while degree > 0:
            degree -= 2
            full = trace(full, monomials(level.dim, degree))
        out.append(entries / full[0])
    return np.concatenate(out)
