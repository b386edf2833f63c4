"""Curves whose threshold is known: smooth ones, and those with jumps, shelves, peaks and cliffs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit, ndtr


@dataclass(frozen=True)
class Truth:
    """A curve: chance of success as a function of ln(r/r*), one half at 0.

    ``promised``: whether 95% coverage is promised there.
    """

    name: str
    curve: Callable[[np.ndarray], np.ndarray]
    promised: bool = True


def _lapsing(lapse: float, width: float) -> Callable[[np.ndarray], np.ndarray]:
    """A logistic that never exceeds 1 - lapse."""
    shift = float(logit(0.5 / (1 - lapse)))
    return lambda t: (1 - lapse) * expit(shift - t / width)


def _mixture(share: float, distance: float, width: float) -> Callable[[np.ndarray], np.ndarray]:
    """Two populations whose thresholds lie apart; moved so that one half is at 0."""

    def raw(t: np.ndarray) -> np.ndarray:
        return share * expit(-t / width) + (1 - share) * expit(-(t + distance) / width)

    fine = np.linspace(-1.0, 1.0, 200_001)
    shift = float(np.interp(0.5, raw(fine)[::-1], fine[::-1]))
    return lambda t: raw(t + shift)


def _shelf(*levels: tuple[float, float], last: float) -> Callable[[np.ndarray], np.ndarray]:
    """Levels (up to t, success), then the last one: jumps between shelves."""
    ends, heights = zip(*levels, strict=True)
    return lambda t: np.array([*heights, last])[np.searchsorted(ends, t, side="right")]


def _peak(low: float, rise: float, width: float) -> Callable[[np.ndarray], np.ndarray]:
    """Success ``low`` at small ranks, rising at t = ``rise``, then falling through one half."""

    def raw(t: np.ndarray) -> np.ndarray:
        return (low + (1 - low) * expit((t - rise) / 0.15)) * expit(-t / width)

    fine = np.linspace(rise / 2, 1.0, 200_001)
    shift = float(np.interp(0.5, raw(fine)[::-1], fine[::-1]))
    return lambda t: raw(t + shift)


TRUTHS = (
    Truth("logistic .02", lambda t: expit(-t / 0.02)),
    Truth("logistic .05", lambda t: expit(-t / 0.05)),
    Truth("logistic .10", lambda t: expit(-t / 0.10)),
    Truth("logistic .20", lambda t: expit(-t / 0.20)),
    Truth("logistic .40", lambda t: expit(-t / 0.40)),
    Truth("step", lambda t: (t < 0) * 1.0),
    Truth("lapse .05", _lapsing(0.05, 0.1)),
    Truth("lapse .15", _lapsing(0.15, 0.1)),
    Truth("lapse .30", _lapsing(0.30, 0.1)),
    Truth("lapse .20, steep", _lapsing(0.20, 0.02)),
    Truth("probit", lambda t: ndtr(-t / 0.15)),
    Truth("cloglog", lambda t: np.exp(-math.log(2) * np.exp(np.minimum(t / 0.1, 50.0)))),
    Truth("loglog", lambda t: -np.expm1(-math.log(2) * np.exp(np.minimum(-t / 0.1, 50.0)))),
    Truth("Cauchy", lambda t: 0.5 - np.arctan(t / 0.08) / math.pi),
    Truth("piecewise", lambda t: np.clip(0.5 - t / 0.4, 0.0, 1.0)),
    Truth("mixture", _mixture(0.7, 0.3, 0.05)),
    Truth("floor .10", lambda t: 0.1 + 0.9 * expit(float(logit(4 / 9)) - t / 0.1)),
    Truth("dip to .30", lambda t: expit(-10 * t) - 0.7 * np.exp(-((10 * t + 7) ** 2)), False),
    Truth("shelf at 1/2", _mixture(0.5, 0.2, 0.03), False),
    Truth("kink at 1/2, steep above", lambda t: expit(-t / np.where(t < 0, 0.2, 0.05))),
    Truth("kink at 1/2, steep below", lambda t: expit(-t / np.where(t < 0, 0.05, 0.2))),
    Truth("jump, shelf above", _shelf((-0.25, 0.95), (0.0, 0.62), last=0.05)),
    Truth("jump, shelf below", _shelf((0.0, 0.95), (0.25, 0.45), last=0.02)),
    Truth("jump, lower shelf", _shelf((0.0, 0.95), (0.25, 0.38), last=0.05)),
    Truth("decline, then a cliff", lambda t: np.where(
        t < 0, 0.55 + 0.4 * np.clip(-t / 2, 0, 1), 0.5 * np.exp(-np.maximum(t, 0) / 0.03))),
    Truth("fails, peaks, falls", _peak(0.0, -1.6, 0.1)),
    Truth("a third, peaks, falls", _peak(0.3, -1.6, 0.1)),
)  # fmt: skip
