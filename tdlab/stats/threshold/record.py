"""What is known of a threshold: an estimate, an interval, a bound, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ThresholdStatus(StrEnum):
    """What the counts allow to say of r*."""

    BRACKETED = "bracketed"
    ALL_RECOVERED = "all-recovered"
    LOWER_BOUND = "lower-bound"
    NONE_RECOVERED = "none-recovered"
    UPPER_BOUND = "upper-bound"
    LAPSE_LIMITED = "lapse-limited"
    INDETERMINATE = "indeterminate"
    TOO_FEW_TRIALS = "too-few-trials"


@dataclass(frozen=True)
class Threshold:
    """The rank of even odds, as far as counts tell.

    Attributes
    ----------
    status : ThresholdStatus
        ``bracketed``: a point and an interval. ``all-recovered``: surely above one half at every
        tested rank, so only a lower bound; ``lower-bound``: at the first ones, and the others do
        not tell. ``none-recovered``: surely under one half at every tested rank, near zero at the
        lowest, so only an upper bound, if r* exists; ``upper-bound``: together, not each of them.
        ``lapse-limited``: recovery is flat and under one half at the ranks tested lowest, so r*
        does not exist unless it rises beyond what was tested. ``indeterminate``: the counts do not
        tell on which side of one half the low ranks lie, or they lie under it and not near zero, or
        timeouts decide. ``too-few-trials``.
    estimate, lower, upper : float or None
        Rank of even odds and its interval; None where the counts give none.
    level : float
        Confidence of the interval; one-sided bounds hold with (1 + level)/2.
    plateau : float or None
        Recovered fraction at the lowest ranks.
    method : str
        How the interval came about.
    flags : tuple of str
        ``quantised``: the interval is a gap between tested ranks. ``shape``: the isotonic
        interval, or widened to it, because the smooth fit and the isotonic one disagree.
        ``jump``: takes in gaps across which success changes at once. ``non-monotone``: recovery
        rises somewhere, r* is the last down-crossing. ``censored``: the interval covers both
        readings of the timeouts.
    message : str
    """

    status: ThresholdStatus
    estimate: float | None
    lower: float | None
    upper: float | None
    level: float
    plateau: float | None
    method: str
    flags: tuple[str, ...]
    message: str
