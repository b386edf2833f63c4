"""Koszul-Young flattenings: exact decomposition beyond the dimension, by linear algebra.

Solves     T = sum_i a_i w_i^{(x)3}, rank < 1.5 d, 1.67 d, 1.75 d for p = 1, 2, 3, any coefficients
Guarantee  exact for generic components while r C(2p,p) + C(2p+1,p-1) < C(2p+1,p) d
Cost       a projection: one LU of size C(2p+1,p) d; then one LU of size d(d+1)/2, and power steps
Sources    Landsberg and Ottaviani (2013), arXiv 1111.4567; Kothari, Moitra and Wein (2024),
           arXiv 2411.14344; Kileel and Pereira (2019), arXiv 1912.04007 for the power steps

Project one mode to R^q, q = 2p+1: u_i = P w_i. The flattening z -> sum_i a_i (u_i ^ z(w_i)) (x) w_i
from Lambda^p (x) R^d to Lambda^{p+1} (x) R^d has rank r C(2p,p), so u_i ^ z(w_i) = 0 for each z in
its kernel: C(q,p+1) quadrics that vanish at every w_i. The matrices that all quadrics annihilate
are span{w_i w_i^T}, whose rank-one elements the subspace power method finds.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import ceil, comb
from typing import ClassVar

import numpy as np

from tdlab.algorithms.base import Budget, Decomposition, Status, finish
from tdlab.algorithms.descent.gram import refine
from tdlab.algorithms.parts.candidates import distinct, random_units, subspace_power
from tdlab.algorithms.parts.precondition import Frame, precondition
from tdlab.errors import InputError, check_integer
from tdlab.streams import Part, own_stream
from tdlab.tensors import SymmetricTensor

_LARGEST_P = 3
_SAME = 1.0 - 1e-4
# An ill-conditioned kernel blurs the space; the joint polish makes up for it.
_NEAR = 1e-5


@dataclass(frozen=True)
class KoszulYoung:
    """Decompose an order-3 tensor of rank up to 1.75 times its dimension.

    Parameters
    ----------
    p : int
        Degree of the flattening, 1 to 3; 0 takes the smallest that reaches the rank.
    draws : int
        Attempts with fresh projections, each with more of them than the last.
    """

    name: ClassVar[str] = "koszul-young"
    orders: ClassVar[tuple[int, ...]] = (3,)
    version: ClassVar[int] = 1
    guarantee: ClassVar[str] = "exact for generic components, r C(2p,p) + C(2p+1,p-1) < C(2p+1,p) d"
    cost: ClassVar[str] = "O((C(2p+1,p) d)^3) a projection, O(d^6) for the joint kernel"
    source: ClassVar[str] = "Landsberg and Ottaviani (2013); Kothari, Moitra and Wein (2024)"

    p: int = 0
    draws: int = 3

    def __post_init__(self) -> None:
        check_integer("method 'koszul-young', option 'draws'", self.draws, 1)
        if check_integer("method 'koszul-young', option 'p'", self.p, 0) > _LARGEST_P:
            raise InputError(f"method 'koszul-young', option 'p': got {self.p}, wanted 0 to 3")

    def reach(self, dim: int, order: int) -> int:
        """Largest rank for which the inequality holds."""
        return max((largest_rank(dim, p) for p in self._degrees(dim)), default=0)

    def limit(self, dim: int, order: int) -> int:
        """Beyond the inequality the kernel has only trivial elements; 0 below dimension 2p + 1."""
        return self.reach(dim, order)

    def _degrees(self, dim: int) -> tuple[int, ...]:
        """The p that may be used: a mode is projected to 2p + 1 <= dim dimensions."""
        wanted = (self.p,) if self.p else range(1, _LARGEST_P + 1)
        return tuple(p for p in wanted if 2 * p + 1 <= dim)

    def run(
        self, tensor: SymmetricTensor, rank: int, *, rng: np.random.Generator, budget: Budget
    ) -> Decomposition:
        rng = own_stream(rng, Part.METHOD)
        p = next(p for p in self._degrees(tensor.dim) if rank <= largest_rank(tensor.dim, p))
        frame = precondition(tensor, centred=False)
        results: list[Decomposition] = []
        for draw in range(self.draws):
            matrices = _matrix_space(frame, rank, p, draw, rng, budget)
            rows = None if matrices is None else _rank_ones(matrices, rng, budget)
            weights = None
            if rows is not None and len(rows):
                rows, weights, _ = refine(tensor, frame.back(rows), budget)
            late = budget.expired
            results.append(
                finish(
                    self,
                    tensor,
                    rank,
                    budget,
                    components=rows,
                    weights=weights,
                    status=Status.TIME_LIMIT if late else Status.STAGNATED,
                    message="Stopped by max_seconds." if late else _INEXACT,
                    nit=draw + 1,
                    history=tuple(result.residual for result in results),
                )
            )
            if results[-1].residual <= budget.target or late:
                break
        return min(results, key=lambda result: result.residual)


_INEXACT = (
    "The joint kernel did not give components that fit: the tensor is not a sum of that many "
    "generic terms, or noise hides the kernel. Try method='auto'."
)


def largest_rank(dim: int, p: int) -> int:
    """Largest r with r C(2p,p) + C(2p+1,p-1) < C(2p+1,p) dim, and at least 1.

    At equality the kernel is the trivial one, so nothing can be read from it. Rounding the second
    term down to even for odd p, as sometimes stated, would admit that case (p = 1, odd dim).
    """
    room = comb(2 * p + 1, p) * dim - comb(2 * p + 1, p - 1)
    return max((room - 1) // comb(2 * p, p), 1)


def _matrix_space(
    frame: Frame, rank: int, p: int, draw: int, rng: np.random.Generator, budget: Budget
) -> np.ndarray | None:
    """Orthonormal basis (rank, d, d) of span{w_i w_i^T}; None if it cannot be computed in time."""
    dim = frame.tensor.dim
    size = dim * (dim + 1) // 2
    elements = max(comb(2 * p + 1, p) * dim - rank * comb(2 * p, p) - comb(2 * p + 1, p - 1), 1)
    wanted = size - rank
    # Quadrics of one projection are nearly independent for p = 1 and less so beyond.
    share = 3 if p == 1 else comb(2 * p, p)
    projections = ceil(wanted / (elements * share)) + 1 + draw
    projections = projections * (1 + draw)
    mixed = np.zeros((wanted, size))
    try:
        for _ in range(projections):
            if budget.expired:
                return None
            quadrics = _quadrics(frame.tensor, rank, p, rng)
            # Random combinations keep the span whatever the number of projections.
            mixed += rng.standard_normal((wanted, len(quadrics))) @ quadrics
        # The kernel of `mixed`: solve against random rows that make it square.
        mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
        square = np.vstack([mixed, rng.standard_normal((rank, size)) / np.sqrt(size)])
        right = np.vstack([np.zeros((wanted, rank)), np.eye(rank)])
        kernel = np.linalg.qr(np.linalg.solve(square, right))[0]
    except np.linalg.LinAlgError:
        return None
    # Coordinates of Sym^2 in which the Frobenius product is the plain one.
    upper, lower = np.triu_indices(dim)
    matrices = np.zeros((rank, dim, dim))
    values = kernel.T * np.where(upper == lower, 1.0, np.sqrt(0.5))
    matrices[:, upper, lower] = values
    matrices[:, lower, upper] = values
    return matrices


def koszul_flattening(tensor: SymmetricTensor, projection: np.ndarray) -> np.ndarray:
    """The flattening (C(q,p+1) d, C(q,p) d) of one mode projected by (q, d), q = 2p + 1.

    Its rank is r C(2p,p) for r generic terms within `largest_rank`.
    """
    dim, q = tensor.dim, len(projection)
    slices = tensor.contract(projection)
    sources, targets, terms = _wedges(q)
    flat = np.zeros((targets, dim, sources, dim))
    for j, i, k, sign in terms:
        flat[j, :, i, :] = sign * slices[k]
    return flat.reshape(targets * dim, -1)


def _wedges(q: int) -> tuple[int, int, list[tuple[int, int, int, float]]]:
    """Sizes of Lambda^p and Lambda^{p+1} of R^q, and (j, i, k, sign): e_k ^ e_i = sign e_j."""
    p = q // 2
    sources = {subset: i for i, subset in enumerate(combinations(range(q), p))}
    targets = list(combinations(range(q), p + 1))
    # e_k ^ e_I = (-1)^position of k in I + k.
    terms = [
        (j, sources[target[:place] + target[place + 1 :]], k, (-1.0) ** place)
        for j, target in enumerate(targets)
        for place, k in enumerate(target)
    ]
    return len(sources), len(targets), terms


def _quadrics(tensor: SymmetricTensor, rank: int, p: int, rng: np.random.Generator) -> np.ndarray:
    """Quadrics (m, d(d+1)/2) that vanish at every component, from one projection to 2p+1 modes."""
    dim, q = tensor.dim, 2 * p + 1
    projection = np.linalg.qr(rng.standard_normal((dim, q)))[0].T
    sources, targets, terms = _wedges(q)
    matrix = koszul_flattening(tensor, projection)
    matrix = matrix / np.linalg.norm(matrix, 2 if len(matrix) < 100 else "fro")
    nullity = len(matrix) - rank * comb(2 * p, p)
    # If K z = 0 then (K + U V') z = U (V' z): the kernel is the range of (K + U V')^{-1} U.
    left, right = (rng.standard_normal((len(matrix), nullity)) for _ in range(2))
    bordered = matrix + left @ right.T / len(matrix) ** 1.5
    kernel = np.linalg.qr(np.linalg.solve(bordered, left))[0]
    elements = kernel.reshape(sources, dim, nullity)
    upper, lower = np.triu_indices(dim)
    scale = np.where(upper == lower, 0.5, np.sqrt(0.5))
    out = np.zeros((targets, nullity, len(upper)))
    for j, i, k, sign in terms:
        u, z = sign * projection[k], elements[i].T
        out[j] += (u[upper] * z[:, lower] + u[lower] * z[:, upper]) * scale
    return out.reshape(-1, len(upper))


def _rank_ones(matrices: np.ndarray, rng: np.random.Generator, budget: Budget) -> np.ndarray:
    """Unit rows (k <= rank, d) whose squares lie in the space: coupon collection and deflation."""
    rank, dim = matrices.shape[:2]
    found = np.empty((0, dim))
    for attempt in range(40):
        space = matrices
        if attempt % 2 and len(found):
            # Starts climb where the squares found so far have been taken out of the space.
            inner = np.einsum("kij,si,sj->ks", matrices, found, found)
            rest = np.linalg.qr(inner, mode="complete")[0][:, len(found) :]
            space = np.einsum("kij,km->mij", matrices, rest)
        starts = random_units(2 * (rank - len(found)) + 16, dim, rng)
        rows, _ = subspace_power(space, starts, 20, budget)
        rows, values = subspace_power(matrices, rows, 30, budget)
        good = values >= 1.0 - _NEAR
        pool = np.vstack([found, rows[good]])
        pool = pool * np.where(pool @ np.linspace(1.0, 2.0, dim) < 0.0, -1.0, 1.0)[:, None]
        # Rows found first have the larger scores, so they stay.
        found = pool[distinct(pool, -np.arange(len(pool), dtype=float), _SAME, rank)]
        if len(found) == rank or budget.expired:
            break
    return found
