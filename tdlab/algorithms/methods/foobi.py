"""FOOBI: rank-one combinations of a basis by simultaneous diagonalisation of a bilinear kernel.

Solves     T = sum_i a_i w_i^{(x)4} (any signs) for r(r+1)/2 up to the dimension of the minors
Guarantee  exact for generic components up to rounding
Cost       one eigenproblem of size r(r+1)/2, and d^4 r^2 / 2 numbers: small sizes only
Sources    De Lathauwer, Castaing and Cardoso, IEEE Trans. Signal Process. 55 (2007)

Phi(X, Y)_ijkl = X_ij Y_kl + Y_ij X_kl - X_il Y_kj - Y_il X_kj vanishes at X = Y of rank one. With
B_s a basis of span{w_i w_i^T}, the symmetric M with sum_st M_st Phi(B_s, B_t) = 0 are A D A^T with
D diagonal, A holding the coordinates of the w_i w_i^T: two of them give A by a quotient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tdlab.algorithms.base import Budget, Decomposition
from tdlab.algorithms.descent.even import spectrum
from tdlab.algorithms.parts.quotients import fit_by_quotients
from tdlab.errors import check_integer
from tdlab.streams import Part, own_stream
from tdlab.tensors import SymmetricTensor

# Largest number of entries of Phi over all pairs: 800 MB.
_LARGEST = 10**8


@dataclass(frozen=True)
class FOOBI:
    """Decompose a small order-4 tensor by the rank-one detecting map of De Lathauwer et al.

    Parameters
    ----------
    draws : int
        Pairs of kernel elements tried; the first that fits exactly ends it.
    """

    name: ClassVar[str] = "foobi"
    orders: ClassVar[tuple[int, ...]] = (4,)
    version: ClassVar[int] = 1
    guarantee: ClassVar[str] = "exact for generic components below the counting limit"
    cost: ClassVar[str] = "O(rank^6) and O(dim^4 rank^2) memory"
    source: ClassVar[str] = "De Lathauwer, Castaing and Cardoso (2007)"

    draws: int = 5

    def __post_init__(self) -> None:
        check_integer("method 'foobi', option 'draws'", self.draws, 1)

    def reach(self, dim: int, order: int) -> int:
        """Rank that was recovered in every trial of iid components: .8 of the limit."""
        return max(int(0.8 * self.limit(dim, order)), 1)

    def limit(self, dim: int, order: int) -> int:
        """Pairs s < t must be independent in the image, of dimension d^2(d^2-1)/12."""
        image = dim**2 * (dim**2 - 1) // 12
        counting = int((1 + np.sqrt(1 + 8 * image)) / 2)
        return max(min(counting, int(np.sqrt(2 * _LARGEST) / dim**2)), 1)

    def required_bytes(self, tensor: SymmetricTensor) -> int:
        """The array that entries are read from, where they are not at hand."""
        return 0 if tensor.entries_at_hand else tensor.array_bytes

    def run(
        self, tensor: SymmetricTensor, rank: int, *, rng: np.random.Generator, budget: Budget
    ) -> Decomposition:
        rng = own_stream(rng, Part.METHOD)
        found = spectrum(tensor, rank)
        basis = found.packing.unpack(found.vectors.T).reshape(-1, tensor.dim, tensor.dim)
        kernel = _kernel(basis)

        def pair() -> tuple[np.ndarray, np.ndarray]:
            first, second = (
                np.tensordot(rng.standard_normal(len(kernel)), kernel, axes=1) for _ in range(2)
            )
            return first, second

        return fit_by_quotients(self, tensor, rank, found, basis, pair, budget, _UNREAL)


_UNREAL = (
    "The kernel is not that of real rank-one matrices: the rank is wrong, or noise too large. "
    "Try method='spm'."
)


def _kernel(basis: np.ndarray) -> np.ndarray:
    """The r symmetric matrices M (r, r, r) that are nearest to the kernel of Phi."""
    rank = len(basis)
    first, second = np.triu_indices(rank)
    # Off-diagonal pairs stand for (s, t) and (t, s): sqrt(2) makes the map of M an isometry.
    scale = np.where(first == second, 1.0, np.sqrt(2.0))
    left, right = basis[first], basis[second]
    phi = np.einsum("p,pij,pkl->pijkl", scale, left, right)
    phi = phi + phi.transpose(0, 3, 4, 1, 2)
    phi = phi - phi.transpose(0, 1, 4, 3, 2)
    flat = phi.reshape(len(first), -1)
    vectors = np.linalg.eigh(flat @ flat.T)[1][:, :rank]
    out = np.zeros((rank, rank, rank))
    out[:, first, second] = (vectors / scale[:, None]).T
    out[:, second, first] = out[:, first, second]
    return out
