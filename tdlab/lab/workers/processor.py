"""The kind of processor that a trial ran on, and what may be expected of another kind.

BLAS picks its kernels by the processor, and each rounds in its own way. On one kind a trial gives
the same bits wherever and whenever it runs; on another it is the same calculation in other
roundings: outcomes are compared first, numbers to a tolerance. Rounding may still decide a trial
that is close to call, so that a difference there is told apart from a fault.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tdlab.lab.trial.run import TrialResult

# Exact fits end anywhere under 1e-8, and agree so far; searches that fail wander apart from the
# first rounding on, and most of those that have a long way end in other numbers (measured under
# kernels from SSE3 to AVX2): which is why outcomes come first, and numbers are counted apart.
RELATIVE = 1e-6
ABSOLUTE = 1e-7
TOLERANCE = f"{RELATIVE:g} of a number, or {ABSOLUTE:g}"


@cache
def blas() -> str:
    """The BLAS of numpy and scipy: library, version, kernel ("openblas 0.3.30 Haswell")."""
    import numpy  # noqa: F401 - loads the library that is asked about
    import scipy.linalg  # noqa: F401 - has one of its own in a wheel
    import threadpoolctl

    libraries = [lib for lib in threadpoolctl.threadpool_info() if lib["user_api"] == "blas"]
    # Other packages may have brought theirs into this process: whether they have is chance.
    own = [lib for lib in libraries if any(name in lib["filepath"] for name in ("numpy", "scipy"))]
    texts = sorted(
        " ".join(
            str(lib[key]) for key in ("internal_api", "version", "architecture") if lib.get(key)
        )
        for lib in own or libraries
    )
    return ", ".join(dict.fromkeys(texts)) or "unknown"


@cache
def kernel(device: str = "cpu") -> str:
    """What decides the bits of a trial: BLAS kernels, numba's target, and a device if it has one.

    Results of equal texts are the same bit for bit.
    """
    import llvmlite.binding as llvm

    where = "" if device == "cpu" else f", device {device}"
    return f"{blas()}, numba {llvm.get_host_cpu_name()}{where}"


def is_another(one: str, other: str) -> bool:
    """Whether two kernels are known and differ, so that no equal bits may be asked for."""
    return bool(one and other) and one != other


def same_outcome(one: TrialResult, other: TrialResult) -> bool:
    """Whether two results say the same of the method."""
    return one.outcome == other.outcome


def same_numbers(one: TrialResult, other: TrialResult) -> bool:
    """Whether two results of equal outcome agree in every number to `TOLERANCE`."""
    return all(
        _close(getattr(one, name), getattr(other, name))
        for name in ("recovered", "residual", "risk_ratio")
    )


def _close(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
