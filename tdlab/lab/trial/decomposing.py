"""A decomposition method as a contender: it is given the instance's tensor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tdlab.algorithms import decompose
from tdlab.algorithms.base import Status
from tdlab.lab.trial.contender import Attempt
from tdlab.problems import Answer, Terms
from tdlab.tensors import DenseTensor

if TYPE_CHECKING:
    import numpy as np

    from tdlab.lab.spec.cells import Cell
    from tdlab.problems import Instance


@dataclass(frozen=True)
class Decomposing:
    """Of a cell; on another device than "cpu" torch holds the tensor."""

    cell: Cell
    device: str = "cpu"

    def run(
        self,
        instance: Instance,
        *,
        rng: np.random.Generator,
        left: Callable[[], float],
        observe: Callable[[Any], None],
    ) -> Attempt:
        """Decompose the tensor into as many terms as the cell asks for, to an exact fit."""
        tensor = instance.tensor()
        if self.cell.problem.dense and not self.cell.problem.null:
            tensor = DenseTensor(tensor.dense())
        if self.device != "cpu":
            tensor = tensor.to(self.device)
        method, limit = self.cell.method, left()
        found = decompose(
            tensor,
            method.terms(self.cell.rank),
            method=method.name,
            rng=rng,
            noise=0.0,
            max_seconds=limit,
            **dict(method.options),
        )
        observe(found)
        if found.status is Status.UNSUPPORTED:
            return Attempt(found.status, found.message)
        if found.status is Status.TIME_LIMIT or (not found.success and found.seconds >= limit):
            return Attempt(Status.TIME_LIMIT, found.message)
        return Attempt(
            found.status,
            found.message,
            Answer(Terms(found.components, found.weights, found.order)),
            found.residual,
            found.seconds,
        )
