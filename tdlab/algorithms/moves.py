"""Whether a fit has others of its kind: by counting, by the parts of its span, by its Jacobian.

Source     `tdlab.theory.uniqueness_class` for generic tensors; the rules for subspaces and direct
           sums are this library's
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tdlab.algorithms.jacobian import regular
from tdlab.algorithms.words import n_terms
from tdlab.theory import TWO_DECOMPOSITIONS, uniqueness_class

# Singular values of unit rows below this share of the largest are no dimension of their own.
_FLAT = 1e-6
# Coefficients in a basis of rows that are taken for zero.
_JOINED = 1e-6


def uniqueness_of(
    rows: np.ndarray, weights: np.ndarray, order: int, rank: int, largest: int = 600
) -> tuple[str, str]:
    """Whether others than this exact fit, or fit under noise, are to be expected; and why, in a
    sentence.

    What counts is the dimension of the span: terms in a subspace are a tensor of that subspace. And
    where the terms fall into parts whose spans are independent, each part's own. Up to ``largest``
    parameters r d it is asked whether the terms can move.
    """
    count, dim = rows.shape
    if count < rank:
        return "no", (
            f" {n_terms(count, 'suffice')} for it, so that decompositions into {rank} are not "
            "unique."
        )
    if count <= 1:
        return "generic", ""
    values = np.linalg.svd(rows, compute_uv=False)
    span = int((values > _FLAT * values[0]).sum())
    if order > 2 and span == count:
        return "generic", ""
    inside = "" if span == dim else f" The terms span {span} of {dim} dimensions."
    for part in independent_parts(rows, span) if order > 2 else [np.arange(count)]:
        own = int(np.linalg.matrix_rank(rows[part], rtol=_FLAT))
        if order > 2 and own == len(part):
            continue
        where = f"A generic tensor of order {order}, dimension {own} and rank {len(part)}"
        if len(part) < count:
            inside = (
                f" {len(part)} of the {n_terms(count)} span {own} of {dim} dimensions, independent "
                "of the others."
            )
        if (order, own, len(part)) in TWO_DECOMPOSITIONS:
            return "no", (
                f"{inside} {where} has other decompositions: exactly two over the complex numbers, "
                "and whether the other one is real, this one does not tell."
            )
        if uniqueness_class(own, len(part), order) == "no":
            return "no", (
                f"{inside} {where} has other decompositions that fit as well, so these components "
                "need not be the planted ones."
            )
    if count * dim <= largest and not _regular(rows, weights, order):
        return "no", (
            f"{inside} These terms can move while their sum stays: there are too many of them, or "
            "they are in special position."
        )
    return "generic", "" if span == dim else f" The terms span {span} of {dim} dimensions."


def _regular(rows: np.ndarray, weights: np.ndarray, order: int) -> bool:
    signs = np.where(weights < 0.0, -1.0, 1.0)
    return regular(rows * (np.abs(weights) ** (1.0 / order))[:, None], signs, order)


def independent_parts(rows: np.ndarray, span: int) -> list[np.ndarray]:
    """Numbers of the rows (r, d), of that rank, in the finest parts whose spans are independent.

    Written in a basis of ``span`` rows, two rows belong together where a row has coefficients on
    both: the connected components of the matroid of the rows.
    """
    from scipy.linalg import qr

    factors: Any = qr(rows.T, mode="economic", pivoting=True)
    _, upper, pivots = factors
    basis, rest = pivots[:span], pivots[span:]
    coefficients = np.linalg.solve(upper[:span, :span], upper[:span, span:])
    found = np.abs(coefficients) > _JOINED
    if found.any(axis=0).all() and found.all(axis=0).any():
        # The usual case: a row has all of the basis, and so every other has something of it.
        return [np.arange(len(rows))]
    from scipy.sparse.csgraph import connected_components

    joined = np.zeros((len(rows), len(rows)), bool)
    joined[np.ix_(basis, rest)] = found
    count, labels = connected_components(joined, directed=False)
    return [np.flatnonzero(labels == part) for part in range(count)]
