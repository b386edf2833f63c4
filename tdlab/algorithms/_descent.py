"""Penalised damped Gauss-Newton descent at order 3: the state of one start, and its moves.

Solves     min_W 1/2 |sum_i w_i^{(x)3} - T|^2 + mu P(|w_1|, ..., |w_r|) from given rows
Arrays     of the library that the rows come in: NumPy with numba kernels, torch, CuPy
Cost       a step: one MTTKRP, one r x r Gram matrix, about 25 products of 6 r^2 d flops, these in
           single precision while far from an exact fit
Sources    Levenberg (1944); Marquardt (1963); Nielsen (1999) for the damping
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from tdlab.algorithms._step import gauss_newton_cg, gram_powers
from tdlab.algorithms.base import Budget
from tdlab.tensors.arrays import Array, cast, diagonal, inner, row_dots

# Squared relative residuals. Below the first the Gram-form loss is rounding error; from the second
# on it is too rounded for a gain ratio and steps are taken as they come, and one accurate step
# takes the residual to rounding error; below the third convergence is quadratic: never give up.
EXACT = 1e-14
NEARLY_EXACT = 1e-9
CERTAIN = 1e-5
_STIFFNESS = 0.1

Penalty = Callable[[Array, float], tuple[float, Array, Array]]


def ridge(norms_sq: Array, mu: float) -> tuple[float, Array, Array]:
    """P = sum |w|^6 / 2, the squared coefficients: value, e = mu g^2, h = mu g (Gauss-Newton)."""
    square = norms_sq * norms_sq
    return 0.5 * mu * float(square @ norms_sq), mu * square, mu * norms_sq


def nuclear(norms_sq: Array, mu: float) -> tuple[float, Array, Array]:
    """P = sum |w|^3, the coefficients: value, e = mu g^1/2, h = mu / (2 g^1/2)."""
    root = norms_sq**0.5
    return mu * float(norms_sq @ root), mu * root, 0.5 * mu / (root + 1e-150)


def equal(norms_sq: Array, mu: float) -> tuple[float, Array, Array]:
    """The ridge, and the spread of the coefficients at a fixed weight: for ones that agree.

    P = ridge + s/2 sum (|w|^3 - mean)^2 / mu: the derivative through the mean vanishes, so e gains
    s (c - mean) g^1/2, and its derivative by g adds s (2 g - mean / (2 g^1/2)) to h. Measured on
    equal coefficients, s = .05 to .2 do equally well. Without penalty (mu = 0) the spread is free.
    """
    value, e, h = ridge(norms_sq, mu)
    if mu == 0.0:
        return value, e, h
    root = norms_sq**0.5
    coefficients = norms_sq * root
    mean = array_namespace(norms_sq).mean(coefficients)
    spread = coefficients - mean
    return (
        value + 0.5 * _STIFFNESS * float(spread @ spread),
        e + _STIFFNESS * spread * root,
        h + _STIFFNESS * (2.0 * norms_sq - 0.5 * mean / (root + 1e-150)),
    )


PENALTIES: dict[str, Penalty] = {"ridge": ridge, "nuclear": nuclear, "equal": equal}


@dataclass
class Effort:
    """How much a method may still do: steps decide, the clock only stops.

    Attributes
    ----------
    budget : Budget
    steps : int
        Gauss-Newton steps left.
    """

    budget: Budget
    steps: int

    @property
    def spent(self) -> bool:
        """Whether to stop now."""
        return self.steps <= 0 or self.budget.expired


@dataclass
class Descent:
    """Rows (r, d) of one start, what was computed at them, and the damping.

    Attributes
    ----------
    mttkrp : function (r, d) -> (r, d)
        Of the tensor, scaled so that its mean squared coefficient is 1.
    norm_sq : float
        Squared norm of that scaled tensor.
    rows : (r, d) array
    effort : Effort
    penalty : Penalty
    history : list of float
        Relative residuals, a stage or a step each.
    unit : bool
        Keep all rows of one common norm, chosen to minimise the ridge-penalised loss: then the
        path restricts that of the ridge to equal coefficients, 1/(1 + mu) on orthogonal rows.
        A polish ends it.
    """

    mttkrp: Callable[[Array], Array]
    norm_sq: float
    rows: Array
    effort: Effort
    penalty: Penalty = ridge
    history: list[float] = field(default_factory=list)
    unit: bool = False
    damping: float = 0.1
    growth: float = 2.0

    def __post_init__(self) -> None:
        self._take(self._evaluate(self.rows, 1.0))

    def reset(self, rows: Array, mu: float, unit: bool = False) -> None:
        """Go to other rows, with a fresh damping; unit rows get the norm that suits ``mu``."""
        self.unit = unit
        self._take(self._evaluate(rows, mu))
        self.damping, self.growth = 0.01, 2.0

    @property
    def residual_sq(self) -> float:
        """|sum w^3 - T|^2 / |T|^2."""
        return 2.0 * self.loss / self.norm_sq

    def penalised(self, mu: float) -> float:
        """Loss with the penalty at weight mu."""
        return self.loss + self.penalty(diagonal(self.gram), mu)[0]

    @property
    def pull(self) -> Array:
        """<w_i, -gradient> / 3 of each row without penalty: how much more of it the tensor asks."""
        return row_dots(self.product - self.squared @ self.rows, self.rows)

    def _evaluate(self, rows: Array, mu: float) -> tuple[Any, ...]:
        if self.unit:
            rows = rows / row_dots(rows, rows)[:, None] ** 0.5
        product = self.mttkrp(rows)
        gram = rows @ rows.T
        squared, cubes = gram_powers(gram)
        if self.unit:
            # min over a of a^2 1'G^{o3}1 / 2 - a <W, B> + mu r a^2 / 2, kept positive.
            common = max(inner(rows, product) / (cubes + mu * rows.shape[0]), 0.01)
            size = float(np.cbrt(common))
            rows, product, gram = size * rows, size**2 * product, size**2 * gram
            squared, cubes = size**4 * squared, common**2 * cubes
        # |sum w^3 - T|^2 = 1' G^{o3} 1 - 2 <W, B> + |T|^2.
        loss = 0.5 * (cubes - 2.0 * inner(rows, product) + self.norm_sq)
        return rows, gram, squared, product, max(loss, 0.0)

    def _take(self, point: tuple[Any, ...]) -> None:
        self.rows, self.gram, self.squared, self.product, self.loss = point

    def step(self, mu: float, cg_steps: int, tolerance: float, single: bool, floor: float) -> None:
        """One Levenberg-Marquardt step on loss + mu P, taken if it lowers that."""
        value, e, h = self.penalty(diagonal(self.gram), mu)
        minus_gradient = self.product - self.squared @ self.rows - e[:, None] * self.rows
        if self.unit:
            # Curvature of the sphere: the radial pull per squared norm; half the Gauss-Newton
            # diagonal bounds it, so that the form stays positive.
            norms_sq = diagonal(self.gram)
            e = array_namespace(e).maximum(self.pull / norms_sq, -0.5 * norms_sq**2)
        # Single precision halves the cost of the products; the step is only a proposal, and its
        # gain is measured in double.
        change, decrease = gauss_newton_cg(
            cast(self.rows, single),
            cast(self.gram, single),
            cast(e, single),
            cast(h, single),
            cast(minus_gradient, single),
            self.damping,
            cg_steps,
            tolerance,
            self.unit,
        )
        change = cast(change, single=False)
        self.effort.steps -= 1
        trial = self._evaluate(self.rows + change, mu)
        new_loss = trial[4]
        new_value = self.penalty(diagonal(trial[1]), mu)[0]
        # Gradient and Hessian were divided by 3, so the model's decrease is 3 times the kernel's.
        fall = self.loss + value - new_loss - new_value
        gain = fall / (3.0 * decrease) if decrease > 0 else -1.0
        rounded = mu == 0.0 and new_loss < NEARLY_EXACT * self.norm_sq
        if not (gain > 0.0 or rounded):
            # Steps vanish long before; beyond 1e38 the damping would overflow single precision.
            self.damping = min(self.damping * self.growth, 1e30)
            self.growth *= 2.0
            return
        self._take(trial)
        # Nielsen's rule: shrink smoothly with the quality of the model.
        self.damping = max(self.damping * max(1 / 3, 1.0 - (2.0 * gain - 1.0) ** 3), floor)
        self.growth = 2.0

    def anneal(self, weights: np.ndarray, steps: int = 2, tolerance: float = 0.1) -> None:
        """Follow the minimiser along penalty weights, a few loose steps each."""
        for mu in weights:
            for _ in range(steps):
                if self.effort.spent:
                    return
                self.step(float(mu), 60, tolerance, True, 1e-4)
            self.history.append(self.residual_sq**0.5)

    def polish(self, patience: int = 10, limit: int = 200) -> bool:
        """Minimise without penalty; True once the residual is rounding error.

        Gives up when ``patience`` steps have not halved the loss, unless it is so small that only
        an exact fit is near. Frees rows that were kept of one norm: their common coefficient
        converges only linearly beside them, and at an exact fit nothing needs to hold them.
        """
        self.unit = False
        recent = [self.loss]
        for _ in range(limit):
            # Near an exact fit Gauss-Newton is Newton, and damping only slows it down.
            near = self.residual_sq < CERTAIN
            if near:
                self.damping = min(self.damping, self.residual_sq**0.5)
            self.step(
                0.0,
                400 if near else 60,
                1e-2 if near else 0.1,
                single=self.residual_sq >= NEARLY_EXACT,
                floor=1e-10 if near else 1e-4,
            )
            self.history.append(self.residual_sq**0.5)
            recent.append(self.loss)
            if self.residual_sq < EXACT:
                # One step more: the loss no longer shows it, but the rows gain half their digits.
                self.step(0.0, 400, 1e-3, single=False, floor=1e-12)
                return True
            stalled = len(recent) > patience and self.loss > 0.5 * recent[-1 - patience]
            if stalled or self.damping > 1e6 or self.effort.spent:
                break
        return self.residual_sq < EXACT
