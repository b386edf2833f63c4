"""A learner as a contender: it is given samples, and of the teacher what its options ask for.

Samples come from a stream of the instance alone, row by row: learners meet the same ones, and a
larger n contains a smaller one. What the learner may know of the teacher (its rank and activation,
if it is proper; all of it, if it is a control as ``ideal``) is told here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tdlab.algorithms.base import Status
from tdlab.errors import InputError
from tdlab.lab.trial.contender import Attempt
from tdlab.learning.registry import learner, told_options
from tdlab.problems import Answer, Terms

if TYPE_CHECKING:
    from tdlab.lab.spec.cells import Cell
    from tdlab.learning import Fit
    from tdlab.problems import Instance


@dataclass(frozen=True)
class Learning:
    """Of a cell."""

    cell: Cell

    def run(
        self,
        instance: Instance,
        *,
        rng: np.random.Generator,
        left: Callable[[], float],
        observe: Callable[[Any], None],
    ) -> Attempt:
        """Fit the instance's samples."""
        X, y = instance.sample(self.cell.samples or 1)
        name, options = self.cell.method.name, dict(self.cell.method.options)
        try:
            # What the options and the facts of the teacher make impossible is said before it runs.
            asked = learner(name, **{**options, **told_options(name, **instance.told())})
        except InputError as error:
            return Attempt(Status.UNSUPPORTED, str(error))
        refusal = asked.refuses(*X.shape)
        if refusal:
            return Attempt(Status.UNSUPPORTED, refusal)
        # Whatever it raises from here on is a fault, an `InputError` too.
        fit = asked.fit(X, y, rng=rng, max_seconds=left())
        observe(fit)
        if fit.status in (Status.UNSUPPORTED, Status.TIME_LIMIT):
            return Attempt(fit.status, fit.message)
        rest, spread = y - fit.predict(X), float(np.std(y))
        return Attempt(
            fit.status,
            fit.message,
            Answer(_terms(fit, instance.order), fit.predictor),
            float(np.sqrt(np.mean(rest**2)) / spread) if spread > 0.0 else None,
            fit.seconds,
        )


def _terms(fit: Fit, order: int) -> Terms | None:
    """The units of a proper learner's network, as terms of its tensor of that order."""
    network = fit.network
    if network is None:
        return None
    rows = network.weights
    if order % 2:
        # As for the teacher: the row that has a positive coefficient in the tensor.
        rows = rows * np.where(network.output_weights < 0.0, -1.0, 1.0)[:, None]
    sizes = np.linalg.norm(rows, axis=1)
    own = network.activation.mean_derivative(order, sizes)
    weights = np.abs(network.output_weights * own) * sizes**order
    return Terms(rows[sizes > 0.0], weights[sizes > 0.0], order)
