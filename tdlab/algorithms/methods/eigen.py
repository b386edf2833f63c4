"""Order 2: a symmetric matrix by its eigenvectors.

Solves     M = sum_i l_i v_i v_i^T at any rank <= dim, and the nearest sum of r terms
Guarantee  the best fit of r terms (Eckart and Young 1936; Mirsky 1960). Its components are one
           choice: for any orthogonal Q, W Q serves as well as W where the coefficients agree, so
           that only r = 1 is unique. Among orthogonal components it is the only one where the
           eigenvalues differ
Noise      the remainder of a fit looks like noise where no eigenvalue of it leaves the bulk that a
           Gaussian symmetric matrix of its norm has (Wigner's semicircle, edge 2 s sqrt(n))
Cost       O(d^3)
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tdlab.algorithms.base import Budget, Decomposition, Status, finish
from tdlab.algorithms.noise import noise_behind, residual_under
from tdlab.algorithms.words import n_terms
from tdlab.tensors import SymmetricTensor

# The largest eigenvalue of n x n noise is 2 s sqrt(n) (1 + 1.05 n^(-2/3)) but for one case in a
# hundred (Tracy and Widom). A component stands out where it exceeds twice what noise may reach:
# eigenvalues fall off without a gap in most matrices of data.
_FLUCTUATION, _STANDS_OUT = 1.05, 2.0
# A bulk of fewer eigenvalues has no shape.
_LEAST_BULK = 6


@dataclass(frozen=True)
class Eigen:
    """The eigenvectors of the ``rank`` eigenvalues of largest size."""

    name: ClassVar[str] = "eigen"
    orders: ClassVar[tuple[int, ...]] = (2,)
    version: ClassVar[int] = 1
    guarantee: ClassVar[str] = "the best fit of that rank; unique only for one term"
    cost: ClassVar[str] = "O(d^3)"
    source: ClassVar[str] = "Eckart and Young (1936); Mirsky (1960)"
    settles_noise: ClassVar[bool] = True

    def reach(self, dim: int, order: int) -> int:
        """Every matrix."""
        return dim

    def limit(self, dim: int, order: int) -> int:
        """No matrix needs more terms than it has dimensions."""
        return dim

    def required_bytes(self, tensor: SymmetricTensor) -> int:
        """The matrix."""
        return tensor.array_bytes

    def run(
        self, tensor: SymmetricTensor, rank: int, *, rng: np.random.Generator, budget: Budget
    ) -> Decomposition:
        values, vectors = sorted_eigenpairs(tensor.dense())
        if budget.estimate and _noise_from(values, rank):
            rest = relative_rest(values, rank)
            if rest > budget.exact:
                level = noise_behind(rest, tensor.dim, rank, 2)
                budget = dataclasses.replace(budget, noise=1.001 * rest, level=level)
        found = finish(
            self,
            tensor,
            rank,
            budget,
            components=vectors[:, :rank].T,
            weights=values[:rank],
            message=(
                f"The best fit of {n_terms(rank)}: the matrix has a larger rank, and what is left "
                "does not look like noise."
            ),
            nit=1,
        )
        # Noise is judged by the spectrum: the null laws of higher orders are not those of matrices.
        return _with_uniqueness(found, values[:rank])


def _with_uniqueness(found: Decomposition, values: np.ndarray) -> Decomposition:
    """The message with what is unique at order 2."""
    if not found.success or len(found.components) < 2:
        return found
    spread = np.abs(np.diff(np.sort(values)))
    gap = float(spread.min() / np.abs(values).max())
    message = (
        f"Fits the matrix to a relative residual of {found.residual:.1e}. A sum of {len(values)} "
        "terms of order 2 has a continuum of decompositions, so these components need not be the "
        "planted ones. Among those with orthogonal components "
    )
    if gap > 1e-8:
        message += f"it has only this one: the eigenvalues differ (by {gap:.1e} of the largest)."
    else:
        message += "it has others too, because eigenvalues agree."
    return dataclasses.replace(found, status=Status.FIT_NOT_UNIQUE, unique="no", message=message)


def sorted_eigenpairs(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and eigenvectors (columns) of a symmetric matrix, the largest size first."""
    values, vectors = np.linalg.eigh(matrix)
    order = np.argsort(-np.abs(values), kind="stable")
    return values[order], vectors[:, order]


def relative_rest(values: np.ndarray, rank: int) -> float:
    """|M - M_r| / |M| of the best fit of r terms, from the sorted eigenvalues."""
    return float(np.linalg.norm(values[rank:]) / np.linalg.norm(values))


def told_rank(tensor: SymmetricTensor, noise: float | None) -> tuple[int, float, str]:
    """Rank of a matrix, the noise behind it, and where it comes from, in a sentence.

    Parameters
    ----------
    noise : float or None
        Relative level: the least rank whose best fit reaches it; 0: the number of eigenvalues
        above rounding; None: the same, or fewer where the others look like noise.
    """
    dim = tensor.dim
    values, _ = sorted_eigenpairs(tensor.dense())
    rounding = max(tensor.rounding, dim * float(np.finfo(float).eps))
    full = int((np.abs(values) > rounding * abs(values[0])).sum())
    if noise:
        goals = {rank: residual_under(noise, dim, rank, 2) for rank in range(1, full)}
        rank = next((r for r, goal in goals.items() if relative_rest(values, r) <= goal), full)
        return rank, noise, f"The best fit of {n_terms(rank)} reaches the noise, and no fewer do."
    if noise is None and full == dim:
        for rank in range(1, dim):
            if _noise_from(values, rank):
                level = noise_behind(relative_rest(values, rank), dim, rank, 2)
                message = f"{rank} eigenvalues stand out, and the others look like noise of "
                return rank, level, f"{message}{level:.2g} of the matrix's norm."
    message = f"{full} of {dim} eigenvalues are above rounding ({rounding:.0e} of the largest)."
    return full, 0.0, message


def _noise_from(values: np.ndarray, rank: int) -> bool:
    """Whether the eigenvalues after the first ``rank`` are a semicircle and those stand out."""
    bulk = len(values) - rank
    if bulk < _LEAST_BULK or rank < 1:
        return False
    # |R|_F^2 = s^2 n^2 for n x n noise whose entries off the diagonal have standard deviation s.
    edge = 2.0 * float(np.linalg.norm(values[rank:])) / math.sqrt(bulk)
    edge *= 1.0 + _FLUCTUATION * bulk ** (-2.0 / 3.0)
    both_signs = values[rank:].min() < 0.0 < values[rank:].max()
    return both_signs and abs(values[rank]) <= edge and abs(values[rank - 1]) >= _STANDS_OUT * edge
