"""Damped Gauss-Newton on |sum_i w_i^{(x)3} - T|^2 through Gram matrices, from given rows.

Solves     the inner problem of ``lm``, and the joint polish of every method that finds candidates
Cost       an iteration: one MTTKRP and up to ``cg_steps`` products of 6 r^2 d flops; no d^3 array
Sources    Levenberg (1944); Marquardt (1963); Phan, Tichavsky and Cichocki (2013) for Gram forms
"""

from __future__ import annotations

import numpy as np

from tdlab.algorithms.base import Budget, fit_weights
from tdlab.tensors import SymmetricTensor

# Squared relative residuals: from the first on the loss is too close to its rounding error for a
# gain ratio and steps are taken as they come; at the second it is rounding error.
_NEARLY_EXACT = 1e-12
_EXACT = 1e-15
_POLISH_STEPS = 5


def refine(
    tensor: SymmetricTensor,
    rows: np.ndarray,
    budget: Budget,
    *,
    iterations: int = 60,
    cg_steps: int = 60,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Joint least squares from candidate directions (k, d) of any norm and sign.

    Returns
    -------
    rows : (k, d) unit rows
    weights : (k,) positive coefficients
    squared : float
        Squared relative residual.
    """
    norms = np.linalg.norm(rows, axis=1)
    rows = rows[norms > 0.0] / norms[norms > 0.0, None]
    fitted = fit_weights(tensor, rows)
    scale = tensor.norm() / np.sqrt(len(rows))
    # A coefficient of zero is a stationary point of its row: keep every row alive.
    sizes = np.cbrt(np.clip(np.abs(fitted) / scale, 1e-3, 1e3))
    start = rows * (np.where(fitted < 0.0, -1.0, 1.0) * sizes)[:, None]
    rows, squared = descend(tensor, scale, start, [], budget, iterations, cg_steps)
    norms = np.linalg.norm(rows, axis=1)
    # Where there is nothing left to fit a row may vanish: then there are fewer terms.
    rows, norms = rows[norms > 0.0], norms[norms > 0.0]
    return rows / norms[:, None], scale * norms**3, squared


def descend(
    tensor: SymmetricTensor,
    scale: float,
    rows: np.ndarray,
    history: list[float],
    budget: Budget,
    iterations: int,
    cg_steps: int,
) -> tuple[np.ndarray, float]:
    """From rows (k, d) of T / scale: the rows and the squared relative residual it ends at."""
    squared_norm = (tensor.norm() / scale) ** 2

    def evaluate(point: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        gram = point @ point.T
        product = tensor.mttkrp(point) / scale
        # |sum w^3 - T|^2 = 1' G^{o3} 1 - 2 <W, B> + |T|^2.
        loss = float((gram**3).sum() - 2.0 * np.vdot(point, product)) + squared_norm
        return gram, product, max(loss, 0.0)

    gram, product, loss = evaluate(rows)
    damping, growth = 0.1, 2.0
    recent, polished = [loss], 0
    for _ in range(iterations):
        half_gradient = (gram**2) @ rows - product
        near = loss <= _NEARLY_EXACT * squared_norm
        # A poorly conditioned end needs accurate steps, and few of them.
        inner_steps = 5 * cg_steps if near else cg_steps
        step, predicted = _gauss_newton_step(gram, rows, half_gradient, damping, inner_steps)
        new_gram, new_product, new_loss = evaluate(rows + step)
        gain = (loss - new_loss) / predicted if predicted > 0 else -1.0
        if gain > 0 or new_loss <= _NEARLY_EXACT * squared_norm:
            rows, gram, product, loss = rows + step, new_gram, new_product, new_loss
            # Nielsen's rule: shrink smoothly with the quality of the model.
            damping = max(damping * max(1 / 3, 1 - (2 * gain - 1) ** 3), 1e-12)
            growth = 2.0
        else:
            damping, growth = damping * growth, growth * 2
        history.append(float(np.sqrt(loss / squared_norm)))
        recent.append(loss)
        polished += near
        done = loss <= _EXACT * squared_norm or polished >= _POLISH_STEPS
        stuck = (len(recent) > 25 and loss > 0.99 * recent[-25]) or damping > 1e8
        if done or stuck or budget.expired:
            break
    return rows, loss / squared_norm


def _gauss_newton_step(
    gram: np.ndarray, rows: np.ndarray, half_gradient: np.ndarray, damping: float, cg_steps: int
) -> tuple[np.ndarray, float]:
    """Damped Gauss-Newton step and the decrease of the loss that its model predicts.

    With G the Gram matrix of the rows, half the gradient of |sum w^3 - T|^2 is 3 (G^{o2} W - B),
    and half the Gauss-Newton Hessian acts as X -> 3 (G^{o2} X + 2 (G o (X W^T)^T) W); the common
    factor 3 is dropped from both sides.
    """
    squared_gram = gram**2
    norms = np.diag(gram)

    def curvature(x: np.ndarray) -> np.ndarray:
        return squared_gram @ x + 2.0 * (gram * (x @ rows.T).T) @ rows

    # Block-diagonal preconditioner: row i sees (g^2 + damping) I + 2 g w w^T, inverted in closed
    # form by Sherman-Morrison.
    alpha = norms**2 + damping
    factor = 2.0 * norms / (alpha + 2.0 * norms**2)

    def precondition(x: np.ndarray) -> np.ndarray:
        along = np.einsum("ij,ij->i", x, rows)
        return (x - (factor * along)[:, None] * rows) / alpha[:, None]

    step = np.zeros_like(rows)
    remainder = -half_gradient
    direction = z = precondition(remainder)
    inner = np.vdot(remainder, z)
    # Solve more tightly as the gradient vanishes, for superlinear convergence at the end.
    stop = inner * min(1e-2, float(np.linalg.norm(half_gradient))) ** 2
    for _ in range(cg_steps):
        if inner == 0.0:
            break  # the rows fit to the last bit
        image = curvature(direction) + damping * direction
        length = inner / np.vdot(direction, image)
        step = step + length * direction
        remainder = remainder - length * image
        z = precondition(remainder)
        new_inner = np.vdot(remainder, z)
        if new_inner <= stop:
            break
        direction = z + (new_inner / inner) * direction
        inner = new_inner
    # loss(W) - model(W + step) with loss = |..|^2: gradient 6 x, Hessian 6 x the forms above.
    model = np.vdot(half_gradient, step) + 0.5 * np.vdot(step, curvature(step))
    return step, float(-6.0 * model)
