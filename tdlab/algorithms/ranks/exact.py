"""Ranks of exact tensors: bounds from flattenings, and real fits that reach them.

Solves     the rank of a tensor without noise whose terms span all dimensions
Method     a rank is told only with an exact real fit that has a limit. Where a flattening with room
           for more shows b: a fit of b terms proves it; else the terms are complex, or b is a
           border rank only, and the first larger rank with a fit is told where the space is small
           or it is b + 1. Where none shows: an exact fit of as many terms as tell (or of the
           bound, where that is a perfect case), and bisection down from there
Guarantee  no fewer terms are exact where the bound is reached; else none were found
Cost       a fit; or about log2 r_id batches of starts in a small space
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tdlab.algorithms.auto import Auto
from tdlab.algorithms.base import EXACT_FIT, Budget, Decomposition, Status, cancelling, finish
from tdlab.algorithms.descent.exact import ExactFit, close_fits, exact_fit, searchable
from tdlab.algorithms.front import decompose
from tdlab.algorithms.ranks.bounds import Bound, bound
from tdlab.algorithms.registry import get_method
from tdlab.algorithms.words import n_terms
from tdlab.tensors import SymmetricTensor
from tdlab.theory import DEFECTIVE, r_id, uniqueness_class

# Distinct entries: up to the first a search from many starts is as good as conclusive; up to the
# second noise cannot be told from structure, so that only exact fits say anything.
_CONCLUSIVE, _ONLY_EXACT = 35, 15
_FEW_STARTS, _STARTS, _MANY_STARTS = 6, 24, 64
# Relative residual of fits that seem to have no limit.
_CLOSE = 2e-4
# Steps of methods that fit a rank which a flattening shows in a large space.
_STEPS = 1000


@dataclass(frozen=True)
class Told:
    """What is known so far.

    Attributes
    ----------
    rank : int or None
    noise : float
    evidence : str
    message : str
    final : bool
        Whether nothing else can tell more.
    fit : Decomposition or None
        An exact fit of so many terms.
    about : int or None
        The rank that the message is about, where none is told.
    """

    rank: int | None
    noise: float
    evidence: str
    message: str
    final: bool = True
    fit: Decomposition | None = None
    about: int | None = None


@dataclass(frozen=True, eq=False)
class _Search:
    """Exact fits of one tensor."""

    tensor: SymmetricTensor
    rng: np.random.Generator
    clock: Budget

    def real(self, rank: int, starts: int = _STARTS) -> Decomposition | None:
        """An exact real fit that has a limit, where one is found."""
        tensor = self.tensor
        if searchable(tensor.dim, tensor.order, rank):
            fit = exact_fit(tensor, rank, self.rng, self.clock, starts=starts)
            if fit is not None:
                method = get_method("lm", {})
                return finish(
                    method, tensor, rank, Budget(), components=fit.rows, weights=fit.weights
                )
            if rank > tensor.dim:
                return None
        # The methods of a large space, which know components that nearly coincide.
        return self.exact(self.by_methods(rank, Auto(steps=_STEPS)))

    def exact(self, result: Decomposition) -> Decomposition | None:
        """The result, where it is exact and its terms do not grow without limit."""
        fits = result.residual <= EXACT_FIT and not cancelling(result, self.tensor)
        return result if fits else None

    def complex(self, rank: int) -> bool:
        """Whether an exact complex fit that has a limit was found."""
        tensor = self.tensor
        if searchable(tensor.dim, tensor.order, rank):
            small = math.comb(tensor.dim + tensor.order - 1, tensor.order) <= _CONCLUSIVE
            starts = _MANY_STARTS if small else _STARTS
            found = exact_fit(tensor, rank, self.rng, self.clock, complex_terms=True, starts=starts)
            return found is not None and not _is_real(found)
        return self.by_methods(rank, Auto(steps=1)).status is Status.COMPLEX

    def close(self, rank: int) -> bool:
        """Whether fits come close with terms that cancel."""
        tensor = self.tensor
        if not searchable(tensor.dim, tensor.order, rank):
            return False
        ends = close_fits(tensor, rank, self.rng, self.clock, _STARTS)
        best = min(ends, key=lambda end: end.residual)
        return best.residual < _CLOSE and np.abs(best.weights).max() > tensor.norm()

    def by_methods(self, rank: int, method: Auto) -> Decomposition:
        """An attempt of the ladder of `auto`."""
        return decompose(
            self.tensor, rank, method, rng=self.rng, noise=0.0, max_seconds=self.clock.left
        )


def tell_exact(
    tensor: SymmetricTensor, certain: bool, rng: np.random.Generator, clock: Budget
) -> Told:
    """The rank of a tensor without noise whose terms span all dimensions.

    Parameters
    ----------
    certain : bool
        Whether the tensor is known to have no noise: then a rank is told also where as many terms
        fit almost any tensor.
    """
    search = _Search(tensor, rng, clock)
    shown = bound(tensor, rng, clock)
    if clock.expired:
        return Told(None, 0.0, "", "", final=False)
    if shown.shows:
        return _shown(search, shown)
    size = math.comb(tensor.dim + tensor.order - 1, tensor.order)
    last = telling(tensor.dim, tensor.order)
    if not searchable(tensor.dim, tensor.order, last):
        return Told(None, 0.0, "", "", final=False)
    if size <= _CONCLUSIVE:
        return _upwards(search, shown, certain or size <= _ONLY_EXACT)
    if shown.rank <= last:
        told = _downwards(search, shown, last)
        if told is not None:
            return told
    return Told(None, 0.0, "", "", final=False)


def telling(dim: int, order: int) -> int:
    """The largest rank at which an exact fit says something: the last below the counting bound,
    or the bound itself where that is a perfect case."""
    counted = r_id(dim, order)
    perfect = counted == int(counted) and uniqueness_class(dim, int(counted), order) == "generic"
    return max(int(counted) if perfect else math.ceil(counted) - 1, 1)


def generic_rank(dim: int, order: int) -> int:
    """Terms of almost any tensor over the complex numbers (Alexander and Hirschowitz 1995)."""
    if order == 2:
        return dim
    counted = math.ceil(r_id(dim, order))
    return counted + ((order, dim, counted) in DEFECTIVE)


def _shown(search: _Search, shown: Bound) -> Told:
    """Where a flattening has room for more terms than it shows."""
    tensor, rank = search.tensor, shown.rank
    # Algebraic methods see complex terms at once; then a few starts over either field, as complex
    # terms are found as fast as real ones, and end the search.
    quick = search.by_methods(rank, Auto(steps=1))
    over_complex = quick.status is Status.COMPLEX
    fit = None if over_complex else search.exact(quick) or search.real(rank, _FEW_STARTS)
    over_complex = over_complex or (fit is None and search.complex(rank))
    if fit is None and not over_complex:
        fit = search.real(rank)
    if fit is not None:
        message = f"{shown.source} So many terms fit exactly, and no fewer can."
        return Told(rank, 0.0, "exact", message, fit=fit)
    if search.clock.expired:
        message = f"{shown.source} No exact fit was found in time."
        return Told(None, 0.0, "", message, about=rank)
    kind = _complex_sentence(rank) if over_complex else _border_sentence(search, rank)
    size = math.comb(tensor.dim + tensor.order - 1, tensor.order)
    conclusive = size <= _CONCLUSIVE
    # In a large space searches for the first real fit of complex pairs prove nothing.
    further = 2 * generic_rank(tensor.dim, tensor.order) if conclusive else rank + 1
    if over_complex and not conclusive:
        further = rank
    for more in range(rank + 1, further + 1):
        fit = search.real(more, _MANY_STARTS)
        if fit is not None:
            message = f"{shown.source} {kind} {more} real terms fit exactly, and no fewer did."
            return Told(more, 0.0, "exact", message, fit=fit)
    found = "complex" if over_complex else "border"
    return Told(None, 0.0, found, f"{shown.source} {kind}", about=rank)


def _upwards(search: _Search, shown: Bound, certain: bool) -> Told:
    """In a small space: the first rank with an exact real fit, from the bound on."""
    tensor = search.tensor
    dim, order = tensor.dim, tensor.order
    usual = generic_rank(dim, order)
    remarks, over_complex = "", False
    for rank in range(shown.rank, 2 * usual + 1):
        if search.clock.expired:
            break
        fit = search.real(rank, _MANY_STARTS)
        if fit is not None:
            proved = "and no fewer can" if rank == shown.rank else "and no fewer did"
            message = f"{remarks}{n_terms(rank, 'fit')} exactly, {proved}."
            if rank >= usual:
                message += f" {_usual_sentence(dim, order, usual)}"
            if rank < usual or certain or rank <= telling(dim, order):
                return Told(rank, 0.0, "exact", message, fit=fit)
            message += f" With noise=0 that is the rank, {rank}."
            return Told(None, 0.0, "", message, final=False)
        if not over_complex and search.complex(rank):
            remarks, over_complex = f"{_complex_sentence(rank)} ", True
        elif not over_complex and rank == usual:
            remarks = f"{_border_sentence(search, rank)} "
    return Told(None, 0.0, "", remarks.strip(), final=False)


def _downwards(search: _Search, shown: Bound, last: int) -> Told | None:
    """From an exact fit of as many terms as tell, by bisection; None where there is none.

    With more terms than there are exact fits are many, and easily found.
    """
    fit = None
    for top in sorted({last, (shown.rank + last + 1) // 2}, reverse=True):
        fit = search.real(top)
        if fit is not None:
            break
    if fit is None:
        return None
    low, high = shown.rank - 1, fit.rank
    while high - low > 1:
        middle = (low + high) // 2
        found = search.real(middle)
        if found is None:
            low = middle
        else:
            high, fit = middle, found
    if search.clock.expired:
        return None
    proved = "and no fewer can" if high == shown.rank else "and no fewer did"
    return Told(high, 0.0, "exact", f"{n_terms(high, 'fit')} exactly, {proved}.", fit=fit)


def _is_real(fit: ExactFit) -> bool:
    """Whether the vectors of a complex fit are real up to phases."""
    # u u^T is free of the phase only with a conjugate; |sum u_j^2| = 1 for a real unit vector.
    return bool((np.abs((fit.rows**2).sum(axis=1)) > 1.0 - 1e-9).all())


def _complex_sentence(rank: int) -> str:
    return (
        f"Over the complex numbers {n_terms(rank, 'fit')} exactly, some of them in conjugate "
        "pairs; over the real numbers the rank is larger."
    )


def _border_sentence(search: _Search, rank: int) -> str:
    if search.close(rank):
        return (
            f"{n_terms(rank, 'come')} ever closer as they grow and cancel, but do not fit "
            "exactly: that is the border rank, and the rank is larger."
        )
    return f"No exact fit of {n_terms(rank)} was found: the rank may be larger."


def _usual_sentence(dim: int, order: int, usual: int) -> str:
    return (
        f"Almost any tensor of order {order} and dimension {dim} is a sum of {n_terms(usual)} over "
        "the complex numbers."
    )
