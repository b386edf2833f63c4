"""Inner products <He_k(x), He_k(x')> of Hermite tensors, from <x, x'>, |x|^2 and |x'|^2 alone.

Solves     norms of Hermite moment tensors, and the variance of one sample's term, without d^k
Method     with F(w) = He_k(x')(w, ..., w) = P_k(t, s), t = <x', w>, s = |w|^2, the Laplacian traces
           a pair of modes, Delta F = k (k-1) He_k(x')(w^{k-2}, I), and acts on monomials by
           Delta t^a s^b = a(a-1) |x'|^2 t^{a-2} s^b + (4 a b + 2 b (d+2b-2)) t^a s^{b-1};
           then <He_k(x), He_k(x')> = sum_j (-1)^j pairings(k, j) (k-2j)!/k! (Delta^j F)(x)
"""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np

from tdlab.tensors.power_sums import pairings

_Polynomial = dict[tuple[int, int, int], float]


class HermiteKernel:
    """(t, s, u) -> <He_k(x), He_k(x')> for t = <x, x'>, s = |x|^2, u = |x'|^2, elementwise.

    Examples
    --------
    >>> from tdlab.tensors.hermite_pairs import HermiteKernel
    >>> HermiteKernel(dim=1, order=3)(2.0, 1.0, 4.0)  # He_3(1) He_3(2)
    -4.0
    """

    def __init__(self, dim: int, order: int) -> None:
        # Monomials t^a s^b u^e.
        form: _Polynomial = {
            (order - 2 * j, j, 0): float((-1) ** j * pairings(order, j))
            for j in range(order // 2 + 1)
        }
        total: dict[tuple[int, int, int], float] = defaultdict(float)
        for j in range(order // 2 + 1):
            factor = (-1) ** j * pairings(order, j) / math.perm(order, 2 * j)
            for powers, value in form.items():
                total[powers] += factor * value
            form = _laplacian(form, dim)
        self._terms: dict[int, list[tuple[int, int, float]]] = defaultdict(list)
        for (a, b, e), value in total.items():
            self._terms[a].append((b, e, value))

    def __call__(self, t: np.ndarray, s: np.ndarray, u: np.ndarray) -> np.ndarray:
        # Powers of t are all odd or all even: Horner in t^2.
        powers = sorted(self._terms, reverse=True)
        value: np.ndarray | float = 0.0
        for a in powers:
            value = value * t**2 if a != powers[0] else value
            value = value + sum(c * s**b * u**e for b, e, c in self._terms[a])
        return value * t ** powers[-1]  # type: ignore[return-value] (an array)


def _laplacian(form: _Polynomial, dim: int) -> _Polynomial:
    out: dict[tuple[int, int, int], float] = defaultdict(float)
    for (a, b, e), value in form.items():
        if a >= 2:
            out[a - 2, b, e + 1] += a * (a - 1) * value
        if b >= 1:
            out[a, b - 1, e] += (4 * a * b + 2 * b * (dim + 2 * b - 2)) * value
    return dict(out)
