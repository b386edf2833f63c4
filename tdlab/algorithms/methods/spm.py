"""The subspace power method: components are the rank-one points of the flattening's range.

Solves     T = sum_i a_i w_i^{(x)k} (k = 4 to 7, any signs) while the w_i^{(x)m}, k = 2m or 2m - 1,
           are independent and span no other m-th power: d(d-1)/2 generic components at order 4;
           at odd orders while the w_i^{(x)(m-1)} are independent too: d(d+1)/2 at order 5
Guarantee  local maxima of value 1 are exactly the components; others were not met at r < .45 d^2
Cost       one eigenproblem of size N = C(d+m-1, m), then O(N r) an iteration and start
Sources    Kileel and Pereira (2019), arXiv 1912.04007

F(x) = |V^T x^{(x)m}|^2 with V an orthonormal basis of the range is at most |x|^{2m}, with equality
only at components. Many starts run as one block; what has arrived is polished on the undeflated
space, so that errors do not add up, and is then deflated from V.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tdlab.algorithms.base import Budget, Decomposition, Status, finish
from tdlab.algorithms.descent.even import (
    LARGEST_FLATTENING,
    Packing,
    Spectrum,
    packed_size,
    spectrum,
)
from tdlab.algorithms.descent.polish import polish
from tdlab.algorithms.words import n_terms
from tdlab.errors import check_integer, check_real
from tdlab.streams import Part, own_stream
from tdlab.tensors import SymmetricTensor

# 1 - F at which a start has arrived in single precision, at which it counts after its polish on
# the full space in double precision, and at which that polish ends.
_ARRIVED = 1e-5
_ACCEPTED = 1e-7
_POLISHED = 1e-9
_POLISH_STEPS = 100
# Loudest noise that is looked through where nobody stated it.
_LOUDEST = 0.3
# Iterations between two looks at the block.
_LOOK = 20
# Share of what is left that must have been found before the range is deflated again.
_DEFLATE = 0.1


@dataclass(frozen=True)
class SPM:
    """Decompose a tensor of order 4 to 7 by power iteration on the range of its flattening.

    Parameters
    ----------
    block : int
        Starts that run together.
    iterations : int
        Steps of one start before a fresh one replaces it.
    shift : float
        gamma of x <- normalise(grad F / 2m + gamma x); 0 was fastest and never cycled.
    restarts : int
        Fresh starts for each component, on average, before the search gives up.
    """

    name: ClassVar[str] = "spm"
    orders: ClassVar[tuple[int, ...]] = (4, 5, 6, 7)
    version: ClassVar[int] = 3
    guarantee: ClassVar[str] = "exact where every start arrives; measured to rank .45 dim^2"
    cost: ClassVar[str] = "O(N^3) once, O(N rank) a step; N = C(dim+m-1, m) at order 2m"
    source: ClassVar[str] = "Kileel and Pereira (2019), arXiv 1912.04007"

    block: int = 256
    iterations: int = 5000
    shift: float = 0.0
    restarts: int = 20

    def __post_init__(self) -> None:
        for option in ("block", "iterations", "restarts"):
            check_integer(f"method 'spm', option '{option}'", getattr(self, option), 1)
        check_real("method 'spm', option 'shift'", self.shift, 0.0)

    def reach(self, dim: int, order: int) -> int:
        """Rank that was recovered in every trial: half of the packed flattening's size.

        All of it at order 5 (d = 3 to 12), all but ``dim`` at order 7 (d = 3 and 4).
        """
        size = packed_size(dim, order)
        if order % 2:
            return min(size if order == 5 else max(size - dim, dim), self.limit(dim, order))
        return max(dim, size // 2)

    def limit(self, dim: int, order: int) -> int:
        """Beyond it the range of a generic flattening holds powers that are no components."""
        size = packed_size(dim, order + order % 2)
        if size > LARGEST_FLATTENING:
            return 0
        # The m-th powers have dimension d in Sym^m: a generic subspace of dimension N - d + 1 or
        # more meets them (order 4: N - d = d(d-1)/2).
        return max(min(size - dim, packed_size(dim, order)), 1)

    def required_bytes(self, tensor: SymmetricTensor) -> int:
        """The array that entries are read from, where they are not at hand."""
        return 0 if tensor.entries_at_hand else tensor.array_bytes

    def run(
        self, tensor: SymmetricTensor, rank: int, *, rng: np.random.Generator, budget: Budget
    ) -> Decomposition:
        rng = own_stream(rng, Part.METHOD)
        found = spectrum(tensor, rank)
        noise, excluded = budget.noise, False
        if found.rank > rank and budget.noise == 0.0:
            # No exact sum of `rank` terms. Unstated noise fills the whole spectrum, and what it
            # leaves beyond the leading eigenvalues is nearly all of it.
            noise = found.tail
            full = found.rank == found.size
            excluded = not (budget.estimate and full and noise <= _LOUDEST)
        rows, steps = np.empty((0, tensor.dim)), 0
        if not excluded:
            rows, steps = self._search(found, noise, rng, budget)
        if len(rows):
            weights = found.coefficients(rows)
            order = np.argsort(-np.abs(weights), kind="stable")
            rows, weights, history = polish(tensor, rows[order], weights[order], budget)
        else:
            weights, history = np.empty(0), ()
        if excluded:
            reason = (
                f"The flattening has rank {found.rank}, so the tensor is no sum of "
                f"{n_terms(rank)}: try rank={found.rank}, or state the noise."
            )
            status = Status.BREAKDOWN
        elif budget.expired:
            status, reason = Status.TIME_LIMIT, "Stopped by max_seconds."
        elif len(rows) == rank:
            status = Status.STAGNATED
            reason = (
                f"{rank} powers lie in the range of the flattening, but do not fit the tensor: it "
                "carries noise (state it), or other terms."
            )
        else:
            status = Status.STAGNATED
            reason = (
                f"Found {len(rows)} of {len(found.values)} components before the starts ran out: "
                "raise restarts, or the tensor is no sum of that many real powers."
            )
        return finish(
            self,
            tensor,
            rank,
            budget,
            components=rows,
            weights=weights,
            status=status,
            message=reason,
            nit=steps + len(history),
            history=history,
        )

    def _search(
        self, found: Spectrum, noise: float, rng: np.random.Generator, budget: Budget
    ) -> tuple[np.ndarray, int]:
        """Unit rows whose powers lie in the range up to the noise, and the iterations done."""
        packing, total = found.packing, len(found.values)
        whole = _Range(packing, found.vectors)
        slack = 4.0 * noise**2
        # Starts climb in single precision, at half the memory traffic.
        single = np.float32
        rows = np.empty((0, packing.dim))
        space = _Range(packing, found.vectors.astype(single))
        steps, fresh, deflated = 0, 0, 0
        points = np.empty((0, packing.dim), dtype=single)
        ages = np.empty(0, dtype=int)
        while len(rows) < total and not budget.expired:
            left = total - len(rows)
            # More starts than a third of what is left mostly meet each other.
            wanted = max(min(self.block, math.ceil(left / 3)), min(left, 4))
            missing = max(wanted - len(points), 0)
            if fresh + missing > self.restarts * total:
                break
            fresh += missing
            new = _unit(rng.standard_normal((missing, packing.dim)))
            points = np.vstack([points, new.astype(single)])
            ages = np.concatenate([ages, np.zeros(missing, dtype=int)])
            points, values = space.climb(points, self.shift, _LOOK)
            steps += _LOOK
            ages += _LOOK
            done = values >= 1.0 - _ARRIVED - slack
            if done.any():
                taken = whole.finish(
                    _distinct(_unit(points[done].astype(float)), rows), self.shift, slack
                )
                taken = _distinct(taken, rows)
                if len(taken):
                    rows = np.vstack([rows, taken])[:total]
                if len(rows) - deflated > _DEFLATE * (total - deflated) and len(rows) < total:
                    deflated = len(rows)
                    space = _Range(packing, _deflated(found, rows).astype(single))
            keep = ~done & (ages < self.iterations)
            points, ages = points[keep], ages[keep]
        return rows, steps


class _Range:
    """A subspace of Sym^m, given by an orthonormal basis whose precision the work is done in."""

    def __init__(self, packing: Packing, basis: np.ndarray) -> None:
        self.packing = dataclasses.replace(packing, scales=packing.scales.astype(basis.dtype))
        self.basis = basis

    def climb(self, points: np.ndarray, shift: float, steps: int) -> tuple[np.ndarray, np.ndarray]:
        """``steps`` power steps on unit rows (b, d), and F before the last."""
        values = np.zeros(len(points), dtype=points.dtype)
        for _ in range(steps):
            along = self.packing.lift(points) @ self.basis
            values = np.einsum("ij,ij->i", along, along)
            gradient = self.packing.contract(along @ self.basis.T, points)
            points = _unit(gradient + shift * points)
        return points, values

    def finish(self, points: np.ndarray, shift: float, slack: float) -> np.ndarray:
        """Those of the rows that arrive at F = 1 on this space too."""
        if not len(points):
            return points
        values = np.zeros(len(points))
        for _ in range(_POLISH_STEPS):
            points, values = self.climb(points, shift, 5)
            if values.min() >= 1.0 - _POLISHED:
                break
        return points[values >= 1.0 - _ACCEPTED - slack]


def _deflated(found: Spectrum, rows: np.ndarray) -> np.ndarray:
    """Basis of the range of the flattening less the found terms.

    F - sum_i a_i z_i y_i^T = V (D - A diag(a) B^T) U^T with A = V^T Z, B = U^T Y, and y = z, U = V
    at even orders, is annihilated from the left by V D^{-1} B: its complement is what is left.
    """
    kernel = found.along(rows).T / found.values[:, None]
    complete = np.linalg.qr(kernel / np.linalg.norm(kernel, axis=0), mode="complete")[0]
    return found.vectors @ complete[:, kernel.shape[1] :]


def _distinct(points: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The rows that are neither close to known ones nor to earlier rows, up to sign."""
    if not len(points):
        return points
    fresh = np.ones(len(points), dtype=bool)
    if len(known):
        fresh &= np.abs(points @ known.T).max(axis=1) < _SAME
    points = points[fresh]
    close = np.triu(np.abs(points @ points.T) >= _SAME, 1)
    return points[~close.any(axis=0)]


# Two arrived points are one component when their cosine is above this.
_SAME = 1.0 - 1e-4


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
