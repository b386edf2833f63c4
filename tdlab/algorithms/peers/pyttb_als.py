"""pyttb's CP-ALS on the dense array: the peer from the Tensor Toolbox family.

Solves     T ~ sum_i a_i (x) b_i (x) c_i, blind to the symmetry; the modes are averaged at the end
Guarantee  none
Cost       an iteration: one MTTKRP of 2 d^k r flops a mode; the d^k array is formed
Sources    Bader and Kolda (2006), ACM TOMS 32(4); github.com/sandialabs/pyttb

pyttb comes with the extra ``peers``; without it every decomposition is ``unsupported``.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import ClassVar

import numpy as np

from tdlab.algorithms.base import Budget, Decomposition, Status, finish
from tdlab.algorithms.peers.als import CHUNK, best_start
from tdlab.errors import check_integer, check_real
from tdlab.streams import Part, own_stream
from tdlab.tensors import SymmetricTensor


@dataclass(frozen=True)
class PyttbALS:
    """Decompose a tensor with ``pyttb.cp_als`` from factors uniform in [0, 1], its own start.

    Starts without negative entries often end in local minima, even for orthogonal components.

    Parameters
    ----------
    restarts : int
        Starts tried until one fits.
    iterations : int
        ALS sweeps of one start.
    tolerance : float
        Change of the fit, 1 - residual, in one sweep that ends a start (``stoptol``).
    """

    name: ClassVar[str] = "pyttb-als"
    orders: ClassVar[tuple[int, ...]] = (3, 4, 5)
    version: ClassVar[int] = 1
    guarantee: ClassVar[str] = "none"
    cost: ClassVar[str] = "O(d^3 r) a sweep and the dense array"
    source: ClassVar[str] = "Bader and Kolda (2006); pyttb (extra 'peers')"

    restarts: int = 10
    iterations: int = 2000
    tolerance: float = 1e-9

    def __post_init__(self) -> None:
        for option in ("restarts", "iterations"):
            check_integer(f"method 'pyttb-als', option '{option}'", getattr(self, option), 1)
        check_real("method 'pyttb-als', option 'tolerance'", self.tolerance, 0.0)

    def reach(self, dim: int, order: int) -> int:
        """Half the dimension, recovered in all of 6 trials of iid components at d = 10 and 20.

        Of 6 trials more: 5 at d = r = 10, all at d = 20, r = 30, both with 3 restarts.
        """
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
        if find_spec("pyttb") is None:
            return finish(
                self,
                tensor,
                rank,
                budget,
                components=None,
                status=Status.UNSUPPORTED,
                message="'pyttb-als' needs pyttb: pip install 'tdlab[peers]'.",
            )
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
        pyttb = import_module("pyttb")
        # What init="random" does, from our stream and not from NumPy's global state.
        factors = [rng.uniform(size=(len(array), rank)) for _ in range(array.ndim)]
        for first in range(0, self.iterations, CHUNK):
            sweeps = min(CHUNK, self.iterations - first)
            try:
                # A column that has become zero is divided by its size; `finish` leaves it out.
                with np.errstate(divide="ignore", invalid="ignore"):
                    model, _, output = pyttb.cp_als(
                        pyttb.tensor(array),
                        rank,
                        init=pyttb.ktensor(factors),
                        stoptol=self.tolerance,
                        maxiters=sweeps,
                        printitn=0,
                    )
            except np.linalg.LinAlgError:
                # Two columns have become the same, and pyttb solves without damping.
                break
            factors = [np.asarray(factor) for factor in model.factor_matrices]
            history.append(float(output["normresidual"]))
            if output["iters"] + 1 < sweeps or budget.expired:
                break
        return factors
