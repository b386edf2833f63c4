"""TensorLy's CP-ALS on the dense array: the peer that a user would pick first.

Solves     T ~ sum_i a_i (x) b_i (x) c_i, blind to the symmetry; the modes are averaged at the end
Guarantee  none
Cost       an iteration: 3 MTTKRPs of 2 d^3 r flops; the d^3 array is formed
Sources    Carroll and Chang (1970); Harshman (1970); Kossaifi et al. (2019), arXiv 1610.09555
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tdlab.algorithms.base import Budget, Decomposition
from tdlab.algorithms.peers.als import CHUNK, best_start
from tdlab.errors import check_choice, check_integer, check_real
from tdlab.streams import Part, own_stream
from tdlab.tensors import SymmetricTensor


@dataclass(frozen=True)
class TensorlyALS:
    """Decompose a tensor with ``tensorly.decomposition.parafac``.

    Parameters
    ----------
    init : {"random", "svd"}
    restarts : int
        Starts tried until one fits (``"svd"`` adds random columns beyond the dimension).
    iterations : int
        ALS sweeps of one start.
    tolerance : float
        A start ends when 50 sweeps lower the squared error by less than this share of it.
    """

    name: ClassVar[str] = "tensorly-als"
    orders: ClassVar[tuple[int, ...]] = (3, 4, 5)
    version: ClassVar[int] = 1
    guarantee: ClassVar[str] = "none"
    cost: ClassVar[str] = "O(d^3 r) a sweep and the dense array"
    source: ClassVar[str] = "Kossaifi et al. (2019), arXiv 1610.09555"

    init: str = "random"
    restarts: int = 3
    iterations: int = 2000
    tolerance: float = 1e-3

    def __post_init__(self) -> None:
        check_choice("method 'tensorly-als', option 'init'", self.init, ("random", "svd"))
        for option in ("restarts", "iterations"):
            check_integer(f"method 'tensorly-als', option '{option}'", getattr(self, option), 1)
        check_real("method 'tensorly-als', option 'tolerance'", self.tolerance, 0.0)

    def reach(self, dim: int, order: int) -> int:
        """Half the dimension: 55 of 60 planted problems recovered at d = 10 and 12."""
        return max(dim // 2, 1)

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
        array = tensor.dense() / tensor.norm()

        def descend(history: list[float]) -> list[np.ndarray]:
            return self._descend(array, rank, rng, history, budget)

        return best_start(self, tensor, rank, budget, descend)

    def _descend(
        self,
        array: np.ndarray,
        rank: int,
        rng: np.random.Generator,
        history: list[float],
        budget: Budget,
    ) -> list[np.ndarray]:
        """One start: one (dim, rank) factor a mode."""
        from tensorly.cp_tensor import CPTensor
        from tensorly.decomposition import parafac
        from tensorly.decomposition._cp import initialize_cp

        state = np.random.RandomState(rng.integers(2**32))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            cp = initialize_cp(array, rank, init=self.init, random_state=state)
            previous = np.inf
            for _ in range(0, self.iterations, CHUNK):
                weights, factors = cp
                cp, errors = parafac(
                    array,
                    rank,
                    n_iter_max=CHUNK,
                    init=CPTensor((weights, factors)),  # pyright: ignore[reportArgumentType] (a CPTensor is accepted; the default's type is inferred)
                    tol=0,
                    return_errors=True,
                )
                squared = float(errors[-1]) ** 2
                history.append(float(errors[-1]))
                # tensorly's error comes from squares too: below this it is rounding.
                small = squared < 1e-15 or squared > (1 - self.tolerance) * previous
                if small or budget.expired:
                    break
                previous = squared
        return [np.asarray(factor) for factor in cp[1]]
