"""One trial: draw the instance, let the contender answer, judge what it found.

A trial is a pure function of its task: no clock, host or earlier trial enters its numbers, so on
one kind of processor it gives the same bits wherever it runs (`tdlab.lab.workers.processor`). Only
its time limit can cut it short, and then the outcome says so and no number is kept.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from tdlab.lab.spec.cells import Cell, Problem
from tdlab.lab.spec.identity import stream

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
    cell : Cell
    index : int
    device : str
        Where a tensor computes: "cpu" with NumPy, anything else with torch.
    """

    cell: Cell
    index: int
    device: str = "cpu"

    @property
    def time_limit(self) -> float:
        """Seconds."""
        return self.cell.time_limit

    def small(self) -> Task:
        """A trial of the same contender that takes no time, for what it loads and compiles."""
        law, dim, rank = self.cell.problem.law.small()
        problem = Problem.of(self.cell.problem.label, law, dense=self.cell.problem.dense)
        cell = replace(self.cell, problem=problem, dim=dim, rank=rank, time_limit=5.0)
        return replace(self, cell=cell)


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
        BLAS kernels and processor that it ran on (`tdlab.lab.workers.processor`); empty if none did
        to its end.
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


def run_trial(task: Task, observe: Callable[[Any], None] = lambda _: None) -> TrialResult:
    """Run one trial in this process; ``observe`` sees what the method or learner returned.

    Exceptions of the mathematics propagate: the worker records them as outcome ``error``.
    """
    # Loaded here, because every command knows of trials, and few run one.
    from tdlab.algorithms.base import Status
    from tdlab.lab.trial.contender import contender

    started = time.perf_counter()
    cell, index = task.cell, task.index
    contestant = contender(cell, task.device)
    law = cell.problem.law
    instance = law.draw(cell.dim, cell.rank, stream(cell.seed, (cell.instance_digest,), index))
    if cell.problem.null:
        instance = instance.null()
    attempt = contestant.run(
        instance,
        rng=stream(cell.seed, (cell.instance_digest, cell.method_digest), index),
        left=lambda: max(cell.time_limit - (time.perf_counter() - started), 0.0),
        observe=observe,
    )
    if attempt.status is Status.TIME_LIMIT:
        return TrialResult("timeout", f"stopped at the limit of {cell.time_limit:g} s")
    if attempt.status is Status.UNSUPPORTED or attempt.answer is None:
        return TrialResult("unsupported", attempt.message)
    verdict = instance.score(attempt.answer)
    for name, value in (("residual", attempt.residual), *verdict.measures.items()):
        if value is not None and not math.isfinite(value):
            what = name.replace("_", " ")
            return TrialResult("error", f"{what}: got {value}, wanted a finite number")
    outcome = "measured" if verdict.solved is None else "recovered" if verdict.solved else "failed"
    failure = f"{attempt.status}: {attempt.message}" if outcome == "failed" else ""
    return TrialResult(
        outcome=outcome,
        reason=failure or verdict.remark,
        recovered=verdict.measures.get("recovered"),
        residual=attempt.residual,
        risk_ratio=verdict.measures.get("risk_ratio"),
        method_seconds=attempt.seconds,
    )
