"""The operator an algorithm speaks to: a symmetric tensor through its actions.

An algorithm asks for contractions, MTTKRPs, norms and flattenings and never for the entries, so
the same lines decompose an array, a network of 10^4 hidden units, or an estimate from samples.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from tdlab.errors import InputError, check_integer
from tdlab.tensors.arrays import row_dots

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator


class SymmetricTensor(ABC):
    """A real symmetric tensor T of a given order (>= 2) on R^dim.

    Attributes
    ----------
    order : int
        Number of modes.
    dim : int
        Size of every mode.
    rounding : float
        Relative rounding |E|_F / |T|_F of the data it was made from, where these were coarser
        than double precision; else 0. No fit means more than that.
    """

    order: int
    dim: int
    rounding: float = 0.0

    @property
    def shape(self) -> tuple[int, ...]:
        """(dim,) * order."""
        return (self.dim,) * self.order

    @abstractmethod
    def norm(self) -> float:
        """Frobenius norm."""

    @abstractmethod
    def mttkrp(self, factors: np.ndarray) -> np.ndarray:
        """Matricised tensor times Khatri-Rao product, B_i = T(., w_i, ..., w_i).

        Parameters
        ----------
        factors : (r, d) array, one vector w_i a row

        Returns
        -------
        (r, d) array
        """

    @abstractmethod
    def contract(self, *vectors: np.ndarray) -> np.ndarray:
        """Contract one mode with each vector: T(v_1, ..., v_m, ., ..., .).

        Parameters
        ----------
        *vectors : (d,) arrays, or (b, d) arrays for a batch of b contractions

        Returns
        -------
        array of shape (d,) * (order - m), with a leading b for a batch
        """

    @abstractmethod
    def rotate(self, rotation: np.ndarray) -> SymmetricTensor:
        """T(Q^T ., ..., Q^T .): components w become Q w, for any (d', d) matrix Q."""

    @abstractmethod
    def dense(self, max_bytes: int = 2**30) -> np.ndarray:
        """The (d,) * order array; raises `InputError` if it needs more than ``max_bytes``."""

    @abstractmethod
    def _flat_apply(self, vector: np.ndarray, rows: int) -> np.ndarray:
        """(d^rows, d^(order-rows)) flattening times a vector of length d^(order-rows)."""

    @abstractmethod
    def to(self, device: str) -> SymmetricTensor:
        """The same tensor held by torch on a device, as "cuda" or "cpu", in float64.

        There MTTKRPs, and with them the methods that work through Gram matrices (``homotopy``,
        ``lbfgs``, ``power``), compute. Raises `InputError` where torch or the device is missing.
        """

    def lift(self, array: np.ndarray) -> Any:
        """The array in the library and on the device where this tensor computes: NumPy here."""
        return array

    def at_unit_scale(self) -> tuple[SymmetricTensor, int]:
        """T / 2^e, with its largest entry or coefficient near 1, and e.

        The division is exact. Methods multiply several entries: at this size none of that leaves
        the doubles, whatever unit the data came in.
        """
        from tdlab.tensors.dense import DenseTensor

        return DenseTensor._trusted(self.dense(max_bytes=2**62)).at_unit_scale()

    def evaluate(self, vectors: np.ndarray) -> np.ndarray:
        """T(v, ..., v) for each row v of a (b, d) array: a (b,) array."""
        return row_dots(self.mttkrp(vectors), vectors)

    def inner(self, other: SymmetricTensor) -> float:
        """Frobenius inner product with another symmetric tensor of the same shape."""
        from tdlab.tensors.factored import FactoredTensor

        if self.shape != other.shape:
            raise InputError(f"other: got shape {other.shape}, wanted {self.shape}")
        # <T, sum a_i w_i^k> = sum a_i T(w_i, ..., w_i) needs no entries of either.
        for first, second in ((self, other), (other, self)):
            if isinstance(second, FactoredTensor):
                return float(second.weights @ first.evaluate(second.components))
        return float(np.vdot(self.dense(), other.dense()))

    def flattening(self, rows: int | None = None) -> LinearOperator:
        """The (d^rows, d^(order-rows)) flattening, in C order, as a SciPy ``LinearOperator``.

        ``rows`` defaults to ``order // 2``. Nothing of that size is formed.
        """
        from scipy.sparse.linalg import LinearOperator

        rows = self.order // 2 if rows is None else check_integer("rows", rows, 1)
        if rows >= self.order:
            raise InputError(f"rows: got {rows}, wanted 1 to {self.order - 1}")
        columns = self.order - rows
        return LinearOperator(
            shape=(self.dim**rows, self.dim**columns),
            dtype=np.dtype(np.float64),
            matvec=lambda v: self._flat_apply(np.ravel(v), rows),  # type: ignore[call-arg] (stub)
            rmatvec=lambda v: self._flat_apply(np.ravel(v), columns),  # type: ignore[call-arg] (stub)
        )

    def _check_vectors(self, vectors: tuple[np.ndarray, ...]) -> list[np.ndarray]:
        """Vectors of one contraction as (b, d) arrays with one b, or all as (d,) arrays."""
        if not 1 <= len(vectors) <= self.order:
            raise InputError(
                f"vectors: got {len(vectors)}, wanted 1 to {self.order} (the tensor's order)"
            )
        arrays = [np.asarray(v, dtype=np.float64) for v in vectors]
        if any(a.ndim not in (1, 2) or a.shape[-1] != self.dim for a in arrays):
            shapes = ", ".join(str(a.shape) for a in arrays)
            raise InputError(
                f"vectors: got shapes {shapes}, wanted ({self.dim},) or (b, {self.dim})"
            )
        return arrays

    def _check_factors(self, factors: np.ndarray) -> np.ndarray:
        # Shape only: this is the hot path, and NaN in gives NaN out.
        factors = np.asarray(factors, dtype=np.float64)
        if factors.ndim != 2 or factors.shape[1] != self.dim:
            raise InputError(f"factors: got shape {factors.shape}, wanted (r, {self.dim})")
        return factors

    def _check_bytes(self, max_bytes: int) -> None:
        need = 8 * self.dim**self.order
        if need > max_bytes:
            raise InputError(
                f"dense: got a tensor of shape {self.shape} that needs {need} bytes, wanted at "
                f"most max_bytes={max_bytes}"
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(order={self.order}, dim={self.dim})"
