"""Thresholds of the literature, each with its source, and the windows between them.

At order k: below r_LD ~ d^{k/2} low-degree methods succeed (up to unknown constants), below
r_id = C(d+k-1, k)/d the decomposition is generically unique, and between them, where the window is
not empty, it is unique and believed hard to find.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tdlab.errors import check_integer

# (order, dim, rank) where generic uniqueness fails below the counting bound: the defective cases of
# Alexander and Hirschowitz (1995), and those with exactly two decompositions (Chiantini, Ottaviani
# and Vannieuwenhoven 2017, arXiv 1504.00547).
DEFECTIVE = frozenset({(3, 5, 7), (4, 3, 5), (4, 4, 9), (4, 5, 14)})
TWO_DECOMPOSITIONS = frozenset({(3, 6, 9), (4, 4, 8), (6, 3, 9)})
# (order, dim, rank) with rank = r_id exactly where a generic tensor is unique all the same: besides
# these two only binary forms of odd order (Galuppi and Mella 2019, J. reine angew. Math.).
PERFECT = frozenset({(3, 4, 5), (5, 3, 7)})


@dataclass(frozen=True)
class Threshold:
    """A rank threshold of the literature.

    Attributes
    ----------
    name, formula, claim, source : str
    """

    name: str
    formula: str
    claim: str
    source: str


THRESHOLDS = (
    Threshold(
        "r_LD",
        "d^(k/2)",
        "low-degree polynomials estimate a component for r << d^(k/2) and fail for r >> d^(k/2), "
        "up to unknown constants (components uniform on the hypercube, one slightly larger)",
        "Wein (2022), arXiv 2211.05274",
    ),
    Threshold(
        "r_id",
        "C(d+k-1, k) / d",
        "a generic symmetric tensor of rank r < r_id has one decomposition, but for listed "
        "exceptions",
        "Chiantini, Ottaviani and Vannieuwenhoven (2017), arXiv 1504.00547",
    ),
    Threshold(
        "window",
        "d^(3/2) << r << d^2",
        "for x^3 networks with random isotropic weights no polynomial-time proper learner beats "
        "the trivial predictor, under a hardness assumption for tensor decomposition",
        "Mondelli and Montanari (2019), arXiv 1802.07301",
    ),
)


def r_ld(dim: int, order: int = 3) -> float:
    """Low-degree threshold d^(k/2), its unknown constant set to 1 (Wein 2022, arXiv 2211.05274).

    >>> r_ld(16)
    64.0
    """
    return float(check_integer("dim", dim, 1)) ** (check_integer("order", order, 2) / 2)


def r_id(dim: int, order: int = 3) -> float:
    """Identifiability threshold C(d+k-1, k)/d: parameters r d against distinct entries.

    >>> r_id(20)
    77.0
    """
    dim, order = check_integer("dim", dim, 1), check_integer("order", order, 2)
    return math.comb(dim + order - 1, order) / dim


def uniqueness_class(dim: int, rank: int, order: int = 3) -> str:
    """Whether a generic tensor of this (order, dim, rank) has one decomposition of that rank.

    Returns
    -------
    "generic" if a generic one is unique, "no" if it has others that fit as well.

    Examples
    --------
    >>> uniqueness_class(20, 76), uniqueness_class(20, 77), uniqueness_class(6, 9)
    ('generic', 'no', 'no')
    """
    rank = check_integer("rank", rank, 1)
    if rank == 1:
        return "generic"
    if order == 2:
        return "no"
    key = (order, dim, rank)
    if key in DEFECTIVE or key in TWO_DECOMPOSITIONS:
        return "no"
    perfect_binary = dim == 2 and order % 2 == 1 and 2 * rank == order + 1
    if key in PERFECT or perfect_binary:
        return "generic"
    return "generic" if rank < r_id(dim, order) else "no"


def window(dim: int, order: int = 3) -> tuple[float, float] | None:
    """(r_LD, r_id) with constants 1, or None where the window between them is empty.

    >>> window(20) is None, window(30)
    (True, (164.31676725154983, 165.33333333333334))
    """
    low, high = r_ld(dim, order), r_id(dim, order)
    return (low, high) if low < high else None
