"""Thresholds of the literature, each with its source, and the windows between them.

At order k: below r_LD ~ d^{k/2} low-degree methods succeed (up to unknown constants), below
r_id = C(d+k-1, k)/d the decomposition is generically unique, and between them, where the window is
not empty, it is unique and believed hard to find. Beside these: what weights that are turned cost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tdlab.errors import InputError, check_integer, check_real

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


# q of the null law at x = r/r_id and d, measured at order 3: 1.96, 2.15, 2.28, 2.40, 2.53, 2.67 at
# x = 0.5 and d = 10, 14, 20, 28, 40, 60; 2.18, 2.20, 2.31, 2.38 at d = 20 and x = .1, .27, .6, .7.
NULL_AT_20, NULL_GROWTH, NULL_BEND = 2.28, 0.39, 0.33


def null_power(dim: int, rank: int, order: int = 3) -> float:
    """q of the share (1 - r/r_id)^q of |T|^2 that r terms leave of a Gaussian symmetric tensor.

    2.28 + 0.39 ln(d/20) + 0.33 (x - 1/2), x = r/r_id: within .05 of what ``homotopy`` left at order
    3, d = 10 to 60 (docs/hardness.md, "The null"). Other orders and dimensions are extrapolated. As
    x -> 0 and d grows the count of local maxima of spherical spin glasses gives 8/3; at fixed x the
    power was still growing at d = 60.

    Examples
    --------
    >>> round(null_power(20, 38), 2), round(null_power(60, 315), 2)
    (2.28, 2.71)
    """
    dim, rank = check_integer("dim", dim, 1), check_integer("rank", rank, 1)
    filled = min(rank / r_id(dim, order), 1.0)
    return max(NULL_AT_20 + NULL_GROWTH * math.log(dim / 20.0) + NULL_BEND * (filled - 0.5), 1.0)


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


def turned_risk(weights: np.ndarray, cosine: float, *, rescaled: bool = False) -> float:
    """Mean risk ratio at degree 3 of unit rows that are turned at random, cross terms included.

    Each row w becomes v = c w + s u, c = ``cosine``, s^2 = 1 - c^2, with u uniform among the unit
    vectors orthogonal to w, independently of the others. As E[u u^T] = (I - w w^T)/(d - 1),

        E v^(x3) = m w^(x3) + k Sym(w (x) I),    k = 3 c s^2 / (d - 1),  m = c^3 - k.

    With <w^(x3), Sym(w' (x) I)> = <w, w'> and <Sym(w (x) I), Sym(w' (x) I)> = <w, w'> (d + 2)/3,
    and |v| = 1 for the terms i = j, for T = sum w_i^(x3), its turned twin T' and S = |sum w_i|^2,

        E<T, T'> = m |T|^2 + k S
        E|T'|^2  = r (1 - q) + m^2 |T|^2 + (2 m k + k^2 (d + 2)/3) S,
        q = c^6 + 3 c^2 s^4 / (d - 1),    |T|^2 = sum_ij <w_i, w_j>^3.

    Centred rows, S = 0, have [r (1 - q) + (1 - m)^2 |T|^2] / |T|^2; orthonormal ones, and
    random ones in the limit of large d, 2 (1 - c^3).

    Parameters
    ----------
    weights : (r, d) array
        Unit rows, d >= 2; output weights are 1.
    cosine : float
        From 0 to 1.
    rescaled : bool
        Whether T' is multiplied by the factor that is best in the mean. The factor that is best
        for each draw does better yet, by what <T, T'> and |T'|^2 vary.

    Returns
    -------
    float
        E|T - T'|^2 / |T|^2, for output He_3: the expected risk over the variance.

    Raises
    ------
    InputError
        For rows that are not of unit norm, or a cosine outside [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> from tdlab.theory import turned_risk
    >>> round(turned_risk(np.eye(2000)[:10], 0.9), 3), round(2 * (1 - 0.9**3), 3)
    (0.542, 0.542)

    Isotropic rows cancel some of each other, which rows that are turned no longer do:

    >>> import tdlab
    >>> net = tdlab.sample_network(dim=20, rank=54, activation="He3", ensemble="isotropic", rng=0)
    >>> 0.57 < turned_risk(net.weights, 0.9) < 0.63
    True
    """
    rows = np.asarray(weights, dtype=float)
    if rows.ndim != 2 or rows.shape[1] < 2:
        raise InputError(f"weights: got shape {rows.shape}, wanted (r, d) with d >= 2")
    if not (np.abs(np.linalg.norm(rows, axis=1) - 1.0) < 1e-8).all():
        raise InputError("weights: got rows of other norms, wanted unit rows")
    c = check_real("cosine", cosine, 0.0)
    if c > 1.0:
        raise InputError(f"cosine: got {cosine}, wanted a number from 0 to 1")
    rank, dim = rows.shape
    energy = float(((rows @ rows.T) ** 3).sum())
    resultant = float((rows.sum(axis=0) ** 2).sum())
    square = 1.0 - c**2
    k = 3.0 * c * square / (dim - 1)
    m = c**3 - k
    q = c**6 + 3.0 * c**2 * square**2 / (dim - 1)
    inner = m * energy + k * resultant
    turned = rank * (1.0 - q) + m**2 * energy + (2 * m * k + k**2 * (dim + 2) / 3) * resultant
    if rescaled:
        return 1.0 - inner**2 / (turned * energy)
    return (energy - 2.0 * inner + turned) / energy
