"""L-BFGS on the Gram-form loss, with free rows, or unit rows times one common coefficient.

Solves     min_W 1/2 |sum_i s_i w_i^{(x)k} - T|^2 at orders k = 3 to 6 with signs s known from a
           flattening at even orders; "unit": min 1/2 |a sum_i s_i u_i^{(x)k} - T|^2, |u_i| = 1
Guarantee  none; the unit form knows that all coefficients agree, and is wrong where they do not
Cost       an evaluation: one MTTKRP and 4 r^2 d flops; memory 2 m r d
Sources    Liu and Nocedal (1989); Acar, Dunlavy and Kolda (2011) for decomposition by gradients
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from tdlab.algorithms.base import Budget, Decomposition, Status, finish
from tdlab.algorithms.descent.loop import Descent, Effort, Target
from tdlab.algorithms.descent.step import gram_powers
from tdlab.errors import check_choice, check_integer
from tdlab.streams import Part, own_stream
from tdlab.tensors import SymmetricTensor
from tdlab.tensors.arrays import Array, inner, row_dots, to_numpy

# The line search sees only rounding below this squared relative residual, so the end is left to
# Gauss-Newton, which converges quadratically from there.
_NEARLY_EXACT = 1e-8
# A start has stagnated when so many evaluations have not lowered the loss by a tenth.
_PATIENCE = 100
_POLISH_STEPS = 200


@dataclass(frozen=True)
class LBFGS:
    """Decompose a tensor by limited-memory quasi-Newton descent from random starts.

    Parameters
    ----------
    norms : {"free", "unit"}
        "unit" assumes that all coefficients are equal.
    restarts : int
        Random starts tried until one fits.
    evaluations : int
        Loss and gradient evaluations of one start.
    memory : int
        Pairs of vectors that model the curvature.
    """

    name: ClassVar[str] = "lbfgs"
    orders: ClassVar[tuple[int, ...]] = (3, 4, 5, 6)
    version: ClassVar[int] = 2
    guarantee: ClassVar[str] = "none; norms='unit' only for equal coefficients"
    cost: ClassVar[str] = "one MTTKRP and 4 r^2 d flops an evaluation"
    source: ClassVar[str] = "Liu and Nocedal (1989); Acar, Dunlavy and Kolda (2011)"

    norms: str = "free"
    restarts: int = 5
    evaluations: int = 5000
    memory: int = 20

    def __post_init__(self) -> None:
        check_choice("method 'lbfgs', option 'norms'", self.norms, ("free", "unit"))
        for option in ("restarts", "evaluations", "memory"):
            check_integer(f"method 'lbfgs', option '{option}'", getattr(self, option), 1)

    def reach(self, dim: int, order: int) -> int | None:
        """Rank recovered in every trial of iid components, d = 10 to 30; unknown for unit rows."""
        return None if self.norms == "unit" else max(dim // 2, 1)

    def limit(self, dim: int, order: int) -> None:
        """Any rank."""
        return None

    def run(
        self, tensor: SymmetricTensor, rank: int, *, rng: np.random.Generator, budget: Budget
    ) -> Decomposition:
        rng = own_stream(rng, Part.METHOD)
        target = Target.of(tensor, rank)
        start = _Start(target, self.norms == "unit", budget)
        history: list[float] = []
        rows, starts = np.empty((0, tensor.dim)), 0
        for _ in range(self.restarts):
            # Free rows begin at coefficient 1/2, where the loss is flat in no direction.
            size = 1.0 if start.unit else 0.5 ** (1 / tensor.order)
            start.descend(
                rng.standard_normal((rank, tensor.dim)) * (size / np.sqrt(tensor.dim)),
                self.evaluations,
                self.memory,
            )
            history.append(float(np.sqrt(start.residual_sq)))
            starts += 1
            rows = start.rows
            if start.residual_sq < _NEARLY_EXACT:
                effort = Effort(budget, _POLISH_STEPS)
                end = Descent(target, tensor.lift(rows), effort, history=history, damping=1e-6)
                exact = end.polish()
                rows = to_numpy(end.rows)
                if exact:
                    break
            if start.residual_sq < budget.noise**2 or budget.expired:
                break
        late = budget.expired
        return finish(
            self,
            tensor,
            rank,
            budget,
            components=rows,
            weights=target.weights(rows),
            status=Status.TIME_LIMIT if late else Status.STAGNATED,
            message="Stopped by max_seconds."
            if late
            else f"{starts} starts ended in local minima. Try method='auto'.",
            nit=start.count,
            history=tuple(history),
        )


class _Stopped(Exception):
    """Raised inside the objective: nearly exact, stagnated, or out of time."""


@dataclass
class _Start:
    """The best rows over all starts, and what the objective needs."""

    target: Target
    unit: bool
    budget: Budget
    rows: np.ndarray = field(default_factory=lambda: np.empty(0))
    loss: float = np.inf
    count: int = 0

    @property
    def residual_sq(self) -> float:
        return 2.0 * max(self.loss, 0.0) / self.target.norm_sq

    def descend(self, rows: np.ndarray, evaluations: int, memory: int) -> None:
        """One start."""
        from scipy.optimize import minimize

        recent: list[float] = []

        def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
            point = self.target.tensor.lift(flat.reshape(rows.shape))
            loss, gradient, found = (self._unit if self.unit else self._free)(point)
            self.count += 1
            if loss < self.loss:
                self.loss, self.rows = loss, to_numpy(found).copy()
            recent.append(loss)
            stagnated = (
                len(recent) > _PATIENCE and min(recent[-_PATIENCE:]) > 0.9 * recent[-_PATIENCE - 1]
            )
            if self.residual_sq < _NEARLY_EXACT or stagnated or self.budget.expired:
                raise _Stopped
            return loss, to_numpy(gradient).ravel()

        options = {"maxcor": memory, "maxiter": evaluations, "maxfun": evaluations}
        try:
            minimize(
                objective,
                rows.ravel(),
                jac=True,
                method="L-BFGS-B",
                options={**options, "ftol": 0.0, "gtol": 1e-12},
            )
        except _Stopped:
            return

    def _free(self, rows: Array) -> tuple[float, Array, Array]:
        """Loss and gradient k ((S o G^{o(k-1)}) W - B), B = s o MTTKRP, at free rows."""
        target = self.target
        product = target.product(rows)
        wide, fitted = gram_powers(rows @ rows.T, target.signs, target.order)
        loss = 0.5 * (fitted - 2.0 * inner(rows, product) + target.norm_sq)
        return loss, target.order * (wide @ rows - product), rows

    def _unit(self, rows: Array) -> tuple[float, Array, Array]:
        """Loss and gradient for the directions of ``rows`` at the best common coefficient.

        a = <T, S> / |S|^2 with S = sum s u^{(x)k} is eliminated (variable projection): the loss
        becomes (|T|^2 - <T, S>^2 / |S|^2) / 2 and its gradient that of the loss at fixed a. Rows
        enter through u = v / |v|, so the gradient is projected to the tangent space and divided
        by |v|.
        """
        norms = row_dots(rows, rows)[:, None] ** 0.5
        units = rows / norms
        target = self.target
        product = target.product(units)
        wide, fitted = gram_powers(units @ units.T, target.signs, target.order)
        along = inner(units, product)
        # At even orders a negative coefficient is no coefficient of these signs: 0 fits better.
        scale = along / fitted
        if target.order % 2 == 0:
            scale = max(scale, 1e-3)
        gradient = target.order * scale * (scale * (wide @ units) - product)
        gradient = gradient - row_dots(gradient, units)[:, None] * units
        size = math.copysign(abs(scale) ** (1 / target.order), scale)
        loss = 0.5 * (target.norm_sq - 2.0 * scale * along + scale**2 * fitted)
        return loss, gradient / norms, size * units
