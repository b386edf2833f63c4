"""One trial of a learner: draw teacher and samples, fit, score against the exact risk.

Samples come from a stream of the instance alone, row by row: learners meet the same ones, and a
larger n contains a smaller one. What the learner may know of the teacher (its rank and activation,
if it is proper; all of it, if it is a control as ``ideal``) is told here.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from tdlab.lab.identity import stream
from tdlab.lab.trial import Task, TrialResult, recovery, teacher

if TYPE_CHECKING:
    from tdlab.learners import Fit


def run_learning_trial(task: Task, observe: Callable[[Fit], None] | None = None) -> TrialResult:
    """Run one trial of a learner in this process; ``observe`` sees its fit."""
    import numpy as np

    from tdlab.algorithms.base import Status
    from tdlab.errors import InputError
    from tdlab.learners.registry import learner, told_options
    from tdlab.metrics import score
    from tdlab.networks import gaussian_polynomial

    started = time.perf_counter()
    network, instance = teacher(task)
    target = network
    if task.null:
        target = gaussian_polynomial(task.dim, network.hermite_energies(), rng=instance)
    noise = task.noise * math.sqrt(network.variance())
    # The instance's stream is spent after an unknown number of draws: children are not.
    samples, testing = instance.spawn(2)
    X, y = target.sample(task.samples or 1, noise, rng=samples)
    rng = stream(task.seed, (task.instance_digest, task.method_digest), task.index)
    told = told_options(
        task.method, rank=task.rank, activation=str(network.activation), teacher=network
    )
    left = max(task.time_limit - (time.perf_counter() - started), 0.0)
    try:
        # What the options and the facts of the teacher make impossible is said before it runs.
        asked = learner(task.method, **{**dict(task.options), **told})
    except InputError as error:
        return TrialResult("unsupported", str(error))
    refusal = asked.refuses(*X.shape)
    if refusal:
        return TrialResult("unsupported", refusal)
    # Whatever it raises from here on is a fault, an `InputError` too.
    fit = asked.fit(X, y, rng=rng, max_seconds=left)
    if observe:
        observe(fit)
    if fit.status is Status.UNSUPPORTED:
        return TrialResult("unsupported", fit.message)
    if fit.status is Status.TIME_LIMIT:
        return TrialResult("timeout", f"stopped at the limit of {task.time_limit:g} s")

    scored = score(target, fit.predictor, rng=testing)
    if not math.isfinite(scored.ratio):
        return TrialResult("error", f"risk ratio: got {scored.ratio}, wanted a finite number")
    recovered, outcome, reason = None, "measured", ""
    if scored.standard_error > 0.0:
        reason = f"risk ratio on a test set, standard error {scored.standard_error:.2g}"
    if fit.network is not None and not task.null:
        rows = fit.network.weights
        if task.order % 2:
            # As for the teacher: the row that has a positive coefficient in the tensor.
            rows = rows * np.where(fit.network.output_weights < 0.0, -1.0, 1.0)[:, None]
        sizes = np.linalg.norm(rows, axis=1)
        own = fit.network.activation.mean_derivative(task.order, sizes)
        weights = np.abs(fit.network.output_weights * own) * sizes**task.order
        recovered, outcome = recovery(task, network, rows[sizes > 0.0], weights[sizes > 0.0])
        if outcome == "failed":
            reason = f"{fit.status}: {fit.message}"
    rest = y - fit.predict(X)
    spread = float(np.std(y))
    return TrialResult(
        outcome=outcome,
        reason=reason,
        recovered=recovered,
        residual=float(np.sqrt(np.mean(rest**2)) / spread) if spread > 0.0 else None,
        risk_ratio=scored.ratio,
        method_seconds=fit.seconds,
    )
