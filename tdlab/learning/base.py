"""What every learner shares: data in, a frozen fit out, and whether that is a network at all.

A *proper* learner outputs a network of the teacher's form, weights and all; an *improper* one
outputs any function. Hardness results speak of the first kind: least squares on all Hermite
features predicts perfectly from C(d+3, 3) samples at any width, and finds no weight.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

import numpy as np

from tdlab import _kernels
from tdlab.algorithms.base import Budget, Status
from tdlab.errors import InputError, check_array, check_real
from tdlab.networks import HermitePolynomial, TwoLayerNetwork
from tdlab.streams import Part, own_stream
from tdlab.tensors.gaussian_inputs import warn_unless_gaussian

# Rounding of a training risk beside the trivial predictor's.
_SLACK = 1e-6
# Powers of inputs and squares of labels must stay within the range of doubles.
_LARGEST_INPUT, _LARGEST_LABEL = 1e6, 1e100


class Predictor(Protocol):
    """A function of the inputs."""

    def predict(self, X: np.ndarray) -> np.ndarray:
        """(n, d) -> (n,)."""
        ...


@dataclass(frozen=True, eq=False)
class Fit:
    """What a learner made of its samples.

    Attributes
    ----------
    predictor : TwoLayerNetwork, HermitePolynomial, or any object with ``predict``
        Of the first two kinds the population risk is exact: see `tdlab.metrics.score`.
    learner : str
    dim : int
        Of the inputs.
    proper : bool
        Whether the learner is.
    status : Status
    message : str
        Why it ended, with what it chose (regularisation, tensor) from the data.
    nit : int
        Iterations, where there are any.
    history : tuple of float
        Training risk after each iteration (or report), as the learner gives it.
    seconds : float
        Wall-clock time without compilation.
    chosen : tuple of (str, value)
        What the learner set from the data, by name.
    """

    predictor: Any
    learner: str
    dim: int
    proper: bool
    status: Status = Status.CONVERGED
    message: str = ""
    nit: int = 0
    history: tuple[float, ...] = ()
    seconds: float = 0.0
    chosen: tuple[tuple[str, Any], ...] = ()

    @property
    def network(self) -> TwoLayerNetwork | None:
        """The network that a proper learner found, else None."""
        return self.predictor if self.proper else None

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Predictions at the rows of X: (n, d) -> (n,)."""
        return self.predictor.predict(check_array("X", X, ("n", self.dim)))


class Learner(ABC):
    """From samples to a predictor: a frozen dataclass whose fields are its options.

    Class attributes
    ----------------
    name : str
    proper : bool
        Whether the predictor is a network with units like the teacher's.
    version : int
        Raised when results change.
    samples : str
        How many it needs, in words.
    needs_samples : bool
        Whether it looks at them at all: a control that is told the teacher does not.
    guarantee, cost, source : str
    """

    name: ClassVar[str]
    proper: ClassVar[bool]
    version: ClassVar[int]
    samples: ClassVar[str]
    needs_samples: ClassVar[bool] = True
    guarantee: ClassVar[str]
    cost: ClassVar[str]
    source: ClassVar[str]

    def fit(
        self,
        X: np.ndarray,
        y: np.ndarray,
        *,
        rng: np.random.Generator | np.random.SeedSequence | int | None = None,
        max_seconds: float | None = None,
    ) -> Fit:
        """Learn from n samples.

        Parameters
        ----------
        X : (n, d) array, standard Gaussian rows
        y : (n,) array
        rng : Generator, SeedSequence, int or None
            A seed gives a stream of the learner's own: teachers and samples drawn from the same
            seed share nothing with it. A Generator is used as it stands.
        max_seconds : float, optional
            Seconds stop an iterative learner, with status ``TIME_LIMIT``.

        Raises
        ------
        InputError
            For wrong shapes, NaN, no data, or what `refuses` names.

        Warns
        -----
        InputWarning
            Where the mean or the covariance of X is not that of N(0, I), beyond chance.
        """
        X, y = check_samples(X, y)
        refusal = self.refuses(*X.shape)
        if refusal:
            raise InputError(refusal)
        if self.needs_samples:
            warn_unless_gaussian(X)
        limit = None if max_seconds is None else check_real("max_seconds", max_seconds, 0.0)
        _kernels.warm_up()
        budget = Budget(max_seconds=limit)
        started = time.perf_counter()
        found = self._fit(X, y, own_stream(rng, Part.LEARNING), budget)
        found = replace(found, seconds=time.perf_counter() - started)
        return _judged(found, X, y) if self.needs_samples else found

    def refuses(self, n: int, dim: int) -> str:
        """Why it cannot learn from n samples of that dimension, before it tries; "" if it can.

        A scan stores such a trial as ``unsupported``: what is raised later is an ``error``.
        """
        return ""

    @abstractmethod
    def _fit(self, X: np.ndarray, y: np.ndarray, rng: np.random.Generator, budget: Budget) -> Fit:
        """`fit` on checked arrays."""

    def _done(self, predictor: Predictor, dim: int, message: str, **more: Any) -> Fit:
        return Fit(
            predictor=predictor,
            learner=self.name,
            dim=dim,
            proper=self.proper,
            message=message,
            **more,
        )


def _judged(found: Fit, X: np.ndarray, y: np.ndarray) -> Fit:
    """The fit, which has not converged to anything where the mean of y fits its samples better."""
    with np.errstate(over="ignore", invalid="ignore"):
        risk = float(np.mean((found.predict(X) - y) ** 2))
    trivial = float(np.var(y))
    if risk <= trivial * (1.0 + _SLACK) + _SLACK * float(np.mean(y**2)):
        return found
    status = Status.STAGNATED if found.status is Status.CONVERGED else found.status
    shown = f"{risk / trivial:.3g} times" if trivial > 0.0 and np.isfinite(risk) else "above"
    message = (
        f"On its own samples the risk is {shown} that of their mean: nothing was learned. "
        f"{found.message}"
    )
    return replace(found, status=status, message=message)


def check_samples(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """X (n, d) and y (n,) as finite float64 arrays, or one line of `InputError`."""
    X = check_array("X", X, ("n", "d"))
    y = check_array("y", y, (len(X),))
    if (far := float(np.abs(X).max())) > _LARGEST_INPUT:
        raise InputError(f"X: got entries up to {far:.3g}, wanted standard Gaussian rows")
    size = float(np.abs(y).max())
    if size and not 1.0 / _LARGEST_LABEL <= size <= _LARGEST_LABEL:
        raise InputError(
            f"y: got entries up to {size:.3g}, wanted them from {1.0 / _LARGEST_LABEL:g} to "
            f"{_LARGEST_LABEL:g}: rescale"
        )
    return X, y


def constant(value: float, dim: int) -> HermitePolynomial:
    """The predictor that always says ``value``."""
    return HermitePolynomial(np.array([value]), dim, 0)


def too_few(learner: Learner, n: int, least: int, why: str) -> str:
    """The refusal of fewer samples than the learner can start from, or ""."""
    if n >= least:
        return ""
    return f"n: got {n} samples for '{learner.name}', wanted at least {least} ({why})"
