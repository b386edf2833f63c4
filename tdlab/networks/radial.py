"""Polynomials of |x|^2, Gaussian x: the trivial predictors of networks with even parts.

q_j(|x|^2), j = 0, 1, ..., are orthonormal and of Hermite degree k = 2j: up to the sign (-1)^j,
<A, He_k(x)> / (sqrt(k!) |A|) with A = Sym(I^{(x)j}). So the inner product with a network or with a
polynomial is a sum over units or coefficients, and the risk is exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tdlab.errors import InputError
from tdlab.networks.hermite import HermitePolynomial, _factorials
from tdlab.networks.two_layer import TwoLayerNetwork


@dataclass(frozen=True)
class RadialPolynomial:
    """g(x) = sum_j c_j q_j(|x|^2), q_j orthonormal polynomials of |x|^2 for x ~ N(0, I_d).

    Examples
    --------
    >>> import numpy as np, tdlab
    >>> from tdlab.networks import RadialPolynomial
    >>> net = tdlab.TwoLayerNetwork(np.eye(3), activation="x**2")      # |x|^2 = 3 - sqrt(6) q_1
    >>> round(RadialPolynomial((3.0, -6.0**0.5), 3).risk(net), 12)
    0.0
    """

    coefficients: tuple[float, ...]
    dim: int

    def predict(self, X: np.ndarray) -> np.ndarray:
        """(n, d) -> (n,)."""
        return radial_features(X, len(self.coefficients) - 1) @ np.array(self.coefficients)

    def risk(self, target: TwoLayerNetwork | HermitePolynomial) -> float:
        """Exact E (f(x) - g(x))^2 of predicting f = ``target``."""
        if target.dim != self.dim:
            raise InputError(f"target: got input dimension {target.dim}, wanted {self.dim}")
        energies = target.hermite_energies()
        parts = np.array([radial_part(target, j) for j in range((len(energies) + 1) // 2)])
        own, theirs = np.zeros((2, max(len(parts), len(self.coefficients))))
        own[: len(self.coefficients)] = self.coefficients
        theirs[: len(parts)] = parts
        aside = max(float(energies.sum() - parts @ parts), 0.0)
        return float((own - theirs) @ (own - theirs)) + aside


def radial_part(target: TwoLayerNetwork | HermitePolynomial, j: int) -> float:
    """E f(x) q_j(|x|^2) for 2j up to the degree of f."""
    k, sign = 2 * j, (-1.0) ** j
    if isinstance(target, TwoLayerNetwork):
        # k! <T_k, A> / (sqrt(k!) |A|), with <w^{(x)k}, A> = |w|^k and
        # |A|^2 = d (d+2) ... (d+k-2) / (1 3 ... (k-1)).
        square = math.prod((target.dim + 2 * m) / (2 * m + 1) for m in range(j))
        powers = np.linalg.norm(target.weights, axis=1) ** k
        inner = float(target._coefficients(k) @ powers)
        return sign * math.sqrt(math.factorial(k) / square) * inner
    # <A, He_k> has coefficients at alpha = 2 beta only, as prod (2 beta_i - 1)!! / sqrt(alpha!).
    lists = target.basis._indices[k]
    even = (lists[:, ::2] == lists[:, 1::2]).all(axis=1)
    values = np.sqrt(_factorials(lists[even])) / _factorials(lists[even][:, ::2])
    values /= np.linalg.norm(values)
    return sign * float(values @ target.coefficients[target.basis.block(k)][even])


def radial_features(X: np.ndarray, highest: int) -> np.ndarray:
    """Orthonormal polynomials of |x|^2: (n, d) -> (n, highest + 1).

    |x|^2/2 has the Gamma(d/2) law, whose orthogonal polynomials are L_j^{(a)}, a = d/2 - 1, of
    squared norm C(j + a, j); (j+1) L_{j+1} = (2j + 1 + a - t) L_j - (j + a) L_{j-1}.
    """
    a = X.shape[1] / 2.0 - 1.0
    t = (X**2).sum(axis=1) / 2.0
    values = [np.ones(len(X)), 1.0 + a - t][: highest + 1]
    for j in range(1, highest):
        values.append(((2 * j + 1 + a - t) * values[j] - (j + a) * values[j - 1]) / (j + 1))
    norms = [
        math.exp(0.5 * (math.lgamma(j + a + 1) - math.lgamma(a + 1) - math.lgamma(j + 1)))
        for j in range(highest + 1)
    ]
    return np.stack(values, axis=1) / norms
