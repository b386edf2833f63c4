"""Levenberg-Marquardt on a student's empirical risk, matrix-free.

A step solves (J^T J + n (decay + mu m) I) V = -(J^T rest + n decay W), n m the mean diagonal of
J^T J, by preconditioned conjugate gradients; mu follows the gain ratio. Unit rows move in their
tangent spaces and are normalised again. At an exact fit Gauss-Newton is Newton and converges
quadratically; with a residual, linearly.
Sources: Levenberg (1944); Marquardt (1963); Nielsen (1999) for the damping.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tdlab._kernels import student as kernels
from tdlab.algorithms.base import Status
from tdlab.learning.student_risk import STATIONARY, Point, Risk, Search, tangent

_LARGEST_DAMPING = 1e8
_NEAR = 1e-6


@dataclass(frozen=True, eq=False)
class _Linear:
    """The Jacobian at a point, what it makes of the residual, and its diagonal.

    slopes, values : (n, s); right (s, d), right_outputs (s,): minus half the gradient of n F;
    across, along, outputs : (s,) mean diagonal of J^T J orthogonal to a row, on it, and of outputs.
    """

    slopes: np.ndarray
    values: np.ndarray
    right: np.ndarray
    right_outputs: np.ndarray
    across: np.ndarray
    along: np.ndarray
    outputs: np.ndarray

    @classmethod
    def at(cls, risk: Risk, point: Point) -> _Linear:
        rest, slopes, values = kernels.linearise(
            risk.X, risk.y, point.rows, point.outputs, risk.coefficients
        )
        X, shift, units = risk.X, risk.n * risk.decay, point.units
        right = -(slopes.T @ (rest[:, None] * X))
        right = tangent(right, units) if risk.unit else right - shift * point.rows
        right_outputs, outputs = np.zeros(len(units)), np.ones(len(units))
        if risk.free:
            right_outputs = -(values.T @ rest) - shift * point.outputs
            outputs = np.einsum("ij,ij->j", values, values)
        # The block of unit j is sum_i slopes_ij^2 x_i x_i^T; for Gaussian inputs its mean has the
        # row as an eigenvector, and one other eigenvalue.
        squares = slopes**2
        along = np.einsum("ij,ij->j", squares, (X @ units.T) ** 2)
        rest_of_trace = squares.T @ np.einsum("ik,ik->i", X, X) - along
        across = rest_of_trace / max(X.shape[1] - 1, 1)
        return cls(slopes, values, right, right_outputs, across, along, outputs)

    def step(
        self, risk: Risk, point: Point, damping: float, cg_steps: int, tolerance: float
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """The damped step in rows and outputs, and twice the fall of n F/2 that the model sees."""
        dim = risk.X.shape[1]
        mean = float(np.mean(self.along + (dim - 1) * self.across)) / dim
        damp = damping * mean, damping * float(np.mean(self.outputs))
        shift = risk.n * risk.decay
        shifts = np.array([damp[0] + (0.0 if risk.unit else shift), damp[1] + shift])
        V, b, _ = kernels.damped_step(
            risk.X, self.slopes, self.values, point.units, self.right, self.right_outputs, shifts,
            self.across, self.along, self.outputs, risk.free, risk.unit, cg_steps, tolerance,
        )  # fmt: skip
        # Galerkin: <V, (H + damp) V> = <right, V>, so the model falls by
        # <right, V> - <V, H V>/2 = (<right, V> + damp |V|^2)/2.
        fall = np.vdot(self.right, V) + self.right_outputs @ b
        fall += damp[0] * np.vdot(V, V) + damp[1] * (b @ b)
        return V, b, float(fall)

    def stationary(self, risk: Risk, point: Point, squares: float) -> bool:
        """Whether the residual is orthogonal to what the Jacobian reaches."""
        slope = np.vdot(self.right, self.right) + self.right_outputs @ self.right_outputs
        dim = risk.X.shape[1]
        reach = (self.along + (dim - 1) * self.across).sum()
        if risk.free:
            reach += self.outputs.sum()
        # |J^T rest| <= |J|_F |rest|, and the penalty's gradient has its own size.
        bound = np.sqrt(reach * risk.n * squares)
        bound += risk.n * np.sqrt(risk.decay * risk.penalty(point))
        return bool(np.sqrt(slope) <= STATIONARY * bound)


def descend(search: Search, point: Point) -> None:
    """One start: offers its end to the search."""
    risk = search.risk
    squares = risk.squares(point)
    damping, growth, status = 0.1, 2.0, Status.STAGNATED
    if search.record(squares):
        return search.offer(point, squares, Status.CONVERGED)
    linear = _Linear.at(risk, point)
    for _ in range(search.iterations):
        if search.budget.expired:
            status = Status.TIME_LIMIT
            break
        if linear.stationary(risk, point, squares):
            status = Status.CONVERGED
            break
        # Far away a rough direction is enough; near an exact fit Gauss-Newton is Newton, and what
        # damping and the conjugate gradients leave out is what keeps digits from doubling.
        share = squares / search.scale
        near = share < _NEAR
        tolerance = max(0.1 * share**0.5, 1e-4) if near else 0.1
        V, b, expected = linear.step(risk, point, damping, 400 if near else 60, tolerance)
        trial = risk.moved(point, V, b)
        new = risk.squares(trial)
        fall = risk.n * (squares - new + risk.penalty(point) - risk.penalty(trial))
        if not (fall > 0.0 and expected > 0.0):
            damping *= growth
            growth *= 2.0
            if damping > _LARGEST_DAMPING:
                break
            continue
        point, squares = trial, new
        linear = _Linear.at(risk, point)
        damping = max(damping * max(1 / 3, 1.0 - (2.0 * fall / expected - 1.0) ** 3), 1e-12)
        if near:
            damping = min(damping, share)
        growth = 2.0
        if search.record(squares):
            status = Status.CONVERGED
            break
    search.offer(point, squares, status)
