"""Robust tensor power method: whiten by a positive definite contraction, then orthogonal power.

Solves     T = sum_i a_i w_i^{(x)3} for linearly independent w_i, so rank <= dim
Guarantee  exact for linearly independent components, whatever their signs and sizes
Cost       one eigenproblem of size dim, ~30 of size rank, and power steps of rank^3 flops a start
Sources    Anandkumar, Ge, Hsu, Kakade and Telgarsky (2014), arXiv 1210.7559

Compression to the range makes w_i a basis of R^rank. T(theta) = sum_i a_i <theta, w_i> w_i w_i^T
is mostly indefinite; theta maximises its least eigenvalue, a concave function, over the unit ball.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.optimize import nnls

from tdlab.algorithms.base import Budget, Decomposition, Status, finish
from tdlab.algorithms.parts.candidates import power_steps, random_units
from tdlab.errors import check_integer
from tdlab.streams import Part, own_stream
from tdlab.tensors import SymmetricTensor

_ROUNDS = 200


@dataclass(frozen=True)
class RTPM:
    """Decompose an order-3 tensor whose rank is at most its dimension.

    Parameters
    ----------
    starts : int
        Random starts of each component.
    iterations : int
        Power steps of a start; they converge quadratically.
    """

    name: ClassVar[str] = "rtpm"
    orders: ClassVar[tuple[int, ...]] = (3,)
    version: ClassVar[int] = 1
    guarantee: ClassVar[str] = "exact for linearly independent components (rank <= dim)"
    cost: ClassVar[str] = "O(d^3) and O(starts iterations rank^4)"
    source: ClassVar[str] = "Anandkumar et al. (2014), arXiv 1210.7559"

    starts: int = 30
    iterations: int = 40

    def __post_init__(self) -> None:
        for option in ("starts", "iterations"):
            check_integer(f"method 'rtpm', option '{option}'", getattr(self, option), 1)

    def reach(self, dim: int, order: int) -> int:
        """The dimension: all of 6 trials of iid components recovered at d = r = 10, 20, 30."""
        return dim

    def limit(self, dim: int, order: int) -> int:
        """More than ``dim`` components cannot be linearly independent."""
        return dim

    def run(
        self, tensor: SymmetricTensor, rank: int, *, rng: np.random.Generator, budget: Budget
    ) -> Decomposition:
        rng = own_stream(rng, Part.METHOD)
        basis = np.linalg.eigh(tensor.mode_gram())[1][:, -rank:]
        small = tensor.rotate(basis.T)
        values, vectors = np.linalg.eigh(_definite_contraction(small))
        if values[0] <= 0.0:
            return finish(
                self,
                tensor,
                rank,
                budget,
                components=None,
                status=Status.BREAKDOWN,
                message=_INDEFINITE,
            )
        whiten = vectors / np.sqrt(values)
        # sum_i b_i w_i w_i^T = I in the whitened variables: sqrt(b_i) w_i is orthonormal.
        rest = small.rotate(whiten.T)
        found = np.empty((0, rank))
        for _ in range(rank):
            starts = random_units(self.starts, rank, rng)
            rows = power_steps(rest.mttkrp, starts, self.iterations, budget)
            heights = rest.evaluate(rows)
            best = int(np.argmax(heights))
            found = np.vstack([found, rows[best]])
            rest = rest.minus(rows[[best]], heights[[best]])
            if budget.expired:
                break
        late = budget.expired
        unwhiten = (vectors * np.sqrt(values)).T
        return finish(
            self,
            tensor,
            rank,
            budget,
            components=found @ unwhiten @ basis.T,
            status=Status.TIME_LIMIT if late else Status.STAGNATED,
            message="Stopped by max_seconds." if late else _INEXACT,
            nit=len(found),
        )


_INDEFINITE = (
    "No contraction of the tensor is positive definite: it is not a sum of that many independent "
    "terms. Try method='auto'."
)
_INEXACT = (
    "The components found do not fit: the tensor is not a sum of that many independent terms, or "
    "these are too ill conditioned. Try method='auto'."
)


def _definite_contraction(tensor: SymmetricTensor) -> np.ndarray:
    """T(theta) of the largest least eigenvalue over |theta| <= 1.

    min over v of <theta, T(v, v)> is maximised by the direction of the point nearest to the origin
    in the convex hull of the T(v, v): fully corrective Frank-Wolfe, by non-negative least squares.
    """
    dim = tensor.dim
    points = tensor.mttkrp(np.eye(dim))
    scale = np.linalg.norm(points, axis=1).max()
    best, least = np.zeros((dim, dim)), -np.inf
    for _ in range(_ROUNDS):
        # min |points' c|^2 over c >= 0, up to scale: the row of ones pulls sum c to 1.
        system = np.vstack([points.T / scale, np.ones(len(points))])
        try:
            shares = nnls(system, np.append(np.zeros(dim), 1.0))[0]
        except RuntimeError:
            # Its active sets can cycle on nearly dependent cuts: keep the best contraction so far.
            break
        nearest = points.T @ shares
        size = float(np.linalg.norm(nearest))
        if size <= 1e-12 * scale:
            break
        matrix = tensor.contract(nearest / size)
        values, vectors = np.linalg.eigh(matrix)
        if values[0] > least:
            best, least = matrix, float(values[0])
        if shares.sum() > 0 and values[0] >= 0.5 * size / shares.sum():
            break
        # All eigenvectors that are too low are cuts, not only the lowest.
        points = np.vstack([points[shares > 0], tensor.mttkrp(vectors[:, : max(1, dim // 4)].T)])
    return best
