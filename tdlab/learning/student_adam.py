"""Adam on a student's empirical risk, in shuffled batches.

The learning rate falls to 0 along half a cosine over the whole descent: what is left of the
gradients' noise goes with it. The passes run inside one kernel each, 6 n s d flops.
Sources: Kingma and Ba (2015), arXiv 1412.6980; the schedule: Loshchilov and Hutter (2017),
arXiv 1608.03983
"""

from __future__ import annotations

import numpy as np

from tdlab._kernels import student as kernels
from tdlab.algorithms.base import Status
from tdlab.learning.student_risk import Point, Search


def descend(
    search: Search, point: Point, batch: int, rate: float, rng: np.random.Generator
) -> None:
    """One start: offers its end to the search."""
    risk, n = search.risk, search.risk.n
    rows, outputs = point.rows.copy(), point.outputs.copy()
    moments, output_moments = np.zeros((2, *rows.shape)), np.zeros((2, len(outputs)))
    a_pass = -(-n // batch)
    steps = search.iterations * a_pass
    rates = rate * 0.5 * (1.0 + np.cos(np.pi * np.arange(steps) / steps))
    status, squares = Status.STAGNATED, risk.squares(point)
    for first in range(0, steps, a_pass):
        if search.budget.expired:
            status = Status.TIME_LIMIT
            break
        order = rng.permutation(n)
        kernels.adam_epoch(
            risk.X[order], risk.y[order], batch, rows, outputs, moments, output_moments,
            risk.coefficients, rates[first : first + a_pass], first, risk.decay, risk.free,
            risk.unit,
        )  # fmt: skip
        point = Point(rows, outputs)
        squares = risk.squares(point)
        if search.record(squares):
            status = Status.CONVERGED
            break
    if status is Status.STAGNATED:
        _, *gradient = risk.gradient(point)
        if search.still(squares + risk.penalty(point), *gradient):
            status = Status.CONVERGED
    search.offer(Point(rows.copy(), outputs.copy()), squares, status)
