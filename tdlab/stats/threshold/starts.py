"""Where the search for a threshold begins: ranks there are, and what smaller dims point to."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Start:
    """A guess of ln r*, and the factor (as a logarithm) between levels about it."""

    location: float
    step: float


@dataclass(frozen=True)
class Anchor:
    """ln r* and its standard deviation after the search: what larger dims start from."""

    location: float
    spread: float


def candidates(top: int, half_width: float, exists: Callable[[int], bool]) -> list[int]:
    """Ranks up to ``top`` that exist and lie at least ``half_width`` apart in ln r, ascending.

    Fewer ranks hold more trials each; closer ones would tell nothing that the interval shows.

    >>> candidates(39, 0.1, lambda rank: rank > 2)
    [3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20, 23, 26, 29, 33, 37]
    """
    kept: list[int] = []
    factor = math.exp(half_width)
    rank = 1
    while rank <= top:
        if exists(rank):
            kept.append(rank)
            rank = max(rank + 1, math.ceil(factor * rank))
        else:
            rank += 1
    return kept


def extrapolate(dims: Sequence[int], anchors: Sequence[Anchor], dim: int) -> Start | None:
    """Where to begin at ``dim``, from what smaller dims showed; None without any.

    ln r* is taken as linear in ln d with a slope of 1.25 +- 0.35 beforehand: reach grows between
    d and d^1.5, seldom by more.
    """
    if not anchors:
        return None
    distance = np.log(np.array(dims, dtype=float) / dim)
    y = np.array([anchor.location for anchor in anchors])
    weight = 1.0 / (np.array([anchor.spread for anchor in anchors]) ** 2 + 0.05**2)
    design = np.column_stack([np.ones_like(distance), distance])
    prior = np.diag([0.0, 1.0 / 0.35**2])
    information = design.T @ (weight[:, None] * design) + prior
    covariance = np.linalg.inv(information)
    location = covariance @ (design.T @ (weight * y) + prior @ np.array([0.0, 1.25]))
    spread = math.sqrt(float(covariance[0, 0]))
    return Start(float(location[0]), max(0.5, 2.0 * spread))
