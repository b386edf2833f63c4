"""The symmetric flattening of an even-order tensor in packed coordinates of Sym^m(R^d).

T = sum_i a_i w_i^{(x)2m} flattens to sum_i a_i z_i z_i^T with z_i = w_i^{(x)m}. Sym^m has the
orthonormal basis of monomials alpha scaled by sqrt(m!/alpha!), so z(x) keeps d(d+1)/2 numbers in
place of d^2 at m = 2, and |z(x)| = |x|^m.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from tdlab.tensors import FactoredTensor, SymmetricTensor

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

    def flatten(self, tensor: SymmetricTensor) -> np.ndarray:
        """The (N, N) symmetric flattening of a tensor of order 2 m."""
        if isinstance(tensor, FactoredTensor):
            lifted = self.lift(tensor.components)
            return lifted.T @ (tensor.weights[:, None] * lifted)
        flat = tensor.dense(2**33).reshape(len(self.position), -1)
        places = self.indices @ (self.dim ** np.arange(self.indices.shape[1])[::-1])
        return flat[np.ix_(places, places)] * np.outer(self.scales, self.scales)


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Eigenpairs of the packed flattening, the largest absolute values first.

    Attributes
    ----------
    values : (k,) array
    vectors : (N, k) array
    rank : int
        Number of eigenvalues that are not rounding.
    tail : float
        Relative Frobenius norm of those that were left out.
    """

    packing: Packing
    values: np.ndarray
    vectors: np.ndarray
    rank: int
    tail: float

    def coefficients(self, rows: np.ndarray) -> np.ndarray:
        """Coefficient (b,) of each unit row: a_i = 1 / (z_i^T F^+ z_i), exact for components."""
        along = self.packing.lift(rows) @ self.vectors
        return 1.0 / np.einsum("ij,ij->i", along / self.values, along)


def spectrum(tensor: SymmetricTensor, rank: int | None = None) -> Spectrum:
    """Leading ``rank`` eigenpairs of the flattening (all that are not rounding by default)."""
    packing = Packing.of(tensor.dim, tensor.order // 2)
    flat = packing.flatten(tensor)
    values, vectors = np.linalg.eigh((flat + flat.T) / 2)
    leading = np.argsort(-np.abs(values), kind="stable")
    values, vectors = values[leading], vectors[:, leading]
    numerical = int((np.abs(values) > _NUMERICAL_RANK * np.abs(values[0])).sum())
    kept = numerical if rank is None else min(rank, numerical)
    tail = float(np.linalg.norm(values[kept:]) / np.linalg.norm(values))
    basis = np.ascontiguousarray(vectors[:, :kept])
    return Spectrum(packing, values[:kept], basis, numerical, tail)


def packed_size(dim: int, order: int) -> int:
    """N = C(dim + m - 1, m), the size of the packed flattening at order 2 m."""
    return math.comb(dim + order // 2 - 1, order // 2)
