"""How many terms a tensor has at least: ranks of its flattenings.

Solves     a lower bound of the rank, over the real and the complex numbers, and the rank itself
           where a flattening that could show more does not
Method     singular values: the span of all terms; the symmetric flattening (m | k-m), whose rank no
           sum of fewer terms has; at order 3 the Koszul-Young flattening of p random directions, to
           which a term adds C(2p, p), to 1.5, 1.67, 1.75 times the dimension
Guarantee  a bound, without noise; but of the border rank: x^2 y has border rank 2 and rank 3
Cost       a singular value decomposition of size C(2p+1, p) d, or of the symmetric flattening
Sources    Landsberg and Ottaviani (2013), arXiv 1111.4567
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tdlab.algorithms.base import Budget
from tdlab.algorithms.methods.koszul_young import koszul_flattening
from tdlab.algorithms.words import n_terms
from tdlab.tensors import SymmetricTensor, gaussian_tensor

# Relative singular values: below the first zero to rounding; a gap is a ratio of at least the
# second between neighbours.
_ROUNDING = 1e-9
_GAP = 1e3
_LARGEST = 1200
# Of all contractions that a span is read from.
_ENTRIES = 4_000_000


@dataclass(frozen=True)
class Bound:
    """What a flattening shows.

    Attributes
    ----------
    rank : int
        No fewer terms are exact.
    shows : bool
        Whether the flattening has room for more, so that this is likely the number.
    source : str
        "The flattening has rank 3."
    """

    rank: int
    shows: bool
    source: str


def span(tensor: SymmetricTensor, rng: np.random.Generator) -> tuple[SymmetricTensor, np.ndarray]:
    """The tensor on the span of its terms, and an orthonormal basis (s, d) of that.

    The tensor as it is, with the identity, where the span is everything or blurred.
    """
    dim, order = tensor.dim, tensor.order
    # Squares of a Gram matrix would hide values below 1e-8: contract with random vectors, as many
    # as resolve the row space, or as many as take seconds: almost any one of them does.
    count = min(dim + 2, max(_ENTRIES // dim**2, 4))
    draws = [tensor.contract(*rng.standard_normal((order - 2, dim))) for _ in range(count)]
    left, values, _ = np.linalg.svd(np.hstack(draws), full_matrices=False)
    shown = gap(values, tensor.rounding)
    if shown is None or shown == dim:
        return tensor, np.eye(dim)
    basis = np.ascontiguousarray(left[:, :shown].T)
    return tensor.rotate(basis), basis


def bound(tensor: SymmetricTensor, rng: np.random.Generator, clock: Budget) -> Bound:
    """The best bound for a tensor whose terms span all dimensions."""
    dim, order = tensor.dim, tensor.order
    best = Bound(dim, False, f"Its terms span {dim} dimensions.")
    if order == 3:
        return _koszul_young(tensor, best, rng, clock)
    high = order - order // 2
    if math.comb(dim + high - 1, high) > _LARGEST or not tensor.readable or clock.expired:
        return best
    shown, full = (
        gap(np.linalg.svd(t.catalecticant(high).T, compute_uv=False), tensor.rounding)
        for t in (tensor, gaussian_tensor(dim, order, rng=rng))
    )
    if shown is None or full is None:
        return best
    middle = f"({order // 2} | {order - order // 2})"
    return Bound(
        max(shown, dim), shown < full, f"The symmetric flattening {middle} has rank {shown}."
    )


def _koszul_young(
    tensor: SymmetricTensor, best: Bound, rng: np.random.Generator, clock: Budget
) -> Bound:
    dim = tensor.dim
    # At the rank that a tensor without structure shows, the flattening tells nothing.
    control = gaussian_tensor(dim, rng=rng)
    for p in (1, 2, 3):
        height = 2 * p + 1
        if height > dim or math.comb(height, p) * dim > _LARGEST or clock.expired:
            break
        projection = np.linalg.qr(rng.standard_normal((dim, height)))[0].T
        shown, full = (
            gap(np.linalg.svd(koszul_flattening(t, projection), compute_uv=False), tensor.rounding)
            for t in (tensor, control)
        )
        if shown is None or full is None:
            continue
        each = math.comb(2 * p, p)
        least = -(-shown // each)
        source = f"The Koszul-Young flattening (p = {p}) has rank {shown}"
        if shown < full and shown % each == 0 and least >= dim:
            return Bound(least, True, f"{source} = {each} x {least}.")
        if least > best.rank:
            best = Bound(least, False, f"{source}, which takes {n_terms(least)} of {each} each.")
    return best


def gap(values: np.ndarray, rounding: float = 0.0) -> int | None:
    """Number of singular values before the rest vanish; all of them where none does.

    None where values fall off without a gap: noise, or a tensor that is nearly of lower rank.
    ``rounding`` is that of the data, where it is coarser than that of doubles.
    """
    values = np.maximum(values / values[0], 1e-16)
    zero, ratio = (_ROUNDING, _GAP) if rounding == 0.0 else (10.0 * rounding, 30.0)
    small = int((values > zero).sum())
    if small == len(values):
        return small if values[-1] > zero * ratio else None
    return small if values[small - 1] > ratio * values[small] else None
