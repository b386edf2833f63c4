"""One trial: draw the instance, decompose its tensor, score what was found.

A trial is a pure function of its task: no clock, host or earlier trial enters its numbers, so on
one kind of processor it gives the same bits wherever it runs (`tdlab.lab.processor`). Only its time
limit can cut it short, and then the outcome says so and no number is kept.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tdlab.lab.cells import Cell
from tdlab.lab.identity import stream

if TYPE_CHECKING:
    import numpy as np

    from tdlab.algorithms.base import Decomposition
    from tdlab.networks import TwoLayerNetwork

OUTCOMES = (
    "recovered",
    "failed",
    "unsupported",
    "timeout",
    "memory",
    "crashed",
    "error",
    "measured",
)


@dataclass(frozen=True)
class Task:
    """All that a worker needs to run one trial.

    Attributes
    ----------
    coefficients : tuple of float
        Of the activation.
    ensemble : str
    order, dim, rank : int
    null, dense : bool
    method : str
    options : tuple of (str, value)
    seed : int
    instance_digest, method_digest : str
        Names of the two random streams.
    index : int
    time_limit : float
    device : str
        Where the tensor computes: "cpu" with NumPy, anything else with torch.
    samples : int or None
        None for the exact tensor.
    noise : float
    signs : str
    boost : float
    learner : bool
    terms : int
        Asked of a decomposition method; 0 for the rank.
    """

    coefficients: tuple[float, ...]
    ensemble: str
    order: int
    dim: int
    rank: int
    null: bool
    dense: bool
    method: str
    options: tuple[tuple[str, Any], ...]
    seed: int
    instance_digest: str
    method_digest: str
    index: int
    time_limit: float
    device: str = "cpu"
    samples: int | None = None
    noise: float = 0.0
    signs: str = "positive"
    boost: float = 0.0
    learner: bool = False
    terms: int = 0

    @classmethod
    def of(cls, cell: Cell, index: int, device: str = "cpu") -> Task:
        """Trial ``index`` of a cell."""
        return cls(
            coefficients=cell.problem.coefficients,
            ensemble=cell.problem.ensemble,
            order=cell.problem.order,
            dim=cell.dim,
            rank=cell.rank,
            null=cell.problem.null,
            dense=cell.problem.dense,
            method=cell.method.name,
            options=cell.method.options,
            seed=cell.seed,
            instance_digest=cell.instance_digest,
            method_digest=cell.method_digest,
            index=index,
            time_limit=cell.time_limit,
            device=device,
            samples=cell.samples,
            noise=cell.problem.noise,
            signs=cell.problem.signs,
            boost=cell.problem.boost,
            learner=cell.method.learner,
            terms=cell.method.terms(cell.rank),
        )


@dataclass(frozen=True)
class TrialResult:
    """How a trial ended; two are equal if they agree in all but times and process.

    Attributes
    ----------
    outcome : str
        One of `OUTCOMES`.
    reason : str
        Why, for a person; empty where the outcome says it all.
    recovered : float or None
        Fraction of the true components found; where one is larger than the others, the squared
        cosine of the largest found with it. None where there is nothing to recover.
    residual, risk_ratio : float or None
        None where the trial did not end by itself.
    seconds : float
        Wall-clock time of the whole trial.
    method_seconds : float or None
        That of the decomposition alone; None where it did not end by itself.
    pid : int
        Process that ran it, 0 if none did to its end.
    kernel : str
        BLAS kernels and processor that it ran on (`tdlab.lab.processor`); empty if none did to its
        end.
    """

    outcome: str
    reason: str = ""
    recovered: float | None = None
    residual: float | None = None
    risk_ratio: float | None = None
    seconds: float = field(default=0.0, compare=False)
    method_seconds: float | None = field(default=None, compare=False)
    pid: int = field(default=0, compare=False)
    kernel: str = field(default="", compare=False)


def run_trial(task: Task, observe: Callable[[Any], None] | None = None) -> TrialResult:
    """Run one trial in this process; ``observe`` sees what the method or learner returned.

    Exceptions of the mathematics propagate: the worker records them as outcome ``error``.
    """
    if task.learner:
        from tdlab.lab.learning import run_learning_trial

        return run_learning_trial(task, observe)
    return _run_decomposition_trial(task, observe)


def teacher(task: Task) -> tuple[TwoLayerNetwork, np.random.Generator]:
    """The network of a trial's instance, and the stream of the instance behind it."""
    from tdlab.networks import Activation, sample_network

    rng = stream(task.seed, (task.instance_digest,), task.index)
    network = sample_network(
        task.dim,
        task.rank,
        activation=Activation(task.coefficients),
        ensemble=task.ensemble,
        signs=task.signs,
        boost=task.boost,
        rng=rng,
    )
    return network, rng


def recovery(
    task: Task, network: TwoLayerNetwork, components: np.ndarray, weights: np.ndarray
) -> tuple[float, str]:
    """The share of the weights that was found, and the outcome: "recovered" or "failed".

    Where one component is larger than the others, how well it is estimated: the squared cosine,
    with success from one half on.
    """
    from tdlab.metrics import directions, largest_overlap, match

    if task.boost:
        overlap = largest_overlap(components, weights, network, task.order)
        return overlap, "recovered" if overlap >= 0.5 else "failed"
    found = match(components, directions(network, task.order), order=task.order)
    return found.recovered, "recovered" if found.recovered == 1.0 else "failed"


def _run_decomposition_trial(
    task: Task, observe: Callable[[Decomposition], None] | None
) -> TrialResult:
    from tdlab.algorithms import decompose
    from tdlab.algorithms.base import Status
    from tdlab.metrics import null_risk_ratio, risk_ratio, student_network
    from tdlab.tensors import DenseTensor, SymmetricTensor, gaussian_tensor

    started = time.perf_counter()
    network, instance_rng = teacher(task)
    method_rng = stream(task.seed, (task.instance_digest, task.method_digest), task.index)
    tensor: SymmetricTensor = network.hermite_tensor(task.order)
    if task.null:
        tensor = gaussian_tensor(task.dim, task.order, tensor.norm(), rng=instance_rng)
    elif task.dense:
        tensor = DenseTensor(tensor.dense())
    if task.device != "cpu":
        tensor = tensor.to(task.device)
    left = max(task.time_limit - (time.perf_counter() - started), 0.0)
    result = decompose(
        tensor,
        task.terms or task.rank,
        method=task.method,
        rng=method_rng,
        noise=0.0,
        max_seconds=left,
        **dict(task.options),
    )
    if observe:
        observe(result)
    if result.status is Status.UNSUPPORTED:
        return TrialResult("unsupported", result.message)
    cut_short = result.status is Status.TIME_LIMIT or (
        not result.success and result.seconds >= left
    )
    if cut_short:
        return TrialResult("timeout", f"stopped at the limit of {task.time_limit:g} s")

    if task.null:
        recovered, outcome = None, "measured"
        # A structureless target has nothing to learn in other degrees, so the null's student is
        # pure in the degree that was decomposed: the ratio is what rank alone compresses away.
        ratio = null_risk_ratio(tensor, student_network(result, f"He{task.order}"))
    else:
        recovered, outcome = recovery(task, network, result.components, result.weights)
        ratio = risk_ratio(network, student_network(result, network.activation))
    for name, value in (("residual", result.residual), ("risk ratio", ratio)):
        if not math.isfinite(value):
            return TrialResult("error", f"{name}: got {value}, wanted a finite number")
    return TrialResult(
        outcome=outcome,
        reason=f"{result.status}: {result.message}" if outcome == "failed" else "",
        recovered=recovered,
        residual=float(result.residual),
        risk_ratio=float(ratio),
        method_seconds=result.seconds,
    )
