"""Contractions of sum_i c_i He_k(x_i) with vectors, and its flattenings, over chunks of samples.

Solves     T(v_1, ..., v_m, ., ..., .) with different vectors, where no power P_k(t, s) applies
Method     He_k(x) is the sum over partial pairings of its k modes of (-1)^pairs times x in every
           single mode and the metric in every pair (Grad 1949). A contracted mode is single
           (<x, v>), paired with another one (-<v, v'>), or with a free one (-v there); the free
           modes that are left carry a Hermite tensor of lower order
Cost       one pass; n d^f numbers are multiplied for a result of d^f, none of that size are kept
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tdlab.tensors.dense import symmetrize
from tdlab.tensors.power_sums import hermite_combination, hermite_sums, pairings, shuffled

# Work of that many doubles a sample -> samples (m, d) and coefficients (m,), chunk by chunk.
Chunks = Callable[[int], Iterator[tuple[np.ndarray, np.ndarray]]]


def contract_samples(
    chunks: Chunks, order: int, vectors: np.ndarray, metric: np.ndarray
) -> np.ndarray:
    """Contractions with a batch of vectors (m, b, d): a (b, d, ..., d) array.

    In the sum over partial pairings of the k modes a contracted mode is single (<x, v>),
    paired with another one (-<v, v'>), or with a free one (-v there). For the set S of the
    last kind, with h the pairings among the others, T(v_1, ..., v_m, .) =
    sum_S (-1)^|S| |S|! C(f, |S|) Sym(sum_i c_i h_{S^c}(x_i) He_{f-|S|}(x_i) (x) v_S).
    """
    modes, batch, dim = vectors.shape
    free = order - modes
    lowered = vectors @ metric
    products = np.einsum("abi,cbi->acb", vectors, lowered)
    everything = tuple(range(modes))
    subsets = [
        s for size in range(min(free, modes) + 1) for s in itertools.combinations(everything, size)
    ]
    sums = {s: hermite_sums(dim, free - len(s), batch) for s in subsets}
    for samples, coefficients in chunks(2**modes * batch):
        t = np.matmul(samples, vectors.transpose(0, 2, 1))
        known: dict[tuple[int, ...], Any] = {(): np.ones((len(samples), batch))}
        for s in subsets:
            rest = tuple(a for a in everything if a not in s)
            weights = coefficients[:, None] * _multilinear_hermite(rest, t, products, known)
            for one in sums[s]:
                one.add(samples, weights)
    total = np.zeros((batch, *(dim,) * free))
    for s in subsets:
        size = len(s)
        moment = hermite_combination([one.arrays() for one in sums[s]], metric)
        # |S|! Sym(v_S) is the sum over arrangements.
        arranged = np.zeros((batch, dim**size))
        for arrangement in itertools.permutations(s):
            outer = np.ones((batch, 1))
            for a in arrangement:
                outer = (outer[:, :, None] * lowered[a][:, None, :]).reshape(batch, -1)
            arranged += outer
        flat = moment.reshape(batch, -1, 1) * arranged[:, None, :]
        joined = flat.reshape(batch, *(dim,) * free)
        total += (-1) ** size * math.comb(free, size) * shuffled(joined, size)
    return total


def apply_samples(
    chunks: Chunks, vector: np.ndarray, rows: int, columns: int, metric: np.ndarray
) -> np.ndarray:
    """The (d^rows, d^columns) flattening, columns >= 2, times a vector.

    Only the symmetric part V of the argument counts. With j pairs inside V and p pairs across,
    V_j = tr^j V, m = columns, f = rows, the result is the sum over j and p of (-1)^(j+p)
    pairings(m, j) C(m-2j, p) p! C(f, p) Sym(sum_i c_i He_{f-p}(x_i) (x) V_j(x_i^{m-2j-p})).
    """
    dim = len(metric)
    argument = symmetrize(vector.reshape((dim,) * columns)).dense()
    total = np.zeros((1, *(dim,) * rows))
    for j in range(columns // 2 + 1):
        left = columns - 2 * j
        for p in range(min(left, rows) + 1):
            factor = (-1) ** (j + p) * pairings(columns, j) * math.perm(left, p)
            term = _mixed_moment(chunks, _lower_last(argument, metric, p), p, rows - p, metric)
            total += factor * math.comb(rows, p) * shuffled(term, p)
        if left >= 2:
            argument = np.tensordot(argument, metric, axes=2)
    return total.ravel()


def _mixed_moment(
    chunks: Chunks, argument: np.ndarray, p: int, free: int, metric: np.ndarray
) -> np.ndarray:
    """sum_i c_i He_free(x_i) (x) V(x_i, ..., x_i, [p modes]) as a (1, d, ..., d) array."""
    dim, contracted = len(metric), argument.ndim - p
    orders = range(free, -1, -2)
    powers = hermite_sums(dim, free, 1)
    mixed = [np.zeros((dim**a, dim**p)) for a in orders]
    for samples, coefficients in chunks(dim ** max(argument.ndim - 1, free)):
        inner = _contracted_leading(argument, samples, contracted)
        weighted = coefficients[:, None] * inner
        for a, power, total in zip(orders, powers, mixed, strict=True):
            if p == 0:
                power.add(samples, weighted)
            else:
                total += _khatri_rao_power(samples, a).T @ weighted
    if p == 0:
        return hermite_combination([one.arrays() for one in powers], metric)
    # The entries of V's p modes are a batch of weights.
    batch = [total.T.reshape(-1, *(dim,) * a) for a, total in zip(orders, mixed, strict=True)]
    moment = hermite_combination(batch, metric).reshape(dim**p, -1)
    return moment.T.reshape(1, *(dim,) * (free + p))


def _multilinear_hermite(
    modes: tuple[int, ...], t: np.ndarray, products: np.ndarray, known: dict[Any, Any]
) -> np.ndarray:
    """He_m(x) contracted with the vectors of those modes: (samples, b).

    h_A = t_a h_{A-a} - sum_b <v_a, v_b> h_{A-a-b}.
    """
    if modes not in known:
        a, *others = modes
        value = t[a] * _multilinear_hermite(tuple(others), t, products, known)
        for b in others:
            rest = tuple(c for c in others if c != b)
            value = value - products[a, b] * _multilinear_hermite(rest, t, products, known)
        known[modes] = value
    return known[modes]


def _lower_last(array: np.ndarray, metric: np.ndarray, modes: int) -> np.ndarray:
    """The metric applied to the last modes of a symmetric array."""
    for _ in range(modes):
        # The contracted mode becomes the last one, so that `modes` turns restore the order.
        array = np.tensordot(array, metric, axes=(array.ndim - modes, 0))
    return array


def _contracted_leading(array: np.ndarray, samples: np.ndarray, modes: int) -> np.ndarray:
    """The array with each sample in its leading modes: (m, d^rest)."""
    rows, dim = samples.shape
    if modes == 0:
        return np.broadcast_to(array.reshape(1, -1), (rows, array.size))
    out = samples @ array.reshape(dim, -1)
    for _ in range(modes - 1):
        out = np.einsum("ij,ijk->ik", samples, out.reshape(rows, dim, -1))
    return out


def _khatri_rao_power(samples: np.ndarray, degree: int) -> np.ndarray:
    out = np.ones((len(samples), 1))
    for _ in range(degree):
        out = (out[:, :, None] * samples[:, None, :]).reshape(len(samples), -1)
    return out
