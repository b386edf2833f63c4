"""Lifting: the third powers in the range of an order-4 tensor, and two contractions of them.

Solves     T = sum_i a_i w_i^{(x)4} (any signs) for up to d(d+1)/3 generic components
Guarantee  exact for generic components up to rounding
Cost       one (rank d) x (rank d) eigenproblem and d^3 rank^2 d flops to set it up
Sources    Hopkins, Schramm and Shi (2019), arXiv 2203.02790

With S = span{w_i (x) w_i}, the symmetric tensors in S (x) R^d are spanned by the w_i^{(x)3}. A
contraction of one mode by g maps w_i^{(x)3} to <g, w_i> w_i (x) w_i, so in coordinates of S two of
them give A diag(<g, w_i> / <h, w_i>) A^{-1}, A holding the w_i (x) w_i. The source rounds with one
random contraction and power steps, for robustness; on exact tensors the quotient is sharper.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tdlab.algorithms.base import Budget, Decomposition
from tdlab.algorithms.descent.even import packed_size, spectrum
from tdlab.algorithms.parts.quotients import fit_by_quotients
from tdlab.errors import check_integer
from tdlab.streams import Part, own_stream
from tdlab.tensors import SymmetricTensor

# Largest rank * dim whose eigenproblem is formed.
_LARGEST = 3000


@dataclass(frozen=True)
class HSS19:
    """Decompose an order-4 tensor through the symmetric part of S (x) R^d.

    Parameters
    ----------
    draws : int
        Pairs of contractions tried; the first that fits exactly ends it, else the best is kept.
    """

    name: ClassVar[str] = "hss19"
    orders: ClassVar[tuple[int, ...]] = (4,)
    version: ClassVar[int] = 1
    guarantee: ClassVar[str] = "exact for generic components, rank <= dim(dim+1)/3"
    cost: ClassVar[str] = "O((rank dim)^3)"
    source: ClassVar[str] = "Hopkins, Schramm and Shi (2019), arXiv 2203.02790"

    draws: int = 5

    def __post_init__(self) -> None:
        check_integer("method 'hss19', option 'draws'", self.draws, 1)

    def reach(self, dim: int, order: int) -> int:
        """Rank that was recovered in every trial of iid components: .8 of the limit."""
        return max(int(0.8 * self.limit(dim, order)), 1)

    def limit(self, dim: int, order: int) -> int:
        """Antisymmetrising S (x) R^d into d(d^2-1)/3 dimensions must have no spare kernel."""
        return max(min(dim * (dim + 1) // 3, _LARGEST // dim, packed_size(dim, order) - 1), 1)

    def required_bytes(self, tensor: SymmetricTensor) -> int:
        """The array that entries are read from, where they are not at hand."""
        return 0 if tensor.entries_at_hand else tensor.array_bytes

    def run(
        self, tensor: SymmetricTensor, rank: int, *, rng: np.random.Generator, budget: Budget
    ) -> Decomposition:
        rng = own_stream(rng, Part.METHOD)
        found = spectrum(tensor, rank)
        dim, rank_found = tensor.dim, len(found.values)
        # Basis of S as (d, d) matrices, s-th one B_s; an element sum_sc X_sc B_s (x) e_c.
        basis = found.packing.unpack(found.vectors.T).reshape(-1, dim, dim)
        cubes = _symmetric_elements(basis, rank_found)

        def pair() -> tuple[np.ndarray, np.ndarray]:
            first, second = ((cubes @ rng.standard_normal(dim)).T for _ in range(2))
            return first, second

        return fit_by_quotients(self, tensor, rank, found, basis, pair, budget, _UNREAL)


_UNREAL = (
    "The lifted range holds no full set of real cubes: the rank is wrong, or noise too large. "
    "Try method='spm'."
)


def _symmetric_elements(basis: np.ndarray, count: int) -> np.ndarray:
    """Coordinates (count, r, d) of an orthonormal basis of the symmetric tensors in S (x) R^d.

    P_sym (B_s (x) e_c) has inner products (delta_st delta_cd + 2 <B_s e_d, B_t e_c>) / 3 with
    B_t (x) e_d: eigenvalue 1 marks the symmetric elements.
    """
    rank, dim = basis.shape[:2]
    # <B_s e_d, B_t e_c> at place (s c, t d).
    columns = basis.transpose(0, 2, 1).reshape(rank * dim, dim)
    products = (columns @ columns.T).reshape(rank, dim, rank, dim).transpose(0, 3, 2, 1)
    operator = products.reshape(rank * dim, rank * dim)
    vectors = np.linalg.eigh((operator + operator.T) / 2)[1]
    return vectors[:, -count:].T.reshape(count, rank, dim)
