"""Damped Gauss-Newton steps in Gram form: preconditioned conjugate gradients, fused.

For sum_i s_i w_i^{(x)k} with fixed signs s, S = s s^T, A = S o G^{o(k-1)} and C = (k-1) S o
G^{o(k-2)}, a product with the Gauss-Newton form (over k) takes two matrix products and one pass
over r x r and r x d numbers: with K = [A + diag(e + damping), (C + (k-1) diag h) o (W P^T)] and
V = [P; W] it is K V. 6 r^2 d flops, and 8 r^2 + 5 r d numbers moved.
"""

import numba
import numpy as np


@numba.njit(cache=True, fastmath=True)
def gauss_newton_cg(
    rows, signs, order, gram, e, h, minus_gradient, damping, max_steps, tolerance, tangent
):
    """Solve (H + damping) X = b, H X = (A + diag e) X + ((C + (k-1) diag h) o (W X^T)) W.

    b is ``minus_gradient`` and X starts at 0; it ends when the residual norm, in the
    preconditioner's metric, has fallen by ``tolerance``, or after ``max_steps`` products.
    Preconditioned by the inverses of the d x d diagonal blocks, alpha_i I + c_i w_i w_i^T with
    alpha = g^(k-1) + e + damping and c = (k-1) (g^(k-2) + h), by Sherman-Morrison.
    With ``tangent`` every row of X stays orthogonal to its row of W: the same formula at
    c = infinity projects, and a direction built from projected residuals never leaves the tangent
    space.

    Returns X (r, d), the decrease -<grad, X> - <X, H X>/2 of the model, and the products done. The
    Galerkin property <X, (H + damping) X> = -<grad, X> gives the decrease without another product.
    """
    rank, dim = rows.shape
    dtype = rows.dtype
    wide = np.empty((rank, 2 * rank), dtype)
    tall = np.empty((2 * rank, dim), dtype)
    cross = np.empty((rank, rank), dtype)
    coupling = np.empty((rank, rank), dtype)
    image = np.empty((rank, dim), dtype)
    solution = np.zeros((rank, dim), dtype)
    residual = np.empty((rank, dim), dtype)
    inverse = np.empty(rank, dtype)
    correction = np.empty(rank, dtype)
    for i in range(rank):
        for j in range(rank):
            low = signs[i] * signs[j]
            for _ in range(order - 2):
                low *= gram[i, j]
            wide[i, j] = low * gram[i, j]
            coupling[i, j] = (order - 1) * low
        g = gram[i, i]
        coupling[i, i] += (order - 1) * h[i]
        wide[i, i] += e[i] + damping
        alpha = wide[i, i]
        c = coupling[i, i]
        inverse[i] = 1 / alpha
        correction[i] = inverse[i] / g if tangent else c / (alpha * (alpha + c * g))
    direction = tall[:rank]
    tall[rank:] = rows
    inner = 0.0
    for i in range(rank):
        along = 0.0
        for k in range(dim):
            residual[i, k] = minus_gradient[i, k]
            along += residual[i, k] * rows[i, k]
        for k in range(dim):
            z = inverse[i] * residual[i, k] - correction[i] * along * rows[i, k]
            direction[i, k] = z
            inner += z * residual[i, k]
    stop = inner * tolerance * tolerance
    steps = 0
    while inner > 0.0 and steps < max_steps:
        steps += 1
        np.dot(rows, direction.T, cross)
        for i in range(rank):
            for j in range(rank):
                wide[i, rank + j] = coupling[i, j] * cross[i, j]
        np.dot(wide, tall, image)
        curvature = 0.0
        for i in range(rank):
            for k in range(dim):
                curvature += direction[i, k] * image[i, k]
        if curvature <= 0.0:
            break
        length = dtype.type(inner / curvature)
        new_inner = 0.0
        for i in range(rank):
            along = 0.0
            for k in range(dim):
                solution[i, k] += length * direction[i, k]
                residual[i, k] -= length * image[i, k]
                along += residual[i, k] * rows[i, k]
            for k in range(dim):
                z = inverse[i] * residual[i, k] - correction[i] * along * rows[i, k]
                image[i, k] = z
                new_inner += z * residual[i, k]
        if new_inner <= stop:
            break
        ratio = dtype.type(new_inner / inner)
        for i in range(rank):
            for k in range(dim):
                direction[i, k] = image[i, k] + ratio * direction[i, k]
        inner = new_inner
    descent = 0.0
    square = 0.0
    for i in range(rank):
        for k in range(dim):
            descent += minus_gradient[i, k] * solution[i, k]
            square += solution[i, k] * solution[i, k]
    return solution, 0.5 * descent + 0.5 * damping * square, steps


@numba.njit(cache=True, fastmath=True)
def gram_powers(gram, signs, order):
    """S o G^{o(k-1)} and the sum of S o G^{ok}, in one pass."""
    wide = np.empty_like(gram)
    total = 0.0
    for i in range(gram.shape[0]):
        for j in range(gram.shape[1]):
            g = gram[i, j]
            power = signs[i] * signs[j]
            for _ in range(order - 1):
                power *= g
            wide[i, j] = power
            total += power * g
    return wide, total


def warm_up() -> None:
    """Compile (or load from the disk cache) every kernel of this module, for both precisions."""
    for kind in (np.float32, np.float64):
        rows = np.eye(2, dtype=kind)
        ones = np.ones(2, dtype=kind)
        gauss_newton_cg(rows, ones, 3, rows, ones, ones, rows, kind(0.1), 1, 0.1, False)
    gram_powers(np.eye(2), np.ones(2), 3)
