"""Damped Gauss-Newton on |sum_i s_i w_i^{(x)k} - T|^2 at any order k, with fixed signs s_i.

Solves     ``lm`` beyond order 3, and the joint polish of every even-order method
Cost       an iteration: one MTTKRP and up to ``cg_steps`` products of 6 r^2 d flops; no d^k array
Sources    Levenberg (1944); Marquardt (1963); Phan, Tichavsky and Cichocki (2013) for Gram forms

The objective through Gram matrices, with G = W W^T, S = s s^T, B = MTTKRP(T; W):
|T_hat - T|^2 = 1' (S o G^{ok}) 1 - 2 s' diag(W B^T) + |T|^2. One row's Jacobian is
J X = k sum_i s_i Sym(w_i^{k-1} (x) x_i), hence, without the common factor k,
J^T J X = (S o G^{o(k-1)}) X + (k-1) (S o G^{o(k-2)} o (X W^T)^T) W.
"""

from __future__ import annotations

import numpy as np

from tdlab.algorithms.base import Budget
from tdlab.algorithms.descent.damped import ended
from tdlab.algorithms.descent.even import LARGEST_FLATTENING, packed_size, spectrum
from tdlab.tensors import SymmetricTensor

# Squared relative residuals: from the first on the loss is too close to its rounding error for a
# gain ratio and steps are taken as they come; at the second it is rounding error.
_NEARLY_EXACT = 1e-12
_EXACT = 1e-15
_POLISH_STEPS = 3
_RESCUES = 6


def polish(
    tensor: SymmetricTensor,
    rows: np.ndarray,
    weights: np.ndarray,
    budget: Budget,
    *,
    iterations: int = 20,
    cg_steps: int = 60,
) -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
    """Joint least squares from unit rows (r, d) with coefficients (r,) of fixed signs.

    Returns
    -------
    rows : (r, d) unit rows
    weights : (r,)
    history : relative residual after each step
    """
    scale = tensor.norm() / np.sqrt(len(rows))
    signs = np.where(weights < 0.0, -1.0, 1.0)
    sizes = np.clip(np.abs(weights) / scale, 1e-3, 1e3) ** (1.0 / tensor.order)
    history: list[float] = []
    rows, squared = descend(
        tensor, scale, signs, rows * sizes[:, None], history, budget, iterations, cg_steps
    )
    norms = np.linalg.norm(rows, axis=1)
    rows, weights = rows / norms[:, None], signs * scale * norms**tensor.order
    rows, weights, more = ended(tensor, rows, weights, budget, float(np.sqrt(squared)))
    return rows, weights, (*history, *more)


def search(
    tensor: SymmetricTensor,
    rank: int,
    rng: np.random.Generator,
    budget: Budget,
    *,
    restarts: int,
    iterations: int,
    cg_steps: int,
) -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
    """The best rows, coefficients and history of random starts, each with rescues.

    A rescue starts over with the 30% most suspicious rows replaced: the nearly parallel ones, and
    those of a length far from 1.
    """
    scale = tensor.norm() / np.sqrt(rank)
    signs = coefficient_signs(tensor, rank)
    history: list[float] = []
    best, best_squared = np.ones((rank, tensor.dim)), np.inf
    for _ in range(restarts):
        rows, squared = np.empty((0, tensor.dim)), np.inf
        for attempt in range(1 + _RESCUES):
            start = rng.standard_normal((rank, tensor.dim)) / np.sqrt(tensor.dim)
            if attempt:
                trusted = np.argsort(_suspicion(rows), kind="stable")[: rank - int(0.3 * rank)]
                start[trusted] = rows[trusted]
            found, loss = descend(
                tensor, scale, signs, start, history, budget, iterations, cg_steps
            )
            found, loss = _ended(tensor, scale, signs, found, loss, history, budget)
            if loss < squared:
                rows, squared = found, loss
            if squared <= budget.target**2 or budget.expired:
                break
        if squared < best_squared:
            best, best_squared = rows, squared
        if best_squared <= budget.target**2 or budget.expired:
            break
    return best, signs * scale * np.linalg.norm(best, axis=1) ** tensor.order, tuple(history)


def _ended(
    tensor: SymmetricTensor,
    scale: float,
    signs: np.ndarray,
    rows: np.ndarray,
    squared: float,
    history: list[float],
    budget: Budget,
) -> tuple[np.ndarray, float]:
    """Rows of T / scale and their squared relative residual after the dense finish."""
    norms = np.linalg.norm(rows, axis=1)
    if not norms.all():
        return rows, squared
    units, weights, more = ended(
        tensor,
        rows / norms[:, None],
        signs * scale * norms**tensor.order,
        budget,
        float(np.sqrt(squared)),
    )
    if not more:
        return rows, squared
    history.extend(more)
    sizes = (np.abs(weights) / scale) ** (1.0 / tensor.order)
    return units * sizes[:, None], more[-1] ** 2


def _suspicion(rows: np.ndarray) -> np.ndarray:
    norms = np.maximum(np.linalg.norm(rows, axis=1), 1e-300)
    cosines = np.abs(rows @ rows.T) / np.outer(norms, norms)
    np.fill_diagonal(cosines, 0.0)
    return cosines.max(axis=1, initial=0.0) + np.abs(np.log(norms))


def coefficient_signs(tensor: SymmetricTensor, rank: int) -> np.ndarray:
    """Signs (rank,) of the coefficients at even orders; ones at odd orders, where w absorbs them.

    For independent powers w_i^{(x)m} the signature of the flattening counts them (Sylvester); with
    more terms than that the extra ones are shared out in proportion. Ones too where the flattening
    is too large.
    """
    signs = np.ones(rank)
    small = packed_size(tensor.dim, tensor.order) <= LARGEST_FLATTENING
    if tensor.order % 2 == 0 and small and tensor.readable:
        values = spectrum(tensor, rank).values
        signs[: round(rank * float(np.mean(values < 0.0)))] = -1.0
    return signs


def descend(
    tensor: SymmetricTensor,
    scale: float,
    signs: np.ndarray,
    rows: np.ndarray,
    history: list[float],
    budget: Budget,
    iterations: int,
    cg_steps: int,
) -> tuple[np.ndarray, float]:
    """From rows (r, d) of T / scale: the rows and the squared relative residual it ends at."""
    order = tensor.order
    squared_norm = (tensor.norm() / scale) ** 2
    pairs = np.outer(signs, signs)

    def evaluate(point: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        gram = point @ point.T
        product = signs[:, None] * tensor.mttkrp(point) / scale
        loss = float(np.vdot(pairs, gram**order) - 2.0 * np.vdot(point, product)) + squared_norm
        return gram, product, max(loss, 0.0)

    gram, product, loss = evaluate(rows)
    damping = 0.1 if loss > 1e-2 * squared_norm else 1e-6
    growth = 2.0
    recent, polished = [loss], 0
    for _ in range(iterations):
        powers = pairs * gram ** (order - 2)
        gradient = (powers * gram) @ rows - product
        near = loss <= _NEARLY_EXACT * squared_norm
        step, predicted = _step(order, gram, powers, rows, gradient, damping, cg_steps)
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


def _step(
    order: int,
    gram: np.ndarray,
    powers: np.ndarray,
    rows: np.ndarray,
    gradient: np.ndarray,
    damping: float,
    cg_steps: int,
) -> tuple[np.ndarray, float]:
    """Damped Gauss-Newton step by preconditioned CG, and the decrease its model predicts."""
    first = powers * gram
    norms = np.diag(gram)

    def curvature(x: np.ndarray) -> np.ndarray:
        return first @ x + (order - 1) * (powers * (x @ rows.T).T) @ rows

    # Row i sees (g^{k-1} + damping) I + (k-1) g^{k-2} w w^T, inverted by Sherman-Morrison.
    alpha = norms ** (order - 1) + damping
    outer = (order - 1) * norms ** (order - 2)
    factor = outer / (alpha + outer * norms)

    def precondition(x: np.ndarray) -> np.ndarray:
        along = np.einsum("ij,ij->i", x, rows)
        return (x - (factor * along)[:, None] * rows) / alpha[:, None]

    step = np.zeros_like(rows)
    remainder = -gradient
    direction = z = precondition(remainder)
    inner = np.vdot(remainder, z)
    # Solve more tightly as the gradient vanishes, for superlinear convergence at the end.
    stop = inner * min(1e-2, float(np.linalg.norm(gradient))) ** 2
    for _ in range(cg_steps):
        if inner <= 0.0:
            break
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
    # Loss = |..|^2 has gradient 2k x and Hessian 2k x the forms above.
    model = np.vdot(gradient, step) + 0.5 * np.vdot(step, curvature(step))
    return step, float(-2.0 * order * model)
