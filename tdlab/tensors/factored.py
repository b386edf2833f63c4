"""A symmetric tensor held as its components, sum_i a_i w_i^{(x)k}: nothing of size d^k is formed.

Memory     r d doubles; pairwise Gram matrices are taken in row blocks
MTTKRP     (F W^T)^{k-1} diag(a) W: 4 r r' d flops for r' vectors at any order
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from array_api_compat import array_namespace

from tdlab.errors import check_array, check_integer
from tdlab.tensors.arrays import array_home, lifted, to_numpy, torch_array
from tdlab.tensors.base import SymmetricTensor
from tdlab.tensors.cp import read_cp, write_tensorly
from tdlab.tensors.packed import Forms

if TYPE_CHECKING:
    from tensorly.cp_tensor import CPTensor

_BLOCK_DOUBLES = 2**22  # 32 MiB of Gram rows at a time
# Half a unit in the last place: the relative error of one operation.
_UNIT = float(np.finfo(np.float64).eps) / 2


class FactoredTensor(SymmetricTensor):
    """The tensor sum_i a_i w_i^{(x)k} of order k >= 2.

    Parameters
    ----------
    components : (r, d) array, one w_i a row, of any norm
        NumPy, or an array of torch or CuPy on any device: then MTTKRPs, and the methods that work
        through Gram matrices (``homotopy``, ``lbfgs``, ``power``), compute there, in float64.
    weights : (r,) array, optional
        Coefficients a_i of any sign; ones if not given.
    order : int

    Examples
    --------
    >>> import numpy as np, tdlab
    >>> T = tdlab.FactoredTensor(np.eye(3), weights=[1.0, 2.0, 2.0], order=4)
    >>> T.norm()
    3.0
    >>> T.contract(np.ones(3), np.ones(3)).diagonal()
    array([1., 2., 2.])
    """

    def __init__(
        self,
        components: np.ndarray,
        weights: np.ndarray | list[float] | None = None,
        order: int = 3,
    ) -> None:
        home = array_home(components)
        given_rows = components if home is None else to_numpy(components)
        self.components = np.array(check_array("components", given_rows, ("r", "d")))
        rank, self.dim = self.components.shape
        given = np.ones(rank) if weights is None else weights
        self.weights = np.array(check_array("weights", given, (rank,)))
        self.order = check_integer("order", order, 2)
        self.components.flags.writeable = False
        self.weights.flags.writeable = False
        self._norm: float | None = None
        self._at_unit = False
        self._home = home
        self._held = None if home is None else (self.lift(self.components), self.lift(self.weights))

    def lift(self, array: np.ndarray) -> Any:
        """The array in the library and on the device of the components it was made from."""
        return lifted(array, self._home)

    def to(self, device: str) -> FactoredTensor:
        return FactoredTensor(torch_array(self.components, device), self.weights, self.order)

    @classmethod
    def from_cp(cls, cp: Any) -> FactoredTensor:
        """From a tensorly ``CPTensor``, a pyttb ``ktensor`` or a pair (weights, factors).

        Raises `InputError` unless the modes agree up to scale and sign: see `tdlab.tensors.cp`.
        """
        return cls(*read_cp(cp))

    def to_tensorly(self) -> CPTensor:
        """As a tensorly ``CPTensor``: weights (r,) and ``order`` equal factors (d, r)."""
        return write_tensorly(to_numpy(self.components), to_numpy(self.weights), self.order)

    @property
    def rank(self) -> int:
        """Number of terms r."""
        return len(self.weights)

    def norm(self) -> float:
        if self._norm is None:
            components, weights = self._held or (self.components, self.weights)
            with np.errstate(over="ignore", invalid="ignore"):
                squared = float(weights @ self.evaluate(components))
            if 1e-280 < squared < 1e280 or self._at_unit:
                self._norm = float(np.sqrt(max(squared, 0.0)))
            else:
                unit, exponent = self.at_unit_scale()
                with np.errstate(over="ignore", under="ignore"):
                    self._norm = float(np.ldexp(unit.norm(), exponent))
        return self._norm

    def at_unit_scale(self) -> tuple[FactoredTensor, int]:
        shifts = np.frexp(np.abs(self.components).max(axis=1))[1].astype(np.int64)
        mantissas, exponents = np.frexp(self.weights)
        sizes = exponents + self.order * shifts
        used = mantissas != 0.0
        largest = int(sizes[used].max()) if used.any() else 0
        # Terms that underflow beside the largest one are far below its rounding.
        weights = np.ldexp(mantissas, np.maximum(sizes - largest, -2000))
        tensor = self._like(np.ldexp(self.components, -shifts[:, None]), weights)
        tensor._at_unit = True
        return tensor, largest

    def terms(self) -> tuple[np.ndarray, np.ndarray]:
        """The components (r, d) and weights (r,)."""
        return self.components, self.weights

    @property
    def entries_at_hand(self) -> bool:
        return True

    def scaled(self, a: float) -> FactoredTensor:
        return self._like(self.components, check_array("a", [a], (1,))[0] * self.weights)

    def minus(self, rows: np.ndarray, weights: np.ndarray) -> FactoredTensor:
        """The terms of T and those of the others, with their coefficients negated."""
        if len(rows) == 0:
            return self
        return self._like(
            np.vstack([self.components, rows]), np.concatenate([self.weights, -weights])
        )

    def magnitude(self) -> float:
        """sum_ij |a_i a_j| |<w_i, w_j>|^k: |T|^2 before terms cancel, the scale of its rounding."""
        total, weights = 0.0, np.abs(self.weights)
        for rows in _blocks(self.rank, self.rank):
            gram = np.abs(self.components[rows] @ self.components.T) ** self.order
            total += float(weights[rows] @ gram @ weights)
        return total

    def mttkrp(self, factors: Any) -> Any:
        components, weights = self.components, self.weights
        if self._held is not None and not isinstance(factors, np.ndarray):
            components, weights = self._held
        else:
            factors = self._check_factors(factors)
        xp = array_namespace(factors)
        out = xp.empty_like(factors)
        for rows in _blocks(factors.shape[0], self.rank):
            gram = factors[rows, :] @ components.T
            power = gram * weights
            for _ in range(self.order - 2):
                power *= gram
            out[rows, :] = power @ components
        return out

    def contract(self, *vectors: np.ndarray) -> np.ndarray:
        arrays = self._check_vectors(vectors)
        coefficients = self.weights
        for vector in arrays:
            coefficients = coefficients * (vector @ self.components.T)
        free = self.order - len(arrays)
        if free == 0:
            return coefficients.sum(axis=-1)
        if free == 1:
            return coefficients @ self.components
        batch = coefficients.shape[:-1]
        flat = coefficients.reshape(-1, self.rank)
        out = np.stack([self._weighted_sum(row, free) for row in flat])
        return out.reshape(*batch, *(self.dim,) * free)

    def dense(self, max_bytes: int = 2**30) -> np.ndarray:
        self._check_bytes(max_bytes)
        return self._weighted_sum(self.weights, self.order).reshape(self.shape)

    def dense_error(self) -> float:
        norms = np.linalg.norm(self.components, axis=1)
        terms = float(np.abs(self.weights) @ norms**self.order)
        return (self.rank + self.order + 3) * _UNIT * terms

    def mode_gram(self) -> np.ndarray:
        """sum_i a_i w_i T(w_i, ..., w_i, .)^T, a (d, d) array."""
        weighted = self.weights[:, None] * self.components
        gram = weighted.T @ self.mttkrp(self.components)
        return (gram + gram.T) / 2

    def packed(self) -> np.ndarray:
        return self.weights @ Forms.of(self.dim, self.order).lift(self.components)

    def catalecticant(self, degree: int) -> np.ndarray:
        left, right = Forms.of(self.dim, degree), Forms.of(self.dim, self.order - degree)
        rows = self.components
        return left.lift(rows).T @ (self.weights[:, None] * right.lift(rows))

    def rotate(self, rotation: np.ndarray) -> FactoredTensor:
        rotation = check_array("rotation", rotation, ("d'", self.dim))
        return self._like(self.components @ rotation.T, self.weights)

    def _like(self, components: np.ndarray, weights: np.ndarray) -> FactoredTensor:
        """Another tensor of this order, held where this one is."""
        return FactoredTensor(self.lift(components), weights, self.order)

    def _flat_apply(self, vector: np.ndarray, rows: int) -> np.ndarray:
        columns = self.order - rows
        coefficients = self.weights.copy()
        for block in _blocks(self.rank, self.dim**columns):
            part = self.components[block]
            partial = np.broadcast_to(vector, (len(part), len(vector)))
            for _ in range(columns):
                partial = np.einsum("ij,ijk->ik", part, partial.reshape(len(part), self.dim, -1))
            coefficients[block] *= partial[:, 0]
        return self._weighted_sum(coefficients, rows).ravel()

    def _weighted_sum(self, coefficients: np.ndarray, order: int) -> np.ndarray:
        """sum_i c_i w_i^{(x)order} as a (d, d^(order-1)) array."""
        if order == 1:
            return coefficients @ self.components
        total = np.zeros((self.dim, self.dim ** (order - 1)))
        for block in _blocks(self.rank, self.dim ** (order - 1)):
            part = self.components[block]
            right = part
            for _ in range(order - 2):
                right = np.einsum("ij,ik->ijk", right, part).reshape(len(part), -1)
            total += (part * coefficients[block, None]).T @ right
        return total


def _blocks(length: int, width: int) -> Iterator[slice]:
    """Row blocks of a (length, width) array that hold a bounded number of doubles each."""
    step = max(1, _BLOCK_DOUBLES // width)
    return (slice(first, min(first + step, length)) for first in range(0, length, step))
