"""When an adaptive search stops, and in what steps it goes."""

from __future__ import annotations

import math
from dataclasses import dataclass

LEVEL_TRIALS = 3


@dataclass(frozen=True)
class Rule:
    """When to stop, and in what steps.

    Attributes
    ----------
    half_width : float
        Of the 95% interval of ln r*: 0.05 is about 5%.
    budget_trials : int
        Of one threshold.
    budget_seconds : float
        Time of all trials of one threshold. Times differ between runs: under a budget of time the
        number of trials may, too.
    batch : int
        Trials of a round, at least; later ones hold up to an eighth of those before. Fixed in
        advance, so that results do not depend on the number of workers.
    """

    half_width: float = 0.05
    budget_trials: int = 600
    budget_seconds: float = math.inf
    batch: int = 8

    @property
    def least(self) -> int:
        """Trials that a threshold takes at the least: three levels and a round."""
        return min(3 * LEVEL_TRIALS + self.batch, self.budget_trials)
