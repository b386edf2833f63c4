"""A symmetric tensor held as an array, with the packed Khatri-Rao MTTKRP at order 3.

Memory     d^k doubles, and at order 3 another d^2(d+1)/2 for the packed copy (made on first use)
MTTKRP     order 3: d^2 (d+1) r flops in matrix products over cache-sized panels
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from scipy.linalg import get_blas_funcs

from tdlab._kernels import khatri_rao
from tdlab.errors import InputError, check_array, check_integer, check_real
from tdlab.tensors.arrays import array_home, lifted, torch_array
from tdlab.tensors.base import SymmetricTensor

_PANEL_DOUBLES = 2**16  # 512 KiB of Khatri-Rao rows: half a level-2 cache
_MAX_PANEL_RANK = 512
_HELD_DOUBLES = 2**26  # 512 MiB of Khatri-Rao rows on another device
_SYMMETRY_TOLERANCE = 1e-8
_dgemm: Any = get_blas_funcs("gemm", dtype=np.float64)


class DenseTensor(SymmetricTensor):
    """A symmetric tensor from an array of shape (d,) * k, k >= 2.

    Parameters
    ----------
    array : (d,) * k array, symmetric to 1e-8 relative to its largest entry

    Raises
    ------
    InputError
        If the array is not a finite real cube, or not symmetric; `tdlab.symmetrize` makes it so.

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
        array = _check_cube("array", array)
        distance = _asymmetry(array)
        if distance > _SYMMETRY_TOLERANCE:
            raise InputError(
                f"array: got a non-symmetric array (relative distance {distance:.1e}), wanted "
                f"symmetry to {_SYMMETRY_TOLERANCE:.0e}; tdlab.symmetrize(array) averages over "
                "permutations"
            )
        self._set(array)

    @classmethod
    def _trusted(cls, array: np.ndarray) -> DenseTensor:
        """Wrap an array that is symmetric by construction, without the check."""
        tensor = cls.__new__(cls)
        tensor._set(array)
        return tensor

    def _set(self, array: np.ndarray) -> None:
        # A private copy: a tensor whose entries change under it would make its norm a lie.
        self._array = np.array(array, order="C")
        self._array.flags.writeable = False
        self.order = array.ndim
        self.dim = array.shape[0]
        with np.errstate(over="ignore"):
            self._norm = float(np.linalg.norm(self._array))
        self._packed: np.ndarray | None = None
        self._held: Any = None

    def to(self, device: str) -> DenseTensor:
        tensor = DenseTensor._trusted(self._array)
        tensor._held = torch_array(self._array, device)
        return tensor

    def lift(self, array: np.ndarray) -> Any:
        return lifted(array, None if self._held is None else array_home(self._held))

    def norm(self) -> float:
        return self._norm

    def dense(self, max_bytes: int = 2**30) -> np.ndarray:
        self._check_bytes(max_bytes)
        return self._array

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
        return DenseTensor._trusted(array)

    def _flat_apply(self, vector: np.ndarray, rows: int) -> np.ndarray:
        return self._array.reshape(self.dim**rows, -1) @ vector


def symmetrize(array: np.ndarray) -> DenseTensor:
    """Average an array of shape (d,) * k over the k! permutations of its modes.

    Examples
    --------
    >>> import numpy as np, tdlab
    >>> tdlab.symmetrize(np.array([[1.0, 4.0], [2.0, 1.0]])).dense()
    array([[1., 3.],
           [3., 1.]])
    """
    return DenseTensor._trusted(_symmetric_part(_check_cube("array", array)))


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
    array = _symmetric_part(np.random.default_rng(rng).standard_normal((dim,) * order))
    return DenseTensor._trusted(array * (norm / np.linalg.norm(array)))


def _symmetric_part(array: np.ndarray) -> np.ndarray:
    total = np.zeros_like(array)
    for axes in itertools.permutations(range(array.ndim)):
        total += array.transpose(axes)
    return total / math.factorial(array.ndim)


def _asymmetry(array: np.ndarray) -> float:
    """Largest change of an entry under a swap of neighbouring modes, over the largest entry.

    Neighbouring swaps generate all permutations, so zero here means symmetric.
    """
    largest = float(np.abs(array).max())
    if largest == 0.0:
        return 0.0
    swaps = (np.swapaxes(array, m, m + 1) for m in range(array.ndim - 1))
    return max(float(np.abs(array - swapped).max()) for swapped in swaps) / largest


def _check_cube(what: str, array: np.ndarray) -> np.ndarray:
    sizes = np.shape(array)
    if len(sizes) < 2 or len(set(sizes)) != 1:
        raise InputError(f"{what}: got shape {sizes}, wanted (d,) * k with k >= 2")
    return check_array(what, array, sizes)
