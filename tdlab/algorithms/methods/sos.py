"""Sums of squares: flattest pseudo-expectation, random contractions, least squares.

Solves     T = sum_i a_i w_i^{(x)3} with positive a_i of similar size, overcomplete too
Guarantee  none for this form. Ma, Shi and Steurer prove d^{3/2} up to logarithms for random
           components with constraints of higher degree
Cost       per tau a dense eigendecomposition of side d(d+3)/2 for each of ``iterations`` steps
Sources    Ma, Shi and Steurer (FOCS 2016), arXiv 1610.01980; `tdlab.sos.pseudo` for what differs

The value tau that the components reach on average is not known: T(w_i) = 1 plus the crosstalk of
the others. It is searched for downwards from |T| / sqrt(r), its size for orthogonal components.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tdlab.algorithms.base import Budget, Decomposition, Status, finish
from tdlab.algorithms.descent.gram import refine
from tdlab.algorithms.parts.candidates import distinct
from tdlab.errors import check_integer
from tdlab.sos.basis import Relaxation
from tdlab.sos.forms import Form
from tdlab.sos.maximize import climb
from tdlab.sos.memory import required_memory
from tdlab.sos.pseudo import contract, flattest_moments
from tdlab.streams import Part, own_stream
from tdlab.tensors import SymmetricTensor
from tdlab.tensors.base import ARRAY_BYTES

_TAUS = (1.0, 0.95, 0.9, 0.8, 0.7, 0.6)
_SAME = 0.9
_ROUNDINGS = 4  # for each tau; the second one climbs
_CLIMB = 6


@dataclass(frozen=True)
class SOS:
    """Decompose an order-3 tensor through a pseudo-expectation of degree 4.

    Parameters
    ----------
    iterations : int
        ADMM steps for each value tau.
    contractions : int
        Random contractions a component.
    """

    name: ClassVar[str] = "sos"
    orders: ClassVar[tuple[int, ...]] = (3,)
    version: ClassVar[int] = 1
    guarantee: ClassVar[str] = "none in this form"
    cost: ClassVar[str] = "an eigendecomposition of side d(d+3)/2 for each of `iterations` steps"
    source: ClassVar[str] = "Ma, Shi and Steurer (2016), arXiv 1610.01980"

    iterations: int = 150
    contractions: int = 40

    def __post_init__(self) -> None:
        for option in ("iterations", "contractions"):
            check_integer(f"method 'sos', option '{option}'", getattr(self, option), 1)

    def reach(self, dim: int, order: int) -> int:
        """1.5 dim from dim = 8: at least half of the trials recovered every component.

        Measured on iid components with unit coefficients, 6 trials a cell: all at r = 8, 10, 12
        (d = 8) and 12, 18 (d = 12), 4 of 6 at r = 24; at d = 16 3 of 3 (r = 24), 2 of 3 (r = 32).
        """
        return int(1.5 * dim) if dim >= 8 else max(dim // 2, 1)

    def limit(self, dim: int, order: int) -> None:
        """Any rank."""
        return None

    def required_bytes(self, tensor: SymmetricTensor) -> int:
        """The relaxation of degree 4."""
        return required_memory(tensor.dim, 3, 4)

    def run(
        self, tensor: SymmetricTensor, rank: int, *, rng: np.random.Generator, budget: Budget
    ) -> Decomposition:
        rng = own_stream(rng, Part.METHOD)
        form = Form.of(tensor, ARRAY_BYTES)
        relaxation = Relaxation(tensor.dim, 3, 4)
        target = form.target(relaxation)
        typical = float(np.ldexp(tensor.norm(), -form.exponent) / np.sqrt(rank))
        best, best_weights, least = np.empty((0, tensor.dim)), np.empty(0), np.inf
        nit, history = 0, []
        for tau in _TAUS:
            moments, steps = flattest_moments(
                relaxation,
                target,
                tau * typical,
                iterations=self.iterations,
                expired=lambda: budget.expired,
            )
            nit += steps
            for rounding in range(_ROUNDINGS):
                if budget.expired:
                    break
                rows = self._round(tensor, relaxation, moments, rank, rng, polish=rounding == 1)
                rows, weights, squared = refine(tensor, rows, budget)
                if squared < least:
                    best, best_weights, least = rows, weights, squared
                history.append(float(np.sqrt(max(least, 0.0))))
                if history[-1] <= budget.target:
                    break
            if budget.expired or (history and history[-1] <= budget.target):
                break
        late = budget.expired
        return finish(
            self,
            tensor,
            rank,
            budget,
            components=best,
            weights=best_weights,
            status=Status.TIME_LIMIT if late else Status.STAGNATED,
            message="Stopped by max_seconds." if late else _NOT_FOUND,
            nit=nit,
            history=tuple(history),
        )

    def _round(
        self,
        tensor: SymmetricTensor,
        relaxation: Relaxation,
        moments: np.ndarray,
        rank: int,
        rng: np.random.Generator,
        polish: bool,
    ) -> np.ndarray:
        """Top eigenvectors of random contractions: at most ``rank`` distinct unit rows.

        Correlated components tilt the eigenvectors; a few ascent steps on T undo that.
        """
        upper = len(relaxation.blocks[0])
        directions = rng.standard_normal((self.contractions * rank, upper))
        values, vectors = np.linalg.eigh(contract(relaxation, moments, directions))
        top = np.argmax(np.abs(values), axis=1)
        rows = vectors[np.arange(len(vectors)), :, top]
        if polish:
            rows = climb(tensor, rows, _CLIMB)
        scores = tensor.evaluate(rows)
        rows = rows * np.where(scores < 0.0, -1.0, 1.0)[:, None]
        return rows[distinct(rows, np.abs(scores), _SAME, rank)]


_NOT_FOUND = (
    "No value of tau gave a pseudo-expectation whose contractions lead to the components. "
    "Try method='auto'."
)
