"""Jennrich's algorithm: simultaneous diagonalisation of two random contractions.

Solves     T = sum_i a_i w_i^{(x)k} for linearly independent w_i, so rank <= dim
Guarantee  exact up to rounding; error grows with cond(W) and with 1/min gap of the eigenvalues
Cost       2 contractions, one (dim x dim) eigenproblem, one (rank x rank) eigenproblem, a draw
Sources    Harshman (1970); Leurgans, Ross and Abel, SIAM J. Matrix Anal. Appl. 14 (1993)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tdlab.algorithms.base import Budget, Decomposition, Status, finish, fit_weights
from tdlab.algorithms.descent.polish import polish
from tdlab.algorithms.parts.pencil import real_eigenvectors
from tdlab.algorithms.words import n_terms
from tdlab.errors import check_integer
from tdlab.streams import Part, own_stream
from tdlab.tensors import SymmetricTensor

# Relative size of what an exact tensor leaves by rounding.
_EXACT = 1e-11


@dataclass(frozen=True)
class Jennrich:
    """Decompose a tensor of order 3 to 6 whose rank is at most its dimension.

    At order k each of the two matrices contracts k - 2 modes with independent Gaussian vectors;
    beyond order 3 their products spread the eigenvalue ratios, so the answer is polished.

    Parameters
    ----------
    draws : int
        Pairs of contractions tried; the first that fits exactly ends it, else the best is kept.
        An unlucky pair has nearly equal eigenvalue ratios, which a fresh pair does not.
    """

    name: ClassVar[str] = "jennrich"
    orders: ClassVar[tuple[int, ...]] = (3, 4, 5, 6)
    version: ClassVar[int] = 2
    guarantee: ClassVar[str] = "exact for linearly independent components (rank <= dim)"
    cost: ClassVar[str] = "O(d^3) for the eigenproblems and 2 contractions, a draw"
    source: ClassVar[str] = "Harshman (1970); Leurgans, Ross and Abel (1993)"

    draws: int = 5

    def __post_init__(self) -> None:
        check_integer("method 'jennrich', option 'draws'", self.draws, 1)

    def reach(self, dim: int, order: int) -> int:
        """Largest rank for which the guarantee holds."""
        return dim

    def limit(self, dim: int, order: int) -> int:
        """More than ``dim`` components cannot be linearly independent."""
        return dim

    def run(
        self, tensor: SymmetricTensor, rank: int, *, rng: np.random.Generator, budget: Budget
    ) -> Decomposition:
        rng = own_stream(rng, Part.METHOD)
        basis = _dominant_subspace(tensor, rank, rng)
        results: list[Decomposition] = []
        for draw in range(self.draws):
            rows, weights = _diagonalise(tensor, basis, rng), None
            if rows is not None and tensor.order > 3:
                rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
                fitted = fit_weights(tensor, rows)
                rows, weights, _ = polish(tensor, rows, fitted, budget)
            status, message = Status.STAGNATED, _INEXACT
            if rows is None:
                pairs = _complex_pairs(tensor, basis, rng)
                status, message = Status.BREAKDOWN, _COMPLEX
                if pairs:
                    status, message = Status.COMPLEX, _told(pairs, rank)
            results.append(
                finish(
                    self,
                    tensor,
                    rank,
                    budget,
                    components=rows,
                    weights=weights,
                    status=status,
                    message=message,
                    nit=draw + 1,
                    history=tuple(result.residual for result in results),
                )
            )
            if results[-1].success or status is Status.COMPLEX or budget.expired:
                break
        if results[-1].status is Status.COMPLEX:
            return results[-1]
        return min(results, key=lambda result: result.residual)


_COMPLEX = (
    "The contractions have complex eigenvalues, so the tensor is not a sum of that many "
    "independent real terms: the rank may be too small, or noise too large. "
    "Try method='auto', or a larger rank."
)
_INEXACT = (
    "The contractions diagonalise, but the components do not fit the tensor: it is not a sum of "
    "that many independent terms, or these are too ill conditioned. Try method='auto'."
)


def _told(pairs: int, rank: int) -> str:
    beside = f" and {rank - 2 * pairs} real ones" if rank > 2 * pairs else ""
    return (
        "Exact over the complex numbers only: all contractions are diagonal in one basis, of "
        f"{pairs} pairs of complex conjugate terms{beside}. No other {n_terms(rank, 'fit')}, so "
        "that over the real numbers the rank is larger: try a larger one."
    )


def _complex_pairs(tensor: SymmetricTensor, basis: np.ndarray, rng: np.random.Generator) -> int:
    """Pairs of conjugate terms of an exact tensor on the basis's span; 0 where it is none.

    The eigenvectors of one pencil diagonalise every other contraction exactly where the tensor is
    a sum of that many terms, real or complex; independent terms are the only ones (Kruskal 1977).
    """
    whole = [_contraction(tensor, rng) for _ in range(3)]
    first, second, third = (basis.T @ one @ basis for one in whole)
    outside = whole[2] - basis @ third @ basis.T
    if np.linalg.norm(outside) > _EXACT * np.linalg.norm(whole[2]):
        return 0
    try:
        ratios, vectors = np.linalg.eig(np.linalg.solve(second.T, first.T).T)
        inverse = np.linalg.inv(vectors)
    except np.linalg.LinAlgError:
        return 0
    diagonal = inverse @ third @ inverse.T
    off = diagonal - np.diag(np.diag(diagonal))
    # Rounding of a pencil grows with the condition of its eigenvectors.
    if np.linalg.norm(off) > _EXACT * np.linalg.cond(vectors) ** 2 * np.linalg.norm(diagonal):
        return 0
    if np.linalg.cond(vectors) > 1e4:
        # Eigenvalues that coincide: a limit of sums, not one.
        return 0
    return int((np.abs(np.imag(ratios)) > 1e-6 * np.abs(ratios)).sum()) // 2


def _dominant_subspace(tensor: SymmetricTensor, rank: int, rng: np.random.Generator) -> np.ndarray:
    """Orthonormal basis (dim, rank) of the span of the components.

    A contraction has the row space of the components unless some <g, w_i> vanishes,
    which has probability zero.
    """
    values, vectors = np.linalg.eigh(_contraction(tensor, rng))
    return vectors[:, np.argsort(-np.abs(values))[:rank]]


def _contraction(tensor: SymmetricTensor, rng: np.random.Generator) -> np.ndarray:
    """T(g_1, ..., g_{k-2}, ., .) = W^T diag(a_i <g_1, w_i> ... <g_{k-2}, w_i>) W."""
    return tensor.contract(*(rng.standard_normal(tensor.dim) for _ in range(tensor.order - 2)))


def _diagonalise(
    tensor: SymmetricTensor, basis: np.ndarray, rng: np.random.Generator
) -> np.ndarray | None:
    """Components (rank, dim) from one pair of contractions; None if they are not real."""
    first, second = (basis.T @ _contraction(tensor, rng) @ basis for _ in range(2))
    # first @ inv(second) = V diag(<g, w_i> / <h, w_i>) V^-1 with V the compressed components:
    # its eigenvectors are the components whatever the weights, if the ratios are distinct.
    vectors = real_eigenvectors(first, second)
    return None if vectors is None else (basis @ vectors).T
