"""L-BFGS on a student's empirical risk.

One pass over the samples gives F and its gradient, 6 n s d flops. Unit rows are u_j = v_j/|v_j| of
free v_j: the gradient is tangent to u_j, over |v_j|.
Source: Liu and Nocedal (1989), as SciPy has it.
"""

from __future__ import annotations

import numpy as np

from tdlab.algorithms.base import Status
from tdlab.learning.student_risk import Point, Search

_MEMORY = 20


class _Stopped(Exception):
    """Raised inside the objective: an exact fit, a stationary point, or out of time."""


def descend(search: Search, point: Point) -> None:
    """One start: offers its end to the search."""
    from scipy.optimize import minimize

    risk, shape = search.risk, point.rows.shape
    split = point.rows.size
    fixed = point.outputs
    best: tuple[float, float, Point] | None = None

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal best
        here = Point(theta[:split].reshape(shape), theta[split:] if risk.free else fixed)
        norms = np.linalg.norm(here.rows, axis=1, keepdims=True)
        if risk.unit:
            here = Point(here.rows / norms, here.outputs)
        squares, by_rows, by_outputs = risk.gradient(here)
        value = squares + risk.penalty(here)
        if best is None or value < best[0]:
            best = value, squares, here
        exact = search.record(best[1])
        if exact or search.budget.expired:
            raise _Stopped
        if search.still(value, by_rows, by_outputs):
            raise _Stopped
        by_rows = by_rows / norms if risk.unit else by_rows
        parts = [by_rows.ravel(), by_outputs] if risk.free else [by_rows.ravel()]
        gradient = np.concatenate(parts)
        return value / search.scale, gradient / search.scale

    start = point.rows.ravel()
    if risk.free:
        start = np.concatenate([start, point.outputs])
    status = Status.STAGNATED
    try:
        minimize(
            objective,
            start,
            jac=True,
            method="L-BFGS-B",
            options={
                "maxcor": _MEMORY,
                "maxiter": search.iterations,
                "maxfun": search.iterations,
                "ftol": 0.0,
                "gtol": 0.0,
            },
        )
    except _Stopped:
        status = Status.TIME_LIMIT if search.budget.expired else Status.CONVERGED
    if best is not None:
        search.offer(best[2], best[1], status)
