"""What was planned in one round of trials, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass
class Round:
    """Trials of one round by candidate: planned, ended and still under way.

    ``trials`` are those that tell success from failure; ``ended`` and ``seconds``, shape (2, m),
    are of all that ended: without success, then with it.
    """

    planned: np.ndarray
    successes: np.ndarray
    trials: np.ndarray
    ended: np.ndarray
    seconds: np.ndarray
    open: int
