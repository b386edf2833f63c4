"""Penalised damped Gauss-Newton descent: the state of one start, and its moves.

Solves     min_W 1/2 |sum_i s_i w_i^{(x)k} - T|^2 + mu P(|w_1|, ..., |w_r|) from given rows, with
           fixed signs s (ones at odd orders, where w absorbs them)
Arrays     of the library that the rows come in: NumPy with numba kernels, torch, CuPy
Cost       a step: one MTTKRP, one r x r Gram matrix, about 25 products of 6 r^2 d flops, these in
           single precision while far from an exact fit
Sources    Levenberg (1944); Marquardt (1963); Nielsen (1999) for the damping
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from tdlab.algorithms.base import Budget
from tdlab.algorithms.descent.polish import coefficient_signs
from tdlab.algorithms.descent.step import gauss_newton_cg, gram_powers
from tdlab.tensors import SymmetricTensor
from tdlab.tensors.arrays import Array, cast, diagonal, inner, row_dots, to_numpy

# Squared relative residuals. Below the first the Gram-form loss is rounding error; from the second
# on it is too rounded for a gain ratio and steps are taken as they come, and one accurate step
# takes the residual to rounding error; below the third convergence is quadratic: never give up.
EXACT = 1e-14
NEARLY_EXACT = 1e-9
CERTAIN = 1e-5
_STIFFNESS = 0.1

Penalty = Callable[[Array, float, int], tuple[float, Array, Array]]


def ridge(norms_sq: Array, mu: float, order: int) -> tuple[float, Array, Array]:
    """P = sum |w|^2k / 2, the squared coefficients: value, e = mu g^(k-1), h = mu g^(k-2).

    That h is Gauss-Newton's; the exact one is twice as large.
    """
    low = mu * norms_sq ** (order - 2)
    e = low * norms_sq
    return 0.5 * float(e @ norms_sq), e, low


def nuclear(norms_sq: Array, mu: float, order: int) -> tuple[float, Array, Array]:
    """P = sum |w|^k, the coefficients: value, e = mu g^(k/2-1), h = mu (k-2)/(k-1) g^(k/2-2)."""
    e = mu * norms_sq ** (0.5 * order - 1.0)
    h = (order - 2) / (order - 1) * e / (norms_sq + 1e-300)
    return float(e @ norms_sq), e, h


def equal(norms_sq: Array, mu: float, order: int) -> tuple[float, Array, Array]:
    """The ridge, and the spread of the coefficients at a fixed weight: for ones that agree.

    P = ridge + s/2 sum (|w|^k - mean)^2 / mu: the derivative through the mean vanishes, so e gains
    s (c - mean) g^(k/2-1), and its derivative by g adds 2 s/(k-1) times ((k-1) g^(k-2) - (k/2-1)
    mean g^(k/2-2)) to h. Measured on equal coefficients at order 3, s = .05 to .2 do equally well.
    Without penalty (mu = 0) the spread is free.
    """
    value, e, h = ridge(norms_sq, mu, order)
    if mu == 0.0:
        return value, e, h
    half = norms_sq ** (0.5 * order - 1.0)
    coefficients = norms_sq * half
    mean = array_namespace(norms_sq).mean(coefficients)
    spread = coefficients - mean
    bend = half * half - (order - 2) / (2 * order - 2) * mean * half / (norms_sq + 1e-300)
    return (
        value + 0.5 * _STIFFNESS * float(spread @ spread),
        e + _STIFFNESS * spread * half,
        h + 2.0 * _STIFFNESS * bend,
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


@dataclass(frozen=True)
class Target:
    """What is to be fitted: T over ``scale``, so that its mean squared coefficient is 1.

    Attributes
    ----------
    tensor : SymmetricTensor
    scale : float
    signs : (r,) array
        Of the coefficients, where the tensor computes.
    """

    tensor: SymmetricTensor
    scale: float
    signs: Array

    @classmethod
    def of(cls, tensor: SymmetricTensor, rank: int) -> Target:
        """Signs of even orders are those of the flattening's eigenvalues."""
        scale = tensor.norm() / math.sqrt(rank)
        return cls(tensor, scale, tensor.lift(coefficient_signs(tensor, rank)))

    @property
    def order(self) -> int:
        """k."""
        return self.tensor.order

    @property
    def norm_sq(self) -> float:
        """|T|^2 at that scale: the rank."""
        return (self.tensor.norm() / self.scale) ** 2

    def product(self, rows: Array) -> Array:
        """s o MTTKRP / scale."""
        return self.signs[:, None] * (self.tensor.mttkrp(rows) / self.scale)

    def weights(self, rows: np.ndarray) -> np.ndarray:
        """Coefficients of T that rows stand for."""
        sizes = np.linalg.norm(rows, axis=1) ** self.order
        return self.scale * to_numpy(self.signs) * sizes


@dataclass
class Descent:
    """Rows (r, d) of one start, what was computed at them, and the damping.

    Attributes
    ----------
    target : Target
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

    target: Target
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
        """|sum s w^k - T|^2 / |T|^2."""
        return 2.0 * self.loss / self.target.norm_sq

    def penalised(self, mu: float) -> float:
        """Loss with the penalty at weight mu."""
        return self.loss + self.penalty(diagonal(self.gram), mu, self.target.order)[0]

    @property
    def pull(self) -> Array:
        """<w_i, -gradient> / k of each row without penalty: how much more of it the tensor asks."""
        return row_dots(self.product - self.wide @ self.rows, self.rows)

    def _evaluate(self, rows: Array, mu: float) -> tuple[Any, ...]:
        if self.unit:
            rows = rows / row_dots(rows, rows)[:, None] ** 0.5
        product = self.target.product(rows)
        gram = rows @ rows.T
        wide, fitted = gram_powers(gram, self.target.signs, self.target.order)
        if self.unit:
            # min over a of a^2 s'G^{ok}s / 2 - a <W, B> + mu r a^2 / 2, kept positive.
            common = max(inner(rows, product) / (fitted + mu * rows.shape[0]), 0.01)
            size = common ** (1.0 / self.target.order)
            rows, product, gram = size * rows, common / size * product, size**2 * gram
            wide, fitted = (common / size) ** 2 * wide, common**2 * fitted
        # |sum s w^k - T|^2 = s' G^{ok} s - 2 <W, B> + |T|^2 with B = s o MTTKRP.
        loss = 0.5 * (fitted - 2.0 * inner(rows, product) + self.target.norm_sq)
        return rows, gram, wide, product, max(loss, 0.0)

    def _take(self, point: tuple[Any, ...]) -> None:
        self.rows, self.gram, self.wide, self.product, self.loss = point

    def step(self, mu: float, cg_steps: int, tolerance: float, single: bool, floor: float) -> None:
        """One Levenberg-Marquardt step on loss + mu P, taken if it lowers that."""
        order = self.target.order
        value, e, h = self.penalty(diagonal(self.gram), mu, order)
        minus_gradient = self.product - self.wide @ self.rows - e[:, None] * self.rows
        if self.unit:
            # Curvature of the sphere: the radial pull per squared norm; half the Gauss-Newton
            # diagonal bounds it, so that the form stays positive.
            norms_sq = diagonal(self.gram)
            e = array_namespace(e).maximum(self.pull / norms_sq, -0.5 * norms_sq ** (order - 1))
        # Single precision halves the cost of the products; the step is only a proposal, and its
        # gain is measured in double.
        change, decrease = gauss_newton_cg(
            cast(self.rows, single),
            cast(self.target.signs, single),
            order,
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
        new_value = self.penalty(diagonal(trial[1]), mu, order)[0]
        # Gradient and Hessian were divided by k, so the model's decrease is k times the kernel's.
        fall = self.loss + value - new_loss - new_value
        gain = fall / (order * decrease) if decrease > 0 else -1.0
        rounded = mu == 0.0 and new_loss < NEARLY_EXACT * self.target.norm_sq
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
            if self.effort.spent:
                break
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
            if stalled or self.damping > 1e6:
                break
        return self.residual_sq < EXACT
