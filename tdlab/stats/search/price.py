"""What trials cost, measured from those that ended: seconds by rank and outcome.

    ln seconds = a + b ln r + f [failed]

b is normal, 2 +- 1, and f ln 3 +- 1 beforehand: local search takes time like rank^2, and longest
where it does not succeed. A level at twice the rank, where trials fail for the first time, is
twelve times the price of those before; the mean of what was spent would not say so.
"""

from __future__ import annotations

import math

import numpy as np

_POWER, _POWER_SPREAD = 2.0, 1.0
_FAILURE, _FAILURE_SPREAD = math.log(3.0), 1.0
# Standard deviations of ln seconds: of one trial, and of a rank beside the line.
_TRIAL, _RANK = 0.5, 0.1


class Prices:
    """Seconds that a trial is expected to take.

    Parameters
    ----------
    x : ndarray, shape (m,)
        ln r of the ranks.
    ended, seconds : ndarray, shape (2, m)
        Trials that ended and their time by rank: failed, then recovered.

    Examples
    --------
    Trials at ranks 4 and 8 that recovered took 1 and 4 seconds; at 16, failing, 48 are expected:

    >>> x = np.log([4.0, 8.0, 16.0])
    >>> prices = Prices(x, np.array([[0, 0, 0], [3, 3, 0]]), np.array([[0, 0, 0], [3.0, 12.0, 0]]))
    >>> [round(float(price)) for price in prices.of_failures()]
    [3, 12, 48]
    """

    def __init__(self, x: np.ndarray, ended: np.ndarray, seconds: np.ndarray) -> None:
        outcome, place = np.nonzero((ended > 0) & (seconds > 0))
        self._x = x
        self._known = len(place) > 0
        if not self._known:
            return
        number = ended[outcome, place]
        y = np.log(seconds[outcome, place] / number)
        weight = 1.0 / (_TRIAL**2 / number + _RANK**2)
        design = np.column_stack([np.ones(len(y)), x[place], outcome == 0])
        prior = np.diag([0.0, _POWER_SPREAD**-2, _FAILURE_SPREAD**-2])
        information = design.T @ (weight[:, None] * design) + prior
        expected = design.T @ (weight * y) + prior @ np.array([0.0, _POWER, _FAILURE])
        self._line = np.linalg.solve(information, expected)

    def of_failures(self) -> np.ndarray:
        """Seconds of a trial that fails at each rank; 0 where none has ended.

        Returns
        -------
        ndarray, shape (m,)
        """
        if not self._known:
            return np.zeros_like(self._x)
        level, power, failure = self._line.tolist()
        return np.exp(level + failure + power * self._x)


class Purse:
    """Trials that what is left of a budget affords, one after the other.

    Examples
    --------
    >>> purse = Purse(10.0, np.array([4.0, 7.0]))
    >>> purse.pay(0), purse.pay(1), purse.pay(0), purse.empty
    (True, False, True, True)
    """

    def __init__(self, seconds: float, prices: np.ndarray) -> None:
        self._seconds = seconds
        self._prices = prices
        self.empty = False

    def pay(self, place: int) -> bool:
        """Take the price of a trial at a rank, if there is as much."""
        price = float(self._prices[place])
        if price > self._seconds:
            self.empty = True
            return False
        self._seconds -= price
        return True
