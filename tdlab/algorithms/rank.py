"""How many terms a symmetric tensor has: `tdlab.estimate_rank`.

Solves     rank <= 1.75 d from singular values at order 3 without noise; with noise, or beyond,
           from the residuals of fits, while these succeed
Method     the rank of the flattening where it is below d; that of the Koszul-Young flattening over
           C(2p, p) (p = 1, 2, 3: to 1.5, 1.67, 1.75 d); else the least rank whose fit is exact, or
           leaves a remainder of which one component more takes no more than of noise
Guarantee  exact for generic components without noise, where a flattening tells
Cost       a singular value decomposition of size C(2p+1, p) d; or about 2 log2(r_id) fits
Sources    Landsberg and Ottaviani (2013), arXiv 1111.4567 for the flattenings
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tdlab.algorithms._noise import (
    NULL_POWER,
    gain_of_one_more,
    noise_behind,
    null_bar,
    refit,
    residual_under,
)
from tdlab.algorithms.base import EXACT_FIT, Budget, Decomposition
from tdlab.algorithms.front import decompose
from tdlab.algorithms.koszul_young import koszul_flattening
from tdlab.algorithms.registry import get_method
from tdlab.errors import check_integer, check_real
from tdlab.tensors import DenseTensor, SymmetricTensor, gaussian_tensor
from tdlab.theory import r_id

# Relative singular values: below the first zero to rounding; a gap is a ratio of at least the
# second between neighbours.
_ROUNDING = 1e-9
_GAP = 1e3
_STEPS = 200
_FAR, _FALL = 0.85, 0.6
# With more terms than there are, fits converge slowly: this far below the null they are complete.
_NEARLY = 1e-3


@dataclass(frozen=True)
class RankEstimate:
    """A number of terms and where it comes from.

    Attributes
    ----------
    rank : int or None
        None where nothing tells.
    noise : float
        Relative noise level behind it, 0 without noise.
    evidence : str
        "flattening", "koszul-young", "residuals", or "" where nothing tells.
    message : str
        In a sentence.
    """

    rank: int | None
    noise: float
    evidence: str
    message: str


def estimate_rank(
    tensor: SymmetricTensor | np.ndarray,
    *,
    noise: float | None = None,
    rng: np.random.Generator | int | None = None,
    max_rank: int | None = None,
) -> RankEstimate:
    """Number of terms of a symmetric tensor, where it can be told.

    Parameters
    ----------
    tensor : SymmetricTensor, or a symmetric (d,) * k array
    noise : float, optional
        |noise|_F / |tensor|_F; 0 states that there is none, None that it is not known.
    rng : Generator, int or None
    max_rank : int, optional
        Largest rank that fits are tried at; default: the last below the counting bound.

    Returns
    -------
    RankEstimate
        Its ``rank`` is None where fits at no rank explain more than those of a tensor without
        structure, with the reason in ``message``.

    Examples
    --------
    >>> import tdlab
    >>> net = tdlab.sample_network(8, 11, "He3", "sphere", rng=0)
    >>> found = tdlab.estimate_rank(net.hermite_tensor(3), rng=0)
    >>> found.rank, found.evidence
    (11, 'koszul-young')
    """
    if not isinstance(tensor, SymmetricTensor):
        tensor = DenseTensor(tensor)
    level = None if noise is None else check_real("noise", noise, 0.0)
    dim, order = tensor.dim, tensor.order
    largest = math.ceil(r_id(dim, order)) - 1
    if max_rank is not None:
        largest = min(largest, check_integer("max_rank", max_rank, 1))
    if tensor.norm() == 0.0:
        return RankEstimate(None, 0.0, "", "The tensor is zero: it has no terms.")
    generator = np.random.default_rng(rng)
    if not level:
        told = _from_flattenings(tensor, generator)
        if told is not None:
            return told
    return _from_residuals(tensor, level, max(largest, 1), generator)


def _from_flattenings(tensor: SymmetricTensor, rng: np.random.Generator) -> RankEstimate | None:
    """The rank that exact flattenings show; None where they are full or blurred."""
    dim = tensor.dim
    if tensor.order == 2:
        values = np.linalg.svd(tensor.dense(), compute_uv=False)
    else:
        # Squares of a Gram matrix would hide values below 1e-8: contract with random vectors, as
        # many as resolve the row space.
        draws = [
            tensor.contract(*rng.standard_normal((tensor.order - 2, dim))) for _ in range(dim + 2)
        ]
        values = np.linalg.svd(np.hstack(draws), compute_uv=False)
    shown = _gap(values)
    if shown is not None and (shown < dim or tensor.order == 2):
        message = f"The flattening has rank {shown}."
        return RankEstimate(shown, 0.0, "flattening", message)
    if tensor.order != 3 or shown is None:
        return None
    # At the rank that a tensor without structure shows, the flattening tells nothing.
    control = gaussian_tensor(dim, rng=rng)
    for p in (1, 2, 3):
        if math.comb(2 * p + 1, p) * dim > 2500:
            break
        projection = np.linalg.qr(rng.standard_normal((dim, min(2 * p + 1, dim))))[0].T
        if len(projection) < 2 * p + 1:
            break
        shown, full = (
            _gap(np.linalg.svd(koszul_flattening(t, projection), compute_uv=False))
            for t in (tensor, control)
        )
        each = math.comb(2 * p, p)
        if shown is not None and full is not None and shown < full and shown % each == 0:
            message = f"The Koszul-Young flattening (p = {p}) has rank {shown} = {each} x "
            message += f"{shown // each}."
            return RankEstimate(shown // each, 0.0, "koszul-young", message)
    return None


def _gap(values: np.ndarray) -> int | None:
    """Number of singular values before the rest vanish; all of them where none does.

    None where values fall off without a gap: noise, or a tensor that is nearly of lower rank.
    """
    values = np.maximum(values / values[0], 1e-16)
    small = int((values > _ROUNDING).sum())
    if small == len(values):
        return small if values[-1] > _ROUNDING * _GAP else None
    return small if values[small - 1] > _GAP * values[small] else None


def _from_residuals(
    tensor: SymmetricTensor, level: float | None, largest: int, rng: np.random.Generator
) -> RankEstimate:
    """Least rank at which a fit is complete, by strides and bisection.

    Below the true rank no fit is complete; from it on fits are, though not unique.
    """
    dim = tensor.dim
    fits: dict[int, Decomposition] = {}

    def complete(rank: int) -> bool:
        if rank not in fits:
            fits[rank] = _fit(tensor, rank, rng)
        return _complete(tensor, fits[rank], level)

    def ahead(rank: int) -> int:
        # Small strides where fits are hard: a fit of far too many terms may fail near the bound.
        return min(2 * rank if rank < dim // 2 else math.ceil(1.25 * rank), largest)

    low, high = 0, 1
    while True:
        while not complete(high):
            if high == largest:
                return RankEstimate(None, 0.0, "", _nothing(tensor, largest))
            low, high = high, ahead(high)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if complete(middle) else (middle, high)
        # Where half of the terms are missing, one more takes little of what is left; many more do.
        if fits[high].residual <= EXACT_FIT:
            break
        last = int(_FAR * largest)
        probes = [high << k for k in range(1, 30) if high << k < last]
        for beyond in [*probes, max(last, high)]:
            complete(beyond)
            filled = (beyond - high) / (r_id(dim, tensor.order) - high)
            # Noise would be fitted like a null of the freedom that is left.
            if fits[beyond].residual < _FALL * fits[high].residual * (1.0 - filled) ** NULL_POWER:
                break
        else:
            break
        low, high = high, beyond
    best = fits[high]
    behind = noise_behind(best.residual, dim, high, tensor.order)
    exact = best.residual <= EXACT_FIT
    message = (
        f"{high} terms fit exactly, and no fewer did."
        if exact
        else f"{high} terms leave a residual of {best.residual:.2g} that looks like noise, and no "
        "fewer did."
    )
    return RankEstimate(high, 0.0 if exact else behind, "residuals", message)


def _fit(tensor: SymmetricTensor, rank: int, rng: np.random.Generator) -> Decomposition:
    """The best of quick searches; where none is exact, the least squares that it leads to."""
    searches: list[tuple[str, dict]] = [("lm", {})]
    if tensor.order == 3:
        searches = [("homotopy", {"steps": _STEPS})]
        if rank <= 2 * tensor.dim:
            # Greedy candidates stand noise best where components are few.
            searches.append(("pipe", {}))
    found: list[Decomposition] = []
    for name, options in searches:
        method = get_method(name, options)
        fit = decompose(tensor, rank, method, rng=rng, noise=0.0)
        if fit.success:
            return fit
        found.append(refit(method, tensor, fit, Budget()))
    return min(found, key=lambda one: one.residual)


def _complete(tensor: SymmetricTensor, fit: Decomposition, level: float | None) -> bool:
    if fit.residual <= max(EXACT_FIT, _NEARLY * null_bar(tensor.dim, fit.rank, tensor.order)):
        return True
    if level == 0.0 or len(fit.components) < fit.rank:
        return False
    goal = residual_under(level, tensor.dim, fit.rank, tensor.order) if level else math.inf
    gain = gain_of_one_more(tensor, fit.components, fit.weights, Budget())
    bar = null_bar(tensor.dim, fit.rank, tensor.order)
    return fit.residual < min(goal, bar) and gain <= 1.0


def _nothing(tensor: SymmetricTensor, largest: int) -> str:
    return (
        f"No fit of up to {largest} terms explains the tensor better than one of a tensor without "
        "structure: its rank cannot be told. State the rank."
    )
