"""Linear changes of variable that spread the components of an order-3 tensor evenly.

The decomposition is equivariant under GL(d): T(A ., A ., A .) has components A w_i. Random
components are well spread only up to fluctuations that hurt spectral methods at small dimensions;
M = T_(1) T_(1)^T - s s^T / d with s_k = sum_i T_iik sees them, and A = M^{-1/2} removes them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tdlab.tensors import SymmetricTensor

_SMALLEST = 1e-3


def mode_trace(tensor: SymmetricTensor) -> np.ndarray:
    """s_k = sum_i T_iik, a (d,) array."""
    return tensor.mttkrp(np.eye(tensor.dim)).sum(axis=0)


@dataclass(frozen=True, eq=False)
class Frame:
    """A tensor in the variables of a preconditioner.

    Attributes
    ----------
    tensor : SymmetricTensor
        T(A ., A ., A .).
    trace : (d,) array
        Its s; power steps act on the harmonic part T - 3/(d+2) Sym(s (x) I).
    root : (d, d) array
        A^{-1}, which takes components back.
    """

    tensor: SymmetricTensor
    trace: np.ndarray
    root: np.ndarray

    def back(self, rows: np.ndarray) -> np.ndarray:
        """Unit rows in the original variables."""
        rows = rows @ self.root
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-300)

    def harmonic_mttkrp(self, rows: np.ndarray) -> np.ndarray:
        """The harmonic part applied to each unit row twice."""
        along = rows @ self.trace
        part = (self.trace + 2.0 * along[:, None] * rows) / (self.tensor.dim + 2)
        return self.tensor.mttkrp(rows) - part


def plain(tensor: SymmetricTensor) -> Frame:
    """The tensor as it is, without a harmonic projection."""
    return Frame(tensor, np.zeros(tensor.dim), np.eye(tensor.dim))


def precondition(tensor: SymmetricTensor, centred: bool = True) -> Frame:
    """T in the variables of M^{-1/2}; ``centred=False`` leaves out s s^T / d.

    Eigenvalues below 1e-3 of the mean (directions that hold no component) are raised to it.
    """
    if tensor.dim == 1:
        # A number has no directions to balance, and M = T^2 - T^2.
        return plain(tensor)
    trace = mode_trace(tensor)
    matrix = tensor.mode_gram()
    if centred:
        matrix = matrix - np.outer(trace, trace) / tensor.dim
    values, vectors = np.linalg.eigh(matrix)
    scale = np.abs(values).mean() or 1.0
    roots = np.sqrt(np.maximum(values / scale, _SMALLEST))
    turned = tensor.rotate((vectors / roots) @ vectors.T)
    return Frame(turned, mode_trace(turned), (vectors * roots) @ vectors.T)


def harmonic(frame: Frame) -> SymmetricTensor:
    """T - 3/(d+2) Sym(s (x) I) as a tensor, factored if T is.

    (s + e)^3 + (s - e)^3 = 2 s^3 + 6 Sym(s e e) writes Sym(s (x) I) with 2 d + 1 cubes, for s of
    unit length.
    """
    size, dim = float(np.linalg.norm(frame.trace)), frame.tensor.dim
    if size == 0.0:
        return frame.tensor
    axis, eye = frame.trace / size, np.eye(dim)
    rows = np.vstack([axis + eye, axis - eye, axis])
    weights = np.concatenate([np.ones(2 * dim), [-2.0 * dim]]) * (size / (2.0 * (dim + 2)))
    return frame.tensor.minus(rows, weights)
