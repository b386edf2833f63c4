"""Where the next trials go: spread evenly over an interval, at the candidates nearest to it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

_GOLDEN = (math.sqrt(5) - 1) / 2
_LAPSE_EVERY = 10


@dataclass
class Places:
    """Candidates on a line, and how many trials have been spread over it.

    Attributes
    ----------
    x : (m,) array, ascending
    spent : int
    """

    x: np.ndarray
    spent: int = 0

    def nearest(self, x: float) -> int:
        """Number of the candidate nearest to x."""
        return int(np.argmin(np.abs(self.x - x)))

    def spread(self, size: int, low: float, high: float, lapse: float | None = None) -> list[int]:
        """``size`` trials evenly over [low, high], every tenth at ``lapse``.

        Multiples of the golden ratio, continued from round to round, fill an interval evenly.
        """
        places = []
        for _ in range(size):
            self.spent += 1
            share = (self.spent * _GOLDEN) % 1.0
            x = low + share * (high - low)
            if lapse is not None and self.spent % _LAPSE_EVERY == 0:
                x = lapse
            places.append(self.nearest(x))
        return places


def gap_about(x: np.ndarray, location: float) -> float:
    """Distance between the places, ascending, about a location; infinite beyond them."""
    place = int(np.searchsorted(x, location))
    return float(x[place] - x[place - 1]) if 0 < place < len(x) else math.inf
