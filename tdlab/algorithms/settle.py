"""What stands where no fit is exact and nobody stated the noise: repeated runs of a method.

Solves     is the remainder of a fit noise, or is it a best approximation
Method     up to four more runs of the method, each stopped once it fits as well; then `_verdict`
Guarantee  none for noise; a rank below that of a flattening has no exact fit
Cost       that of the runs, and of a fit of rank + 1
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from tdlab.algorithms.base import Budget, Decomposition, Method, Status
from tdlab.algorithms.noise import refit
from tdlab.algorithms.settling.optima import Optima
from tdlab.algorithms.settling.verdict import THREE, TWO, known_rank, noise_like, stands, verdict
from tdlab.tensors import SymmetricTensor

# Further runs of a method.
_RUNS = 4


def settle(
    method: Method,
    tensor: SymmetricTensor,
    result: Decomposition,
    rng: np.random.Generator,
    budget: Budget,
    earlier: Sequence[Decomposition] = (),
    *,
    polished: bool = False,
) -> Decomposition:
    """The result of a method, not an exact fit, as what repeated runs of it show it to be.

    Parameters
    ----------
    method : Method
        Run again, up to four times.
    result : Decomposition
        Of ``method``.
    earlier : sequence of Decomposition
        Found independently.
    polished : bool
        Whether joint least squares follows each run: what a method finds is its own otherwise.
    """
    if (
        not budget.estimate
        or result.success
        or result.status is Status.COMPLEX
        or tensor.order == 2
    ):
        return result
    if polished:
        result = refit(method, tensor, result, budget)
    if result.success or len(result.components) == 0 or budget.expired:
        return result
    known = known_rank(tensor, result.rank, rng, budget)
    hopeless = known is not None and known.rank > result.rank
    if not hopeless and not noise_like(tensor, result, known, budget):
        return result
    optima = Optima(tensor.order)
    for one in (*earlier, result):
        optima.add(one)
    for _ in range(_RUNS):
        if optima.agreement >= THREE or budget.expired:
            break
        if optima.agreement >= TWO and stands(method, tensor, optima, known, budget).success:
            break
        # Another run may stop where it fits as well as the best one.
        goal = dataclasses.replace(budget, noise=1.002 * optima.best.residual, estimate=False)
        again = method.run(tensor, result.rank, rng=rng.spawn(1)[0], budget=goal)
        if polished:
            again = refit(method, tensor, again, goal)
        if again.residual <= budget.exact:
            return again
        # That goal was this function's own, and says nothing of the noise.
        optima.add(
            dataclasses.replace(
                again,
                success=False,
                unique="unknown",
                noise=0.0,
                status=result.status,
                message=result.message,
            )
        )
    return verdict(method, tensor, optima, known, budget, final=hopeless)
