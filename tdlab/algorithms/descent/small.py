"""Levenberg-Marquardt on explicit arrays, over the reals or the complex numbers: small problems.

Solves     min |sum_i s_i w_i^{(x)k} - T|^2 over W in R^{r x d} (fixed signs s) or C^{r x d} (s = 1)
Method     the residual is formed entry by entry in packed coordinates, so that it is accurate to
           rounding (a loss expanded through Gram matrices ends at 1e-8); the normal matrix
           J^H J has the blocks k s_i s_j (G_ij^{k-1} I + (k-1) G_ij^{k-2} w_j w_i^H), G = W^* W^T,
           and is solved by Cholesky with Marquardt's damping
Cost       a step: (r d)^3 / 3 + r d^k flops; for r d to about 600 and d^k to about 10^5
Sources    Levenberg (1944); Marquardt (1963); Nielsen (1999) for the damping
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from tdlab.algorithms.descent.even import Packing
from tdlab.algorithms.jacobian import normal_matrix
from tdlab.tensors import SymmetricTensor

LARGEST_PARAMETERS = 600
LARGEST_ARRAY = 300_000
# Relative residual that rounding leaves of an exact fit.
ROUNDED = 1e-13


@dataclass(frozen=True, eq=False)
class SmallTensor:
    """A tensor over its norm, in packed coordinates and as a full array.

    Attributes
    ----------
    packing : Packing
    packed : (N,) array
    order : int
    norm : float
    """

    packing: Packing
    packed: np.ndarray
    order: int
    norm: float

    @classmethod
    def of(cls, tensor: SymmetricTensor) -> SmallTensor:
        """Of a nonzero tensor that `fits_in`."""
        packing = Packing.of(tensor.dim, tensor.order)
        norm = tensor.norm()
        entries = tensor.dense().reshape(-1)[_places(packing)]
        return cls(packing, entries * packing.scales / norm, tensor.order, norm)

    @property
    def dim(self) -> int:
        """d."""
        return self.packing.dim


def fits_in(dim: int, rank: int, order: int) -> bool:
    """Whether explicit arrays are worth their cost."""
    return rank * dim <= LARGEST_PARAMETERS and dim**order <= LARGEST_ARRAY


@dataclass(frozen=True, eq=False)
class SmallFit:
    """Where a descent ended.

    Attributes
    ----------
    rows : (r, d) real or complex array
        Of T over its norm.
    residual : float
        |T - T_hat| / |T|.
    steps : int
    settled : bool
        Whether it ended at a stationary point or an exact fit, not at its last step.
    """

    rows: np.ndarray
    residual: float
    steps: int
    settled: bool


@dataclass
class _Path:
    """One descent: where it is, what was computed there, and the damping."""

    target: SmallTensor
    signs: np.ndarray
    rows: np.ndarray
    damping: float = 1e-2
    growth: float = 2.0
    steps: int = 0

    def __post_init__(self) -> None:
        self.residual, self.difference = self._at(self.rows)

    def _at(self, rows: np.ndarray) -> tuple[float, np.ndarray]:
        difference = self.signs @ self.target.packing.lift(rows) - self.target.packed
        return float(np.linalg.norm(difference)), difference

    def _value(self, rows: np.ndarray, residual: float, mu: float) -> float:
        if mu == 0.0:
            return residual**2
        return residual**2 + mu * float(np.sum(_squared_norms(rows) ** self.target.order))

    def step(self, mu: float = 0.0) -> bool:
        """One step on |T_hat - T|^2 + mu sum |w|^{2k}; False where nothing is left to gain.

        The penalty is the square of the terms' own coefficients, so that Gauss-Newton sees it as
        more residuals: mu times the diagonal blocks.
        """
        order, rows = self.target.order, self.rows
        rank, dim = rows.shape
        self.steps += 1
        gradient = _gradient(self.target, rows, self.signs, self.difference)
        normal = normal_matrix(rows, self.signs, order)
        if mu:
            sizes = _squared_norms(rows)
            gradient += mu * order * sizes[:, None] ** (order - 1) * rows
            blocks = normal.reshape(rank, dim, rank, dim)
            each = np.arange(rank)
            blocks[each, :, each, :] *= 1.0 + mu
        where = np.arange(rows.size)
        scale = np.real(normal[where, where])
        scaled = gradient.reshape(-1) / np.sqrt(np.maximum(scale, 1e-300))
        # An inexact fit is stationary where its gradient is rounding beside its residual.
        if mu == 0.0 and float(np.linalg.norm(scaled)) <= 1e-10 * self.residual:
            return False
        floor = 1e-3 * scale.max()
        while True:
            lifted = normal.copy()
            lifted[where, where] += self.damping * np.maximum(scale, floor)
            try:
                factor = cho_factor(lifted, overwrite_a=True, check_finite=False)
                break
            except LinAlgError:
                self.damping, self.growth = self.damping * self.growth, self.growth * 2
        flat = -cho_solve(factor, gradient.reshape(-1), check_finite=False)
        trial = rows + flat.reshape(rows.shape)
        residual, difference = self._at(trial)
        slope = np.vdot(flat, gradient.reshape(-1)).real
        predicted = -2.0 * slope - np.vdot(flat, normal @ flat).real
        fall = self._value(rows, self.residual, mu) - self._value(trial, residual, mu)
        if fall > 0.0 and predicted > 0.0:
            self.rows, self.residual, self.difference = trial, residual, difference
            ratio = fall / predicted
            self.damping = max(self.damping * max(1 / 3, 1 - (2 * ratio - 1) ** 3), 1e-15)
            self.growth = 2.0
            return True
        self.damping, self.growth = self.damping * self.growth, self.growth * 2
        return self.damping < 1e10


def anneal(
    target: SmallTensor, rows: np.ndarray, signs: np.ndarray, stages: int, stop: Callable[[], bool]
) -> SmallFit:
    """Follow the penalised minimiser from mu = 1 to .01 by two steps a stage; then `descend`."""
    path = _Path(target, signs, rows, damping=0.1)
    for mu in np.geomspace(1.0, 0.01, stages):
        for _ in range(2):
            if stop():
                break
            path.damping = max(path.damping, 1e-4)
            path.step(float(mu))
    fit = descend(target, path.rows, signs, stop=stop, give_up=10)
    return dataclasses.replace(fit, steps=fit.steps + path.steps)


def descend(
    target: SmallTensor,
    rows: np.ndarray,
    signs: np.ndarray,
    *,
    iterations: int = 200,
    stop: Callable[[], bool] = lambda: False,
    give_up: int | None = None,
) -> SmallFit:
    """Minimise from rows (r, d), real or complex.

    Parameters
    ----------
    signs : (r,) array
        Of the terms; ones where the rows are complex.
    give_up : int, optional
        End where that many steps have not halved a residual above 1e-3.
    """
    path = _Path(target, signs, rows)
    if path.residual < 1e-2:
        path.damping = 1e-6
    history, settled = [path.residual], False
    for _ in range(iterations):
        if path.residual <= ROUNDED:
            settled = True
        elif not stop():
            settled = not path.step()
        if settled or stop():
            break
        history.append(path.residual)
        before = history[-1 - give_up] if give_up and len(history) > give_up else math.inf
        if path.residual > max(1e-3, 0.5 * before):
            break
    return SmallFit(path.rows, path.residual, path.steps, settled)


def random_rows(
    rank: int, dim: int, order: int, rng: np.random.Generator, *, complex_rows: bool = False
) -> np.ndarray:
    """Directions uniform on the sphere, of the size that independent terms of T have."""
    size = rank ** (-0.5 / order) / math.sqrt(dim)
    if complex_rows:
        return rng.standard_normal((rank, 2 * dim)).view(complex) * (size / math.sqrt(2))
    return rng.standard_normal((rank, dim)) * size


def _squared_norms(rows: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", rows.conj(), rows).real


def _gradient(
    target: SmallTensor, rows: np.ndarray, signs: np.ndarray, difference: np.ndarray
) -> np.ndarray:
    """J^H R: k s_i R(w_i^*, ..., w_i^*, .) for each row."""
    packing, dim = target.packing, target.dim
    full = (difference / packing.scales)[packing.position].reshape(-1, dim)
    conj = rows.conj()
    # One mode for all rows at once, the rest row by row.
    part = (full @ conj.T).T
    for _ in range(target.order - 2):
        part = np.matmul(part.reshape(len(rows), -1, dim), conj[:, :, None])[:, :, 0]
    return target.order * signs[:, None] * part.reshape(len(rows), dim)


def _places(packing: Packing) -> np.ndarray:
    """Place in the full array, flattened, of each packed coordinate."""
    strides = packing.dim ** np.arange(packing.indices.shape[1])[::-1]
    return packing.indices @ strides
