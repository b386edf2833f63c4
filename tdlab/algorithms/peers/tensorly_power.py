"""TensorLy's symmetric power iteration on the dense array: the peer of ``power``.

Solves     T = sum_i a_i w_i^{(x)3} for orthogonal w_i, one component at a time with deflation
Guarantee  none; its fixed points are biased where components are not orthogonal
Cost       a component: (repeats + 1) x iterations x 3 contractions of 2 d^3 flops; the d^3 array
Sources    Anandkumar et al. (2014), arXiv 1210.7559; Kossaifi et al. (2019), arXiv 1610.09555
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tdlab.algorithms.base import Budget, Decomposition, Status, finish
from tdlab.errors import check_integer
from tdlab.streams import Part, own_stream
from tdlab.tensors import SymmetricTensor


@dataclass(frozen=True)
class TensorlyPower:
    """Decompose a tensor as ``tensorly.decomposition.symmetric_parafac_power_iteration`` does.

    Its own coefficients stand, and nothing is polished.

    Parameters
    ----------
    repeats : int
        Starts of a component (``n_repeat``).
    iterations : int
        Power iterations of a start, and again of the best one (``n_iteration``).
    """

    name: ClassVar[str] = "tensorly-power"
    orders: ClassVar[tuple[int, ...]] = (3,)
    version: ClassVar[int] = 1
    guarantee: ClassVar[str] = "none"
    cost: ClassVar[str] = "O(repeats iterations d^3) a component, and the dense array"
    source: ClassVar[str] = "Kossaifi et al. (2019), arXiv 1610.09555"

    repeats: int = 10
    iterations: int = 10

    def __post_init__(self) -> None:
        for option in ("repeats", "iterations"):
            check_integer(f"method 'tensorly-power', option '{option}'", getattr(self, option), 1)

    def reach(self, dim: int, order: int) -> int:
        """One component: two that are not orthogonal already bias each other."""
        return 1

    def limit(self, dim: int, order: int) -> None:
        """Any rank."""
        return None

    def required_bytes(self, tensor: SymmetricTensor) -> int:
        """The array of all entries, as the peer takes it."""
        return 8 * tensor.dim**tensor.order

    def run(
        self, tensor: SymmetricTensor, rank: int, *, rng: np.random.Generator, budget: Budget
    ) -> Decomposition:
        rng = own_stream(rng, Part.METHOD)
        # The loop over components is tensorly's, written out so that the clock can stop it.
        from tensorly.decomposition import symmetric_power_iteration

        norm = tensor.norm()
        rest = tensor.dense() / norm
        rows: list[np.ndarray] = []
        weights: list[float] = []
        history: list[float] = []
        # tensorly draws starts from NumPy's global state: it gets a seed of ours, and goes back.
        state = np.random.get_state()  # noqa: NPY002
        np.random.seed(rng.integers(2**32))  # noqa: NPY002
        try:
            for _ in range(rank):
                weight, row, rest = symmetric_power_iteration(
                    rest, n_repeat=self.repeats, n_iteration=self.iterations
                )
                rows.append(np.asarray(row))
                weights.append(norm * float(weight))
                history.append(float(np.linalg.norm(rest)))
                # Of nothing, the peer's power steps divide by zero.
                if budget.expired or history[-1] == 0.0:
                    break
        finally:
            np.random.set_state(state)  # noqa: NPY002
        late = budget.expired
        return finish(
            self,
            tensor,
            rank,
            budget,
            components=np.array(rows),
            weights=np.array(weights),
            status=Status.TIME_LIMIT if late else Status.STAGNATED,
            message="Stopped by max_seconds." if late else _BIASED,
            nit=len(rows) * (self.repeats + 1) * self.iterations,
            history=tuple(history),
        )


_BIASED = (
    "Power iteration with deflation is biased where components are not orthogonal. "
    "Try method='auto'."
)
