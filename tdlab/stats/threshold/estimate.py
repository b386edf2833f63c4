"""The rank r* at which recovery has even odds, with an interval and a status, from counts.

Counts (r, successes, trials) on any set of ranks. Bracketing is decided without a model; then a
global posterior locates the crossing, and a local one with its own slope on either side is
reported. Two things guard it. An isotonic likelihood-ratio interval, which knows only that the
curve falls, is covered where it disagrees, and reported instead where a falling curve fits much
better than two slopes: a shelf beside a jump. And a gap of tested ranks across which success surely
changes is taken in as a whole: inside it the curve may fall anywhere. r* is never moved to the
tested range: what is not bracketed is a one-sided bound without a point.

Measured coverage of the 95% interval on fixed grids: see ``tests/statistical/test_coverage.py``;
in adaptive scans: docs/calibration.md.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from tdlab.errors import InputError
from tdlab.stats.binomial import check_counts, check_level, fisher, interval, percent
from tdlab.stats.threshold import isotonic, posterior
from tdlab.stats.threshold.record import Threshold, ThresholdStatus

# Gaps in ln r that adaptive scans close before they stop, and the share of wider ones that is added
# to intervals in quadrature: measured on floors and heavy tails, see docs/calibration.md.
_WIDE_GAP = 0.1
_GAP_SHARE = 0.25
# Times the half-width of the global fit that the local one may be wide before its window grows.
_LOOSE = 3.0
# Twice the log-likelihood by which a falling curve may fit better than two slopes. On smooth curves
# it does by 0 to 2 on a few ranks (median), by 3 to 5 on twenty; on shelves by 4 to 30.
_MISFIT = 3.0
# p-value of Fisher's test below which success changes across a gap: evidence at one p weakens as
# trials grow, so it is stricter where they are many (40 of them: 0.015).
_JUMP, _JUMP_TRIALS, _JUMP_MOST = 0.01, 0.6, 0.15
# Success at the lowest ranks that is surely above this is no failing method's.
_NEAR_ZERO = 0.05


def estimate(
    ranks: ArrayLike,
    successes: ArrayLike,
    trials: ArrayLike,
    timeouts: ArrayLike | None = None,
    level: float = 0.95,
) -> Threshold:
    """Estimate the rank of even odds.

    Parameters
    ----------
    ranks, successes, trials : array_like of int, equal length
        Counts at each rank, in any order; a rank may occur twice.
    timeouts : array_like of int, optional
        Trials (among ``trials``, not among ``successes``) that did not end by themselves. The
        interval covers the answers with all of them failures, and all of them successes.
    level : float

    Returns
    -------
    Threshold

    Raises
    ------
    InputError
        If counts are no whole numbers, or do not add up.

    Examples
    --------
    >>> found = estimate([4, 8, 12, 16, 20, 24], [20, 20, 19, 8, 1, 0], [20] * 6)
    >>> found.status.value, round(found.estimate), round(found.lower), round(found.upper)
    ('bracketed', 15, 12, 20)
    >>> estimate([2, 4, 6], [8, 8, 8], [8, 8, 8]).message
    'Recovery is surely above one half at every rank tested, up to 6: r* > 6.'
    """
    check_level(level)
    rank, success, trial, timeout = _merged(ranks, successes, trials, timeouts)
    pessimistic = reading(rank, success, trial, level)
    if not timeout.any():
        return pessimistic
    return _union(pessimistic, reading(rank, success + timeout, trial, level), timeout, trial)


def _merged(
    ranks: ArrayLike, successes: ArrayLike, trials: ArrayLike, timeouts: ArrayLike | None
) -> tuple[np.ndarray, ...]:
    """Validated counts, sorted by rank, each rank once, none without trials."""
    rank = check_counts("ranks", ranks)
    columns = {
        "successes": check_counts("successes", successes),
        "trials": check_counts("trials", trials),
        "timeouts": np.zeros_like(rank) if timeouts is None else check_counts("timeouts", timeouts),
    }
    for what, values in columns.items():
        if rank.ndim != 1 or values.shape != rank.shape:
            raise InputError(
                f"{what}: got shape {values.shape} beside ranks of shape {rank.shape}, "
                "wanted equal lengths"
            )
    if (rank < 1).any():
        raise InputError(f"ranks: got {rank.min()}, wanted whole numbers >= 1")
    if (columns["successes"] + columns["timeouts"] > columns["trials"]).any():
        raise InputError("trials: got fewer trials than successes and timeouts, wanted their sum")
    rank, place = np.unique(rank, return_inverse=True)
    merged = [
        np.bincount(place, weights=values, minlength=len(rank)).astype(np.int64)
        for values in columns.values()
    ]
    kept = merged[1] > 0
    return rank[kept], *(values[kept] for values in merged)


def reading(
    rank: np.ndarray,
    success: np.ndarray,
    trial: np.ndarray,
    level: float,
    fit: posterior.Global | None = None,
) -> Threshold:
    """Threshold of counts that are in order, without timeouts; ``fit`` is their global posterior,
    where it is known."""
    few = isotonic.enough(level)
    base = Threshold(
        ThresholdStatus.TOO_FEW_TRIALS, None, None, None, level, None, "betting bound", (), ""
    )
    if trial.sum() < few:
        return replace(
            base,
            method="none",
            message=f"Only {trial.sum()} trials ended: at least {few}, all alike, can tell a side.",
        )
    start, rises = isotonic.rise(success, trial, level)
    rank, success, trial = rank[start:], success[start:], trial[start:]
    plateau, _ = isotonic.ends(success, trial)
    base = replace(base, plateau=plateau, flags=("non-monotone",) if rises else ())
    sides = isotonic.sure(success, trial, level)
    if sides.above and sides.below < len(rank):
        return _bracketed(rank, success, trial, base, sides, None if start else fit)
    if sides.above:
        bound = int(rank[sides.above - 1])
        everywhere = sides.above == len(rank) and not rises and bool((2 * success > trial).all())
        reach = (
            f"at every rank tested, up to {bound}"
            if everywhere
            else f"up to rank {bound}, and what was tested beyond does not tell where that ends"
        )
        return replace(
            base,
            status=ThresholdStatus.ALL_RECOVERED if everywhere else ThresholdStatus.LOWER_BOUND,
            lower=float(bound),
            message=f"Recovery is surely above one half {reach}: r* > {bound}.",
        )
    if sides.below == 0:
        return _under_half(rank, success, trial, base)
    undecided, recovered = int(trial[: sides.below].sum()), int(success[: sides.below].sum())
    upper = float(rank[sides.below]) if sides.below < len(rank) else None
    if 2 * recovered < undecided and not _near_zero(recovered, undecided, level):
        # They may rise before they fall, beyond what was tested: no bound.
        upper = None
    bound = "" if upper is None else f" If r* exists, r* < {upper:.0f}."
    status = ThresholdStatus.INDETERMINATE if undecided >= 2 * few else base.status
    return replace(
        base,
        status=status,
        upper=upper,
        message=f"{undecided} trials at ranks {rank[0]} to {rank[sides.below - 1]} do not tell "
        f"on which side of one half recovery lies.{bound} More trials there would.",
    )


def _near_zero(successes: int, trials: int, level: float) -> bool:
    """Whether a method that never succeeds but by luck may have so many successes."""
    lower, _ = interval(successes, trials, level, method="clopper-pearson")
    return float(lower) <= _NEAR_ZERO


def _under_half(
    rank: np.ndarray, success: np.ndarray, trial: np.ndarray, base: Threshold
) -> Threshold:
    """What can be said where recovery is surely under one half from the first rank on.

    A falling curve that is near zero there has its r*, if any, below. One that is flat over a
    factor two in rank has none. One that is neither may fall from a crossing below, or rise to one
    beyond: a method that fails at small ranks, peaks and falls.
    """
    flat = int(np.searchsorted(rank, 2 * rank[0])) + 1
    plateau, falls = isotonic.level(success[:flat], trial[:flat])
    if plateau > _NEAR_ZERO and not falls and rank[min(flat, len(rank)) - 1] >= 2 * rank[0]:
        return replace(
            base,
            status=ThresholdStatus.LAPSE_LIMITED,
            plateau=plateau,
            message=f"Recovery stays near {plateau:.2f} from rank {rank[0]} to "
            f"{rank[flat - 1]}, surely under one half: no rank tested has even odds.",
        )
    pooled = int(success[:flat].sum()), int(trial[:flat].sum())
    if not all(
        _near_zero(*counts, base.level) for counts in (pooled, (int(success[0]), int(trial[0])))
    ):
        return replace(
            base,
            status=ThresholdStatus.INDETERMINATE,
            message=f"Recovery is surely under one half from rank {rank[0]} on, but not near zero "
            "there: it may cross one half at lower ranks, or rise above it where none was tested. "
            "Test lower ranks.",
        )
    each = bool((2 * success < trial).all()) and "non-monotone" not in base.flags
    return replace(
        base,
        status=ThresholdStatus.NONE_RECOVERED if each else ThresholdStatus.UPPER_BOUND,
        upper=float(rank[0]),
        message=f"Recovery is surely under one half from rank {rank[0]} on: r* < {rank[0]}, "
        "if it exists.",
    )


def _bracketed(
    rank: np.ndarray,
    success: np.ndarray,
    trial: np.ndarray,
    base: Threshold,
    sides: isotonic.Sure,
    fit: posterior.Global | None,
) -> Threshold:
    """Posterior interval of a crossing that lies between tested ranks, guarded."""
    x = np.log(rank)
    fit = fit or posterior.global_fit(x, success, trial)
    # The window narrows as the counts sharpen (2.4 sd: 1.2 times the half-width), so that a logit
    # which is no pair of lines over the whole transition costs width, not coverage.
    s = math.hypot(min(fit.width, 2.4 * fit.spread), fit.spread)
    window = max(2.5 * s, 2.2 * math.exp(-fit.location), _reach(x, fit.location))
    tail = (1 - base.level) / 2
    low, middle, high, best = posterior.local_fit(x, success, trial, fit, window, tail)
    # Where most trials lie elsewhere, as on a dense grid, too few may be left in it to give slopes,
    # and the interval has no end: the window grows until they do, or holds the transition.
    widest = 2.5 * math.hypot(fit.width, fit.spread)
    while high - low > _LOOSE * 2 * float(ndtri(1 - tail)) * fit.spread and window < widest:
        window = min(1.5 * window, widest)
        low, middle, high, best = posterior.local_fit(x, success, trial, fit, window, tail)
    # Beyond ranks that are surely on their side of one half there is no r*, whatever a line says.
    first, last = x[sides.above - 1], x[sides.below]
    if first < middle < last:
        low, high = max(low, first), min(high, last)
    first, last = isotonic.guard(success, trial, base.level)
    flags, method = base.flags, "local logit"
    place = int(np.searchsorted(x, middle))
    if 0 < place < len(x):
        below, above = x[place - 1], x[place]
        if fit.width < above - below and below <= low and high <= above:
            # Steeper than the grid resolves: inside a gap every shape fits.
            low, middle, high = below, (below + above) / 2, above
            flags, method = (*flags, "quantised"), "gap between tested ranks"
        elif above - below > _WIDE_GAP and rank[place] > rank[place - 1] + 1:
            # Nothing is known of the curve inside: two lines that fit the ranks beside it may cross
            # elsewhere, by a share of the gap that no number of trials makes smaller.
            doubt = _GAP_SHARE * (above - below)
            low = middle - math.hypot(middle - low, doubt)
            high = middle + math.hypot(high - middle, doubt)
    guard_low = x[first - 1] if first > 0 else low
    guard_high = x[last] if last < len(x) else high
    near = np.abs(x - fit.location) <= window
    lack = 2.0 * (isotonic.falling_fit(success[near], trial[near]) - best)
    if lack > _MISFIT and first > 0 and last < len(x):
        low, high = guard_low, guard_high
        middle = middle if low < middle < high else (low + high) / 2
        flags = (*base.flags, "quantised" if first == last else "shape")
        method = "isotonic interval"
    elif not guard_low <= middle <= guard_high:
        low, high = min(low, guard_low), max(high, guard_high)
        flags, method = (*flags, "shape"), "hull of local logit and isotonic interval"
    wide_low, wide_high = _whole_jumps(x, success, trial, low, high, range(first, last + 1))
    if (wide_low, wide_high) != (low, high):
        low, high = wide_low, wide_high
        flags, method = (*flags, "jump"), f"{method}, with the whole of a jump"
    # Ends that are tested ranks come out as whole numbers.
    point, lower, upper = (round(math.exp(value), 9) for value in (middle, low, high))
    return replace(
        base,
        status=ThresholdStatus.BRACKETED,
        estimate=point,
        lower=lower,
        upper=upper,
        flags=flags,
        method=method,
        message=f"r* = {point:.1f}, {percent(base.level)} interval {lower:.1f} to {upper:.1f}.",
    )


def _whole_jumps(
    x: np.ndarray, success: np.ndarray, trial: np.ndarray, low: float, high: float, likely: range
) -> tuple[float, float]:
    """The interval with all of each gap that it meets, across which success changes, and in which
    a falling curve may cross one half: between ranks j - 1 and j for j in ``likely``."""
    wide_low, wide_high = low, high
    for j in likely:
        if not 0 < j < len(x) or x[j - 1] >= high or x[j] <= low:
            continue
        few = min(int(trial[j - 1]), int(trial[j]))
        bar = min(max(_JUMP, _JUMP_TRIALS / few), _JUMP_MOST)
        if fisher(success[j - 1], trial[j - 1], success[j], trial[j]) < bar:
            wide_low, wide_high = min(wide_low, x[j - 1]), max(wide_high, x[j])
    return wide_low, wide_high


def _reach(x: np.ndarray, location: float) -> float:
    """Half-width that holds two tested ranks on either side, where there are two."""
    left, right = x[x <= location], x[x > location]
    ends = [location - value for value in left[-2:]] + [value - location for value in right[:2]]
    return max(ends) * (1 + 1e-9)


def _union(low: Threshold, high: Threshold, timeout: np.ndarray, trial: np.ndarray) -> Threshold:
    """Cover both readings of the timeouts: failures (``low``) and successes (``high``)."""
    share = f"{timeout.sum()} of {trial.sum()} trials did not end"
    both = replace(
        low,
        estimate=None,
        lower=None if low.lower is None or high.lower is None else min(low.lower, high.lower),
        upper=None if low.upper is None or high.upper is None else max(low.upper, high.upper),
        method=low.method if low.method == high.method else f"{low.method}; {high.method}",
        flags=tuple(dict.fromkeys((*low.flags, *high.flags, "censored"))),
    )
    if low.estimate is not None and high.estimate is not None:
        middle = math.sqrt(low.estimate * high.estimate)
        return replace(
            both,
            estimate=middle,
            message=f"r* = {middle:.1f}, {percent(low.level)} interval {both.lower:.1f} to "
            f"{both.upper:.1f}: {share}, and it covers them as failures and as successes.",
        )
    if low.status == high.status:
        return replace(both, message=f"{low.message} ({share}, which changes nothing.)")
    # One reading brackets the crossing and the other does not: only the bound they share is left.
    if both.lower is not None:
        status, known = ThresholdStatus.LOWER_BOUND, f" Either way r* > {both.lower:.1f}."
    elif both.upper is not None:
        status, known = ThresholdStatus.UPPER_BOUND, f" Either way r* < {both.upper:.1f}."
    else:
        status, known = ThresholdStatus.INDETERMINATE, ""
    return replace(
        both,
        status=status,
        message=f"{share}. As failures: {low.message} As successes: {high.message}{known}",
    )
