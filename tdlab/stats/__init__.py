"""Statistics of a scan: binomial intervals, recovery thresholds, their scaling with dimension."""

from tdlab.stats.binomial import interval
from tdlab.stats.scaling import Exponent, ExponentStatus, fit_exponent
from tdlab.stats.threshold import Threshold, ThresholdStatus, estimate

__all__ = [
    "Exponent",
    "ExponentStatus",
    "Threshold",
    "ThresholdStatus",
    "estimate",
    "fit_exponent",
    "interval",
]
