"""The most balanced flattening of a tensor in packed coordinates of Sym^m(R^d).

T = sum_i a_i w_i^{(x)2m} flattens to sum_i a_i z_i z_i^T with z_i = w_i^{(x)m}, and a tensor of
order 2m - 1 to sum_i a_i z_i y_i^T with y_i = w_i^{(x)(m-1)}. Sym^m has the
orthonormal basis of monomials alpha scaled by sqrt(m!/alpha!), so z(x) keeps d(d+1)/2 numbers in
place of d^2 at m = 2, and |z(x)| = |x|^m.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from tdlab.tensors import SymmetricTensor

# Eigenvalues of the flattening below this share of the largest are rounding.
_NUMERICAL_RANK = 1e-10
# Largest packed flattening that is formed: 4000^2 doubles, 128 MB.
LARGEST_FLATTENING = 4000


@dataclass(frozen=True, eq=False)
class Packing:
    """Packed coordinates of Sym^m(R^dim).

    Attributes
    ----------
    indices : (N, m) int array
        Sorted index tuples, N = C(dim+m-1, m).
    scales : (N,) array
        Square roots of the numbers of their permutations.
    position : (dim^m,) int array
        Packed place of each entry of a full array.
    """

    dim: int
    indices: np.ndarray
    scales: np.ndarray
    position: np.ndarray

    @classmethod
    def of(cls, dim: int, power: int) -> Packing:
        """The packing of Sym^power(R^dim)."""
        indices = np.array(list(itertools.combinations_with_replacement(range(dim), power)))
        counts = [math.factorial(power)] * len(indices)
        for place, row in enumerate(indices.tolist()):
            for index in set(row):
                counts[place] //= math.factorial(row.count(index))
        strides = dim ** np.arange(power)[::-1]
        place_of = np.empty(dim**power, dtype=np.intp)
        place_of[indices @ strides] = np.arange(len(indices))
        full = np.sort(np.indices((dim,) * power).reshape(power, -1), axis=0)
        return cls(dim, indices, np.sqrt(np.array(counts, float)), place_of[strides @ full])

    def lift(self, rows: np.ndarray) -> np.ndarray:
        """z(x) for each row x of a (b, dim) array: a (b, N) array."""
        out = rows[:, self.indices[:, 0]] * self.scales
        for mode in range(1, self.indices.shape[1]):
            out *= rows[:, self.indices[:, mode]]
        return out

    def unpack(self, packed: np.ndarray) -> np.ndarray:
        """The full arrays (b, dim^m) of packed ones (b, N)."""
        return (packed / self.scales)[:, self.position]

    def contract(self, packed: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Y(x, ..., x, .) for each packed Y (b, N) and row x (b, dim): half m of a gradient."""
        full = self.unpack(packed).reshape(len(rows), -1, self.dim)
        for _ in range(self.indices.shape[1] - 1):
            full = np.matmul(full, rows[:, :, None]).reshape(len(rows), -1, self.dim)
        return full[:, 0, :]


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Eigenpairs of the packed flattening, or singular ones at odd orders, the largest first.

    Attributes
    ----------
    values : (k,) array
        Of either sign at even orders.
    vectors : (N, k) array
        Of the larger side, Sym^m.
    rank : int
        Number of values that are not rounding.
    tail : float
        Relative Frobenius norm of those that were left out.
    size : int
        Number of all of them.
    other : Packing
        Of the other side: Sym^m, and Sym^{m-1} at odd orders.
    others : (N', k) array
        Vectors of the other side.
    """

    packing: Packing
    values: np.ndarray
    vectors: np.ndarray
    rank: int
    tail: float
    size: int
    other: Packing
    others: np.ndarray

    def along(self, rows: np.ndarray) -> np.ndarray:
        """Coordinates (b, k) of the powers of rows on the other side."""
        return self.other.lift(rows) @ self.others

    def coefficients(self, rows: np.ndarray) -> np.ndarray:
        """Coefficient (b,) of each unit row: a_i = 1 / (y_i^T F^+ z_i), exact for components."""
        along = self.packing.lift(rows) @ self.vectors
        return 1.0 / np.einsum("ij,ij->i", along / self.values, self.along(rows))


def spectrum(tensor: SymmetricTensor, rank: int | None = None) -> Spectrum:
    """Leading ``rank`` pairs of the flattening (all that are not rounding by default)."""
    half = tensor.order // 2
    packing = other = Packing.of(tensor.dim, tensor.order - half)
    flat = tensor.catalecticant(tensor.order - half)
    if tensor.order % 2:
        other = Packing.of(tensor.dim, half)
        vectors, values, right = np.linalg.svd(flat, full_matrices=False)
        others = right.T
    else:
        values, vectors = np.linalg.eigh((flat + flat.T) / 2)
        leading = np.argsort(-np.abs(values), kind="stable")
        values, vectors = values[leading], vectors[:, leading]
        others = vectors
    numerical = int((np.abs(values) > _NUMERICAL_RANK * np.abs(values[0])).sum())
    kept = numerical if rank is None else min(rank, numerical)
    tail = float(np.linalg.norm(values[kept:]) / np.linalg.norm(values))
    return Spectrum(
        packing,
        values[:kept],
        np.ascontiguousarray(vectors[:, :kept]),
        numerical,
        tail,
        len(values),
        other,
        np.ascontiguousarray(others[:, :kept]),
    )


def packed_size(dim: int, order: int) -> int:
    """C(dim + m - 1, m), the smaller size of the packed flattening at orders 2 m and 2 m + 1."""
    return math.comb(dim + order // 2 - 1, order // 2)
