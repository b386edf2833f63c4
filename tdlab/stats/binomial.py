"""Confidence intervals for a probability from counts, elementwise over arrays.

wilson           inverts the score test; mean coverage near nominal at any count (Wilson 1927)
clopper-pearson  inverts both exact tails; coverage never under nominal (Clopper and Pearson 1934)
jeffreys         central interval of Beta(s + 1/2, f + 1/2); Bayesian, near nominal on average

Source: Brown, Cai and DasGupta, Statistical Science 16 (2001).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtr, betaincinv, gammaln, ndtri

from tdlab.errors import InputError, check_choice

METHODS = ("wilson", "clopper-pearson", "jeffreys")


def interval(
    successes: ArrayLike, trials: ArrayLike, level: float = 0.95, method: str = "wilson"
) -> tuple[np.ndarray, np.ndarray]:
    """Two-sided interval for each probability.

    Parameters
    ----------
    successes, trials : array_like of int, broadcast against each other
        0 <= successes <= trials; without trials the interval is (0, 1).
    level : float
        Confidence, in (0, 1).
    method : {"wilson", "clopper-pearson", "jeffreys"}

    Returns
    -------
    lower, upper : ndarray of float

    Raises
    ------
    InputError
        If counts are not whole numbers with 0 <= successes <= trials.

    Examples
    --------
    >>> lower, upper = interval([0, 5, 10], 10)
    >>> lower.round(3).tolist(), upper.round(3).tolist()
    ([0.0, 0.237, 0.722], [0.278, 0.763, 1.0])
    """
    success, total = np.broadcast_arrays(
        check_counts("successes", successes), check_counts("trials", trials)
    )
    if (success > total).any():
        raise InputError("successes: got more successes than trials, wanted successes <= trials")
    check_level(level)
    check_choice("method", method, METHODS)
    success, total = success.astype(float), total.astype(float)
    failure = total - success
    tail = (1 - level) / 2
    if method == "wilson":
        square = ndtri(1 - tail) ** 2
        # Roots in p of (s/n - p)^2 = z^2 p (1 - p) / n; at n = 0 they are 0 and 1.
        centre = success + square / 2
        spread = np.sqrt(square * (success * failure / np.maximum(total, 1) + square / 4))
        # Rounding would leave 1e-17 where the root is 0 or 1 exactly.
        lower = np.where(success == 0, 0.0, (centre - spread) / (total + square))
        upper = np.where(failure == 0, 1.0, (centre + spread) / (total + square))
        return lower, upper
    if method == "clopper-pearson":
        below = betaincinv(np.maximum(success, 0.5), failure + 1, tail)
        above = betaincinv(success + 1, np.maximum(failure, 0.5), 1 - tail)
    else:
        below = betaincinv(success + 0.5, failure + 0.5, tail)
        above = betaincinv(success + 0.5, failure + 0.5, 1 - tail)
    return np.where(success == 0, 0.0, below), np.where(failure == 0, 1.0, above)


def median_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float, float]:
    """Median and the order statistics that hold it with probability >= ``level``.

    The number of values below the median is binomial(n, 1/2), whatever their law. Where there are
    too few values for that (under six at 95%) the ends are the extremes.

    >>> median_interval([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])
    (4.5, 1.0, 8.0)
    """
    ordered = np.sort(np.asarray(values, dtype=float))
    # The interval from the (j+1)-th smallest to the (j+1)-th largest misses with probability
    # 2 P(Bin(n, 1/2) <= j): take the largest j for which that is allowed.
    misses = 2.0 * bdtr(np.arange(len(ordered) // 2), len(ordered), 0.5)
    j = max(int(np.searchsorted(misses, 1.0 - level, side="right")) - 1, 0)
    return float(np.median(ordered)), float(ordered[j]), float(ordered[-1 - j])


def fisher(first: int, of_first: int, second: int, of_second: int) -> float:
    """Two-sided p-value of Fisher's exact test that two shares of successes are equal.

    Given all successes those of the first are hypergeometric; it sums what is no more likely.

    >>> round(fisher(0, 5, 5, 5), 5)
    0.00794
    """
    total = first + second
    counts = np.arange(max(0, total - of_second), min(of_first, total) + 1)
    logs = _log_choose(of_first, counts) + _log_choose(of_second, total - counts)
    shares = np.exp(logs - logs.max())
    # Equal probabilities differ by rounding.
    unlikely = logs <= logs[first - counts[0]] + 1e-7
    return float(shares[unlikely].sum() / shares.sum())


def _log_choose(n: int, k: np.ndarray) -> np.ndarray:
    return gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0)


def check_counts(what: str, values: ArrayLike) -> np.ndarray:
    """Whole numbers >= 0 as an integer array, or raise `InputError`."""
    array = np.asarray(values)
    if array.size == 0:
        return array.astype(np.int64)
    if array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        raise InputError(f"{what}: got {array.dtype} values, wanted finite whole numbers >= 0")
    if (array >= 2.0**53).any():
        raise InputError(f"{what}: got {array.max()}, wanted whole numbers below 2^53")
    if (array < 0).any() or (array != np.floor(array)).any():
        bad = array[(array < 0) | (array != np.floor(array))].ravel()[0]
        raise InputError(f"{what}: got {bad}, wanted whole numbers >= 0")
    return array.astype(np.int64)


def check_level(level: float) -> None:
    """Raise `InputError` unless ``level`` is a probability strictly inside (0, 1)."""
    if not 0 < level < 1:
        raise InputError(f"level: got {level!r}, wanted a number in (0, 1)")


def percent(level: float) -> str:
    """A confidence as people write it.

    >>> percent(0.95), percent(0.999)
    ('95%', '99.9%')
    """
    return f"{100 * level:.10g}%"
