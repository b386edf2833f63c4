"""A polynomial student on its samples: risk, gradient, and damped Gauss-Newton steps, fused.

f(x) = sum_j a_j sigma(<w_j, x>), rest_i = f(x_i) - y_i. With z = X W^T, the Jacobian takes a
change (V, b) of (W, a) to (J V)_i = sum_j a_j sigma'(z_ij) <v_j, x_i> + sum_j b_j sigma(z_ij). Two
matrix products of (samples, d) with (d, s) a pass, over panels of samples whose (panel, s) numbers
stay in cache; J itself is never formed. 4 n s d flops a product with J^T J.
"""

import numba
import numpy as np

# Doubles in one panel: 128 KiB, so that three panels stay in a core's own cache.
_PANEL = 16384


@numba.njit(cache=True)
def panel_rows(units):
    """Samples a panel."""
    return max(16, _PANEL // units)


@numba.njit(cache=True, fastmath=True)
def _activate(z, coefficients, values, slopes):
    """sigma(z) and sigma'(z) by Horner's rule, a row at a time: rows stay in the nearest cache."""
    for i in range(z.shape[0]):
        for j in range(z.shape[1]):
            values[i, j] = coefficients[-1]
            slopes[i, j] = 0.0
        for k in range(len(coefficients) - 2, -1, -1):
            c = coefficients[k]
            for j in range(z.shape[1]):
                slopes[i, j] = slopes[i, j] * z[i, j] + values[i, j]
                values[i, j] = values[i, j] * z[i, j] + c


@numba.njit(cache=True, fastmath=True)
def _remainder(values, outputs, y, slopes, rest):
    """rest_i = sum_j a_j values_ij - y_i, and the slopes times a_j."""
    for i in range(values.shape[0]):
        total = -y[i]
        for j in range(values.shape[1]):
            total += outputs[j] * values[i, j]
            slopes[i, j] *= outputs[j]
        rest[i] = total


@numba.njit(cache=True, fastmath=True)
def squares_and_gradient(X, y, rows, outputs, coefficients):
    """Sum of rest^2, and half its gradient: in the rows (s, d), in the outputs (s,).

    One pass over the samples; nothing of size n is kept.
    """
    n, units = len(y), len(outputs)
    size = panel_rows(units)
    z = np.empty((size, units))
    values, slopes = np.empty_like(z), np.empty_like(z)
    rest = np.empty(size)
    by_rows, by_outputs = np.zeros(rows.shape), np.zeros(units)
    part = np.empty(rows.shape)
    total = 0.0
    for first in range(0, n, size):
        block = X[first : first + size]
        m = len(block)
        np.dot(block, rows.T, z[:m])
        _activate(z[:m], coefficients, values[:m], slopes[:m])
        _remainder(values[:m], outputs, y[first : first + size], slopes[:m], rest[:m])
        for i in range(m):
            r = rest[i]
            total += r * r
            for j in range(units):
                by_outputs[j] += r * values[i, j]
                slopes[i, j] *= r
        np.dot(slopes[:m].T, block, part)
        by_rows += part
    return total, by_rows, by_outputs


@numba.njit(cache=True, fastmath=True)
def sum_of_squares(X, y, rows, outputs, coefficients):
    """Sum of rest^2 alone: half the flops, for steps that may not be taken."""
    n, units = len(y), len(outputs)
    size = panel_rows(units)
    z = np.empty((size, units))
    values = np.empty(units)
    total = 0.0
    for first in range(0, n, size):
        block = X[first : first + size]
        m = len(block)
        np.dot(block, rows.T, z[:m])
        for i in range(m):
            for j in range(units):
                values[j] = coefficients[-1]
            for k in range(len(coefficients) - 2, -1, -1):
                c = coefficients[k]
                for j in range(units):
                    values[j] = values[j] * z[i, j] + c
            r = -y[first + i]
            for j in range(units):
                r += outputs[j] * values[j]
            total += r * r
    return total


@numba.njit(cache=True, fastmath=True)
def linearise(X, y, rows, outputs, coefficients):
    """rest (n,), and the Jacobian's numbers: a_j sigma'(z_ij) and sigma(z_ij), both (n, s)."""
    n, units = len(y), len(outputs)
    size = panel_rows(units)
    z = np.empty((size, units))
    rest = np.empty(n)
    slopes, values = np.empty((n, units)), np.empty((n, units))
    for first in range(0, n, size):
        last = min(first + size, n)
        m = last - first
        np.dot(X[first:last], rows.T, z[:m])
        _activate(z[:m], coefficients, values[first:last], slopes[first:last])
        _remainder(values[first:last], outputs, y[first:last], slopes[first:last], rest[first:last])
    return rest, slopes, values


@numba.njit(cache=True, fastmath=True)
def normal_product(X, slopes, values, change, change_outputs, free, image, image_outputs):
    """J^T J (V, b), in one pass over the samples; ``free`` says whether outputs change at all."""
    n, units = slopes.shape
    size = panel_rows(units)
    z = np.empty((size, units))
    part = np.empty(change.shape)
    image[:] = 0.0
    image_outputs[:] = 0.0
    for first in range(0, n, size):
        block = X[first : first + size]
        m = len(block)
        np.dot(block, change.T, z[:m])
        for i in range(m):
            along = 0.0
            for j in range(units):
                along += slopes[first + i, j] * z[i, j]
            if free:
                for j in range(units):
                    along += values[first + i, j] * change_outputs[j]
                for j in range(units):
                    image_outputs[j] += along * values[first + i, j]
            for j in range(units):
                z[i, j] = along * slopes[first + i, j]
        np.dot(z[:m].T, block, part)
        image += part


@numba.njit(cache=True, fastmath=True)
def _project(change, directions):
    """Take out of each row its part along the unit row of ``directions``."""
    for j in range(len(change)):
        along = 0.0
        for k in range(change.shape[1]):
            along += change[j, k] * directions[j, k]
        for k in range(change.shape[1]):
            change[j, k] -= along * directions[j, k]


@numba.njit(cache=True, fastmath=True)
def damped_step(
    X, slopes, values, directions, right, right_outputs, shifts, across, along, outputs_diagonal,
    free, tangent, max_steps, tolerance,
):  # fmt: skip
    """Solve (J^T J + shifts) (V, b) = right by preconditioned conjugate gradients from 0.

    ``shifts`` (2,) damps rows and outputs. The preconditioner is diagonal on each row in the frame
    of its unit row u_j in ``directions``: ``across`` (s,) orthogonal to it, ``along`` (s,) on it,
    which is what Gaussian inputs make of the blocks sum_i slopes_ij^2 x_i x_i^T; and
    ``outputs_diagonal`` (s,) on the outputs. With ``tangent`` rows of V stay orthogonal to u_j.

    Returns V, b, and the products done.
    """
    units, dim = right.shape
    solution, solution_outputs = np.zeros((units, dim)), np.zeros(units)
    residual, residual_outputs = right.copy(), right_outputs.copy()
    direction, direction_outputs = np.zeros((units, dim)), np.zeros(units)
    image, image_outputs = np.empty((units, dim)), np.empty(units)
    previous, start, steps = 0.0, 0.0, 0
    while True:
        # The preconditioned residual, in the place of the image.
        inner = 0.0
        for j in range(units):
            aligned = 0.0
            for k in range(dim):
                aligned += residual[j, k] * directions[j, k]
            flat = 1.0 / (across[j] + shifts[0])
            bend = -flat if tangent else 1.0 / (along[j] + shifts[0]) - flat
            for k in range(dim):
                image[j, k] = flat * residual[j, k] + bend * aligned * directions[j, k]
                inner += image[j, k] * residual[j, k]
            image_outputs[j] = residual_outputs[j] / (outputs_diagonal[j] + shifts[1])
            inner += image_outputs[j] * residual_outputs[j]
        if steps == 0:
            start = inner
        if inner <= tolerance * tolerance * start or steps == max_steps:
            break
        ratio = inner / previous if steps else 0.0
        for j in range(units):
            for k in range(dim):
                direction[j, k] = image[j, k] + ratio * direction[j, k]
            direction_outputs[j] = image_outputs[j] + ratio * direction_outputs[j]
        normal_product(X, slopes, values, direction, direction_outputs, free, image, image_outputs)
        if tangent:
            _project(image, directions)
        curvature = 0.0
        for j in range(units):
            for k in range(dim):
                image[j, k] += shifts[0] * direction[j, k]
                curvature += image[j, k] * direction[j, k]
            image_outputs[j] += shifts[1] * direction_outputs[j]
            curvature += image_outputs[j] * direction_outputs[j]
        if curvature <= 0.0:
            break
        length = inner / curvature
        for j in range(units):
            for k in range(dim):
                solution[j, k] += length * direction[j, k]
                residual[j, k] -= length * image[j, k]
            solution_outputs[j] += length * direction_outputs[j]
            residual_outputs[j] -= length * image_outputs[j]
        previous = inner
        steps += 1
    return solution, solution_outputs, steps


@numba.njit(cache=True, fastmath=True)
def _adam_update(flat, gradient, first, second, rate, correct_first, correct_second):
    """Kingma and Ba's step on one flat array, in place, with their constants."""
    for k in range(len(flat)):
        first[k] += 0.1 * (gradient[k] - first[k])
        second[k] += 0.001 * (gradient[k] * gradient[k] - second[k])
        size = np.sqrt(second[k] / correct_second) + 1e-12
        flat[k] -= rate * (first[k] / correct_first) / size


@numba.njit(cache=True, fastmath=True)
def adam_epoch(
    X, y, batch, rows, outputs, moments, output_moments, coefficients, rates, done, decay,
    free, unit,
):  # fmt: skip
    """One pass over samples that were shuffled, in place: rows, outputs and both moments of each.

    ``moments`` is (2, s, d), ``output_moments`` (2, s); step t of the pass has ``rates[t]``, and
    ``done`` steps went before it. The last, short batch counts like any other.
    """
    units, dim = rows.shape
    for step in range(len(rates)):
        first, last = step * batch, min((step + 1) * batch, len(y))
        _, by_rows, by_outputs = squares_and_gradient(
            X[first:last], y[first:last], rows, outputs, coefficients
        )
        scale = 2.0 / (last - first)
        for j in range(units):
            along = 0.0
            for k in range(dim):
                by_rows[j, k] *= scale
                along += by_rows[j, k] * rows[j, k]
            for k in range(dim):
                by_rows[j, k] += (-along if unit else 2.0 * decay) * rows[j, k]
            by_outputs[j] = scale * by_outputs[j] + 2.0 * decay * outputs[j]
        count = done + step + 1
        corrections = 1.0 - 0.9**count, 1.0 - 0.999**count
        _adam_update(
            rows.ravel(), by_rows.ravel(), moments[0].ravel(), moments[1].ravel(),
            rates[step], corrections[0], corrections[1],
        )  # fmt: skip
        if free:
            _adam_update(
                outputs, by_outputs, output_moments[0], output_moments[1],
                rates[step], corrections[0], corrections[1],
            )  # fmt: skip
        if unit:
            for j in range(units):
                square = 0.0
                for k in range(dim):
                    square += rows[j, k] * rows[j, k]
                norm = np.sqrt(square)
                for k in range(dim):
                    rows[j, k] /= norm


def warm_up() -> None:
    """Compile (or load from the disk cache) every kernel of this module."""
    X, y, rows, one = np.ones((2, 2)), np.ones(2), np.ones((1, 2)), np.ones(1)
    squares_and_gradient(X, y, rows, one, y)
    sum_of_squares(X, y, rows, one, y)
    _, slopes, values = linearise(X, y, rows, one, y)
    damped_step(X, slopes, values, rows, rows, one, y, one, one, one, True, False, 1, 0.1)
    moments, output_moments = np.zeros((2, 1, 2)), np.zeros((2, 1))
    adam_epoch(X, y, 2, rows, one, moments, output_moments, y, one, 0, 0.0, True, False)
