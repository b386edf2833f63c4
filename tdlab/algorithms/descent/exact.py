"""Exact fits of small tensors: Gauss-Newton on the distinct entries, from many starts at once.

Solves     sum_i a_i u_i^{(x)k} = T to rounding, real or complex, any signs, also at ranks where the
           fit is not unique; to a few hundred distinct entries N
Method     damped Gauss-Newton on (a_i, u_i) jointly, u_i kept at unit length, a batch of starts as
           one array; what nearly fits is finished by undamped least squares
Guarantee  none where it finds nothing; a fit that it returns holds to rounding and has a limit:
           terms far larger than the tensor are taken only if they fit to the last digits, which a
           sequence of diverging terms never does
Cost       a step of one start: N (r (d+1))^2 flops, and the solution of that size
Sources    Levenberg (1944); Marquardt (1963); Nielsen (1999) for the damping

The residual is formed entry by entry, so that it tells 1e-15 from 1e-8, which Gram matrices cannot.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tdlab.algorithms.base import EXACT_FIT, Budget
from tdlab.tensors import SymmetricTensor

# Distinct entries, and unknowns r (d+1), up to which a search is a matter of seconds.
_MOST_ENTRIES, _MOST_UNKNOWNS = 130, 200
_STARTS, _STEPS = 24, 200
# A batch whose best loss has not fallen by a tenth in so many steps is left.
_PATIENCE, _FALL = 50, 0.9
# Relative residuals: from the first on a start is finished by itself. Terms of more than _LARGE
# times the tensor's norm must fit to the second: where terms of size s cancel without a limit, the
# residual falls like a low power of 1/s.
_CLOSE, _TO_ROUNDING = 1e-5, 1e-12
_LARGE, _TOO_LARGE = 3.0, 1e3


@dataclass(frozen=True, eq=False)
class ExactFit:
    """Unit rows (r, d), coefficients (r,), real or complex, and the relative residual."""

    rows: np.ndarray
    weights: np.ndarray
    residual: float


@dataclass(frozen=True, eq=False)
class Entries:
    """The distinct entries of symmetric tensors, in an orthonormal basis.

    Attributes
    ----------
    index : (N, k) int array
        Sorted places.
    scale : (N,) array
        Square roots of how often each occurs in the full array.
    exponent : (N, d) int array
        How often each variable occurs in a place.
    lower : (M, k - 1) int array
        Sorted places of one order less.
    rest : (N, d) int array
        Where a place without one of variable j is among them.
    """

    index: np.ndarray
    scale: np.ndarray
    exponent: np.ndarray
    lower: np.ndarray
    rest: np.ndarray

    @staticmethod
    @lru_cache(maxsize=32)
    def of(dim: int, order: int) -> Entries:
        index = np.array(list(itertools.combinations_with_replacement(range(dim), order)))
        lower = np.array(list(itertools.combinations_with_replacement(range(dim), order - 1)))
        exponent = (index[:, :, None] == np.arange(dim)).sum(axis=1)
        factorials = np.array([math.factorial(n) for n in range(order + 1)], dtype=float)
        scale = np.sqrt(factorials[order] / factorials[exponent].prod(axis=1))
        place = {tuple(row): at for at, row in enumerate(lower.tolist())}
        rest = np.zeros((len(index), dim), dtype=np.intp)
        for at, row in enumerate(index.tolist()):
            for variable in set(row):
                shorter = list(row)
                shorter.remove(variable)
                rest[at, variable] = place[tuple(shorter)]
        return Entries(index, scale, exponent, lower, rest)

    def pack(self, array: np.ndarray) -> np.ndarray:
        """(N,) coordinates of a full array, of the same norm."""
        return array[tuple(self.index.T)] * self.scale

    def powers(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """u^{(x)k} (..., N) for vectors u (..., d), and its derivatives (..., N, d)."""
        low = rows[..., self.lower].prod(axis=-1)
        slopes = low[..., self.rest] * self.exponent * self.scale[:, None]
        # Euler: a form of degree k is <u, gradient> / k.
        return np.einsum("...nd,...d->...n", slopes, rows) / self.index.shape[1], slopes


def searchable(dim: int, order: int, rank: int) -> bool:
    """Whether `exact_fit` is a matter of seconds."""
    few = math.comb(dim + order - 1, order) <= _MOST_ENTRIES
    return few and rank * (dim + 1) <= _MOST_UNKNOWNS


def exact_fit(
    tensor: SymmetricTensor,
    rank: int,
    rng: np.random.Generator,
    budget: Budget,
    *,
    complex_terms: bool = False,
    starts: int = _STARTS,
) -> ExactFit | None:
    """An exact fit of ``rank`` terms that has a limit, or None where no start leads to one.

    Parameters
    ----------
    tensor : SymmetricTensor
        Not zero.
    complex_terms : bool
        Search over the complex numbers.
    starts : int
        Random starts, in one batch.
    """
    entries, goal, norm = _unit(tensor)
    rows = rng.standard_normal((starts, rank, tensor.dim))
    if complex_terms:
        rows = rows + 1j * rng.standard_normal(rows.shape)
    state = _Batch.at(entries, goal, rows)
    losses: list[float] = []
    finished: set[int] = set()
    for _ in range(_STEPS):
        if budget.expired:
            return None
        state.step()
        losses.append(float(state.loss.min()))
        for one in np.flatnonzero(state.loss < _CLOSE):
            if int(one) in finished and state.loss[one] > _TO_ROUNDING:
                continue
            finished.add(int(one))
            found = _finish(entries, goal, state.weights[one], state.rows[one])
            if found is not None:
                return ExactFit(found.rows, found.weights * norm, found.residual)
        if len(losses) > _PATIENCE and losses[-1] > _FALL * losses[-_PATIENCE]:
            break
    return None


def close_fits(
    tensor: SymmetricTensor, rank: int, rng: np.random.Generator, budget: Budget, starts: int
) -> list[ExactFit]:
    """Where each of ``starts`` random starts ends, exact or not."""
    entries, goal, norm = _unit(tensor)
    state = _Batch.at(entries, goal, rng.standard_normal((starts, rank, tensor.dim)))
    losses = [state.loss]
    for _ in range(_STEPS):
        if budget.expired:
            break
        state.step()
        losses.append(state.loss)
        settled = len(losses) > _PATIENCE // 2 and (
            (state.loss > 0.999 * losses[-_PATIENCE // 2]) | (state.loss < _TO_ROUNDING)
        )
        if np.all(settled):
            break
    return [
        ExactFit(rows, weights * norm, float(loss))
        for rows, weights, loss in zip(state.rows, state.weights, state.loss, strict=True)
    ]


def _unit(tensor: SymmetricTensor) -> tuple[Entries, np.ndarray, float]:
    """The distinct entries of a tensor over its norm."""
    entries, norm = Entries.of(tensor.dim, tensor.order), tensor.norm()
    return entries, entries.pack(tensor.dense()) / norm, norm


@dataclass
class _Batch:
    """Starts (b, r, d) with coefficients (b, r), and what was computed there."""

    entries: Entries
    goal: np.ndarray
    rows: np.ndarray
    weights: np.ndarray
    damping: np.ndarray
    growth: np.ndarray

    @classmethod
    def at(cls, entries: Entries, goal: np.ndarray, rows: np.ndarray) -> _Batch:
        """From rows of any length, with coefficients of least squares."""
        rows = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
        powers = entries.powers(rows)[0]
        weights = np.stack([np.linalg.lstsq(one.T, goal, rcond=1e-6)[0] for one in powers])
        count = len(rows)
        batch = cls(entries, goal, rows, weights, np.full(count, 1e-2), np.full(count, 2.0))
        batch.powers, batch.slopes, batch.rest, batch.loss = batch._evaluate(weights, rows)
        return batch

    def _evaluate(self, weights: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        powers, slopes = self.entries.powers(rows)
        rest = np.einsum("br,brn->bn", weights, powers) - self.goal
        return powers, slopes, rest, np.linalg.norm(rest, axis=-1)

    def step(self) -> None:
        """One damped step of each start, taken where it lowers the loss."""
        # A start that leaves the doubles has no smaller loss, and stays where it was.
        with np.errstate(over="ignore", invalid="ignore"):
            self._step()

    def _step(self) -> None:
        jacobian = _jacobian(self.weights, self.powers, self.slopes)
        adjoint = jacobian.conj().swapaxes(1, 2)
        gradient = (adjoint @ self.rest[..., None])[..., 0]
        normal = adjoint @ jacobian
        diagonal = np.arange(normal.shape[1])
        normal[:, diagonal, diagonal] += self.damping[:, None]
        try:
            step = -np.linalg.solve(normal, gradient[..., None])[..., 0]
        except np.linalg.LinAlgError:
            # Terms that coincide, at a damping that rounding swallows.
            normal[:, diagonal, diagonal] += 1e-8
            step = -np.linalg.solve(normal, gradient[..., None])[..., 0]
        shape = (*self.weights.shape, -1)
        rows = self.rows + step.reshape(shape)[..., 1:]
        lengths = np.linalg.norm(rows, axis=-1)
        order = self.entries.index.shape[1]
        weights = (self.weights + step.reshape(shape)[..., 0]) * lengths**order
        rows = rows / lengths[..., None]
        trial = self._evaluate(weights, rows)
        # The model's decrease of loss^2 / 2 under (J^H J + m) s = -g is (m |s|^2 - s.g) / 2.
        model = self.damping * (np.abs(step) ** 2).sum(-1) - (step.conj() * gradient).sum(-1).real
        gain = (self.loss**2 - trial[3] ** 2) / np.maximum(model, 1e-300)
        better = trial[3] < self.loss
        # Nielsen's rule: shrink smoothly with the quality of the model.
        shrunk = self.damping * np.maximum(0.2, 1.0 - (2.0 * np.clip(gain, 0.0, 1.0) - 1.0) ** 3)
        grown = self.damping * self.growth
        self.damping = np.clip(np.where(better, shrunk, grown), 1e-13, 1e10)
        self.growth = np.where(better, 2.0, np.minimum(2.0 * self.growth, 1e6))
        old = (self.weights, self.rows, self.powers, self.slopes, self.rest, self.loss)
        new = (weights, rows, *trial)
        merged = [
            np.where(better.reshape(-1, *[1] * (after.ndim - 1)), after, before)
            for before, after in zip(old, new, strict=True)
        ]
        self.weights, self.rows, self.powers, self.slopes, self.rest, self.loss = merged


def _jacobian(weights: np.ndarray, powers: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """(..., N, r (d+1)): by the coefficient and the vector of each term in turn."""
    by_weight = powers[..., None]
    by_row = slopes * weights[..., None, None]
    joined = np.concatenate([by_weight, by_row], axis=-1)
    moved = np.moveaxis(joined, -3, -2)
    return moved.reshape(*moved.shape[:-2], -1)


def _finish(
    entries: Entries, goal: np.ndarray, weights: np.ndarray, rows: np.ndarray
) -> ExactFit | None:
    """Undamped Gauss-Newton from a fit that is close; None where it leads to no exact one."""
    order = entries.index.shape[1]
    best: tuple[float, np.ndarray, np.ndarray] | None = None
    for _ in range(12):
        powers, slopes = entries.powers(rows)
        rest = weights @ powers - goal
        loss = float(np.linalg.norm(rest))
        if best is not None and not loss < 0.5 * best[0]:
            break
        best = (loss, weights, rows)
        if loss < 1e-15:
            break
        jacobian = _jacobian(weights, powers, slopes)
        step = -np.linalg.lstsq(jacobian, rest, rcond=1e-12)[0].reshape(len(rows), -1)
        rows = rows + step[:, 1:]
        lengths = np.linalg.norm(rows, axis=1)
        weights, rows = (weights + step[:, 0]) * lengths**order, rows / lengths[:, None]
    assert best is not None
    loss, weights, rows = best
    largest = np.abs(weights).max()
    exact = loss <= EXACT_FIT if largest <= _LARGE else loss <= _TO_ROUNDING
    return ExactFit(rows, weights, loss) if exact and largest <= _TOO_LARGE else None
