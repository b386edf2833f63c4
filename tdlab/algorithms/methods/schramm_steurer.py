"""Orthonormal order-4 tensors under errors of constant spectral norm, by truncated flattenings.

Solves     T = sum_i a_i^{(x)4} + E, a_i orthonormal, |E|_{12,34} <= error; E need not be symmetric
Guarantee  constant correlation with a 0.99 share for small enough constant errors
Cost       O(n^5): products of the n^2 x n^2 matrix with O(n) vectors; no n^2 x n^2 factorisation
Sources    Schramm and Steurer (2017), arXiv 1706.08672

An error of norm e in {12}{34} may have norm e sqrt(n) in {13}{24}, and a random contraction feels
both. Both flattenings of the signal have norm 1, so singular values above 1 are clipped in the
one, then in the other. A contraction with a Gaussian matrix g leaves sum_i <g, a_i a_i^T> a_i a_i^T
plus an error of a smaller norm: its top singular vectors start power steps. What survives is
accepted by its value relative to the best, projected out, and made orthonormal at the end.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tdlab.algorithms.base import Budget, Decomposition, Status, finish
from tdlab.errors import check_integer, check_real
from tdlab.streams import Part, own_stream
from tdlab.tensors.flattening4 import Flattening4, lifted, swap_middle

# Multiplications that a block of singular vectors gets, and growths of the block before the error
# counts as out of range.
_PASSES = 3
_GROWTHS = 3
_REFINEMENTS = 5
# Candidates below this share of the best value of their round wait for the next.
_SHARE = 0.8
# A candidate has arrived when its last power step kept this cosine.
_SETTLED = 0.99


@dataclass(frozen=True)
class SchrammSteurer:
    """Decompose a `tdlab.Flattening4` whose components are orthonormal with coefficient 1.

    Parameters
    ----------
    truncate : bool
        Clip the flattenings; without it this is the plain random contraction, for comparison.
    contractions : int
        Random contractions a round, as a multiple of n.
    power_steps : int
    rounds : int
    error : float
        Spectral norm of T less its fit up to which the fit counts as a success; below 1/2 always,
        since an unrelated orthonormal tensor may lie as near from there on.
    """

    name: ClassVar[str] = "schramm-steurer"
    orders: ClassVar[tuple[int, ...]] = (4,)
    accepts: ClassVar[tuple[str, ...]] = ("flattening4",)
    version: ClassVar[int] = 2
    guarantee: ClassVar[str] = "orthonormal components under a small constant spectral error"
    cost: ClassVar[str] = "O(n^5)"
    source: ClassVar[str] = "Schramm and Steurer (2017), arXiv 1706.08672"

    truncate: bool = True
    contractions: int = 1
    power_steps: int = 3
    rounds: int = 6
    error: float = 0.5

    def __post_init__(self) -> None:
        for option in ("contractions", "power_steps", "rounds"):
            check_integer(f"method 'schramm-steurer', option '{option}'", getattr(self, option), 1)
        check_real("method 'schramm-steurer', option 'error'", self.error, 0.0)

    def reach(self, dim: int, order: int) -> int:
        """All of an orthonormal basis."""
        return dim

    def limit(self, dim: int, order: int) -> int:
        """No more than ``dim`` vectors are orthonormal."""
        return dim

    def run(
        self, tensor: Flattening4, rank: int, *, rng: np.random.Generator, budget: Budget
    ) -> Decomposition:
        rng = own_stream(rng, Part.METHOD)
        matrix = tensor.matrix
        if self.truncate:
            clipped = _clip(matrix, rng)
            clipped = None if clipped is None else _clip(swap_middle(clipped), rng)
            if clipped is None:
                return self._judge(tensor, rank, budget, np.empty((0, tensor.dim)), 0)
            matrix = swap_middle(clipped)
        rows, rounds = self._collect(matrix, rank, rng, budget)
        return self._judge(tensor, rank, budget, rows, rounds)

    def _collect(
        self, matrix: np.ndarray, rank: int, rng: np.random.Generator, budget: Budget
    ) -> tuple[np.ndarray, int]:
        """Orthonormal rows (k, n), and the rounds used."""
        dim = int(np.sqrt(len(matrix)))
        rows = np.empty((0, dim))
        done = 0
        while done < self.rounds and len(rows) < rank and not budget.expired:
            done += 1
            free = np.eye(dim) - rows.T @ rows
            gaussian = rng.standard_normal((self.contractions * dim, dim, dim))
            # Contractions in the complement of what was found: it cannot be found again.
            gaussian = (free @ gaussian @ free).reshape(len(gaussian), -1)
            slices = (gaussian @ matrix.T).reshape(-1, dim, dim)
            slices = free @ slices @ free
            points = _top_vectors(slices, rng)
            before = points
            for _ in range(self.power_steps):
                before = points
                image = (lifted(points) @ matrix).reshape(-1, dim, dim)
                points = _unit(np.einsum("bij,bj->bi", image, points) @ free)
            settled = np.abs(np.einsum("ij,ij->i", before, points)) >= _SETTLED
            if not settled.any():
                continue
            points = points[settled]
            pairs = lifted(points)
            values = np.einsum("ij,ij->i", pairs @ matrix, pairs)
            best = np.argsort(-values, kind="stable")
            for candidate in best[values[best] >= _SHARE * values[best[0]]]:
                point = points[candidate]
                if len(rows) < rank and np.abs(rows @ point).max(initial=0.0) < 0.5:
                    rows = np.vstack([rows, point])
            # The nearest orthonormal rows: what is projected out must be a projection.
            left, _, right = np.linalg.svd(rows, full_matrices=False)
            rows = left @ right
        for _ in range(_REFINEMENTS if len(rows) else 0):
            rows = _polar_step(matrix, rows)
        return rows, done

    def _judge(
        self, tensor: Flattening4, rank: int, budget: Budget, rows: np.ndarray, rounds: int
    ) -> Decomposition:
        late = budget.expired
        if late:
            reason = "Stopped by max_seconds."
        elif rounds:
            reason = (
                f"Found {len(rows)} of {rank} orthonormal components before the rounds ran out."
            )
        else:
            reason = (
                "Too many singular values of the flattening exceed 1: the error is out of range, "
                "or the components do not have coefficient 1."
            )
        result = finish(
            self,
            tensor,  # type: ignore[arg-type]  # norm, evaluate and inner are all it needs
            rank,
            budget,
            components=rows,
            weights=np.ones(len(rows)),
            nit=rounds,
            message=reason,
            status=Status.TIME_LIMIT if late else Status.STAGNATED,
        )
        if len(rows) < rank:
            # Fewer terms are an answer only where they fit exactly, or to a noise that was given.
            return dataclasses.replace(result, unique="unknown")
        error = _distance(tensor.matrix, rows)
        # For any orthonormal b within e of T: <b^4, T_a> >= 1 - 2 e, and sum_j <a_j, b>^4 is at
        # most max_j <a_j, b>^2.
        cosine = np.sqrt(max(1.0 - 2.0 * error, 0.0))
        within = bool(error <= self.error and cosine > 0)
        message = f"The tensor differs from the fit by spectral norm {error:.3g}"
        if within:
            message += (
                f": any orthonormal tensor as near has components of cosine >= {cosine:.3f} "
                "with these."
            )
        elif cosine > 0:
            message += f", more than error={self.error:g}: not what was asked for."
        else:
            message += (
                ", 1/2 or more: an unrelated orthonormal tensor may be as near, so nothing is sure "
                "of these components."
            )
        return dataclasses.replace(
            result,
            success=within,
            unique="unknown",
            status=Status.CONVERGED if within else Status.STAGNATED,
            message=message,
            seconds=budget.seconds,
        )


def _clip(matrix: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """The matrix with its singular values above 1 set to 1; None if too many exceed 1.

    Block power iteration on 2n + 10 vectors: the signal has n singular values near 1, and those
    that are above it by little matter little. A block that is all above 1 grows.
    """
    dim = int(np.sqrt(len(matrix)))
    width = min(2 * dim + 10, len(matrix))
    for _ in range(_GROWTHS):
        basis = rng.standard_normal((len(matrix), width))
        for _ in range(_PASSES):
            basis = np.linalg.qr(matrix @ basis)[0]
            basis = np.linalg.qr(matrix.T @ basis)[0]
        left, values, right = np.linalg.svd(matrix @ basis, full_matrices=False)
        if values[-1] <= 1.0:
            excess = np.maximum(values - 1.0, 0.0)
            return matrix - (left * excess) @ (right @ basis.T)
        width = min(2 * width, len(matrix))
    return None


def _top_vectors(slices: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Top left and right singular vectors of each slice (b, n, n): a (2 b, n) array."""
    left, _, right = np.linalg.svd(slices)
    return np.vstack([left[:, :, 0], right[:, 0, :]])


def _polar_step(matrix: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The orthonormal rows nearest to T(., a_i, a_i, a_i), averaged over the free mode."""
    dim = rows.shape[1]
    pairs = lifted(rows)
    right = (pairs @ matrix.T).reshape(-1, dim, dim)
    below = (pairs @ matrix).reshape(-1, dim, dim)
    total = right + right.transpose(0, 2, 1) + below + below.transpose(0, 2, 1)
    left, _, across = np.linalg.svd(np.einsum("bij,bj->bi", total, rows), full_matrices=False)
    return left @ across


def _distance(matrix: np.ndarray, rows: np.ndarray) -> float:
    """Spectral norm of M - sum_i (a_i (x) a_i)(a_i (x) a_i)^T, by Lanczos from a fixed start."""
    from scipy.sparse.linalg import svds

    pairs = lifted(rows)
    rest = matrix - pairs.T @ pairs
    if len(matrix) < 10:
        return float(np.linalg.norm(rest, 2))
    size = float(np.linalg.norm(rest))
    if size <= 1e-13 * len(rows):
        # An upper bound that is rounding; Lanczos has no start on a matrix of zeros.
        return size
    start = np.cos(np.arange(len(matrix)))
    values = svds(rest, k=1, v0=start, return_singular_vectors=False)
    return float(np.ravel(values)[0])  # type: ignore[arg-type] (stub: svds)


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-300)
