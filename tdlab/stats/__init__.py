"""Statistics of a scan: binomial intervals, recovery thresholds, their scaling with dimension."""

from tdlab.stats.binomial import interval
from tdlab.stats.bounded_mean import mean_interval
from tdlab.stats.null_law import (
    NullLaw,
    NullSurface,
    dimension_that_looks_trivial,
    fit_null_law,
    fit_null_surface,
)
from tdlab.stats.scaling import Exponent, ExponentStatus, fit_exponent
from tdlab.stats.threshold.estimate import estimate
from tdlab.stats.threshold.record import Threshold, ThresholdStatus

__all__ = [
    "Exponent",
    "ExponentStatus",
    "NullLaw",
    "NullSurface",
    "Threshold",
    "ThresholdStatus",
    "dimension_that_looks_trivial",
    "estimate",
    "fit_exponent",
    "fit_null_law",
    "fit_null_surface",
    "interval",
    "mean_interval",
]
