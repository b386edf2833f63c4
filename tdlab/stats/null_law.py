"""How much of a tensor without structure some units compress away: the law (1 - x)^q, x = r/r_id.

At x = 0 nothing is fitted and at x = 1 all of it; in between the share of the squared norm that is
left falls like (1 - x)^q. From q follows how large a dimension must be before a failing learner
looks like the trivial predictor: at r = d^(3/2), x is about 6/sqrt(d). q itself grows with d and,
less, with x, so that a size beyond those measured is extrapolated in both, with an interval that
holds the drift.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tdlab.theory import NULL_BEND, NULL_GROWTH

_LEAST, _MOST = 0.05, 0.9


@dataclass(frozen=True)
class NullLaw:
    """The fit of log ratio = q log(1 - x), by the median slope.

    Attributes
    ----------
    power, low, high : float
        q and its interval.
    points : int
    curvature : float
        Slope of the single q against x: 0 where one power fits all of it.
    """

    power: float
    low: float
    high: float
    points: int
    curvature: float


def fit_null_law(
    x: Sequence[float], ratios: Sequence[float], level: float = 0.95
) -> NullLaw | None:
    """Fit q from risk ratios of null runs; None where fewer than three have 0.05 <= x <= 0.9.

    Parameters
    ----------
    x : sequence of float
        r / r_id of each run.
    ratios : sequence of float
        What was left of its null's variance.
    level : float
        Confidence of the interval.

    Examples
    --------
    >>> from tdlab.stats import fit_null_law
    >>> fit = fit_null_law([0.2, 0.4, 0.6, 0.8], [(1 - x) ** 2.5 for x in (0.2, 0.4, 0.6, 0.8)])
    >>> round(fit.power, 6)
    2.5
    """
    from tdlab.stats.binomial import median_interval

    kept = [
        (at, math.log(ratio) / math.log(1.0 - at))
        for at, ratio in zip(x, ratios, strict=True)
        if _LEAST <= at <= _MOST and ratio > 0.0
    ]
    if len(kept) < 3:
        return None
    places, powers = np.array(kept).T
    middle, low, high = median_interval(list(powers), level)
    spread = float(((places - places.mean()) ** 2).sum())
    curvature = float(((places - places.mean()) * powers).sum()) / spread if spread > 0 else 0.0
    return NullLaw(middle, low, high, len(kept), curvature)


@dataclass(frozen=True)
class NullSurface:
    """q as a function of x and d, from nulls at several dimensions.

    Two forms that fit measured sizes equally well and part beyond them: q linear in x and ln d,
    which grows without end, and in x and d^(-1/2), which saturates.

    Attributes
    ----------
    coefficients : tuple of two (3,) tuples
        Of 1, x and ln d; of 1, x and d^(-1/2).
    half_width : float
        Of q where it was measured: how far single powers lie from either form.
    growth_error : float
        Twice the standard error of the coefficient of ln d.
    largest : int
        The largest dimension measured.
    """

    coefficients: tuple[tuple[float, ...], tuple[float, ...]]
    half_width: float
    growth_error: float
    largest: int

    def power(self, x: float, dim: float) -> tuple[float, float, float]:
        """q at (x, d) and its interval: both forms, what they miss, the drift beyond ``largest``.

        Beyond the sizes that were measured the interval holds also the power at the largest of
        them, so that it is never narrower than the drift that is extrapolated.
        """
        at = [self._forms(x, dim), self._forms(x, min(dim, self.largest))]
        everything = [*at[0], *at[1]]
        middle = sum(at[0]) / 2
        half = self.half_width + self.growth_error * math.log(max(dim / self.largest, 1.0))
        return middle, min(everything) - half, max(everything) + half

    def _forms(self, x: float, dim: float) -> tuple[float, float]:
        growing, settling = self.coefficients
        return (
            growing[0] + growing[1] * x + growing[2] * math.log(dim),
            settling[0] + settling[1] * x + settling[2] / math.sqrt(dim),
        )


def fit_null_surface(
    x: Sequence[float], dims: Sequence[int], ratios: Sequence[float]
) -> NullSurface | None:
    """Fit q(x, d) to null runs; None under three dimensions or six runs with 0.05 <= x <= 0.9.

    Parameters
    ----------
    x : sequence of float
        r / r_id of each run.
    dims : sequence of int
    ratios : sequence of float
        What was left of its null's variance.

    Examples
    --------
    >>> from tdlab.stats import fit_null_surface
    >>> places = [(x, d) for x in (0.2, 0.4, 0.6) for d in (10, 20, 40)]
    >>> ratios = [(1 - x) ** (1.0 + 0.4 * math.log(d)) for x, d in places]
    >>> fit = fit_null_surface(*zip(*places), ratios)
    >>> middle, low, high = fit.power(0.3, 600)
    >>> low < 1.0 + 0.4 * math.log(40) < 1.0 + 0.4 * math.log(600) <= high
    True
    """
    kept = [
        (at, dim, math.log(ratio) / math.log(1.0 - at))
        for at, dim, ratio in zip(x, dims, ratios, strict=True)
        if _LEAST <= at <= _MOST and ratio > 0.0
    ]
    if len(kept) < 6 or len({dim for _, dim, _ in kept}) < 3:
        return None
    places, sizes, powers = (np.array(column, dtype=float) for column in zip(*kept, strict=True))
    coefficients, misses, errors = [], [], []
    for turned in (np.log(sizes), 1.0 / np.sqrt(sizes)):
        design = np.column_stack([np.ones_like(places), places, turned])
        beta = np.linalg.lstsq(design, powers, rcond=None)[0]
        coefficients.append(tuple(beta.tolist()))
        rest = powers - design @ beta
        misses.append(float(np.quantile(np.abs(rest), 0.95)))
        variance = float(rest @ rest) / (len(kept) - 3) * np.linalg.inv(design.T @ design)[2, 2]
        errors.append(2.0 * math.sqrt(variance))
    return NullSurface((coefficients[0], coefficients[1]), max(misses), errors[0], int(sizes.max()))


def drifted(fit: NullLaw, dim: int) -> Callable[[float, float], tuple[float, float, float]]:
    """q(x, d) from a fit at one dimension, by the drift of `tdlab.theory.null_power`.

    From the power that was measured to that with the drift added, at either end.
    """

    def power(x: float, larger: float) -> tuple[float, float, float]:
        drift = NULL_GROWTH * math.log(larger / dim)
        bend = NULL_BEND * (x - 0.5)
        ends = [fit.low, fit.high, fit.low + drift + bend, fit.high + drift + bend]
        return fit.power + (drift + bend) / 2, min(ends), max(ends)

    return power


def dimension_that_looks_trivial(
    power: float | Callable[[float, float], float], level: float
) -> float:
    """The d at which a failing proper learner of r = d^(3/2) units leaves ``level`` of Var y.

    (1 - x)^q = level at x = d^(3/2) / r_id(d) = 6 d^(3/2) / ((d+1)(d+2)), on the side of large d;
    q is ``power``, a number or a function of x and d.

    Examples
    --------
    >>> from tdlab.stats import dimension_that_looks_trivial
    >>> round(dimension_that_looks_trivial(2.35, 0.5))
    546
    >>> round(dimension_that_looks_trivial(lambda x, d: 2.35, 0.5))
    546
    """
    low, high = 30.0, 1e12
    for _ in range(200):
        middle = math.sqrt(low * high)
        share = 6.0 * middle**1.5 / ((middle + 1.0) * (middle + 2.0))
        q = power(share, middle) if callable(power) else power
        left = (1.0 - share) ** q if share < 1.0 else 0.0
        low, high = (middle, high) if left < level else (low, middle)
    return high


def trivial_interval(
    power: Callable[[float, float], tuple[float, float, float]], level: float
) -> tuple[float, float, float]:
    """`dimension_that_looks_trivial` for q and both ends of its interval."""
    middle, low, high = (
        dimension_that_looks_trivial(lambda x, d, which=which: power(x, d)[which], level)
        for which in range(3)
    )
    return middle, low, high
