"""The empirical risk of a student network, and where a descent on it stands.

F(W, a) = (1/n) sum_i (y_i - f(x_i))^2 + decay (|W|^2 + |a|^2), f(x) = sum_j a_j sigma(<w_j, x>);
only what may change is penalised: not unit rows, nor outputs that are fixed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tdlab._kernels import student as kernels
from tdlab.algorithms.base import Budget, Status

# How small a gradient makes a point stationary, against what it could be.
STATIONARY = 1e-7


@dataclass(frozen=True, eq=False)
class Point:
    """Weights of a student.

    Attributes
    ----------
    rows : (s, d) array
    outputs : (s,) array
    """

    rows: np.ndarray
    outputs: np.ndarray

    @property
    def units(self) -> np.ndarray:
        """The rows at norm 1."""
        norms = np.linalg.norm(self.rows, axis=1, keepdims=True)
        return self.rows / np.where(norms > 0.0, norms, 1.0)


@dataclass(frozen=True, eq=False)
class Risk:
    """F on given samples.

    Attributes
    ----------
    X : (n, d) array, C order
    y : (n,) array
    coefficients : (degree + 1,) array
        Of the activation.
    free : bool
        Whether outputs are fitted.
    unit : bool
        Whether rows keep norm 1.
    decay : float
    """

    X: np.ndarray
    y: np.ndarray
    coefficients: np.ndarray
    free: bool
    unit: bool
    decay: float

    @property
    def n(self) -> int:
        """Samples."""
        return len(self.y)

    def penalty(self, point: Point) -> float:
        """decay (|W|^2 + |a|^2), of what may change."""
        total = 0.0 if self.unit else float(np.vdot(point.rows, point.rows))
        return self.decay * (total + (float(point.outputs @ point.outputs) if self.free else 0.0))

    def squares(self, point: Point) -> float:
        """(1/n) sum (y - f)^2, the training risk."""
        total = kernels.sum_of_squares(self.X, self.y, point.rows, point.outputs, self.coefficients)
        return float(total) / self.n

    def gradient(self, point: Point) -> tuple[float, np.ndarray, np.ndarray]:
        """Training risk (without penalty), and the gradient of F in rows and outputs.

        Outputs that are fixed have gradient 0; the gradient of unit rows is tangent to them.
        """
        total, by_rows, by_outputs = kernels.squares_and_gradient(
            self.X, self.y, point.rows, point.outputs, self.coefficients
        )
        by_rows, by_outputs = (2.0 / self.n) * by_rows, (2.0 / self.n) * by_outputs
        if self.unit:
            by_rows = tangent(by_rows, point.rows)
        else:
            by_rows += 2.0 * self.decay * point.rows
        by_outputs = by_outputs + 2.0 * self.decay * point.outputs if self.free else 0 * by_outputs
        return float(total) / self.n, by_rows, by_outputs

    def moved(self, point: Point, rows: np.ndarray, outputs: np.ndarray) -> Point:
        """The point changed by (rows, outputs), unit rows brought back to norm 1."""
        found = Point(point.rows + rows, point.outputs + outputs)
        return Point(found.units, found.outputs) if self.unit else found


def tangent(change: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Each row without its part along the unit row."""
    return change - (change * units).sum(axis=1, keepdims=True) * units


@dataclass
class Search:
    """What all starts of one fit share: the clock, the target, the best point, and the path.

    Attributes
    ----------
    risk : Risk
    budget : Budget
    scale : float
        Variance of y, in which training risks are reported.
    exact : float
        Training risk, as a share of ``scale``, that counts as an exact fit.
    iterations : int
        Of one start.
    best : Point or None
        Of lowest F over all starts.
    status : Status
        Of the start that found it.
    """

    risk: Risk
    budget: Budget
    scale: float
    exact: float
    iterations: int
    best: Point | None = None
    value: float = np.inf
    share: float = np.inf
    status: Status = Status.STAGNATED
    history: list[float] = field(default_factory=list)

    def record(self, squares: float) -> bool:
        """Note the training risk after an iteration; whether it is an exact fit."""
        self.history.append(squares / self.scale)
        return self.history[-1] <= self.exact

    def still(self, value: float, by_rows: np.ndarray, by_outputs: np.ndarray) -> bool:
        """Whether a gradient of F is as good as none beside its value.

        The gradient is 2/n J^T rest: it falls with the residual towards an exact fit, so only
        their ratio shows a minimum with a residual.
        """
        slope = np.sqrt(np.vdot(by_rows, by_rows) + by_outputs @ by_outputs)
        return bool(slope <= STATIONARY * np.sqrt(value * self.scale))

    def offer(self, point: Point, squares: float, status: Status) -> None:
        """End a start: keep its point if its F is the lowest."""
        value = squares + self.risk.penalty(point)
        if value < self.value or self.best is None:
            self.best, self.value, self.status = point, value, status
            self.share = squares / self.scale
