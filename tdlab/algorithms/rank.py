"""How many terms a symmetric tensor has: `tdlab.estimate_rank`.

Solves     rank <= 1.75 d from singular values at order 3 without noise, to about half of the
           symmetric flattening's size at orders 4 and 6; with noise, or beyond, from the
           residuals of fits, while these succeed
Method     where the flattening's rank s is below d, the components span s dimensions: go there;
           s of them if that many fit exactly, else the rank of the Koszul-Young flattening over
           C(2p, p) (p = 1, 2, 3: to 1.5, 1.67, 1.75 s); else the least rank whose fit is exact, or
           leaves a remainder of which one component more takes no more than of noise
Guarantee  exact for generic components without noise, where a flattening tells
Cost       a singular value decomposition of size C(2p+1, p) d; or about 2 log2(r_id) fits
Sources    Landsberg and Ottaviani (2013), arXiv 1111.4567 for the flattenings
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tdlab.algorithms._even import spectrum
from tdlab.algorithms._noise import (
    NULL_POWER,
    freedom,
    gain_of_one_more,
    noise_behind,
    null_bar,
    refit,
    residual_under,
)
from tdlab.algorithms.base import Budget, Decomposition, cancelling, exact_fit
from tdlab.algorithms.eigen import told_rank
from tdlab.algorithms.front import decompose, plain
from tdlab.algorithms.koszul_young import koszul_flattening
from tdlab.algorithms.registry import get_method
from tdlab.errors import check_integer, check_real
from tdlab.streams import Part, own_stream
from tdlab.tensors import DenseTensor, SymmetricTensor, gaussian_tensor
from tdlab.theory import r_id

# Relative singular values: below the first zero to rounding; a gap is a ratio of at least the
# second between neighbours.
_ROUNDING = 1e-9
_GAP = 1e3
_STEPS, _MORE_STEPS = 200, 1000
_FAR, _FALL = 0.85, 0.6
# With more terms than there are, fits converge slowly: this far below the null they are complete.
_NEARLY = 1e-3
# Share of the counting bound up to which a fit that is not exact tells a rank; and from which the
# exact fits of too many terms come slowly or not at all.
_TELLING, _HARD = 0.55, 0.6
# Loudest noise that is believed unstated, in full from so many degrees of freedom on: half of the
# exact tensors at d = 8, r = 14 that no search solved passed for noise of 0.2 to 0.6.
_LOUDEST, _FREE = 0.3, 100


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
    max_seconds: float | None = None,
) -> RankEstimate:
    """Number of terms of a symmetric tensor, where it can be told.

    Parameters
    ----------
    tensor : SymmetricTensor, or a symmetric (d,) * k array
    noise : float, optional
        |noise|_F / |tensor|_F; 0 states that there is none, None that it is not known.
    rng : Generator, int or None
    max_rank : int, optional
        Largest rank that is told; default: the last below the counting bound.
    max_seconds : float, optional
        Where they pass before the rank is known, none is told.

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
    largest = None if max_rank is None else check_integer("max_rank", max_rank, 1)
    limit = None if max_seconds is None else check_real("max_seconds", max_seconds, 0.0)
    tensor, _ = plain(tensor)
    if tensor.norm() == 0.0:
        return RankEstimate(None, 0.0, "", "The tensor is zero: it has no terms.")
    if tensor.order == 2:
        rank, behind, message = told_rank(tensor, level)
        if largest is not None and rank > largest:
            return RankEstimate(None, 0.0, "", f"{message} That is above {largest}.")
        return RankEstimate(rank, behind, "flattening", message)
    generator = own_stream(rng, Part.RANK)
    clock = Budget(max_seconds=limit)
    told: RankEstimate | None = None
    if not level:
        told, tensor = _from_flattenings(tensor, generator, clock)
    if told is None:
        told = _from_residuals(tensor, level, largest, generator, clock)
    if largest is not None and told.rank is not None and told.rank > largest:
        return RankEstimate(None, 0.0, "", f"{told.message} That is above {largest}.")
    return told


def _from_flattenings(
    tensor: SymmetricTensor, rng: np.random.Generator, clock: Budget
) -> tuple[RankEstimate | None, SymmetricTensor]:
    """The rank that exact flattenings show, None where they are full or blurred; and the tensor,
    on the range of its components where that is smaller."""
    dim, order = tensor.dim, tensor.order
    # Squares of a Gram matrix would hide values below 1e-8: contract with random vectors, as many
    # as resolve the row space.
    draws = [tensor.contract(*rng.standard_normal((order - 2, dim))) for _ in range(dim + 2)]
    left, values, _ = np.linalg.svd(np.hstack(draws), full_matrices=False)
    shown = _gap(values)
    if shown is None:
        # Contractions may blur what the symmetric flattening shows.
        even = order % 2 == 0
        return _from_symmetric_flattening(tensor, rng, clock) if even else None, tensor
    flat = RankEstimate(shown, 0.0, "flattening", f"The flattening has rank {shown}.")
    if shown < dim:
        # A lower bound so far: any number of components fit into a subspace.
        tensor = tensor.rotate(left[:, :shown].T)
        if decompose(tensor, shown, "jennrich", rng=rng, noise=0.0).success:
            return flat, tensor
    if order % 2 == 0:
        return _from_symmetric_flattening(tensor, rng, clock), tensor
    told = _from_koszul_young(tensor, rng, clock) if order == 3 and shown > 2 else None
    return told, tensor


def _from_symmetric_flattening(
    tensor: SymmetricTensor, rng: np.random.Generator, clock: Budget
) -> RankEstimate | None:
    """The rank of the (d^m, d^m) flattening where that many terms fit exactly.

    No sum of fewer terms has it, so that the fit proves it.
    """
    limit = get_method("spm", {}).limit(tensor.dim, tensor.order)
    if not limit or clock.expired:
        return None
    found = spectrum(tensor)
    if found.rank > limit:
        return None
    fit = decompose(tensor, found.rank, "spm", rng=rng, noise=0.0, max_seconds=clock.left)
    if not fit.success:
        return None
    message = f"The symmetric flattening has rank {found.rank}, and that many terms fit exactly."
    return RankEstimate(found.rank, 0.0, "flattening", message)


def _from_koszul_young(
    tensor: SymmetricTensor, rng: np.random.Generator, clock: Budget
) -> RankEstimate | None:
    """The rank that a Koszul-Young flattening shows, None where it is full or blurred."""
    dim = tensor.dim
    # At the rank that a tensor without structure shows, the flattening tells nothing.
    control = gaussian_tensor(dim, rng=rng)
    for p in (1, 2, 3):
        if math.comb(2 * p + 1, p) * dim > 2500 or clock.expired:
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
    tensor: SymmetricTensor,
    level: float | None,
    largest: int | None,
    rng: np.random.Generator,
    clock: Budget,
) -> RankEstimate:
    """Least rank at which a fit is complete, by strides and bisection.

    Below the true rank no fit is complete; from it on fits are, though not unique.
    """
    dim = tensor.dim
    bound = r_id(dim, tensor.order)
    last = math.ceil(bound) - 1
    largest = max(last if largest is None else min(largest, last), 1)
    fits: dict[int, Decomposition] = {}

    def complete(rank: int) -> bool:
        if clock.expired:
            # No fit is complete from here on, so that the search ends at once.
            return False
        if rank not in fits:
            fits[rank] = _fit(tensor, rank, level, rng, clock)
        return _complete(tensor, fits[rank], level)

    def ahead(rank: int) -> int:
        # Small strides where fits are hard: a fit of far too many terms may fail near the bound.
        if rank < dim // 2:
            further = 2 * rank
        else:
            further = math.ceil((1.25 if rank < _HARD * bound else 1.1) * rank)
        # No stride over the last rank that fits which are not exact can tell.
        stop = int(_TELLING * bound)
        return min(stop if rank < stop < further else further, largest)

    low, high = 0, 1
    while True:
        while not complete(high):
            if clock.expired:
                return _out_of_time(clock)
            if high == largest:
                return RankEstimate(None, 0.0, "", _nothing(tensor, largest))
            low, high = high, ahead(high)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if complete(middle) else (middle, high)
        # Where half of the terms are missing, one more takes little of what is left; many more do.
        if fits[high].residual <= exact_fit(tensor):
            break
        last = int(_FAR * largest)
        probes = [high << k for k in range(1, 30) if high << k < last]
        probes.append(max(last, high))
        while high > _HARD * bound and probes[-1] < largest:
            probes.append(ahead(probes[-1]))
        for beyond in probes:
            complete(beyond)
            if beyond not in fits:
                break
            filled = (beyond - high) / (bound - high)
            # Noise would be fitted like a null of the freedom that is left.
            if fits[beyond].residual < _FALL * fits[high].residual * (1.0 - filled) ** NULL_POWER:
                break
        else:
            break
        low, high = high, beyond
    if clock.expired:
        return _out_of_time(clock)
    best = fits[high]
    behind = noise_behind(best.residual, dim, high, tensor.order)
    exact = best.residual <= exact_fit(tensor)
    message = (
        f"{high} terms fit exactly, and no fewer did."
        if exact
        else f"{high} terms leave a residual of {best.residual:.2g} that looks like noise, and no "
        "fewer did."
    )
    return RankEstimate(high, 0.0 if exact else behind, "residuals", message)


def _fit(
    tensor: SymmetricTensor,
    rank: int,
    level: float | None,
    rng: np.random.Generator,
    clock: Budget,
) -> Decomposition:
    """The best of quick searches; where none is exact, the least squares that it leads to."""
    searches: list[tuple[str, dict]] = [("lm", {})]
    if tensor.order == 3:
        searches = [("homotopy", {"steps": _STEPS})]
        if not level and rank > _HARD * r_id(tensor.dim, 3):
            searches = [("homotopy", {"steps": _MORE_STEPS})]
        if rank <= 2 * tensor.dim:
            # Greedy candidates stand noise best where components are few.
            searches.append(("pipe", {}))
    found: list[Decomposition] = []
    for name, options in searches:
        method = get_method(name, options)
        fit = decompose(tensor, rank, method, rng=rng, noise=0.0, max_seconds=clock.left)
        if fit.success:
            return fit
        found.append(refit(method, tensor, fit, Budget(max_seconds=clock.left)))
    return min(found, key=lambda one: one.residual)


def _complete(tensor: SymmetricTensor, fit: Decomposition, level: float | None) -> bool:
    if cancelling(fit, tensor):
        return fit.residual <= exact_fit(tensor)
    if fit.residual <= max(
        exact_fit(tensor), _NEARLY * null_bar(tensor.dim, fit.rank, tensor.order)
    ):
        return True
    # Near the counting bound a tensor without structure is fitted nearly as well, and the null law
    # errs by more than its margin.
    if fit.rank > _TELLING * r_id(tensor.dim, tensor.order):
        return False
    if level == 0.0 or len(fit.components) < fit.rank:
        return False
    if level:
        goal = residual_under(level, tensor.dim, fit.rank, tensor.order)
    else:
        left = freedom(tensor.dim, fit.rank, tensor.order)
        loud = noise_behind(fit.residual, tensor.dim, fit.rank, tensor.order)
        goal = math.inf if loud <= _LOUDEST * min(left / _FREE, 1.0) else 0.0
    gain = gain_of_one_more(tensor, fit.components, fit.weights, Budget())
    bar = null_bar(tensor.dim, fit.rank, tensor.order)
    return fit.residual < min(goal, bar) and gain <= 1.0


def _nothing(tensor: SymmetricTensor, largest: int) -> str:
    return (
        f"No fit of up to {largest} terms explains the tensor better than one of a tensor without "
        "structure: its rank cannot be told. State the rank."
    )


def _out_of_time(clock: Budget) -> RankEstimate:
    message = f"The {clock.max_seconds:g} s passed before the rank was known. State the rank."
    return RankEstimate(None, 0.0, "", message)
