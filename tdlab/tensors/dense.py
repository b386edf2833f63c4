"""A symmetric tensor held as an array, with the packed Khatri-Rao MTTKRP at order 3.

Memory     d^k doubles, and at order 3 another d^2(d+1)/2 for the packed copy (made on first use)
MTTKRP     order 3: d^2 (d+1) r flops in matrix products over cache-sized panels
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from scipy.linalg import get_blas_funcs

from tdlab._kernels import khatri_rao
from tdlab.errors import InputError, check_array, check_integer, check_real
from tdlab.streams import Part, own_stream
from tdlab.tensors.arrays import array_home, lifted, to_numpy, torch_array
from tdlab.tensors.base import SymmetricTensor
from tdlab.tensors.factored import FactoredTensor

_PANEL_DOUBLES = 2**16  # 512 KiB of Khatri-Rao rows: half a level-2 cache
_MAX_PANEL_RANK = 512
_HELD_DOUBLES = 2**26  # 512 MiB of Khatri-Rao rows on another device
# Largest change of an entry under a permutation, relative to the largest entry, that passes for
# rounding of sums in that type: einsum in single precision leaves 1e-7, a long sum tens of that.
_SYMMETRY = {np.dtype(np.float16): 1e-2, np.dtype(np.float32): 1e-5}
_SYMMETRY_OF_DOUBLES = 1e-8
# What is symmetric to this is left as it is: sums in double precision are no nearer.
_SYMMETRIC = 1e-11
# Roundings that an entry of coarser type may carry; and the spacing of doubles around zero.
_ROUNDINGS, _TINIEST = 8, 5e-324
_dgemm: Any = get_blas_funcs("gemm", dtype=np.float64)


class DenseTensor(SymmetricTensor):
    """A symmetric tensor from an array of shape (d,) * k, k >= 2.

    Parameters
    ----------
    array : (d,) * k array
        Symmetric, relative to its largest entry, to the accuracy of its type: 1e-8 in double
        precision and for integers, 1e-5 in single, 1e-2 in half. What differs less is averaged.

    Raises
    ------
    InputError
        If the array is not a finite real cube, or not symmetric; `tdlab.symmetrize` makes it so.

    Notes
    -----
    Computation is in double precision. ``rounding`` remembers that the entries of a coarser type
    are known to a few of its units only: a fit to that level is exact as far as they tell.

    Examples
    --------
    >>> import numpy as np, tdlab
    >>> w = np.array([0.6, 0.8])
    >>> T = tdlab.DenseTensor(np.einsum("i,j,k->ijk", w, w, w))
    >>> T.order, T.dim, round(T.norm(), 12)
    (3, 2, 1.0)
    >>> T.mttkrp(w[None]).round(12)
    array([[0.6, 0.8]])
    """

    def __init__(self, array: np.ndarray) -> None:
        array, rounding = _check_cube("array", array)
        distance = _asymmetry(array)
        tolerance = _SYMMETRY.get(rounding.dtype, _SYMMETRY_OF_DOUBLES)
        if distance > tolerance:
            raise InputError(
                f"array: got a non-symmetric array (relative distance {distance:.1e}), wanted "
                f"symmetry to {tolerance:.0e} for {rounding.dtype}; tdlab.symmetrize(array) "
                "averages over permutations"
            )
        if distance > _SYMMETRIC:
            array = _symmetric_part(array)
        self._set(array, max(rounding.relative, distance if rounding.relative else 0.0))

    @classmethod
    def _trusted(cls, array: np.ndarray, rounding: float = 0.0) -> DenseTensor:
        """Wrap an array that is symmetric by construction, without the check."""
        tensor = cls.__new__(cls)
        tensor._set(array, rounding)
        return tensor

    def _set(self, array: np.ndarray, rounding: float) -> None:
        # A private copy: a tensor whose entries change under it would make its norm a lie.
        self._array = np.array(array, order="C")
        self._array.flags.writeable = False
        self.order = array.ndim
        self.dim = array.shape[0]
        self.rounding = rounding
        self._norm = _frobenius(self._array)
        self._packed: np.ndarray | None = None
        self._held: Any = None

    def to(self, device: str) -> DenseTensor:
        tensor = DenseTensor._trusted(self._array, self.rounding)
        tensor._held = torch_array(self._array, device)
        return tensor

    def lift(self, array: np.ndarray) -> Any:
        return lifted(array, None if self._held is None else array_home(self._held))

    def norm(self) -> float:
        return self._norm

    def at_unit_scale(self) -> tuple[DenseTensor, int]:
        array, exponent = _unit_scale(self._array)
        return DenseTensor._trusted(array, self.rounding), exponent

    def dense(self, max_bytes: int = 2**30) -> np.ndarray:
        """The array itself, which is held and read-only: nothing is formed, at any size."""
        return self._array

    @property
    def array_bytes(self) -> int:
        return 0

    @property
    def entries_at_hand(self) -> bool:
        return True

    def _prefers_dense(self) -> bool:
        return True

    def scaled(self, a: float) -> DenseTensor:
        tensor = self._like(check_array("a", [a], (1,))[0] * self._array)
        tensor.rounding = self.rounding
        return tensor

    def minus(self, rows: np.ndarray, weights: np.ndarray) -> DenseTensor:
        """T - sum_i a_i w_i^{(x)k} as an array; ``rounding`` is then that of what is left."""
        if len(rows) == 0:
            return self
        known = FactoredTensor(rows, weights, self.order)
        rest = DenseTensor._trusted(self._array - known.dense(2**62))
        if self.rounding:
            rest.rounding = min(self.rounding * self.norm() / (rest.norm() or math.inf), 1.0)
        return rest

    def _like(self, array: np.ndarray) -> DenseTensor:
        """Another array, held where this one is."""
        tensor = DenseTensor._trusted(array)
        tensor._held = None if self._held is None else self.lift(array)
        return tensor

    def mttkrp(self, factors: Any) -> Any:
        if self._held is not None and not isinstance(factors, np.ndarray):
            return self._held_mttkrp(factors)
        factors = self._check_factors(factors)
        if self.order == 3:
            return self._packed_mttkrp(factors)
        if self.order == 2:
            return factors @ self._array
        rank = len(factors)
        chunk = max(1, 2**24 // self.dim ** (self.order - 1))
        out = np.empty((rank, self.dim))
        for first in range(0, rank, chunk):
            part = factors[first : first + chunk]
            partial = self._array.reshape(-1, self.dim) @ part.T
            for _ in range(self.order - 2):
                partial = np.einsum("ajr,rj->ar", partial.reshape(-1, self.dim, len(part)), part)
            out[first : first + chunk] = partial.T
        return out

    def _held_mttkrp(self, factors: Any) -> Any:
        """B = KR(W) T_(1) with the rows of KR(W) = w (x) ... (x) w formed in blocks."""
        flat = array_namespace(factors).reshape(self._held, (self.dim, -1)).T
        out = array_namespace(factors).empty_like(factors)
        block = max(1, _HELD_DOUBLES // flat.shape[0])
        for first in range(0, factors.shape[0], block):
            part = factors[first : first + block, :]
            power = part
            for _ in range(self.order - 2):
                power = power[:, :, None] * part[:, None, :]
                power = array_namespace(power).reshape(power, (part.shape[0], -1))
            out[first : first + block, :] = power @ flat
        return out

    def _packed_mttkrp(self, factors: np.ndarray) -> np.ndarray:
        if self._packed is None:
            # Off-diagonal pairs stand for (j,k) and (k,j): their weight 2 is folded in once here.
            rows, columns = np.triu_indices(self.dim)
            weight = np.where(rows == columns, 1.0, 2.0)
            self._packed = self._array[rows, columns] * weight[:, None]
        packed = self._packed
        out = np.empty(factors.shape)
        for start in range(0, len(factors), _MAX_PANEL_RANK):
            part_t = np.ascontiguousarray(factors[start : start + _MAX_PANEL_RANK].T)
            rank = part_t.shape[1]
            height = min(len(packed), max(64, _PANEL_DOUBLES // rank))
            panel = np.empty((height, rank))
            # total = panel^T @ packed or its transpose, added up panel by panel: the transposes
            # below are Fortran-ordered views, so dgemm adds in place and copies nothing. The
            # larger size leads because dgemm's tiles are long in that direction.
            rank_leads = rank >= self.dim
            shape = (rank, self.dim) if rank_leads else (self.dim, rank)
            total = np.zeros(shape, order="F")
            for first in range(0, len(packed), height):
                rows = min(height, len(packed) - first)
                khatri_rao.packed_khatri_rao(part_t, first, panel[:rows])
                left, right = panel[:rows].T, packed[first : first + rows].T
                if not rank_leads:
                    left, right = right, left
                total = _dgemm(1.0, left, right, beta=1.0, c=total, trans_b=True, overwrite_c=True)
            out[start : start + rank] = total if rank_leads else total.T
        return out

    def contract(self, *vectors: np.ndarray) -> np.ndarray:
        first, *rest = self._check_vectors(vectors)
        result = first @ self._array.reshape(self.dim, -1)
        for vector in rest:
            result = result.reshape(*first.shape[:-1], self.dim, -1)
            result = np.einsum("...j,...jk->...k", vector, result)
        return np.reshape(result, (*first.shape[:-1], *(self.dim,) * (self.order - len(vectors))))

    def rotate(self, rotation: np.ndarray) -> DenseTensor:
        rotation = check_array("rotation", rotation, ("d'", self.dim))
        array = self._array
        for _ in range(self.order):
            # Contract the leading mode and append the new one last: after k turns order is back.
            array = np.tensordot(array, rotation, axes=(0, 1))
        return DenseTensor._trusted(array, self.rounding)

    def _flat_apply(self, vector: np.ndarray, rows: int) -> np.ndarray:
        return self._array.reshape(self.dim**rows, -1) @ vector


def symmetrize(array: np.ndarray) -> DenseTensor:
    """Average an array over the permutations of its modes.

    The symmetric tensor nearest to the array; the form T(x, ..., x) stays as it is.

    Parameters
    ----------
    array : (d,) * k array, k >= 2, of any real type

    Returns
    -------
    DenseTensor

    Raises
    ------
    InputError
        If the array is not a finite real cube.

    Examples
    --------
    >>> import numpy as np, tdlab
    >>> tdlab.symmetrize(np.array([[1.0, 4.0], [2.0, 1.0]])).dense()
    array([[1., 3.],
           [3., 1.]])
    """
    array, rounding = _check_cube("array", array)
    return DenseTensor._trusted(_symmetric_part(array), rounding.relative)


def gaussian_tensor(
    dim: int,
    order: int = 3,
    norm: float = 1.0,
    *,
    rng: np.random.Generator | int | None = None,
) -> DenseTensor:
    """A Gaussian symmetric tensor scaled to a Frobenius norm: the null control.

    Its law is invariant under rotations and it has no planted components, so what a method
    compresses of it is what any unstructured tensor of that size allows.

    Parameters
    ----------
    dim, order : int
    norm : float
        Exact Frobenius norm of the result, > 0.
    rng : Generator, int or None

    Examples
    --------
    >>> import tdlab
    >>> round(tdlab.gaussian_tensor(5, norm=2.0, rng=0).norm(), 12)
    2.0
    """
    dim = check_integer("dim", dim, 1)
    order = check_integer("order", order, 2)
    norm = check_real("norm", norm, 0.0)
    if norm == 0.0:
        raise InputError("norm: got 0, wanted a positive number")
    # Averaging iid entries over permutations projects onto Sym^k orthogonally, and the projection
    # of a rotation-invariant Gaussian is the rotation-invariant Gaussian there.
    array = _symmetric_part(own_stream(rng, Part.GAUSSIAN_TENSOR).standard_normal((dim,) * order))
    return DenseTensor._trusted(array * (norm / np.linalg.norm(array)))


def _symmetric_part(array: np.ndarray) -> np.ndarray:
    # At unit scale, where no sum overflows and no mean underflows.
    array, exponent = _unit_scale(array)
    if array.ndim <= 4:
        total = np.zeros_like(array)
        for axes in itertools.permutations(range(array.ndim)):
            total += array.transpose(axes)
        return np.ldexp(total / math.factorial(array.ndim), exponent)
    # The permutations of m modes are those of m - 1 times the m swaps of one with the last: k^2/2
    # passes in place of k!.
    for last in range(1, array.ndim):
        swapped = [np.swapaxes(array, first, last) for first in range(last)]
        array = sum(swapped, array) / (last + 1)
    return np.ldexp(array, exponent)


def _asymmetry(array: np.ndarray) -> float:
    """Largest change of an entry under a swap of neighbouring modes, over the largest entry.

    Neighbouring swaps generate all permutations, so zero here means symmetric.
    """
    array, _ = _unit_scale(array)
    largest = float(np.abs(array).max())
    if largest == 0.0:
        return 0.0
    swaps = (np.swapaxes(array, m, m + 1) for m in range(array.ndim - 1))
    return max(float(np.abs(array - swapped).max()) for swapped in swaps) / largest


def _unit_scale(array: np.ndarray) -> tuple[np.ndarray, int]:
    """The array over the power of two above its largest entry, and the exponent; exact."""
    exponent = int(np.frexp(np.abs(array).max())[1])
    return np.ldexp(array, -exponent), exponent


def _frobenius(array: np.ndarray) -> float:
    """The norm, right also where squares of entries leave the doubles; infinite where it does."""
    with np.errstate(over="ignore", under="ignore"):
        norm = float(np.linalg.norm(array))
        if 1e-140 < norm < math.inf or not array.any():
            return norm
        unit, exponent = _unit_scale(array)
        return float(np.ldexp(np.linalg.norm(unit), exponent))


@dataclass(frozen=True)
class _Rounding:
    """What the entries' type says of their accuracy: 0 for doubles and integers."""

    dtype: np.dtype
    relative: float


def _check_cube(what: str, array: Any) -> tuple[np.ndarray, _Rounding]:
    """The array in double precision, and how its entries were rounded."""
    if array_home(array) is not None:
        array = to_numpy(array)
    sizes = np.shape(array)
    if len(sizes) < 2 or len(set(sizes)) != 1:
        raise InputError(f"{what}: got shape {sizes}, wanted (d,) * k with k >= 2")
    held = np.asarray(array).dtype
    array = check_array(what, array, sizes)
    relative = _ROUNDINGS * float(np.finfo(held).eps) if held in _SYMMETRY else 0.0
    largest = float(np.abs(array).max())
    if 0.0 < largest < 1e-300:
        # Numbers below the normal range have lost digits.
        relative = max(relative, _TINIEST / largest)
    return array, _Rounding(held, relative)
