"""Statistics of a scan: binomial intervals, recovery thresholds, their scaling with dimension."""

from tdlab.stats.binomial import interval
from tdlab.stats.threshold import Threshold, ThresholdStatus, estimate

__all__ = [
    "Threshold",
    "ThresholdStatus",
    "estimate",
    "interval",
]
