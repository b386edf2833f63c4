"""What repeated runs show of a fit: noise, a best approximation, or nothing.

Solves     may the best of several fits stand as a success under noise, or as a best approximation
Method     a success is found by two runs, beats a tensor without structure, leaves what one
           component more takes no more of than of noise, has every component determined, and no
           flattening shows that the data are exact; three runs agree on a best approximation
Guarantee  none for noise; a rank below that of a flattening has no exact fit
Cost       a fit of rank + 1
"""

from __future__ import annotations

import dataclasses

import numpy as np

from tdlab.algorithms.base import EXACT_FIT, Budget, Decomposition, Method, Status, finish
from tdlab.algorithms.noise import (
    LEAST_FREEDOM,
    freedom,
    gain_of_one_more,
    loudest_noise,
    noise_behind,
    null_bar,
)
from tdlab.algorithms.ranks.bounds import Bound, bound, span
from tdlab.algorithms.settling.optima import Optima
from tdlab.algorithms.words import n_terms
from tdlab.tensors import SymmetricTensor

# Runs that must agree on a best approximation, and on a fit under noise.
THREE, TWO = 3, 2


def known_rank(
    tensor: SymmetricTensor, rank: int, rng: np.random.Generator, budget: Budget
) -> Bound | None:
    """What flattenings show, where they can show anything of that rank at a bearable cost."""
    if not telling(tensor, rank):
        return None
    inner, _ = span(tensor, rng)
    return inner_bound(inner, rng, budget)


def inner_bound(inner: SymmetricTensor, rng: np.random.Generator, budget: Budget) -> Bound:
    # Data that were rounded coarsely have flattenings of full rank, and are exact all the same.
    coarse = budget.exact > EXACT_FIT
    return Bound(1, False, "") if coarse else bound(inner, rng, budget)


def telling(tensor: SymmetricTensor, rank: int) -> bool:
    """Whether a flattening may show that rank at a bearable cost."""
    if tensor.order == 3:
        return rank <= 1.75 * tensor.dim and tensor.dim <= 200
    return tensor.dim ** ((tensor.order + 1) // 2) <= 4000


def noise_like(
    tensor: SymmetricTensor, fit: Decomposition, known: Bound | None, budget: Budget
) -> bool:
    """Whether the remainder of a least-squares fit may be noise."""
    dim, order, rank = tensor.dim, tensor.order, fit.rank
    if known is not None and known.shows:
        return False
    left = freedom(dim, rank, order)
    if left < LEAST_FREEDOM or len(fit.components) < rank:
        return False
    if fit.residual >= null_bar(dim, rank, order) or fit.status is Status.DEGENERATE:
        return False
    # Where a flattening excludes an exact fit, no local optimum of one can pass for noise.
    excluded = known is not None and known.rank > rank
    if noise_behind(fit.residual, dim, rank, order) > loudest_noise(left, excluded=excluded):
        return False
    return gain_of_one_more(tensor, fit.components, fit.weights, budget) <= 1.0


def stands(
    method: Method, tensor: SymmetricTensor, optima: Optima, known: Bound | None, budget: Budget
) -> Decomposition:
    """The best fit, a success if its remainder may be noise that leaves every component sure."""
    best = optima.best
    if optima.judged is None or optima.judged[0] is not best:
        optima.judged = best, _judged(method, tensor, best, known, budget)
    return optima.judged[1]


def _judged(
    method: Method,
    tensor: SymmetricTensor,
    best: Decomposition,
    known: Bound | None,
    budget: Budget,
) -> Decomposition:
    if not noise_like(tensor, best, known, budget):
        return best
    level = noise_behind(best.residual, tensor.dim, best.rank, tensor.order)
    goal = dataclasses.replace(budget, noise=1.001 * best.residual, level=level)
    noisy = finish(
        method,
        tensor,
        best.rank,
        goal,
        components=best.components,
        weights=best.weights,
        nit=best.nit,
        history=best.history,
    )
    return noisy if noisy.success or noisy.status is Status.BELOW_NOISE else best


def verdict(
    method: Method,
    tensor: SymmetricTensor,
    optima: Optima,
    known: Bound | None,
    budget: Budget,
    *,
    final: bool,
) -> Decomposition:
    best, agreement = optima.best, optima.agreement
    lost = ""
    if agreement >= TWO:
        noisy = stands(method, tensor, optima, known, budget)
        if noisy.success:
            return dataclasses.replace(noisy, agreement=agreement)
        if noisy.status is Status.BELOW_NOISE:
            lost = f" {noisy.message}"
    best = dataclasses.replace(best, agreement=agreement)
    if not final or best.status is Status.DEGENERATE:
        return best
    if agreement < THREE <= optima.equally_good // 2:
        return dataclasses.replace(
            best,
            status=Status.APPROXIMATION,
            unique="no",
            message=(
                f"{optima.equally_good} of {optima.runs} independent runs end at this residual, "
                "and none at a smaller one, but with other components: the best approximation by "
                f"{n_terms(best.rank)} is not unique."
            ),
        )
    if agreement < THREE:
        return best
    if lost:
        verdict = f" As a fit under noise it is none.{lost}"
    else:
        exact = known is not None and known.shows
        verdict = (
            " It is no verdict on noise: "
            + ("the data are exact, and " if exact else "")
            + "what it leaves does not pass for noise that is alike in all directions."
        )
    bounded = ""
    if known is not None and known.rank > best.rank:
        bounded = f" An exact fit needs {n_terms(known.rank)} or more."
    return dataclasses.replace(
        best,
        status=Status.APPROXIMATION,
        message=(
            f"{agreement} of {optima.runs} independent runs agree on this fit, and none is better: "
            f"it is taken for the best approximation by {n_terms(best.rank)}.{verdict}{bounded}"
        ),
    )
