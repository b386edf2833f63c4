"""Descent on the empirical risk from a good start: Levenberg-Marquardt with conjugate gradients.

The residual r_i = sum_j a_j sigma(<w_j, x_i>) - y_i has the derivative (J V)_i = sum_j a_j
sigma'(<w_j, x_i>) <v_j, x_i>: a product of (n, d) with (d, s) for J and one for its transpose, so
4 n s d flops a conjugate-gradient step, and 16 n s bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import polynomial

from tdlab.algorithms.base import Budget, Status
from tdlab.networks import TwoLayerNetwork

_STEPS, _INNER = 60, 80
_EXACT = 1e-10
_STALLED = 1e-9


@dataclass(frozen=True)
class Refinement:
    """How a descent ended.

    Attributes
    ----------
    status : Status
    message : str
    nit : int
    history : tuple of float
        Root mean squared residual over the spread of y, before the first and after each step.
    """

    status: Status
    message: str
    nit: int
    history: tuple[float, ...]


def refine(
    network: TwoLayerNetwork, X: np.ndarray, y: np.ndarray, budget: Budget
) -> tuple[TwoLayerNetwork, Refinement]:
    """Move the weights (not the outputs) of a network to a minimum of the empirical risk."""
    W, outputs = np.array(network.weights), network.output_weights
    coefficients = np.array(network.activation.coefficients)
    slopes = polynomial.polyder(coefficients)
    n = len(y)
    spread = float(np.sqrt(np.mean((y - y.mean()) ** 2))) or 1.0

    def residual(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        inner = X @ rows.T
        return polynomial.polyval(inner, coefficients) @ outputs - y, inner

    rest, inner = residual(W)
    history = [float(np.sqrt(np.mean(rest**2))) / spread]
    damping, status = 1e-3, Status.STAGNATED
    for _ in range(_STEPS):
        if history[-1] < _EXACT:
            status = Status.CONVERGED
            break
        if budget.expired:
            status = Status.TIME_LIMIT
            break
        slope = polynomial.polyval(inner, slopes) * outputs
        gradient = (slope * rest[:, None]).T @ X
        scale = float(np.mean((slope**2).sum(axis=0)))
        step = _solve(slope, X, -gradient, damping * scale)
        trial, trial_inner = residual(W + step)
        before, after = float(rest @ rest), float(trial @ trial)
        if not after < before:
            damping *= 10.0
            if damping > 1e8:
                break
            continue
        W, rest, inner = W + step, trial, trial_inner
        damping = max(damping / 5.0, 1e-12)
        history.append(float(np.sqrt(after / n)) / spread)
        if after > (1.0 - _STALLED) * before:
            # A minimum with a residual: noise, or the wrong place.
            status = Status.CONVERGED
            break
    share = history[-1]
    message = f"Descent on {n} samples ended at a residual of {share:.2g} of the labels' spread."
    refined = TwoLayerNetwork(W, outputs, network.activation)
    return refined, Refinement(status, message, len(history) - 1, tuple(history))


def _solve(slope: np.ndarray, X: np.ndarray, right: np.ndarray, shift: float) -> np.ndarray:
    """(J^T J + shift I)^{-1} right by conjugate gradients from 0."""
    solution = np.zeros_like(right)
    rest, direction = right.copy(), right.copy()
    square = start = float(np.vdot(rest, rest))
    for _ in range(_INNER):
        if square <= 1e-16 * start:
            break
        image = (slope * (X @ direction.T)).sum(axis=1)
        product = (slope * image[:, None]).T @ X + shift * direction
        length = square / float(np.vdot(direction, product))
        solution += length * direction
        rest -= length * product
        square, previous = float(np.vdot(rest, rest)), square
        direction = rest + (square / previous) * direction
    return solution
