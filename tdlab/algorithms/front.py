"""`tdlab.decompose`: the front door to every method."""

from __future__ import annotations

import dataclasses
import math
import time
from typing import Any, cast

import numpy as np
from scipy.sparse.linalg import ArpackError

from tdlab import _kernels
from tdlab.algorithms.base import Budget, Decomposition, Method, Status, exact_fit, finish
from tdlab.algorithms.noise import residual_under
from tdlab.algorithms.refusals import refusal
from tdlab.algorithms.registry import get_method
from tdlab.algorithms.settle import settle
from tdlab.algorithms.threads import threads_for
from tdlab.errors import InputError, check_integer, check_real
from tdlab.streams import Part, own_stream
from tdlab.tensors import Flattening4, SymmetricTensor, Tensor, as_tensor

# A Gram matrix of so many terms takes 8 GiB.
_MOST_TERMS = 2**15


def decompose(
    tensor: SymmetricTensor | Flattening4 | np.ndarray,
    rank: int | None = None,
    method: str | Method = "auto",
    *,
    rng: np.random.Generator | int | None = None,
    noise: float | None = None,
    max_seconds: float | None = None,
    **options: Any,
) -> Decomposition:
    """Write a symmetric tensor as a sum of ``rank`` rank-one terms.

    Parameters
    ----------
    tensor : SymmetricTensor, or a symmetric (d,) * k array
        Methods that declare it take a `Flattening4` instead.
    rank : int, optional
        Number of terms, >= 1. None asks `tdlab.estimate_rank`, for half of ``max_seconds`` at most.
    method : str or method object
        A name of `tdlab.methods`; ``"auto"`` chooses by dimension and rank.
    rng : Generator, int or None
    noise : float, optional
        |noise|_F / |tensor|_F; 0 asks for an exact fit. A least-squares fit of r terms leaves
        noise sqrt(1 - r d / N) of it, N = C(d+k-1, k): a fit to that level counts as success
        where it beats a tensor without structure. None does not know it: where no fit is exact,
        independent runs are compared. Status ``complex``: exact over the complex numbers only.
        Success under noise: runs agree, what is left passes for noise that is alike in all
        directions, and every component takes more than noise would and is determined.
        ``approximation``: runs agree on a fit that is neither. Only ``"auto"`` looks for that
        before its budget ends.
    max_seconds : float, optional
        Stops the method (status ``time-limit``); compilation does not count. Results are
        reproducible only where the method ends by itself.
    **options
        Options of the method.

    Returns
    -------
    Decomposition
        Failures of the algorithm are in its ``status`` and ``message``, not exceptions.

    Raises
    ------
    InputError
        For an unknown method or option, a bad rank, one that cannot be told, or an array that is
        not a symmetric tensor. What a method cannot take, as an order, a rank, or an array beyond
        1 GiB that it would have to form, is a result with status ``unsupported``.

    Examples
    --------
    >>> import tdlab
    >>> net = tdlab.sample_network(dim=8, rank=12, activation="He3", ensemble="sphere", rng=0)
    >>> res = tdlab.decompose(net.hermite_tensor(3), rank=12, rng=1)
    >>> res.success, tdlab.match(res.components, net.weights).recovered
    (True, 1.0)
    """
    held = as_tensor(tensor)
    if rank is not None:
        rank = check_integer("rank", rank, 1)
        if rank > _MOST_TERMS:
            raise InputError(
                f"rank: got {rank}, wanted at most {_MOST_TERMS}: the Gram matrix of more terms "
                "exceeds 8 GiB"
            )
    if isinstance(method, str):
        method = get_method(method, options)
    elif options:
        raise InputError(f"options: got {sorted(options)} beside a method object, wanted none")
    level = 0.0 if noise is None else check_real("noise", noise, 0.0)
    limit = None if max_seconds is None else check_real("max_seconds", max_seconds, 0.0)
    started = time.perf_counter()
    generator = own_stream(rng, Part.DECOMPOSITION)
    _kernels.warm_up()
    if rank is None:
        # Half of the time for the question, so that some is left for the answer.
        rank = _told_rank(held, noise, generator, None if limit is None else limit / 2)
    # Where a fit has as many parameters as there are entries, it reaches any noise.
    goal = residual_under(level, held.dim, rank, held.order)
    exact = exact_fit(held)
    goal = max(goal, exact) if level else 0.0
    budget = Budget(
        max_seconds=limit,
        noise=goal,
        level=level,
        estimate=noise is None,
        exact=exact,
        started=started,
    )
    held, exponent = held.in_plain_units()
    reason = refusal(method, held, rank)
    # The protocol's type is the usual case; `refusal` has checked what the method accepts.
    tensor = cast(SymmetricTensor, held)
    if reason:
        return finish(
            method,
            tensor,
            rank,
            budget,
            components=None,
            status=Status.UNSUPPORTED,
            message=reason,
        )
    try:
        with threads_for(tensor.dim, tensor.order):
            result = method.run(tensor, rank, rng=generator, budget=budget)
            settles = budget.estimate and not getattr(method, "settles_noise", False)
            if settles and not result.success and held.kind == "symmetric":
                result = settle(method, tensor, result, generator, budget)
    except (np.linalg.LinAlgError, ArpackError) as error:
        return finish(
            method,
            tensor,
            rank,
            budget,
            components=None,
            status=Status.BREAKDOWN,
            message=f"Linear algebra broke down: {error}.",
        )
    return dataclasses.replace(_at_scale(result, exponent), seconds=budget.seconds)


def _told_rank(
    tensor: Tensor,
    noise: float | None,
    rng: np.random.Generator,
    limit: float | None,
) -> int:
    from tdlab.algorithms.rank import estimate_rank

    if tensor.kind != "symmetric":
        raise InputError(f"rank: got None for a tensor of kind {tensor.kind}, wanted one >= 1")
    told = estimate_rank(
        cast(SymmetricTensor, tensor), noise=noise, rng=rng.spawn(1)[0], max_seconds=limit
    )
    if told.rank is None:
        raise InputError(f"rank: got None, wanted an integer >= 1. {told.message}")
    return told.rank


def _at_scale(result: Decomposition, exponent: int) -> Decomposition:
    """The decomposition of 2^e T from that of T; says where coefficients leave the doubles."""
    if exponent == 0 or len(result.weights) == 0:
        return result
    with np.errstate(over="ignore", under="ignore"):
        weights = np.ldexp(result.weights, exponent)
    sizes = np.abs(weights)
    message = result.message
    if not (np.isfinite(sizes) & (sizes >= np.finfo(float).tiny)).all():
        digits = math.log10(np.abs(result.weights).max()) + exponent * math.log10(2.0)
        message += (
            f" Coefficients of up to about 1e{digits:.0f} leave the range of doubles, and "
            "`weights` show them as infinite, as zero or with fewer digits; components and "
            "residual hold. Rescale the tensor."
        )
    return dataclasses.replace(result, weights=weights, message=message)
