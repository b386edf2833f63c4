"""The quantities that checks are about: what measures each, and what it may select.

``keys`` are those of its ``where``: a threshold belongs to a curve at one dimension, an exponent to
a curve, and what is fitted to nulls is of nulls whatever is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tdlab.lab.spec.selection import Point

WHERE_KEYS = (
    "problem", "method", "dim", "rank", "null", "x_from", "x_to", "ld_from", "ld_to", "n",
    "dim_from", "dim_to",
)  # fmt: skip
_WEIGHTLESS = "no method there finds weights"
_OF_NULLS = tuple(key for key in WHERE_KEYS if key != "null")


@dataclass(frozen=True)
class Quantity:
    """What a check may be about.

    Attributes
    ----------
    measure : str
        Name in `tdlab.lab.results.measures` of a function of (check, store, level) that yields the
        interval of each cell, curve or fit that the check selects, or why there is none.
    keys : tuple of str
        That its ``where`` may have.
    nulls : bool
        Whether it is of nulls, whatever is asked.
    has : function of a cell
        Whether a cell has it at all.
    lack : str
        Why no cell has it, where none does.
    unit, level : bool
        Whether a check of it has a ``unit``, or needs a ``level``.
    truth : str
        What the truth of a check may be, for the chance that it holds: "share" (from 0 to 1),
        "rank", or "" where that chance is not computed.
    """

    measure: str
    keys: tuple[str, ...] = WHERE_KEYS
    nulls: bool = False
    has: Callable[[Point], bool] = lambda cell: True
    lack: str = ""
    unit: bool = False
    level: bool = False
    truth: str = ""


def _larger(cell: Point) -> bool:
    return cell.what.problem.get("kind") == "boosted"


def _finds_weights(cell: Point) -> bool:
    """Whether a method can recover anything: a learner that is not proper has no weights."""
    if not cell.what.method.get("learner"):
        return True
    from tdlab.learning.registry import learner_class, learner_names

    name = cell.what.method["name"]
    return name not in learner_names() or learner_class(name).proper


def _cubic(cell: Point) -> bool:
    return cell.order == 3


QUANTITIES: dict[str, Quantity] = {
    "risk": Quantity("measure_risk", truth="share"),
    "gain": Quantity("measure_gain", truth="share"),
    "recovered": Quantity("measure_recovered", has=_finds_weights, lack=_WEIGHTLESS, truth="share"),
    "correlation": Quantity(
        "measure_correlation", has=_larger, lack="no problem is boosted", truth="share"
    ),
    "threshold": Quantity(
        "measure_threshold",
        keys=("problem", "method", "dim", "n"),
        has=_finds_weights,
        lack=_WEIGHTLESS,
        unit=True,
        truth="rank",
    ),
    "exponent": Quantity(
        "measure_exponent",
        keys=("problem", "method", "n"),
        has=_finds_weights,
        lack=_WEIGHTLESS,
    ),
    "null-law": Quantity("measure_null_law", keys=_OF_NULLS, nulls=True),
    "trivial-dim": Quantity(
        "measure_trivial_dim", keys=_OF_NULLS, nulls=True, has=_cubic, level=True
    ),
}
