"""How much of a tensor without structure some units compress away: the law (1 - x)^q, x = r/r_id.

At x = 0 nothing is fitted and at x = 1 all of it; in between the share of the squared norm that is
left falls like (1 - x)^q. From q follows how large a dimension must be before a failing learner
looks like the trivial predictor: at r = d^(3/2), x is about 6/sqrt(d).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

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


def dimension_that_looks_trivial(power: float, level: float) -> float:
    """The d at which a failing proper learner of r = d^(3/2) units leaves ``level`` of Var y.

    (1 - x)^q = level at x = d^(3/2) / r_id(d) = 6 d^(3/2) / ((d+1)(d+2)), on the side of large d.

    Examples
    --------
    >>> from tdlab.stats import dimension_that_looks_trivial
    >>> round(dimension_that_looks_trivial(2.35, 0.5))
    546
    """
    wanted = 1.0 - level ** (1.0 / power)
    low, high = 30.0, 1e12
    for _ in range(200):
        middle = math.sqrt(low * high)
        share = 6.0 * middle**1.5 / ((middle + 1.0) * (middle + 2.0))
        low, high = (middle, high) if share > wanted else (low, middle)
    return high
