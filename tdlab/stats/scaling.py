"""The exponent of a threshold: r* = c d^alpha from intervals at several dimensions.

Model      ln r*_i = a + alpha ln d_i + between_i + error_i, error of known standard deviation
Between    variance by Paule and Mandel (1982): the weighted residual sum equals its degrees of
           freedom
Interval   Hartung and Knapp (2001): t quantile, scaled by the residual sum, never narrower than
           the z interval of the random-effects model
One-sided  a bound enters the likelihood as the normal probability of its side
Drift      ln r* = a + alpha ln d + b/d beside it: a lower-order term that a power law would take
           for exponent. Its own test has little power at a few dimensions, so both are reported.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_ndtr, ndtri, stdtrit

from tdlab.errors import InputError
from tdlab.stats.binomial import check_counts, check_level, percent
from tdlab.stats.threshold.record import Threshold

MINIMUM_DIMENSIONS = 4
# Thresholds are given to nine decimals: ends that are equal there are no proof of no error.
_LEAST_ERROR = 1e-9


class ExponentStatus(StrEnum):
    """Whether there is an exponent."""

    ESTIMATED = "estimated"
    TOO_FEW_DIMENSIONS = "too-few-dimensions"


@dataclass(frozen=True)
class Slope:
    """Exponent between two neighbouring dimensions: its estimate and standard error."""

    low_dim: int
    high_dim: int
    estimate: float
    error: float


@dataclass(frozen=True)
class Drift:
    """Fit with a term b/d: exponent, its interval, b and the standard error of b."""

    estimate: float
    lower: float
    upper: float
    drift: float
    drift_error: float


@dataclass(frozen=True)
class Exponent:
    """The exponent of r* = c d^alpha.

    Attributes
    ----------
    status : ExponentStatus
    estimate, lower, upper, prefactor : float or None
        alpha, its interval, and c; None where refused.
    level : float
    between : float or None
        Standard deviation of ln r* between dimensions beyond its own errors.
    drift : Drift or None
        The fit with a lower-order term; None under five two-sided thresholds.
    slopes : tuple of Slope
        Between neighbouring dimensions with two-sided thresholds, also where a fit is refused.
    message : str
    """

    status: ExponentStatus
    estimate: float | None
    lower: float | None
    upper: float | None
    prefactor: float | None
    level: float
    between: float | None
    drift: Drift | None
    slopes: tuple[Slope, ...]
    message: str


def fit_exponent(dims: ArrayLike, thresholds: Sequence[Threshold], level: float = 0.95) -> Exponent:
    """Fit r* = c d^alpha to thresholds.

    Parameters
    ----------
    dims : array_like of int
        One dimension a threshold, none twice.
    thresholds : sequence of Threshold
        Two-sided intervals carry the fit; one-sided bounds only push it; those without either
        are left out.
    level : float
        Confidence of the interval.

    Raises
    ------
    InputError
        If lengths differ, or a dimension is under 2 or occurs twice.

    Examples
    --------
    >>> from tdlab.stats import estimate
    >>> dims, ranks = [8, 12, 18, 27, 40], [12, 22, 41, 76, 136]
    >>> found = [estimate([r * k // 8 for k in range(5, 13)], [30] * 4 + [3] + [0] * 3, [30] * 8)
    ...          for r in ranks]
    >>> fit = fit_exponent(dims, found)
    >>> round(fit.estimate, 2), fit.lower < 1.5 < fit.upper
    (1.53, True)
    >>> fit_exponent(dims[:3], found[:3]).status.value
    'too-few-dimensions'
    """
    check_level(level)
    dim = check_counts("dims", dims)
    if dim.ndim != 1 or len(dim) != len(thresholds):
        raise InputError(
            f"thresholds: got {len(thresholds)} for dims of shape {dim.shape}, wanted one a dim"
        )
    if len(np.unique(dim)) < len(dim) or (dim < 2).any():
        raise InputError(f"dims: got {dim.tolist()}, wanted different whole numbers >= 2")
    order = np.argsort(dim)
    points = [(int(dim[i]), thresholds[i]) for i in order]
    two_sided = [
        (d, *_log_scale(t)) for d, t in points if t.lower is not None and t.upper is not None
    ]
    slopes = tuple(_slope(a, b) for a, b in pairwise(two_sided))
    if len(two_sided) < MINIMUM_DIMENSIONS:
        have = ", ".join(str(d) for d, *_ in two_sided) or "none"
        return Exponent(
            ExponentStatus.TOO_FEW_DIMENSIONS, None, None, None, None, level, None, None, slopes,
            f"Two-sided thresholds at {len(two_sided)} dimensions ({have}): an exponent with an "
            f"interval needs at least {MINIMUM_DIMENSIONS}.",
        )  # fmt: skip
    d, y, error = (np.array(column, dtype=float) for column in zip(*two_sided, strict=True))
    # Centred, so that intercept and slope hardly correlate and Newton's method needs few steps.
    centre = np.log(d).mean()
    design = np.column_stack([np.ones_like(d), np.log(d) - centre])
    between = _between(design, y, error)
    sides = _one_sided(points, centre)
    beta, covariance = _fit(design, y, error, between, sides)
    half = _half_width(design, y, error, between, beta, covariance, level)
    drift = _drift(d, y, error, level) if len(d) > MINIMUM_DIMENSIONS else None
    alpha = float(beta[1])
    used = f"{len(two_sided)} dimensions" + (
        f" and {len(sides[0])} bounds" if len(sides[0]) else ""
    )
    message = (
        f"r* ~ d^{alpha:.2f}, {percent(level)} interval {alpha - half:.2f} to "
        f"{alpha + half:.2f}, from {used}, if a power law holds."
    )
    if drift is not None:
        message += (
            f" With a term b/d: {drift.estimate:.2f} ({drift.lower:.2f} to {drift.upper:.2f})."
        )
    return Exponent(
        ExponentStatus.ESTIMATED,
        alpha,
        alpha - half,
        alpha + half,
        math.exp(float(beta[0]) - alpha * centre),
        level,
        math.sqrt(between),
        drift,
        slopes,
        message,
    )


def _log_scale(found: Threshold) -> tuple[float, float]:
    """ln r* and its standard error; uniform over the gap where quantised to one gap."""
    assert found.estimate is not None and found.lower is not None and found.upper is not None
    width = math.log(found.upper / found.lower)
    if "quantised" in found.flags:
        return math.log(found.estimate), width / math.sqrt(12)
    error = width / (2 * float(ndtri((1 + found.level) / 2)))
    return math.log(found.estimate), max(error, _LEAST_ERROR)


def _slope(low: tuple[int, float, float], high: tuple[int, float, float]) -> Slope:
    step = math.log(high[0] / low[0])
    return Slope(low[0], high[0], (high[1] - low[1]) / step, math.hypot(low[2], high[2]) / step)


def _one_sided(
    points: list[tuple[int, Threshold]], centre: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Design rows, ln bound and side (+1: r* above it) of the thresholds with one bound."""
    rows, bounds, signs = [], [], []
    for d, found in points:
        if (found.lower is None) == (found.upper is None):
            continue
        bound, sign = (found.lower, 1.0) if found.lower is not None else (found.upper, -1.0)
        assert bound is not None
        rows.append([1.0, math.log(d) - centre])
        bounds.append(math.log(bound))
        signs.append(sign)
    return np.reshape(rows, (-1, 2)), np.array(bounds), np.array(signs)


def _weighted(
    design: np.ndarray, y: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Weighted least squares: coefficients, inverse information, residual sum."""
    covariance = np.linalg.inv(design.T @ (weight[:, None] * design))
    beta = covariance @ design.T @ (weight * y)
    return beta, covariance, float(weight @ (y - design @ beta) ** 2)


def _between(design: np.ndarray, y: np.ndarray, error: np.ndarray) -> float:
    """Variance t >= 0 at which the residual sum with weights 1/(error^2 + t) is K - p."""
    from scipy.optimize import brentq  # 0.1 s that `tdlab status` need not pay

    freedom = len(y) - design.shape[1]

    def excess(variance: float) -> float:
        return _weighted(design, y, 1 / (error**2 + variance))[2] - freedom

    if excess(0.0) <= 0:
        return 0.0
    top = float(np.ptp(y)) ** 2 + float(error.max()) ** 2
    while excess(top) > 0:
        top *= 2
    return float(brentq(excess, 0.0, top))  # type: ignore[arg-type] (stub)


def _fit(
    design: np.ndarray,
    y: np.ndarray,
    error: np.ndarray,
    between: float,
    sides: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Maximum likelihood with one-sided thresholds as ln Phi(sign (x beta - bound) / sd).

    ln Phi is concave, so Newton's method with halving converges. A bound is
    a tested rank; its sd is that of a typical threshold about the line.
    """
    weight = 1 / (error**2 + between)
    beta, covariance, _ = _weighted(design, y, weight)
    rows, bounds, signs = sides
    if not len(rows):
        return beta, covariance
    deviation = math.sqrt(between + float(np.median(error)) ** 2)

    def value(candidate: np.ndarray) -> float:
        z = signs * (rows @ candidate - bounds) / deviation
        return float(-0.5 * weight @ (y - design @ candidate) ** 2 + log_ndtr(z).sum())

    for _ in range(50):
        z = signs * (rows @ beta - bounds) / deviation
        ratio = np.exp(-0.5 * z**2 - log_ndtr(z)) / math.sqrt(2 * math.pi)
        gradient = design.T @ (weight * (y - design @ beta)) + rows.T @ (signs * ratio) / deviation
        # One less the variance of a normal cut off at z; far out rounding leaves it anywhere.
        curve = np.clip(ratio * (z + ratio), 0.0, 1.0) / deviation**2
        information = design.T @ (weight[:, None] * design) + rows.T @ (curve[:, None] * rows)
        covariance = np.linalg.inv(information)
        step = covariance @ gradient
        while value(beta + step) < value(beta) and np.abs(step).max() > 1e-12:
            step = step / 2
        beta = beta + step
        if np.abs(step).max() < 1e-10:
            break
    return beta, covariance


def _half_width(
    design: np.ndarray,
    y: np.ndarray,
    error: np.ndarray,
    between: float,
    beta: np.ndarray,
    covariance: np.ndarray,
    level: float,
) -> float:
    """Hartung-Knapp half-width of the slope, floored at the random-effects one."""
    freedom = len(y) - design.shape[1]
    scale = float(((y - design @ beta) ** 2 / (error**2 + between)).sum()) / freedom
    upper = (1 + level) / 2
    deviation = math.sqrt(covariance[1, 1])
    quantile = float(stdtrit(freedom, upper))
    return deviation * max(quantile * math.sqrt(scale), float(ndtri(upper)))


def _drift(d: np.ndarray, y: np.ndarray, error: np.ndarray, level: float) -> Drift:
    """The same fit with ln(1 + b/d) = b/d to first order as a third column."""
    design = np.column_stack([np.ones_like(d), np.log(d) - np.log(d).mean(), 1 / d])
    between = _between(design, y, error)
    beta, covariance, _ = _weighted(design, y, 1 / (error**2 + between))
    half = _half_width(design, y, error, between, beta, covariance, level)
    alpha = float(beta[1])
    return Drift(
        alpha, alpha - half, alpha + half, float(beta[2]), math.sqrt(float(covariance[2, 2]))
    )
