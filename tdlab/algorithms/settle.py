"""What stands where no fit is exact and nobody stated the noise.

Solves     is the remainder of a fit noise, is it a best approximation, or are the terms complex
Method     independent runs: an exact real fit among them ends it; so does an exact complex one,
           where no other terms of that number can fit. A fit stands as a success under noise where
           another run finds it, it beats a tensor without structure, one component more takes no
           more of its remainder than of noise, every component is determined, and no flattening
           shows that the data are exact. A fit that three runs find and that is none of these is a
           best approximation
Guarantee  none for noise; a rank below that of a flattening has no exact fit
Cost       small problems: up to 30 short descents on explicit arrays; else up to four runs of the
           method, each stopped once it fits as well, and a fit of rank + 1
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tdlab.algorithms import _small
from tdlab.algorithms._balanced import balanced_fit
from tdlab.algorithms._even import spectrum
from tdlab.algorithms._jacobian import regular
from tdlab.algorithms._noise import (
    LEAST_FREEDOM,
    freedom,
    gain_of_one_more,
    loudest_noise,
    noise_behind,
    null_bar,
    refit,
)
from tdlab.algorithms._rank_bounds import Bound, bound, span
from tdlab.algorithms.base import EXACT_FIT, Budget, Decomposition, Method, Status, finish
from tdlab.tensors import SymmetricTensor
from tdlab.theory import uniqueness_class

# Fits agree where each component of one has a cosine above the first with one of the other, and the
# residuals differ by no more than this share.
_SAME, _SAME_RESIDUAL = 0.999, 2e-3
# Runs that must agree on a best approximation, and on a fit under noise.
_THREE, _TWO = 3, 2
_STAGES = 24
# Steps of a descent that is followed to its end.
_DESCENT = 300
# Runs in the coordinates of the components.
_BALANCED_RUNS = 20
# Further runs of a method on a large problem.
_RUNS = 4
# Descents over the complex numbers; and where a flattening shows that just so many terms fit.
_COMPLEX_RUNS, _MANY_COMPLEX_RUNS = 8, 30


@dataclass
class Optima:
    """Fits of independent runs, and how often each came back.

    Attributes
    ----------
    order : int
    groups : list of lists of Decomposition
        Fits that agree; the first of a group is its best.
    judged : pair of Decomposition, optional
        The best fit that was last asked whether it may stand under noise, and the answer.
    """

    order: int
    groups: list[list[Decomposition]] = field(default_factory=list)
    judged: tuple[Decomposition, Decomposition] | None = None

    def add(self, fit: Decomposition) -> None:
        """Put a fit to those that it agrees with."""
        for group in self.groups:
            if agree(fit, group[0]):
                group.append(fit)
                group.sort(key=lambda one: one.residual)
                return
        self.groups.append([fit])

    @property
    def runs(self) -> int:
        """Fits seen."""
        return sum(map(len, self.groups))

    def _leading(self) -> list[Decomposition]:
        # Of fits that are equally good, those that came back.
        best = min(group[0].residual for group in self.groups)
        near = [g for g in self.groups if g[0].residual <= best * (1 + _SAME_RESIDUAL) + 1e-12]
        return max(near, key=len)

    @property
    def equally_good(self) -> int:
        """How many runs ended at the smallest residual, whatever their components."""
        best = self.best.residual
        near = [g for g in self.groups if g[0].residual <= best * (1 + 1e-5)]
        return sum(map(len, near))

    @property
    def best(self) -> Decomposition:
        """The fit of the smallest residual."""
        return self._leading()[0]

    @property
    def agreement(self) -> int:
        """How many runs found it."""
        return len(self._leading())


def agree(one: Decomposition, other: Decomposition) -> bool:
    """Whether two fits of one tensor have the same residual and the same components."""
    from tdlab.metrics import match

    low, high = sorted((one.residual, other.residual))
    if high - low > _SAME_RESIDUAL * low or len(one.components) != len(other.components):
        return False
    if len(one.components) == 0:
        return False
    return match(one.components, other.components, one.order, _SAME).recovered == 1.0


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
    known = _known(tensor, result.rank, rng, budget)
    hopeless = known is not None and known.rank > result.rank
    if not hopeless and not _noise_like(tensor, result, known, budget):
        return result
    optima = Optima(tensor.order)
    for one in (*earlier, result):
        optima.add(one)
    for _ in range(_RUNS):
        if optima.agreement >= _THREE or budget.expired:
            break
        if optima.agreement >= _TWO and _stands(method, tensor, optima, known, budget).success:
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
    return _verdict(method, tensor, optima, known, budget, final=hopeless)


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
    known = _bound(inner, rng, budget)
    hopeless = known.rank > rank
    target = _small.SmallTensor.of(inner)
    wanted, most = _effort(inner.dim, rank, tensor.order, hopeless)
    signs = _Signs(inner, rank)
    optima = Optima(tensor.order)
    whitened = _balanced(method, tensor, inner, basis, rank, rng, budget)
    if whitened is not None:
        # Its neighbour in plain least squares is a run like others.
        optima.add(refit(method, tensor, whitened, budget))
        wanted = most = _THREE
    else:
        for one in earlier:
            polished = refit(method, tensor, one, budget)
            if len(polished.components) == rank:
                optima.add(polished)
    complex_fit = _ComplexSearch(target, rank, rng, budget)
    complex_runs = _MANY_COMPLEX_RUNS if known.shows and known.rank == rank else _COMPLEX_RUNS
    steps = 0
    if known.shows and known.rank == rank:
        most = max(most, _MANY_COMPLEX_RUNS)
    stages = _STAGES // 2 if hopeless else _STAGES
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
        shown = _shown(method, tensor, rank, budget, fit.rows @ basis, pattern, target.norm, steps)
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
                shown = _shown(
                    method, tensor, rank, budget, rows @ basis, pattern, target.norm, steps
                )
                return shown, shown.success
        if optima.runs < wanted:
            continue
        if optima.agreement >= _THREE or optima.equally_good >= 2 * _THREE:
            break
        if optima.agreement >= _TWO and _stands(method, tensor, optima, known, budget).success:
            break
    told = _verdict(method, tensor, optima, known, budget, final=True)
    if hopeless and told.status is Status.STAGNATED:
        told = _undecided(told, optima, known)
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
            f"{known.rank} terms or more."
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
        shown = _shown(method, tensor, rank, budget, fit.rows @ basis, fit.signs, 1.0, 0)
        if shown.residual <= 0.5 * null_bar(tensor.dim, rank, tensor.order):
            optima.add(shown)
            if optima.agreement >= _THREE:
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


def complex_terms(
    method: Method,
    tensor: SymmetricTensor,
    rank: int,
    rng: np.random.Generator,
    budget: Budget,
) -> Decomposition | None:
    """The verdict that the terms are complex, or an exact real fit found on the way.

    None where the tensor is not small, or no flattening shows that it has just that many terms.
    """
    own = rng.spawn(1)[0]
    if not _telling(tensor, rank):
        return None
    inner, basis = span(tensor, own)
    if not _small.fits_in(inner.dim, rank, tensor.order):
        return None
    known = _bound(inner, own, budget)
    if not (known.shows and known.rank == rank):
        return None
    target = _small.SmallTensor.of(inner)
    complex_fit = _ComplexSearch(target, rank, own, budget)
    signs = np.ones(rank)
    for _ in range(_MANY_COMPLEX_RUNS):
        found = complex_fit.run()
        if found is None:
            continue
        if isinstance(found, str):
            start = _small.random_rows(rank, inner.dim, tensor.order, own)
            fit = _small.anneal(target, start, signs, _STAGES, lambda: budget.expired)
            best = _shown(
                method, tensor, rank, budget, fit.rows @ basis, signs, target.norm, fit.steps
            )
            return dataclasses.replace(best, status=Status.COMPLEX, message=found)
        rows, signs = found
        return _shown(method, tensor, rank, budget, rows @ basis, signs, target.norm, 0)
    return None


def _shown(
    method: Method,
    tensor: SymmetricTensor,
    rank: int,
    budget: Budget,
    rows: np.ndarray,
    signs: np.ndarray,
    norm: float,
    steps: int,
) -> Decomposition:
    weights = signs * norm * np.linalg.norm(rows, axis=1) ** tensor.order
    return finish(method, tensor, rank, budget, components=rows, weights=weights, nit=steps)


def _effort(dim: int, rank: int, order: int, hopeless: bool) -> tuple[int, int]:
    """Runs before a fit that is not exact may stand, and runs in all."""
    most = 30 if rank * dim <= 120 else 16 if rank * dim <= 250 else 6
    if hopeless:
        # Best approximations by few terms have many local optima, and cost little.
        size = rank * dim
        least = 40 if size <= 30 else 20 if size <= 60 else 8 if size <= 150 else _THREE
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


class _ComplexSearch:
    """Exact fits over the complex numbers, where a generic one is the only one."""

    def __init__(
        self, target: _small.SmallTensor, rank: int, rng: np.random.Generator, budget: Budget
    ) -> None:
        self.target, self.rank, self.rng, self.budget = target, rank, rng, budget
        self.unique = uniqueness_class(target.dim, rank, target.order) == "generic"

    def run(self) -> str | tuple[np.ndarray, np.ndarray] | None:
        """A sentence where the terms are complex; rows and signs where they are real after all."""
        if not self.unique:
            return None
        order, rank = self.target.order, self.rank
        start = _small.random_rows(rank, self.target.dim, order, self.rng, complex_rows=True)
        ones = np.ones(rank)
        fit = _small.anneal(self.target, start, ones, _STAGES, lambda: self.budget.expired)
        if fit.residual > max(1e-10, self.budget.exact / 10) or not regular(fit.rows, ones, order):
            return None
        sizes = np.einsum("ij,ij->i", fit.rows.conj(), fit.rows).real
        own = np.einsum("ij,ij->i", fit.rows, fit.rows)
        # |z^T z| = |z|^2 where z is a real vector times a number.
        real = np.abs(own) >= (1.0 - 1e-6) * sizes
        if real.all():
            phase = np.sqrt(own / np.abs(own))
            rows = (fit.rows / phase[:, None]).real
            return rows, np.sign((phase**order).real)
        pairs, singles = int((~real).sum()) // 2, int(real.sum())
        beside = f" and {singles} real ones" if singles else ""
        return (
            f"Exact over the complex numbers only: {pairs} pairs of complex conjugate terms"
            f"{beside} fit to {fit.residual:.0e}, and no other {rank} terms do. What is shown is "
            "the best real fit found; over the real numbers the rank is larger."
        )


def _known(
    tensor: SymmetricTensor, rank: int, rng: np.random.Generator, budget: Budget
) -> Bound | None:
    """What flattenings show, where they can show anything of that rank at a bearable cost."""
    if not _telling(tensor, rank):
        return None
    inner, _ = span(tensor, rng)
    return _bound(inner, rng, budget)


def _bound(inner: SymmetricTensor, rng: np.random.Generator, budget: Budget) -> Bound:
    # Data that were rounded coarsely have flattenings of full rank, and are exact all the same.
    coarse = budget.exact > EXACT_FIT
    return Bound(1, False, "") if coarse else bound(inner, rng, budget)


def _telling(tensor: SymmetricTensor, rank: int) -> bool:
    """Whether a flattening may show that rank at a bearable cost."""
    if tensor.order == 3:
        return rank <= 1.75 * tensor.dim and tensor.dim <= 200
    return tensor.dim ** ((tensor.order + 1) // 2) <= 4000


def _noise_like(
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


def _stands(
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
    if not _noise_like(tensor, best, known, budget):
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


def _verdict(
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
    if agreement >= _TWO:
        noisy = _stands(method, tensor, optima, known, budget)
        if noisy.success:
            return dataclasses.replace(noisy, agreement=agreement)
        if noisy.status is Status.BELOW_NOISE:
            lost = f" {noisy.message}"
    best = dataclasses.replace(best, agreement=agreement)
    if not final or best.status is Status.DEGENERATE:
        return best
    if agreement < _THREE <= optima.equally_good // 2:
        return dataclasses.replace(
            best,
            status=Status.APPROXIMATION,
            unique="no",
            message=(
                f"{optima.equally_good} of {optima.runs} independent runs end at this residual, "
                "and none at a smaller one, but with other components: the best approximation by "
                f"{best.rank} terms is not unique."
            ),
        )
    if agreement < _THREE:
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
        bounded = f" An exact fit needs {known.rank} terms or more."
    return dataclasses.replace(
        best,
        status=Status.APPROXIMATION,
        message=(
            f"{agreement} of {optima.runs} independent runs agree on this fit, and none is better: "
            f"it is taken for the best approximation by {best.rank} terms.{verdict}{bounded}"
        ),
    )
