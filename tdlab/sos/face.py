"""FACE: a dual certificate on the face that the maximisers fix.

Solves     H in C + L^perp with lambda_max(H) = l / mass, where l = T(x*) is the maximum: a proof
           that no x does better. With V an orthonormal basis of span{v(x*)}, every such H has
           H V = theta V (theta = l / mass), so that one looks among those only
Step       shrink the eigenvalues above theta (1 - slack) off the face, return to the affine set
           {H in C + L^perp, H V = theta V}; over-relaxed, with Nesterov momentum and restarts
Guarantee  none; what it returns is judged by `rigor`. If x* is no maximiser, or the relaxation has
           a gap, no H qualifies and it stops early
Cost       a product of the N x N matrix with a thin block a few times a step, and O(N^2) for P_L
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tdlab._kernels import moments as kernels
from tdlab.sos._eigen import TopEigenpairs
from tdlab.sos.basis import Relaxation

# Slack and steps of each stage: a wide margin first, because the set it leaves has an interior.
_STAGES = ((0.15, 8), (0.05, 24), (0.02, 40), (0.005, 60), (0.0, 80))
_OVERSHOOT = 1.8
_DONE = 1e-11
_CONSISTENT = 1e-5
_MULTIPLIER_STEPS = 12
_STALL = 25  # steps without a smaller lambda_max after which a gap is taken for real


@dataclass(frozen=True, eq=False)
class Dual:
    """A symmetric H near C + L^perp, the estimate of its largest eigenvalue, and the steps done."""

    matrix: np.ndarray
    largest: float
    nit: int


def face(
    relaxation: Relaxation,
    target: np.ndarray,
    points: np.ndarray,
    value: float,
    *,
    rng: np.random.Generator,
    max_iterations: int,
    expired: Callable[[], bool],
) -> Dual:
    """The H with the smallest lambda_max met on the way; lambda_max = theta if it succeeded.

    Parameters
    ----------
    target : coefficients of the form at the relaxation's levels
    points : (p, d) array of unit maximisers
    value : float
        The form's value there.
    """
    theta = value / relaxation.mass
    basis = _span(relaxation.vectors(points))
    affine = _Affine(relaxation, target, basis, theta)
    matrix = np.zeros((relaxation.size, relaxation.size))
    relaxation.correct(matrix, target)
    smallest = matrix.copy()  # of all H in C + L^perp, by Frobenius norm
    if not affine.project(matrix):
        # No H has H V = theta V: sums of squares of this degree cannot prove l.
        return Dual(smallest, float(np.linalg.eigvalsh(smallest)[-1]), 0)
    # Slack is a share of theta; forms of even order may have theta <= 0.
    scale = max(abs(theta), 1e-2 * float(np.linalg.norm(matrix)))
    eigenpairs = TopEigenpairs(rng)
    best = Dual(smallest, math.inf, 0)
    done = 0
    for slack, steps in _STAGES:
        threshold = theta - slack * scale
        momentum, excess = 1.0, math.inf
        previous, ahead = matrix, matrix.copy()
        stalled = 0
        for _ in range(steps):
            off = _off_face(ahead, basis, threshold - scale)
            values, vectors = eigenpairs(off, threshold)
            if values[-1] <= theta + _DONE * scale and not _below(off, theta, scale):
                values, vectors = eigenpairs.exact(off, threshold)
            largest = max(float(values[-1]), theta)
            if largest < best.largest - 1e-6 * scale or largest <= theta + _DONE * scale:
                best, stalled = Dual(ahead.copy(), largest, done), 0
            else:
                stalled += 1
            if largest <= theta + _DONE * scale or done >= max_iterations or expired():
                return Dual(best.matrix, best.largest, done)
            if stalled >= _STALL:
                break
            above = np.maximum(values - threshold, 0.0)
            total = float(above @ above)
            if total > excess:
                momentum = 1.0
            excess = total
            matrix = (vectors * (-_OVERSHOOT * above)) @ vectors.T
            matrix += ahead
            affine.project(matrix)
            following = (1.0 + math.sqrt(1.0 + 4.0 * momentum**2)) / 2.0
            ahead = matrix - previous
            ahead *= (momentum - 1.0) / following
            ahead += matrix
            previous, momentum = matrix, following
            done += 1
        matrix = ahead
    return Dual(best.matrix, best.largest, done)


class _Affine:
    """The set {H : <v, H v> = <v, C v> on the sphere, H V = theta V} and its projection."""

    def __init__(
        self, relaxation: Relaxation, target: np.ndarray, basis: np.ndarray, theta: float
    ) -> None:
        self.relaxation, self.target, self.basis, self.theta = relaxation, target, basis, theta

    def project(self, matrix: np.ndarray) -> bool:
        """In place: first onto C + L^perp, then along L^perp by a multiplier U (N x p).

        False if the set proves empty.
        """
        relaxation, basis = self.relaxation, self.basis
        moments = relaxation.moments(relaxation.coefficients(matrix) - self.target)
        # What the matrix will do to V once the moments are taken off it.
        residual = self.theta * basis - matrix @ basis
        kernels.expand_times(moments, relaxation.weights, relaxation.index, basis, residual)
        multiplier = np.zeros_like(residual)
        step, square = residual.copy(), float(np.vdot(residual, residual))
        start = square
        floor = (1e-13 * max(abs(self.theta), 1e-3 * float(np.linalg.norm(matrix)))) ** 2
        # The operator has few distinct eigenvalues (it commutes with the rotations that fix one
        # maximiser), so conjugate gradients end after 3 or 4 steps.
        for _ in range(_MULTIPLIER_STEPS):
            if square <= floor:
                break
            image = self._constraint(step)
            bend = float(np.vdot(step, image))
            if bend <= 0.0:
                break  # K is semidefinite: what is left of the residual lies in its kernel.
            length = square / bend
            multiplier += length * step
            residual -= length * image
            new = float(np.vdot(residual, residual))
            step = residual + (new / square) * step
            square = new
        moments += relaxation.moments(self._product_coefficients(multiplier))
        left = np.concatenate([0.5 * multiplier, basis], axis=1)
        right = np.concatenate([basis, 0.5 * multiplier], axis=1)
        matrix += left @ right.T
        kernels.expand(moments, relaxation.weights, relaxation.index, -1.0, matrix)
        return square <= max(floor, _CONSISTENT**2 * start)

    def _product_coefficients(self, multiplier: np.ndarray) -> np.ndarray:
        relaxation = self.relaxation
        out = np.zeros(relaxation.starts[-1])
        left, right = np.ascontiguousarray(multiplier), self.basis
        kernels.add_up_product(left, right, relaxation.weights, relaxation.index, out)
        return out

    def _constraint(self, multiplier: np.ndarray) -> np.ndarray:
        """K U = P_{L^perp}(sym(U V^T)) V."""
        relaxation, basis = self.relaxation, self.basis
        cross = multiplier.T @ basis
        image = 0.5 * (multiplier + basis @ cross)
        moments = relaxation.moments(self._product_coefficients(multiplier))
        out = np.zeros_like(image)
        kernels.expand_times(-moments, relaxation.weights, relaxation.index, basis, out)
        return image + out


def _off_face(matrix: np.ndarray, basis: np.ndarray, level: float) -> np.ndarray:
    """The matrix with the face's eigenvalue theta moved to ``level``, so that it is not shrunk."""
    image = matrix @ basis
    core = basis.T @ image
    # (I - VV^T) H (I - VV^T) + level VV^T, whatever rounding left of H V = theta V.
    update = basis @ (0.5 * (core + level * np.eye(len(core)))) - image
    left = np.concatenate([update, basis], axis=1)
    right = np.concatenate([basis, update], axis=1)
    out = left @ right.T
    out += matrix
    return out


def _below(matrix: np.ndarray, theta: float, scale: float) -> bool:
    """Whether no eigenvalue exceeds theta: Ritz values alone might have missed one."""
    try:
        np.linalg.cholesky((theta + 10 * _DONE * scale) * np.eye(len(matrix)) - matrix)
    except np.linalg.LinAlgError:
        return False
    return True


def _span(vectors: np.ndarray) -> np.ndarray:
    """Orthonormal basis (N, p) of the span of the rows."""
    left, sizes, _ = np.linalg.svd(vectors.T, full_matrices=False)
    return np.ascontiguousarray(left[:, sizes > 1e-7 * sizes[0]])
