"""An interval for the mean of numbers in [0, 1], at any sample size and without a law.

Puts random masses on the n values and one extreme: the n + 1 spacings of n uniform points. Of
zeros and ones this is the exact interval of Clopper and Pearson. That it covers for every law is
a conjecture without a known exception.

Sources: Gaffke (2005); Learned-Miller and Thomas (2019), arXiv 1905.06208.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tdlab.errors import InputError
from tdlab.stats.binomial import check_level

_DRAWS = 20_000
_BLOCK_DOUBLES = 2**22


def mean_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float, float]:
    """Mean and two-sided interval; (nan, 0, 1) of no values.

    The quantiles are those of 20 000 draws from a fixed stream: the same values, the same bits.

    Parameters
    ----------
    values : sequence of float
        In [0, 1].
    level : float
        Confidence, in (0, 1).

    Raises
    ------
    InputError
        For values outside [0, 1].

    Examples
    --------
    >>> mean, low, high = mean_interval([0.9, 1.0, 0.95, 0.97, 0.2, 0.99])
    >>> round(mean, 2), low < 0.5, high > 0.95
    (0.83, True, True)
    """
    check_level(level)
    kept = np.sort(np.asarray(values, dtype=float))
    if not ((kept >= 0.0) & (kept <= 1.0)).all():
        raise InputError("values: got numbers outside [0, 1], wanted none")
    if len(kept) == 0:
        return float("nan"), 0.0, 1.0
    rng = np.random.default_rng(0)
    inner, rest = np.empty(_DRAWS), np.empty(_DRAWS)
    step = max(1, _BLOCK_DOUBLES // len(kept))
    for first in range(0, _DRAWS, step):
        part = slice(first, min(first + step, _DRAWS))
        # Spacings of uniform points are exponentials over their sum.
        masses = rng.standard_exponential((part.stop - first, len(kept) + 1))
        masses /= masses.sum(axis=1, keepdims=True)
        inner[part], rest[part] = masses[:, :-1] @ kept, masses[:, -1]
    tail = (1.0 - level) / 2.0
    # The extra mass lies at 0 for the lower end, at 1 for the upper one.
    low, high = np.quantile(inner, tail), np.quantile(inner + rest, 1.0 - tail)
    mean = float(kept.mean())
    # All values at an end of [0, 1]: the mean may be that end.
    return mean, min(float(low), mean), max(float(high), mean)
