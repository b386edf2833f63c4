"""Where recovery crosses 1/2: two grid posteriors in x = ln r.

G  global   P = (1 - l) sigma(z0(l) - (x - theta)/w) with P(theta) = 1/2: theta flat, ln w normal,
            lapse l on five levels. Robust against what happens far below the crossing.
L  local    logit P = -(x - theta)/w e^(+-g), + above theta and - below, on |x - theta_G| <= H:
            lapses and tails are left out, and the slopes on the two sides of the crossing are
            free of each other. This one is reported. A bend instead, g ((x - theta)/H)^2, is
            narrower and loses curves with a kink at 1/2, which it smoothes over.

G is used where the crossing lies between tested ranks, and bounded by them; L where both sides are
sure. The grids zoom until they hold the mass and little else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

LOG_WIDTH, LOG_WIDTH_SPREAD = np.log(0.15), 1.2
LAPSES = np.array([0.0, 0.05, 0.14, 0.26, 0.40])
LAPSE_WEIGHTS = np.array([0.45, 0.22, 0.15, 0.11, 0.07])
# A seven-point rule for a normal g: half the logarithm of the ratio of the slopes.
TURN_SPREAD = 0.6
TURNS = TURN_SPREAD * np.array([-1.80, -1.07, -0.50, 0.0, 0.50, 1.07, 1.80])

# Locations and widths: means need fewer points than quantiles in the tails.
_COARSE, _FINE = (40, 16), (48, 20)
_EDGE = 2e-4
_FAR = 40.0


@dataclass(frozen=True)
class Global:
    """Mean and standard deviation of theta, and the posterior median width."""

    location: float
    spread: float
    width: float


def global_fit(x: np.ndarray, successes: np.ndarray, trials: np.ndarray) -> Global:
    """Posterior of G, with theta between the first and the last of ascending ranks.

    Without that bound the mass would have no end: lapses explain any number of failures.

    With E = exp((x - theta)/w) and c = 1 - 2l: P = (1 - l)/(1 + cE), 1 - P = (l + cE)/(1 + cE).
    """
    # Floats, so that the products below go through BLAS.
    successes, trials = successes.astype(float), trials.astype(float)
    failures = trials - successes

    def log_likelihood(location: np.ndarray, log_width: np.ndarray) -> np.ndarray:
        u = (x - location[:, None, None]) / np.exp(log_width)[None, :, None]
        np.clip(u, -_FAR, _FAR, out=u)
        odds = np.exp(u)
        levels = []
        for lapse, weight in zip(LAPSES, LAPSE_WEIGHTS, strict=True):
            scaled = (1 - 2 * lapse) * odds
            lost = u if lapse == 0 else np.log(lapse + scaled)
            levels.append(
                # Not log1p, which is twice as slow: its small values are lost in the sum.
                lost @ failures
                - np.log(1.0 + scaled) @ trials
                + successes.sum() * np.log1p(-lapse)
                + np.log(weight)
            )
        return np.logaddexp.reduce(levels)

    theta, log_width, mass = _zoom(log_likelihood, x[0], x[-1], _COARSE, bounded=True)
    marginal = mass.sum(axis=1)
    mean = float(marginal @ theta)
    spread = float(np.sqrt(marginal @ (theta - mean) ** 2))
    return Global(mean, spread, float(np.exp(_quantiles(log_width, mass.sum(axis=0), [0.5])[0])))


def local_fit(
    x: np.ndarray,
    successes: np.ndarray,
    trials: np.ndarray,
    start: Global,
    half_window: float,
    tail: float,
) -> tuple[float, float, float, float]:
    """Quantiles (tail, 1/2, 1 - tail) of theta under L, and the largest log-likelihood."""
    best = -np.inf
    near = np.abs(x - start.location) <= half_window
    x, successes, trials = x[near], successes[near].astype(float), trials[near].astype(float)

    def log_likelihood(location: np.ndarray, log_width: np.ndarray) -> np.ndarray:
        nonlocal best
        distance = x - location[:, None, None]
        slope = -distance / np.exp(log_width)[None, :, None]
        side = np.sign(distance)
        levels = []
        for turn in TURNS:
            logit = np.clip(slope * np.exp(turn * side), -_FAR, _FAR)
            levels.append(logit @ successes - np.log(1.0 + np.exp(logit)) @ trials)
            best = max(best, float(levels[-1].max()))
        return np.logaddexp.reduce(levels)

    reach = 6 * start.spread
    low, high = start.location - reach, start.location + reach
    theta, _, mass = _zoom(log_likelihood, low, high, _FINE)
    low, middle, high = _quantiles(theta, mass.sum(axis=1), [tail, 0.5, 1 - tail])
    return float(low), float(middle), float(high), best


def _zoom(
    log_likelihood: Callable[[np.ndarray, np.ndarray], np.ndarray],
    low: float,
    high: float,
    size: tuple[int, int],
    bounded: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Grid over (theta, ln w) that holds the mass and little else, and the mass on it."""
    ranges = [
        (low, high),
        (LOG_WIDTH - 3 * LOG_WIDTH_SPREAD, LOG_WIDTH + 2.5 * LOG_WIDTH_SPREAD),
    ]
    for _ in range(6):
        theta = np.linspace(ranges[0][0], ranges[0][1], size[0])
        log_width = np.linspace(ranges[1][0], ranges[1][1], size[1])
        log_mass = log_likelihood(theta, log_width)
        log_mass -= 0.5 * ((log_width - LOG_WIDTH) / LOG_WIDTH_SPREAD) ** 2
        mass = np.exp(log_mass - log_mass.max())
        mass /= mass.sum()
        settled = True
        for axis, points in enumerate((theta, log_width)):
            marginal = mass.sum(axis=1 - axis)
            span, step = points[-1] - points[0], points[1] - points[0]
            held = np.flatnonzero(np.cumsum(marginal) > _EDGE / 4)[0]
            kept = np.flatnonzero(np.cumsum(marginal[::-1])[::-1] > _EDGE / 4)[-1]
            start, stop = points[held] - step, points[kept] + step
            # The prior bounds the width; where theta has no bound, its grid grows with the mass.
            if axis == 0 and bounded:
                start, stop = max(start, low), min(stop, high)
            elif axis == 0:
                if marginal[0] > _EDGE:
                    start, settled = points[0] - span, False
                if marginal[-1] > _EDGE:
                    stop, settled = points[-1] + span, False
            if stop - start < 0.6 * span:
                settled = False
            ranges[axis] = (float(start), float(stop))
        if settled:
            break
    return theta, log_width, mass


def _quantiles(points: np.ndarray, mass: np.ndarray, levels: list[float]) -> np.ndarray:
    """Quantiles of a density known at equally spaced points, linear between them."""
    cumulative = np.concatenate([[0.0], np.cumsum((mass[1:] + mass[:-1]) / 2)])
    return np.interp(levels, cumulative / cumulative[-1], points)
