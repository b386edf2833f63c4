"""The Gram-form engine's few operations, on NumPy or any other array library.

Solves     the same lines on NumPy, torch and CuPy arrays: each operation takes its namespace from
           the array it is given (Python array API standard); numba kernels serve NumPy arrays
Cost       as the numba kernels in flops; one read-back of two scalars a conjugate-gradient step
"""

from __future__ import annotations

import numpy as np

from tdlab._kernels import gauss_newton
from tdlab.tensors.arrays import Array, diagonal, inner, row_dots


def gram_powers(gram: Array, signs: Array, order: int) -> tuple[Array, float]:
    """S o G^{o(k-1)} and the sum of S o G^{ok}, S = s s^T."""
    if isinstance(gram, np.ndarray):
        return gauss_newton.gram_powers(gram, signs, order)
    wide = signs[:, None] * signs[None, :] * gram ** (order - 1)
    return wide, inner(wide, gram)


def gauss_newton_cg(
    rows: Array,
    signs: Array,
    order: int,
    gram: Array,
    e: Array,
    h: Array,
    minus_gradient: Array,
    damping: float,
    max_steps: int,
    tolerance: float,
    tangent: bool,
) -> tuple[Array, float]:
    """The step X and the model's decrease of `tdlab._kernels.gauss_newton.gauss_newton_cg`."""
    if isinstance(rows, np.ndarray):
        damping = rows.dtype.type(damping)
        step, decrease, _ = gauss_newton.gauss_newton_cg(
            rows, signs, order, gram, e, h, minus_gradient, damping, max_steps, tolerance, tangent
        )
        return step, decrease
    return any_gauss_newton_cg(
        rows, signs, order, gram, e, h, minus_gradient, damping, max_steps, tolerance, tangent
    )


def any_gauss_newton_cg(
    rows: Array,
    signs: Array,
    order: int,
    gram: Array,
    e: Array,
    h: Array,
    minus_gradient: Array,
    damping: float,
    max_steps: int,
    tolerance: float,
    tangent: bool,
) -> tuple[Array, float]:
    """The kernel's algorithm in whole-array operations: see there for the formulas."""
    norms_sq = diagonal(gram)
    low = signs[:, None] * signs[None, :] * gram ** (order - 2)
    wide, coupling = low * gram, (order - 1) * low
    along_diagonal = (e + damping)[:, None]
    ridge = ((order - 1) * h)[:, None]
    alpha = norms_sq ** (order - 1) + e + damping
    inverse = 1.0 / alpha
    c = (order - 1) * (norms_sq ** (order - 2) + h)
    correction = inverse / norms_sq if tangent else c / (alpha * (alpha + c * norms_sq))

    def precondition(x: Array) -> Array:
        return inverse[:, None] * x - (correction * row_dots(x, rows))[:, None] * rows

    def curvature(x: Array) -> Array:
        image = wide @ x + (coupling * (rows @ x.T)) @ rows
        return image + along_diagonal * x + ridge * row_dots(rows, x)[:, None] * rows

    residual = minus_gradient
    direction = z = precondition(residual)
    solution = 0.0 * direction
    size = inner(z, residual)
    stop = size * tolerance**2
    for _ in range(max_steps):
        if size <= 0.0:
            break
        image = curvature(direction)
        bent = inner(direction, image)
        if bent <= 0.0:
            break
        length = size / bent
        solution = solution + length * direction
        residual = residual - length * image
        z = precondition(residual)
        new_size = inner(z, residual)
        if new_size <= stop:
            break
        direction = z + (new_size / size) * direction
        size = new_size
    decrease = 0.5 * inner(minus_gradient, solution) + 0.5 * damping * inner(solution, solution)
    return solution, decrease
