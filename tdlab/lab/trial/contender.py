"""What takes part in a scan: whatever makes an answer of an instance.

A contender is made of a cell, before a clock runs. It says what it cannot take before it tries;
what it raises after that is a fault. It sees the instance's tensor, its samples and the facts that
it asks for, and never judges itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from tdlab.algorithms.base import Status

if TYPE_CHECKING:
    import numpy as np

    from tdlab.lab.spec.cells import Cell
    from tdlab.problems import Answer, Instance


@dataclass(frozen=True, eq=False)
class Attempt:
    """How a contender ended.

    Attributes
    ----------
    status : Status
        ``UNSUPPORTED`` and ``TIME_LIMIT`` are the trial's outcome whatever else was found.
    message : str
    answer : Answer or None
        None where the status says that there is none.
    residual : float or None
        Of its fit to what it was given, relative.
    seconds : float
        Its own time, without that of drawing and judging.
    """

    status: Status
    message: str
    answer: Answer | None = None
    residual: float | None = None
    seconds: float = 0.0


class Contender(Protocol):
    """Makes an answer of an instance."""

    def run(
        self,
        instance: Instance,
        *,
        rng: np.random.Generator,
        left: Callable[[], float],
        observe: Callable[[Any], None],
    ) -> Attempt:
        """Try.

        Parameters
        ----------
        instance : Instance
        rng : Generator
            Its own stream.
        left : function
            Seconds to the limit of the trial.
        observe : function
            Is shown what the method or learner returned, for those who replay a trial.
        """
        ...


def contender(cell: Cell, device: str) -> Contender:
    """That of a cell, on a device."""
    if cell.method.learner:
        from tdlab.lab.trial.learning import Learning

        return Learning(cell)
    from tdlab.lab.trial.decomposing import Decomposing

    return Decomposing(cell, device)
