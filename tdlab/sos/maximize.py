"""Maximisers of a form on the sphere by conjugate gradients with exact searches on great circles.

Solves     max T(x, ..., x) over |x| = 1, locally from many starts: a lower bound, no guarantee
Step       on the circle through x and u the form is a trigonometric polynomial of degree k, known
           from its values at k + 1 angles; its *global* maximum there is taken, which leaves poor
           basins that a fixed shift of the power method (SS-HOPM) would converge in
Cost       k + 1 MTTKRPs a step for a batch of starts; most starts are dropped early
Sources    Polak and Ribiere (1969); Kolda and Mayo, SIAM J. Matrix Anal. Appl. 32 (2011)
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tdlab.tensors import SymmetricTensor

_ANGLES = 64
_TIE = 1e-10


def _never() -> bool:
    return False


def maximisers(
    tensor: SymmetricTensor,
    rng: np.random.Generator,
    starts: np.ndarray | None = None,
    *,
    expired: Callable[[], bool] = _never,
) -> np.ndarray:
    """Unit maximisers found, best first: all within 1e-10 of the best value, without repeats.

    Parameters
    ----------
    starts : (b, d) array, optional
        Climb from these alone, instead of from 40 d random points.
    expired : function
        Whether to climb no further.
    """
    dim = tensor.dim
    points = rng.standard_normal((max(40 * dim, 100), dim)) if starts is None else starts
    points = points / np.linalg.norm(points, axis=1)[:, None]
    # Values after few steps rank the basins well enough to drop most of the starts.
    for keep in (10 * dim, 4 * dim) if starts is None else ():
        points = climb(tensor, points, 8, expired)
        best = np.argsort(-tensor.evaluate(points), kind="stable")[: max(keep, 50)]
        points = points[best]
    points = climb(tensor, points, 200, expired)
    values = tensor.evaluate(points)
    near = values >= values.max() - 1e-4 * tensor.norm()
    points = np.array([x if expired() else polish(tensor, x) for x in points[near]])
    values = tensor.evaluate(points)
    order = np.argsort(-values, kind="stable")
    points, values = points[order], values[order]
    # The best one stays whatever its gradient; a tie must be a critical point to full accuracy,
    # because the face it spans is used as an equation.
    slopes = np.linalg.norm(tensor.mttkrp(points) - values[:, None] * points, axis=1)
    tied = values >= values[0] - _TIE * max(abs(values[0]), tensor.norm() / dim)
    tied &= slopes <= 1e-12 * tensor.norm()
    tied[0] = True
    points = _distinct(points[tied], tensor.order)
    if starts is None and len(points) > near.size // 2 and not expired():
        # As many maximisers as survivors: perhaps a continuum of them. Their span is what matters.
        more = rng.standard_normal((40 * dim, dim))
        points = np.concatenate([points, maximisers(tensor, rng, more, expired=expired)])
        points = _distinct(points, tensor.order)
    return points


def climb(
    tensor: SymmetricTensor,
    points: np.ndarray,
    steps: int,
    expired: Callable[[], bool] = _never,
) -> np.ndarray:
    """Up to ``steps`` conjugate-gradient steps on the sphere for each row of ``points``."""
    order = tensor.order
    scale = tensor.norm() or 1.0
    angles = np.pi * np.arange(order + 1) / (order + 1)
    powers = np.arange(order + 1)
    # f(t) = sum_j c_j cos^(k-j) sin^j has k + 1 coefficients: as many values give them.
    grid = np.linspace(-np.pi / 2, np.pi / 2, _ANGLES, endpoint=False)
    if order % 2 == 1:
        grid = np.linspace(-np.pi, np.pi, 2 * _ANGLES, endpoint=False)
    inverse = np.linalg.inv(_circle(angles, powers))
    on_grid = _circle(grid, powers) @ inverse

    points = points.copy()
    gradient, direction = np.zeros_like(points), np.zeros_like(points)
    active = np.arange(len(points))
    for _ in range(steps):
        if expired():
            break
        x = points[active]
        a = tensor.mttkrp(x)
        g = a - np.einsum("ij,ij->i", a, x)[:, None] * x
        old = gradient[active]
        square = np.einsum("ij,ij->i", old, old)
        beta = np.einsum("ij,ij->i", g, g - old) / np.where(square > 0.0, square, np.inf)
        u = g + np.maximum(beta, 0.0)[:, None] * direction[active]
        u -= np.einsum("ij,ij->i", u, x)[:, None] * x
        gradient[active] = g
        length = np.linalg.norm(u, axis=1)
        live = np.linalg.norm(g, axis=1) > 1e-9 * scale
        live &= length > 0.0
        if not live.any():
            break
        active, x, u, length = active[live], x[live], u[live], length[live]
        u /= length[:, None]
        turned = np.cos(angles[1:, None, None]) * x + np.sin(angles[1:, None, None]) * u
        values = np.empty((len(x), order + 1))
        values[:, 0] = np.einsum("ij,ij->i", a[live], x)
        values[:, 1:] = tensor.evaluate(turned.reshape(-1, tensor.dim)).reshape(order, -1).T
        t = _refine(values @ inverse.T, grid[np.argmax(values @ on_grid.T, axis=1)], powers)
        cosine, sine = np.cos(t)[:, None], np.sin(t)[:, None]
        new = cosine * x + sine * u
        points[active] = new / np.linalg.norm(new, axis=1)[:, None]
        # The tangent of the circle at the new point carries the direction there.
        direction[active] = length[:, None] * (cosine * u - sine * x)
    return points


def _circle(angles: np.ndarray, powers: np.ndarray) -> np.ndarray:
    order = powers[-1]
    return np.cos(angles)[:, None] ** (order - powers) * np.sin(angles)[:, None] ** powers


def _refine(coefficients: np.ndarray, t: np.ndarray, powers: np.ndarray) -> np.ndarray:
    """Newton steps on the derivative of sum_j c_j cos^(k-j) sin^j, row by row."""
    order = powers[-1]

    # d/dt: c_j -> j c_j in (j - 1) and -(k - j) c_j in (j + 1).
    def derive(c: np.ndarray) -> np.ndarray:
        out = np.zeros_like(c)
        out[:, :-1] += powers[1:] * c[:, 1:]
        out[:, 1:] -= (order - powers[:-1]) * c[:, :-1]
        return out

    first = derive(coefficients)
    second = derive(first)
    start = t
    for _ in range(4):
        basis = _circle(t, powers)
        slope = np.einsum("ij,ij->i", basis, first)
        bend = np.einsum("ij,ij->i", basis, second)
        t = t - np.where(bend < 0.0, slope / np.where(bend < 0.0, bend, 1.0), 0.0)
    return np.where(np.abs(t - start) < np.pi / _ANGLES, t, start)


def polish(tensor: SymmetricTensor, x: np.ndarray) -> np.ndarray:
    """Newton steps on the sphere for the critical point T(x, ..., x, .) = l x near a unit x."""
    order = tensor.order
    for _ in range(3):
        hessian = tensor.contract(*[x] * (order - 2)) if order > 2 else tensor.dense()
        gradient = hessian @ x
        value = gradient @ x
        # Bordered system: the step is tangent, and (k - 1) T(x^(k-2)) - l its Hessian.
        system = np.zeros((tensor.dim + 1,) * 2)
        system[:-1, :-1] = (order - 1) * hessian - value * np.eye(tensor.dim)
        system[:-1, -1] = system[-1, :-1] = x
        right = np.append(value * x - gradient, 0.0)
        step = np.linalg.lstsq(system, right, rcond=1e-10)[0][:-1]
        if np.linalg.norm(step) > 0.1:
            break
        x = x + step
        x = x / np.linalg.norm(x)
    return x


def _distinct(points: np.ndarray, order: int) -> np.ndarray:
    """Rows that are no repeats (up to sign, for even orders) of rows before them."""
    cosines = points @ points.T
    if order % 2 == 0:
        cosines = np.abs(cosines)
    repeated = np.triu(cosines > 1.0 - 1e-6, 1).any(axis=0)
    return points[~repeated]
