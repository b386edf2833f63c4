"""Monomials and the moment structure of a relaxation, with its projection in closed form.

Basis      v(x) = [sqrt(m!/alpha!) x^alpha on Sym^m, and for odd orders the same on Sym^(m-1)], for
           degree 2m: |v|^2 = 1 (even orders) or 2 (odd orders) on the sphere
Structure  L = {moment matrices [[S_2m, S_2m-1], [., tr S_2m]] in this basis}; v(x) v(x)^T is in L
Projection P_L averages entries of equal moments, then couples S_2m with its trace; O(N^2)

On the sphere every monomial of degree <= 2m equals a form of degree 2m or 2m - 1 there, so these
blocks are the whole Lasserre relaxation (Lasserre 2001) at the size of the quotient ring.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tdlab._kernels import moments as kernels


@dataclass(frozen=True)
class Monomials:
    """All monomials of one degree in ``dim`` variables, in colexicographic order.

    Attributes
    ----------
    lists : (M, degree) array
        Sorted variable numbers of each monomial.
    counts : (M,) array
        Multinomial coefficients degree!/alpha!: entries of a symmetric tensor that are equal.

    Examples
    --------
    >>> from tdlab.sos.basis import monomials
    >>> both = monomials(2, 2)
    >>> both.lists.tolist(), both.counts.tolist()
    ([[0, 0], [0, 1], [1, 1]], [1.0, 2.0, 1.0])
    """

    dim: int
    degree: int
    lists: np.ndarray
    counts: np.ndarray

    def __len__(self) -> int:
        return len(self.lists)

    def values(self, points: np.ndarray) -> np.ndarray:
        """x^alpha for each row x of a (b, d) array: a (b, M) array."""
        out = np.ones((len(points), len(self)))
        for column in self.lists.T:
            out *= points[:, column]
        return out

    @cached_property
    def squared(self) -> np.ndarray:
        """(M, d) numbers of x^alpha x_i^2 among the monomials of degree + 2."""
        pairs = np.repeat(np.arange(self.dim)[:, None], 2, axis=1)
        return product_numbers(self.lists, pairs)


def monomials(dim: int, degree: int) -> Monomials:
    """The monomials of one degree, built by appending the largest variable."""
    lists = np.empty((1, 0), dtype=np.int64)
    counts, runs = np.ones(1), np.zeros(1)
    for n in range(1, degree + 1):
        # Those that end in variable i are the first C(i + n - 1, n - 1) of one degree less.
        heads = [math.comb(i + n - 1, n - 1) for i in range(dim)]
        head = np.concatenate([np.arange(h) for h in heads])
        last = np.repeat(np.arange(dim), heads)
        same = lists[head, -1] == last if n > 1 else np.zeros(dim, dtype=bool)
        runs = np.where(same, runs[head], 0.0) + 1.0
        counts = counts[head] * n / runs
        lists = np.concatenate([lists[head], last[:, None]], axis=1)
    return Monomials(dim, degree, lists, np.rint(counts))


def product_numbers(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(p, q) numbers of the products of monomials given by their sorted variables."""
    degree = left.shape[1] + right.shape[1]
    top = 1 + max(left.max(initial=0), right.max(initial=0)) + degree
    table = [[math.comb(i, t) for t in range(degree + 1)] for i in range(top)]
    out = np.empty((len(left), len(right)), dtype=np.int32)
    kernels.moment_numbers(left, right, np.array(table, dtype=np.int64), out)
    return out


def add_square(coefficients: np.ndarray, low: Monomials, size: int) -> np.ndarray:
    """Coefficients of |x|^2 p(x), for p of the degree of ``low``: tr* of a symmetric tensor."""
    spread = np.broadcast_to(coefficients[:, None], low.squared.shape)
    return np.bincount(low.squared.ravel(), weights=spread.ravel(), minlength=size)


def trace(entries: np.ndarray, low: Monomials) -> np.ndarray:
    """Entries of tr S = sum_i S(..., e_i, e_i), for S of degree two more than ``low``."""
    return entries[low.squared].sum(axis=1)


class Relaxation:
    """The moment structure of degree ``degree`` for forms of order ``order`` on the sphere.

    Attributes
    ----------
    half : int
        m = degree / 2.
    odd : bool
        Whether the form's order is odd, so that the basis has two blocks.
    size : int
        N, the side of the moment matrix.
    mass : float
        |v(x)|^2 on the sphere, the trace of every moment matrix: 2 for odd orders, else 1.
    weights : (N,) array
        sqrt(m!/alpha!) of the basis.
    index : (N, N) int32 array
        The moment that each entry is, numbered through the levels 2m, 2m - 1, 2m - 2.

    Examples
    --------
    >>> import numpy as np
    >>> from tdlab.sos.basis import Relaxation
    >>> relaxation = Relaxation(dim=3, order=3, degree=4)
    >>> v = relaxation.vectors(np.array([[0.6, 0.0, 0.8]]))[0]
    >>> relaxation.size, round(float(v @ v), 12)
    (9, 2.0)
    >>> M = np.outer(v, v)
    >>> bool(np.allclose(relaxation.project(M), M))
    True
    """

    def __init__(self, dim: int, order: int, degree: int) -> None:
        self.dim, self.order, self.degree = dim, order, degree
        self.half = degree // 2
        self.odd = order % 2 == 1
        self.mass = 2.0 if self.odd else 1.0
        self.blocks = [monomials(dim, self.half)]
        degrees = [degree]
        if self.odd:
            self.blocks.append(monomials(dim, self.half - 1))
            degrees += [degree - 1, degree - 2]
        self.levels = [monomials(dim, n) for n in degrees]
        self.starts = np.cumsum([0, *(len(level) for level in self.levels)])
        self.weights = np.sqrt(np.concatenate([block.counts for block in self.blocks]))
        self.size = len(self.weights)
        self.index = self._index()
        # Multiplicity of a moment in <v, H v>: the odd level appears in both off-diagonal blocks.
        self.counts = np.concatenate([level.counts for level in self.levels])
        if self.odd:
            self.counts[self.starts[1] : self.starts[2]] *= 2.0
            self._traces = [monomials(dim, n) for n in range(degree - 4, -1, -2)]
            self._newton, self._nodes = self._coupling()

    def _index(self) -> np.ndarray:
        upper = len(self.blocks[0])
        index = np.empty((self.size, self.size), dtype=np.int32)
        for a, left in enumerate(self.blocks):
            for b, right in enumerate(self.blocks):
                rows = slice(upper) if a == 0 else slice(upper, None)
                columns = slice(upper) if b == 0 else slice(upper, None)
                numbers = product_numbers(left.lists, right.lists)
                index[rows, columns] = numbers + np.int32(self.starts[a + b])
        return index

    def _coupling(self) -> tuple[np.ndarray, np.ndarray]:
        """Newton coefficients and nodes of f(E) = (I + tr tr*)^-1 on forms of degree n = 2m - 2.

        Delta(|x|^2 Z) = (2d + 4n) Z + |x|^2 Delta Z gives tr tr* = (2d + 4n + E)/((n + 1)(n + 2))
        with E = |x|^2 Delta, whose eigenvalue on |x|^(2j) h (h harmonic) is 2j (2n - 2j + d - 2):
        n/2 + 1 distinct ones, so that an interpolation polynomial is the inverse exactly.
        """
        n = self.degree - 2
        nodes = np.array([2.0 * j * (2 * n - 2 * j + self.dim - 2) for j in range(n // 2 + 1)])
        divided = 1.0 / (1.0 + (2 * self.dim + 4 * n + nodes) / ((n + 1) * (n + 2)))
        for step in range(1, len(nodes)):
            gaps = nodes[step:] - nodes[:-step]
            # d = 1 has only one harmonic degree of each parity: the rest may take any value.
            divided[step:] = np.diff(divided[step - 1 :]) / np.where(gaps == 0.0, 1.0, gaps)
        return divided, nodes

    def vectors(self, points: np.ndarray) -> np.ndarray:
        """v(x) for each row x of a (b, d) array: a (b, N) array."""
        values = [block.values(points) for block in self.blocks]
        return np.concatenate(values, axis=1) * self.weights

    def coefficients(self, matrix: np.ndarray) -> np.ndarray:
        """Coefficients of the polynomial <v(x), H v(x)>, level by level."""
        out = np.zeros(self.starts[-1])
        kernels.add_up(matrix, self.weights, self.index, out)
        return out

    def moments(self, coefficients: np.ndarray) -> np.ndarray:
        """The moments of P_L(H), from the coefficients of <v, H v>."""
        entries = coefficients / self.counts
        if not self.odd:
            return entries
        top, low = slice(self.starts[1]), slice(self.starts[2], None)
        level = self.levels[2]
        # Least squares over S: |P - S|^2 + |Q - tr S|^2 has S = P + tr* Z, where
        # (I + tr tr*) Z = Q - tr P.
        start = entries[low] - trace(entries[top], level)
        shift = self._newton[-1] * start
        for value, node in zip(self._newton[-2::-1], self._nodes[-2::-1], strict=True):
            shift = self._laplace(shift) - node * shift + value * start
        lifted = add_square(shift * level.counts, level, len(self.levels[0]))
        entries[top] += lifted / self.levels[0].counts
        entries[low] = trace(entries[top], level)
        return entries

    def _laplace(self, entries: np.ndarray) -> np.ndarray:
        """|x|^2 Delta on forms of degree n = 2m - 2, given by tensor entries."""
        low, n = self._traces[0], self.degree - 2
        traced = trace(entries, low) * low.counts
        level = self.levels[2]
        return n * (n - 1) * add_square(traced, low, len(level)) / level.counts

    def matrix(self, moments: np.ndarray) -> np.ndarray:
        """The (N, N) moment matrix of given moments."""
        out = np.zeros((self.size, self.size))
        kernels.expand(moments, self.weights, self.index, 1.0, out)
        return out

    def project(self, matrix: np.ndarray) -> np.ndarray:
        """P_L(H): the nearest matrix with moment structure."""
        return self.matrix(self.moments(self.coefficients(matrix)))

    def correct(self, matrix: np.ndarray, target: np.ndarray) -> None:
        """H <- H - P_L(H - C) in place: the nearest H with <v, H v> = <v, C v> on the sphere.

        ``target`` holds the coefficients of <v, C v>.
        """
        moments = self.moments(self.coefficients(matrix) - target)
        kernels.expand(moments, self.weights, self.index, -1.0, matrix)
