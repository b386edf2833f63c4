"""Ranks under noise: the least that leaves no more than noise, and that runs agree on.

Solves     the rank where a fit's remainder looks like isotropic noise, or is within a stated level
Method     strides over growing rank, bisection between the last incomplete and the first complete
           fit; a rank of unstated noise is told only where the runs of its row agree
Guarantee  none; refused near the counting bound, where noise is always fitted
Cost       about 2 log2(r_id) fits
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from tdlab.algorithms.base import EXACT_FIT, Budget, Decomposition, cancelling
from tdlab.algorithms.descent.exact import searchable
from tdlab.algorithms.front import decompose
from tdlab.algorithms.noise import (
    LEAST_POWER,
    freedom,
    gain_of_one_more,
    noise_behind,
    null_bar,
    refit,
    residual_under,
)
from tdlab.algorithms.ranks.exact import Told
from tdlab.algorithms.ranks.table import Table
from tdlab.algorithms.registry import get_method
from tdlab.algorithms.words import n_terms
from tdlab.tensors import SymmetricTensor
from tdlab.theory import r_id

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
_FIRST_ROWS = 6
# Share of the three to five independent runs that must end in one fit: two of them.
_AGREE = 0.34
# Gain of the last term, where 1 is the most that it would take of noise.
_CLEAR_GAIN = 2.0


def tell_noisy(
    tensor: SymmetricTensor,
    table: Table,
    level: float | None,
    largest: int,
    rng: np.random.Generator,
    clock: Budget,
) -> Told:
    """The least rank whose fit is exact or leaves what looks like noise of an unstated level.

    Parameters
    ----------
    level : float or None
        0 where there is none: then only exact fits count.
    """
    if searchable(tensor.dim, tensor.order, largest):
        # Exact fits have been searched for; and rows cost little.
        for rank in range(1, largest + 1):
            row = table.add(rank)
            if row is None or level == 0.0:
                break
            agreed = row.agreement > _AGREE and _stands(table, rank)
            if agreed and _complete(tensor, table.best[rank], level):
                return _noise_told(table.best[rank])
        return Told(None, 0.0, "", "", final=False)
    # A few rows first, so that the table is there whatever the strides take.
    for rank in range(1, min(_FIRST_ROWS, largest) + 1):
        table.add(rank)
    strides = _Strides(tensor, level, largest, rng, clock)
    rank = strides.least()
    if rank is None:
        return Told(None, 0.0, "", "", final=False)
    best = strides.fits[rank]
    if best.residual > EXACT_FIT:
        # What is nearly exact may be an exact fit that a quick search did not finish.
        fit = decompose(tensor, rank, rng=rng, noise=0.0, steps=2000, max_seconds=clock.left)
        if fit.residual <= EXACT_FIT and not cancelling(fit, tensor):
            best = fit
    if best.residual <= EXACT_FIT:
        message = f"{n_terms(rank, 'fit')} exactly, and no fewer did."
        return Told(rank, 0.0, "exact", message, fit=best)
    if level == 0.0:
        return Told(None, 0.0, "", "", final=False)
    row = table.add(rank, best)
    if row is None or row.agreement <= _AGREE or not _stands(table, rank):
        return Told(None, 0.0, "", "", final=False)
    return _noise_told(table.best[rank])


def within(table: Table, level: float, largest: int) -> Told:
    """The least rank whose fit is within a stated noise level."""
    tensor = table.tensor
    dim, order = tensor.dim, tensor.order

    def reaches(rank: int) -> bool:
        row = table.add(rank)
        goal = max(residual_under(level, dim, rank, order), EXACT_FIT)
        return row is not None and row.residual <= goal and row.largest <= 3.0

    low, high = 0, 1
    while not reaches(high):
        if table.clock.expired:
            return Told(None, level, "", "", final=False)
        if high == largest:
            message = f"No fit of up to {n_terms(largest)} is within the noise of {level:.2g}."
            return Told(None, level, "", message, final=False)
        low, high = high, min(high + max(1, high // 3), largest)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    residual = table.rows[high].residual
    message = (
        f"{n_terms(high, 'leave')} a residual of {residual:.2g}, within the stated noise of "
        f"{level:.2g} less what the terms take of it, and no fewer did."
    )
    if residual >= null_bar(dim, high, order):
        message += " So many terms fit a tensor without structure nearly as well."
    return Told(high, level, "stated noise", message)


def _stands(table: Table, rank: int) -> bool:
    """Whether the last term takes clearly more than noise gives one.

    In noise that is not isotropic the gain falls from a little above 1 to a little below at some
    rank or other, which says nothing of that rank.
    """
    if rank == 1:
        return True
    before = table.add(rank - 1)
    return before is not None and before.gain is not None and before.gain >= _CLEAR_GAIN


def _noise_told(fit: Decomposition) -> Told:
    behind = noise_behind(fit.residual, fit.components.shape[1], fit.rank, fit.order)
    message = (
        f"{n_terms(fit.rank, 'leave')} a residual of {fit.residual:.2g} that looks like isotropic "
        "noise, independent runs find the same ones, and no fewer did."
    )
    return Told(fit.rank, behind, "noise", message)


@dataclass
class _Strides:
    """The least rank of a complete fit, by strides and bisection.

    Below the true rank no fit is complete; from it on fits are, though not unique.
    """

    tensor: SymmetricTensor
    level: float | None
    largest: int
    rng: np.random.Generator
    clock: Budget
    fits: dict[int, Decomposition] = field(default_factory=dict)

    def least(self) -> int | None:
        """None where no fit is complete, or time ends."""
        bound, largest = r_id(self.tensor.dim, self.tensor.order), self.largest
        low, high = 0, 1
        while True:
            while not self._complete(high):
                if self.clock.expired or high == largest:
                    return None
                low, high = high, self._ahead(high)
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (low, middle) if self._complete(middle) else (middle, high)
            # Where half of the terms are missing, one more takes little of what is left; many more
            # do.
            if self.fits[high].residual <= EXACT_FIT:
                break
            last = int(_FAR * largest)
            probes = [high << k for k in range(1, 30) if high << k < last]
            probes.append(max(last, high))
            while high > _HARD * bound and probes[-1] < largest:
                probes.append(self._ahead(probes[-1]))
            for beyond in probes:
                self._complete(beyond)
                if beyond not in self.fits:
                    break
                filled = (beyond - high) / (bound - high)
                # Noise would be fitted like a null of the freedom that is left.
                bar = _FALL * self.fits[high].residual * (1.0 - filled) ** (LEAST_POWER / 2)
                if self.fits[beyond].residual < bar:
                    break
            else:
                break
            low, high = high, beyond
        return None if self.clock.expired else high

    def _complete(self, rank: int) -> bool:
        if self.clock.expired:
            # No fit is complete from here on, so that the search ends at once.
            return False
        if rank not in self.fits:
            self.fits[rank] = self._fit(rank)
        return _complete(self.tensor, self.fits[rank], self.level)

    def _ahead(self, rank: int) -> int:
        # Small strides where fits are hard: a fit of far too many terms may fail near the bound.
        bound = r_id(self.tensor.dim, self.tensor.order)
        if rank < self.tensor.dim // 2:
            further = 2 * rank
        else:
            further = math.ceil((1.25 if rank < _HARD * bound else 1.1) * rank)
        # No stride over the last rank that fits which are not exact can tell.
        stop = int(_TELLING * bound)
        return min(stop if rank < stop < further else further, self.largest)

    def _fit(self, rank: int) -> Decomposition:
        """The best of quick searches; where none is exact, the least squares that it leads to."""
        tensor = self.tensor
        searches: list[tuple[str, dict]] = [("lm", {})]
        if tensor.order == 3:
            searches = [("homotopy", {"steps": _STEPS})]
            if rank > _HARD * r_id(tensor.dim, 3):
                searches = [("homotopy", {"steps": _MORE_STEPS})]
            if rank <= 2 * tensor.dim:
                # Greedy candidates stand noise best where components are few.
                searches.append(("pipe", {}))
        found: list[Decomposition] = []
        for name, options in searches:
            method = get_method(name, options)
            limit = self.clock.left
            fit = decompose(tensor, rank, method, rng=self.rng, noise=0.0, max_seconds=limit)
            if fit.success:
                return fit
            found.append(refit(method, tensor, fit, Budget(max_seconds=self.clock.left)))
        return min(found, key=lambda one: one.residual)


def _complete(tensor: SymmetricTensor, fit: Decomposition, level: float | None) -> bool:
    if cancelling(fit, tensor):
        return False
    if fit.residual <= max(EXACT_FIT, _NEARLY * null_bar(tensor.dim, fit.rank, tensor.order)):
        return True
    # Near the counting bound a tensor without structure is fitted nearly as well, and the null law
    # errs by more than its margin.
    if fit.rank > _TELLING * r_id(tensor.dim, tensor.order):
        return False
    if level == 0.0 or len(fit.components) < fit.rank:
        return False
    left = freedom(tensor.dim, fit.rank, tensor.order)
    loud = noise_behind(fit.residual, tensor.dim, fit.rank, tensor.order)
    if loud > _LOUDEST * min(left / _FREE, 1.0):
        return False
    gain = gain_of_one_more(tensor, fit.components, fit.weights, Budget())
    return fit.residual < null_bar(tensor.dim, fit.rank, tensor.order) and gain <= 1.0
