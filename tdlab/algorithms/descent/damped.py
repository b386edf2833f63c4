"""A dense Levenberg-Marquardt finish on the distinct entries, for small problems.

Solves     min |sum_i s_i w_i^{(x)k} - T| from rows near a solution, to rounding: the residual is
           formed entry by entry, and not through Gram matrices, whose squares lose half the digits
Method     columns of the Jacobian have unit norm, so that small and large terms move alike; each
           damped step is an orthogonal factorisation, which stands ill-conditioned ends where
           conjugate gradients stall
Cost       2 N (r d)^2 flops a step, N = C(d+k-1, k)
Sources    Levenberg (1944); Marquardt (1963); More (1978) for the scaling
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular

from tdlab.algorithms.base import Budget
from tdlab.tensors import SymmetricTensor
from tdlab.tensors.packed import Forms, size

# Largest r d, and largest Jacobian in doubles. A step takes milliseconds at 200 parameters and a
# tenth of a second at 600, where matrix-free steps are a hundred times cheaper: at order 3,
# (d, r) = (15, 38), the finish made runs of .6 s take 7 s.
_LARGEST_PARAMETERS = 200
_LARGEST_JACOBIAN = 2**19
# A step must be worth its cost: over this many the residual falls by half, or the finish ends.
_PATIENCE = 12
# Relative residual that is rounding, whatever the terms.
_ROUNDED = 2e-16
# Share of |R|^2 that a step must promise.
_CONVERGED = 1e-6
# Relative residuals from which, and to which, a method's end is worth it: above are local minima.
_FAR, _NEAR = 3e-2, 2e-8
# Share of a step at which its second derivative is measured, and largest share of the bend.
_PROBE = 0.1
_MOST_BEND = 0.75


def affordable(tensor: SymmetricTensor, rank: int) -> bool:
    """Whether the finish takes this problem: small, and of a tensor whose entries are at hand."""
    parameters = rank * tensor.dim
    return (
        tensor.entries_at_hand
        and 0 < parameters <= _LARGEST_PARAMETERS
        and size(tensor.dim, tensor.order) * parameters <= _LARGEST_JACOBIAN
    )


def ended(
    tensor: SymmetricTensor, rows: np.ndarray, weights: np.ndarray, budget: Budget, residual: float
) -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
    """The rows and coefficients after `damped_finish`, where that may help; as they are elsewhere.

    Parameters
    ----------
    residual : float
        Relative, as the method knows it.
    """
    if not (_NEAR < residual < _FAR and affordable(tensor, len(rows)) and not budget.expired):
        return rows, weights, ()
    return damped_finish(tensor, rows, weights, budget)


def damped_finish(
    tensor: SymmetricTensor,
    rows: np.ndarray,
    weights: np.ndarray,
    budget: Budget,
    *,
    iterations: int = 200,
) -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
    """Unit rows (r, d), coefficients (r,) of unchanged signs, and relative residuals of the steps.

    The problem must be `affordable`. What it returns never fits worse than what it was given.
    """
    order, (rank, dim) = tensor.order, rows.shape
    high, low = Forms.of(dim, order), Forms.of(dim, order - 1)
    child = low.children()
    # d(w^alpha)/dw_j = alpha_j w^(alpha - e_j), for alpha = beta + e_j: alpha_j = beta_j + 1.
    again = np.stack([(low.indices == j).sum(axis=1) for j in range(dim)], axis=1) + 1.0
    factor = high.scales[child] * again / low.scales[:, None]
    norm = tensor.norm()
    target = tensor.packed() / norm
    signs = np.where(weights < 0.0, -1.0, 1.0)
    sizes = np.maximum(np.abs(weights) / norm, 1e-12)

    def residual(point: np.ndarray) -> np.ndarray:
        return signs @ high.lift(point) - target

    def jacobian(point: np.ndarray) -> np.ndarray:
        # Column block i divided by k |w_i|^(k-1): a unit step then moves the term by one.
        units = point / np.linalg.norm(point, axis=1, keepdims=True)
        powers = signs[:, None] * low.lift(units)
        out = np.zeros((len(target), rank, dim))
        for j in range(dim):
            out[child[:, j], :, j] = (powers * factor[:, j] / order).T
        return out.reshape(len(target), -1)

    point = rows * sizes[:, None] ** (1.0 / order)
    error = residual(point)
    loss = float(np.linalg.norm(error))
    best = (loss, point)
    damping, growth = min(loss, 1e-3), 2.0
    history = [loss]
    stuck = False
    for _ in range(iterations):
        if loss <= _ROUNDED or budget.expired:
            break
        if len(history) > _PATIENCE and loss > 0.5 * history[-1 - _PATIENCE]:
            break
        slopes = jacobian(point)
        upper = _upper(np.column_stack([slopes, error]))
        triangle, right = upper[:-1, :-1], upper[:-1, -1]
        units = np.repeat(order * np.linalg.norm(point, axis=1) ** (order - 1), dim)
        while damping < 1e6 and not budget.expired:
            factor_of, change = _damped_solution(triangle, -right, damping)
            predicted = loss**2 - float(np.linalg.norm(triangle @ change + right)) ** 2
            if predicted <= _CONVERGED * loss**2:
                # A minimum: noise, or a local one.
                stuck = True
                break
            # The second derivative along the step bends it along a curved valley.
            ahead = residual(point + _PROBE * (change / units).reshape(rank, dim))
            bend = 2.0 / _PROBE * ((ahead - error) / _PROBE - slopes @ change)
            half = solve_triangular(factor_of, slopes.T @ bend, trans=1)
            bent = -0.5 * solve_triangular(factor_of, half)
            if float(np.linalg.norm(bent)) <= _MOST_BEND * float(np.linalg.norm(change)):
                change = change + bent
            moved = point + (change / units).reshape(rank, dim)
            new_error = residual(moved)
            new_loss = float(np.linalg.norm(new_error))
            gain = (loss**2 - new_loss**2) / predicted if predicted > 0.0 else -1.0
            if new_loss < loss:
                break
            damping, growth = damping * growth, growth * 2.0
        else:
            stuck = True
        if stuck:
            break
        point, error, loss = moved, new_error, new_loss
        damping = max(damping * max(1 / 9, 1.0 - (2.0 * gain - 1.0) ** 3), 1e-15)
        growth = 2.0
        history.append(loss)
        if loss < best[0]:
            best = (loss, point)
    norms = np.linalg.norm(best[1], axis=1)
    return best[1] / norms[:, None], norm * signs * norms**order, tuple(history)


def _damped_solution(
    triangle: np.ndarray, right: np.ndarray, damping: float
) -> tuple[np.ndarray, np.ndarray]:
    """U with U^T U = R^T R + damping^2, and argmin |R x - b|^2 + damping^2 |x|^2.

    A second factorisation instead of R^T R, which would square the condition.
    """
    count = triangle.shape[1]
    stacked = np.zeros((len(triangle) + count, count + 1))
    stacked[: len(triangle), :count], stacked[: len(triangle), -1] = triangle, right
    stacked[len(triangle) :, :count] = damping * np.eye(count)
    upper = _upper(stacked)
    return upper[:count, :count], solve_triangular(upper[:count, :count], upper[:count, -1])


def _upper(matrix: np.ndarray) -> np.ndarray:
    """R of the factorisation."""
    return np.asarray(np.linalg.qr(matrix, mode="r"))
