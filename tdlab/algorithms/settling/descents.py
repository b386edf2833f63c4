"""Short descents from many starts: what they show of a small tensor.

Solves     is the remainder of a fit noise, is it a best approximation, or are the terms complex
Method     independent runs: an exact real fit among them ends it; so does an exact complex one,
           where no other terms of that number can fit. Every second run is followed to its end. Of
           up to d terms, fits in the coordinates of their own components come first
Guarantee  none for noise; a rank below that of a flattening has no exact fit
Cost       up to 30 descents on explicit arrays, twice that where no fit is exact
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from tdlab.algorithms.base import Budget, Decomposition, Method, Status
from tdlab.algorithms.descent import small as _small
from tdlab.algorithms.descent.balanced import balanced_fit
from tdlab.algorithms.descent.even import spectrum
from tdlab.algorithms.noise import freedom, null_bar, refit
from tdlab.algorithms.ranks.bounds import Bound, span
from tdlab.algorithms.settling.complex import (
    COMPLEX_RUNS,
    MANY_COMPLEX_RUNS,
    STAGES,
    ComplexSearch,
    shown_fit,
)
from tdlab.algorithms.settling.optima import Optima
from tdlab.algorithms.settling.verdict import THREE, TWO, inner_bound, stands, verdict
from tdlab.algorithms.words import n_terms
from tdlab.tensors import SymmetricTensor

# Steps of a descent that is followed to its end.
_DESCENT = 300
# Runs in the coordinates of the components.
_BALANCED_RUNS = 20


def search(
    method: Method,
    tensor: SymmetricTensor,
    rank: int,
    rng: np.random.Generator,
    budget: Budget,
    earlier: Sequence[Decomposition] = (),
) -> tuple[Decomposition, bool] | None:
    """What short descents from many starts show of a small tensor; None where it is not small.

    Returns
    -------
    (Decomposition, bool)
        With the status ``stagnated`` or ``degenerate`` where they show nothing; and whether other
        methods need not be tried, for none can find an exact fit.
    """
    inner, basis = span(tensor, rng)
    if not _small.fits_in(inner.dim, rank, tensor.order):
        return None
    known = inner_bound(inner, rng, budget)
    hopeless = known.rank > rank
    target = _small.SmallTensor.of(inner)
    wanted, most = _effort(inner.dim, rank, tensor.order, hopeless)
    signs = _Signs(inner, rank)
    optima = Optima(tensor.order)
    whitened = _balanced(method, tensor, inner, basis, rank, rng, budget)
    if whitened is not None:
        # Its neighbour in plain least squares is a run like others.
        optima.add(refit(method, tensor, whitened, budget))
        wanted = most = THREE
    else:
        for one in earlier:
            polished = refit(method, tensor, one, budget)
            if len(polished.components) == rank:
                optima.add(polished)
    complex_fit = ComplexSearch(target, rank, rng, budget)
    complex_runs = MANY_COMPLEX_RUNS if known.shows and known.rank == rank else COMPLEX_RUNS
    steps = 0
    if known.shows and known.rank == rank:
        most = max(most, MANY_COMPLEX_RUNS)
    stages = STAGES // 2 if hopeless else STAGES
    for run in range(most):
        if budget.expired and optima.runs:
            break
        pattern = signs.draw()
        start = _small.random_rows(rank, inner.dim, tensor.order, rng)
        if run % 2 == 0:
            # To its end, for what it ends at is compared with other ends.
            fit = _small.descend(
                target, start, pattern, iterations=_DESCENT, stop=lambda: budget.expired
            )
        else:
            # In search of an exact fit, and given up early where none is in sight.
            fit = _small.anneal(target, start, pattern, stages, lambda: budget.expired)
        steps += fit.steps
        signs.note(pattern, fit.residual)
        shown = shown_fit(
            method, tensor, rank, budget, fit.rows @ basis, pattern, target.norm, steps
        )
        if shown.residual <= budget.exact and shown.success:
            return shown, True
        optima.add(shown)
        if not hopeless and run < complex_runs:
            found = complex_fit.run()
            if isinstance(found, str):
                best = optima.best
                return dataclasses.replace(best, status=Status.COMPLEX, message=found), True
            if found is not None:
                rows, pattern = found
                shown = shown_fit(
                    method, tensor, rank, budget, rows @ basis, pattern, target.norm, steps
                )
                return shown, shown.success
        if optima.runs < wanted:
            continue
        if optima.agreement >= THREE or optima.equally_good >= 2 * THREE:
            break
        if optima.agreement >= TWO and stands(method, tensor, optima, known, budget).success:
            break
    told = verdict(method, tensor, optima, known, budget, final=True)
    if hopeless and told.status is Status.STAGNATED:
        told = _undecided(told, optima, known)
    if whitened is None and budget.expired and told.noise > 0.0 and 3 <= rank <= inner.dim:
        # The clock kept the fit that this one would have to agree with.
        told = optima.best
    if whitened is None:
        return told, hopeless or told.status is not Status.STAGNATED
    # Noise that is alike in all directions moves both fits by little: where they differ, it is not.
    return (told if told.success and _alike(told, whitened) else whitened), True


def _undecided(best: Decomposition, optima: Optima, known: Bound) -> Decomposition:
    return dataclasses.replace(
        best,
        message=(
            f"The best of {optima.runs} independent runs, which {optima.agreement} of them found: "
            "there may be better ones, and they need not have these components. An exact fit needs "
            f"{n_terms(known.rank)} or more."
        ),
    )


def _alike(one: Decomposition, other: Decomposition) -> bool:
    from tdlab.metrics import match

    return match(one.components, other.components, one.order, 0.99).recovered == 1.0


def _balanced(
    method: Method,
    tensor: SymmetricTensor,
    inner: SymmetricTensor,
    basis: np.ndarray,
    rank: int,
    rng: np.random.Generator,
    budget: Budget,
) -> Decomposition | None:
    """A fit in the coordinates of its own components that three runs agree on, if that is good.

    Good is half of what would beat a tensor without structure, there and as it stands: then the
    tensor has these components, and what is left need not be alike in all directions.
    """
    if not 3 <= rank <= inner.dim:
        return None
    optima = Optima(tensor.order)
    for run in range(_BALANCED_RUNS):
        if run == _BALANCED_RUNS // 2 and not optima.groups:
            break
        fit = balanced_fit(inner, rank, rng, lambda: budget.expired)
        if fit is None or fit.residual > 0.5 * null_bar(rank, rank, tensor.order):
            continue
        shown = shown_fit(method, tensor, rank, budget, fit.rows @ basis, fit.signs, 1.0, 0)
        if shown.residual <= 0.5 * null_bar(tensor.dim, rank, tensor.order):
            optima.add(shown)
            if optima.agreement >= THREE:
                message = (
                    f"{optima.agreement} of {optima.runs} independent runs agree on this fit. It "
                    "is one in the coordinates in which its components are orthonormal: the "
                    "tensor is diagonal there up to a relative residual of "
                    f"{fit.residual:.2g}, and what is left is not alike in all directions, as in "
                    "moments of data, so that plain least squares would lose weak components. No "
                    "verdict on noise is given."
                )
                return dataclasses.replace(
                    optima.best,
                    status=Status.APPROXIMATION,
                    message=message,
                    agreement=optima.agreement,
                )
    return None


def _effort(dim: int, rank: int, order: int, hopeless: bool) -> tuple[int, int]:
    """Runs before a fit that is not exact may stand, and runs in all."""
    most = 30 if rank * dim <= 120 else 16 if rank * dim <= 250 else 6
    if hopeless:
        # Best approximations by few terms have many local optima, and cost little.
        size = rank * dim
        least = 40 if size <= 30 else 20 if size <= 60 else 8 if size <= 250 else 5
        least = min(least, 12) if rank == 1 else least
        return least, max(2 * most, least)
    left = freedom(dim, rank, order)
    return min(24 if left < 50 else 10 if left < 200 else 4, most), most


class _Signs:
    """Numbers of positive coefficients to try, at even orders.

    The flattening of a sum of independent powers has as many positive eigenvalues as terms of
    positive sign; of fewer powers than terms, or under noise, it only suggests a number. Its
    neighbours are tried once each, and from there wherever the residual falls.
    """

    def __init__(self, tensor: SymmetricTensor, rank: int) -> None:
        self.rank = rank
        self.seen: dict[int, float] = {}
        if tensor.order % 2 == 1:
            self.low = self.high = self.first = rank
            return
        known = spectrum(tensor)
        leading = known.values[:rank]
        positive, negative = int((leading > 0).sum()), int((leading < 0).sum())
        exact = known.rank <= rank
        self.low, self.high = (positive, rank - negative) if exact else (0, rank)
        self.first = round(rank * positive / len(leading))

    def draw(self) -> np.ndarray:
        """Signs (r,), the positive ones first."""
        positive = self.first
        if self.seen:
            positive = min(self.seen, key=lambda count: self.seen[count])
            for beside in (positive + 1, positive - 1):
                if self.low <= beside <= self.high and beside not in self.seen:
                    positive = beside
                    break
        return np.where(np.arange(self.rank) < positive, 1.0, -1.0)

    def note(self, signs: np.ndarray, residual: float) -> None:
        """The residual that a run with these signs ended at."""
        count = int((signs > 0).sum())
        self.seen[count] = min(residual, self.seen.get(count, np.inf))
