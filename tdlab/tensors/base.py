"""The operator an algorithm speaks to: a symmetric tensor through its actions.

An algorithm asks for contractions, MTTKRPs, norms, flattenings and known terms, and never for what
the tensor is made of, so the same lines decompose an array, a network of 10^4 hidden units, an
estimate from samples, or what is left of any of them.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tdlab.errors import InputError, check_integer
from tdlab.tensors.arrays import row_dots
from tdlab.tensors.packed import Forms

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator

# Bytes that `dense`, and what forms the array without being asked to, may take.
ARRAY_BYTES = 2**30
_SLICE_BYTES, _SMALL_BYTES = 2**26, 2**24
# Methods multiply several entries: within these norms none of that leaves the doubles.
_PLAIN_NORM = 1e-30


class Tensor(ABC):
    """What every tensor says of itself, symmetric or not.

    Attributes
    ----------
    kind : str
        What it is to a method: "symmetric" or "flattening4". A method declares which it accepts.
    order : int
        Number of modes.
    dim : int
        Size of every mode.
    rounding : float
        Relative rounding |E|_F / |T|_F of the data it was made from, where these were coarser
        than double precision; else 0. No fit means more than that.
    """

    kind: ClassVar[str]
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
    def evaluate(self, vectors: np.ndarray) -> np.ndarray:
        """T(v, ..., v) for each row v of a (b, d) array: a (b,) array."""

    @abstractmethod
    def in_plain_units(self) -> tuple[Tensor, int]:
        """T / 2^e and e: a norm that methods compute with, and e = 0 where T has one."""


class SymmetricTensor(Tensor):
    """A real symmetric tensor T of a given order (>= 2) on R^dim.

    A class of your own defines the abstract methods, all of which are actions; what else a tensor
    answers follows from these. Tensors of one shape add up, and multiply with numbers: ``T - S``,
    ``0.5 * T``. What has no shorter form is kept as a lazy sum: see `tdlab.tensors.SumTensor`.
    """

    kind: ClassVar[str] = "symmetric"
    # NumPy's numbers leave ``number * T`` to this class.
    __array_ufunc__ = None

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
    def dense(self, max_bytes: int = ARRAY_BYTES) -> np.ndarray:
        """The (d,) * order array; raises `InputError` if it must form more than ``max_bytes``."""

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

    def terms(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Rows (r, d) and coefficients (r,) of the powers that this tensor is held as the sum of.

        None, as by default, where it is held in another way: nothing is searched for.

        Examples
        --------
        >>> import numpy as np, tdlab
        >>> rows, weights = tdlab.FactoredTensor(np.eye(2), [3.0, 1.0]).terms()
        >>> weights
        array([3., 1.])
        >>> tdlab.gaussian_tensor(2, rng=0).terms() is None
        True
        """
        return None

    @property
    def array_bytes(self) -> int:
        """Bytes that `dense` forms, 8 d^k; 0 where the array is held anyway."""
        return 8 * self.dim**self.order

    @property
    def entries_at_hand(self) -> bool:
        """Whether an entry is read off, or computed of known terms, to rounding; by default not."""
        return False

    @property
    def readable(self) -> bool:
        """Whether all entries may be read: they are at hand, or the array is within 1 GiB."""
        return self.entries_at_hand or self.array_bytes <= ARRAY_BYTES

    def scaled(self, a: float) -> SymmetricTensor:
        """The tensor a T, held as T is; by default a `tdlab.tensors.SumTensor` of one part.

        Examples
        --------
        >>> import tdlab
        >>> round(tdlab.gaussian_tensor(3, rng=0).scaled(-2.0).norm(), 12)
        2.0
        """
        from tdlab.tensors.sums import weighted_sum  # it makes tensors, so it comes after them

        return weighted_sum([self], [a])

    def minus(self, rows: np.ndarray, weights: np.ndarray) -> SymmetricTensor:
        """What is left without known terms, T - sum_i a_i w_i^{(x)k}.

        Known terms stay known terms, an array stays an array, and anything else becomes a lazy
        sum: nothing of size d^k is formed that was not there.

        Parameters
        ----------
        rows : (m, d) array, m >= 0
        weights : (m,) array

        Examples
        --------
        >>> import numpy as np, tdlab
        >>> rest = tdlab.FactoredTensor(np.eye(3)).minus(np.eye(3)[:2], np.ones(2))
        >>> round(rest.norm(), 12)
        1.0
        """
        from tdlab.tensors.factored import FactoredTensor
        from tdlab.tensors.sums import weighted_sum

        if len(rows) == 0:
            return self
        known = FactoredTensor(self.lift(rows), weights, self.order)
        return weighted_sum([self, known], [1.0, -1.0])

    def __add__(self, other: SymmetricTensor) -> SymmetricTensor:
        from tdlab.tensors.sums import weighted_sum

        return weighted_sum([self, other]) if isinstance(other, SymmetricTensor) else NotImplemented

    def __sub__(self, other: SymmetricTensor) -> SymmetricTensor:
        from tdlab.tensors.sums import weighted_sum

        if not isinstance(other, SymmetricTensor):
            return NotImplemented
        return weighted_sum([self, other], [1.0, -1.0])

    def __mul__(self, a: float) -> SymmetricTensor:
        return self.scaled(float(a)) if isinstance(a, Real) else NotImplemented

    __rmul__ = __mul__

    def __neg__(self) -> SymmetricTensor:
        return self.scaled(-1.0)

    def at_unit_scale(self) -> tuple[SymmetricTensor, int]:
        """T / 2^e, with its largest entry or coefficient near 1, and e; by default its norm.

        The division is exact. Methods multiply several entries: at this size none of that leaves
        the doubles, whatever unit the data came in.
        """
        exponent = math.frexp(self.norm())[1]
        # In two steps: 2^-e itself may be no double.
        half = exponent // 2
        return self.scaled(2.0**-half).scaled(2.0 ** (half - exponent)), exponent

    def in_plain_units(self) -> tuple[SymmetricTensor, int]:
        plain = _PLAIN_NORM < self.norm() < 1 / _PLAIN_NORM
        return (self, 0) if plain else self.at_unit_scale()

    def evaluate(self, vectors: np.ndarray) -> np.ndarray:
        return row_dots(self.mttkrp(vectors), vectors)

    def inner(self, other: SymmetricTensor) -> float:
        """Frobenius inner product with another symmetric tensor of the same shape."""
        if self.shape != other.shape:
            raise InputError(f"other: got shape {other.shape}, wanted {self.shape}")
        # <T, sum a_i w_i^k> = sum a_i T(w_i, ..., w_i) needs no entries of either.
        for first, second in ((self, other), (other, self)):
            known = second.terms()
            if known is not None:
                rows, weights = known
                return float(weights @ first.evaluate(rows))
        if max(self.array_bytes, other.array_bytes) <= ARRAY_BYTES:
            return float(np.vdot(self.dense(), other.dense()))
        return sum(float(np.vdot(self.contract(e), other.contract(e))) for e in self._basis())

    def magnitude(self) -> float:
        """|T|^2 before anything in it cancels: the scale of the rounding of |T|^2."""
        return self.norm() ** 2

    def dense_error(self) -> float:
        """Bound of |E|_F for the rounding errors E of `dense`; 0 where the array defines T."""
        return 0.0

    def mode_gram(self) -> np.ndarray:
        """T_(1) T_(1)^T, a (d, d) array: of the slices T(e_j) where the array is too large."""
        if self.array_bytes <= ARRAY_BYTES:
            flat = self.dense().reshape(self.dim, -1)
            return flat @ flat.T
        # T_(1) T_(1)^T = sum_j S_j S_j^T, S_j = T(e_j)_(1).
        total = np.zeros((self.dim, self.dim))
        for basis in self._basis():
            flat = np.moveaxis(self.contract(basis), 0, 1).reshape(self.dim, -1)
            total += flat @ flat.T
        return total

    def packed(self) -> np.ndarray:
        """Coordinates (N,) in the orthonormal basis of Sym^k, N = C(d+k-1, k): see `Forms`."""
        forms = Forms.of(self.dim, self.order)
        return self.dense().ravel()[forms.places] * forms.scales

    def catalecticant(self, degree: int) -> np.ndarray:
        """The matrix Sym^{k-m} -> Sym^m, m = degree, in orthonormal coordinates of both.

        For T = sum_i a_i w_i^{(x)k} it is sum_i a_i w_i^{(x)m} (w_i^{(x)(k-m)})^T.
        """
        left, right = Forms.of(self.dim, degree), Forms.of(self.dim, self.order - degree)
        flat = self.dense().reshape(self.dim**degree, -1)
        return flat[np.ix_(left.places, right.places)] * np.outer(left.scales, right.scales)

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

    def _prefers_dense(self) -> bool:
        """Whether the norm is that of the array, which costs no more than to do without."""
        return self.array_bytes <= _SMALL_BYTES

    def _norm_by_slices(self) -> float:
        """|T| from sum_j |T(e_j)|^2: d contractions, and nothing of more than d^(k-1) numbers."""
        return math.sqrt(sum(float(np.sum(self.contract(e) ** 2)) for e in self._basis()))

    def _basis(self) -> list[np.ndarray]:
        """The unit vectors in blocks (b, d) whose slices hold a bounded number of doubles."""
        step = max(1, _SLICE_BYTES // (8 * self.dim ** (self.order - 1)))
        return np.split(np.eye(self.dim), range(step, self.dim, step))

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
        if self.array_bytes > max_bytes:
            raise InputError(
                f"dense: got a tensor of shape {self.shape} that needs {self.array_bytes} bytes, "
                f"wanted at most max_bytes={max_bytes}"
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(order={self.order}, dim={self.dim})"
