"""Polynomials of Gaussian inputs in the orthonormal Hermite basis, and their exact risk.

The basis is phi_alpha(x) = prod_i He_{alpha_i}(x_i) / sqrt(alpha_i!) over the multi-indices alpha
of degree |alpha| <= D, C(d + D, D) of them: E phi_alpha phi_beta = 1 or 0 for x ~ N(0, I_d). A
polynomial is its coefficients, a risk the squared distance of two coefficient vectors, and
polynomial predictors need no test set.

Features cost one product an entry: alpha without its last index i, times h_m(x_i) with m = alpha_i.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

import numpy as np

from tdlab.errors import InputError, check_array, check_integer, check_real
from tdlab.streams import Part, own_stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tdlab.networks.two_layer import TwoLayerNetwork

_BLOCK_DOUBLES = 2**22
_MAX_FEATURES = 2**27


@dataclass(frozen=True)
class HermiteBasis:
    """The orthonormal Hermite polynomials of degree at most ``degree`` in ``dim`` variables.

    They are ordered by degree, and within one by their sorted lists of indices.

    Examples
    --------
    >>> import numpy as np
    >>> from tdlab.networks import HermiteBasis
    >>> basis = HermiteBasis(dim=2, degree=2)
    >>> basis.size
    6
    >>> basis.features(np.array([[1.0, 2.0]])).round(3)    # 1, x, y, (x2-1)/r2, xy, (y2-1)/r2
    array([[1.   , 1.   , 2.   , 0.   , 2.   , 2.121]])
    """

    dim: int
    degree: int

    def __post_init__(self) -> None:
        check_integer("dim", self.dim, 1)
        check_integer("degree", self.degree, 0)
        if self.size > _MAX_FEATURES:
            raise InputError(
                f"degree: got {self.degree}, which has {self.size} Hermite features at dimension "
                f"{self.dim}, wanted at most {_MAX_FEATURES}"
            )

    @property
    def size(self) -> int:
        """C(dim + degree, degree)."""
        return math.comb(self.dim + self.degree, self.degree)

    def block(self, degree: int) -> slice:
        """Where the polynomials of exactly that degree are."""
        return slice(
            math.comb(self.dim + degree - 1, degree - 1) if degree else 0,
            math.comb(self.dim + degree, degree),
        )

    @cached_property
    def _indices(self) -> list[np.ndarray]:
        """Sorted index lists of each degree, (C(d + k - 1, k), k)."""
        return [
            np.array(
                list(combinations_with_replacement(range(self.dim), k)), dtype=np.int64
            ).reshape(math.comb(self.dim + k - 1, k), k)
            for k in range(self.degree + 1)
        ]

    @cached_property
    def _steps(self) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """For each degree k >= 1: parent features, last indices, their multiplicities."""
        steps = []
        position = {(): 0}
        count = 1
        for k in range(1, self.degree + 1):
            lists = self._indices[k]
            last = lists[:, -1]
            multiplicity = (lists == last[:, None]).sum(axis=1)
            rows = [tuple(row) for row in lists.tolist()]
            parents = [position[row[: k - m]] for row, m in zip(rows, multiplicity, strict=True)]
            position.update({row: count + i for i, row in enumerate(rows)})
            count += len(rows)
            steps.append((np.array(parents), last, multiplicity))
        return steps

    def features(self, X: np.ndarray) -> np.ndarray:
        """phi_alpha at each row of X: (n, d) -> (n, size)."""
        one = hermite_values(X, self.degree)
        out = np.empty((len(X), self.size))
        out[:, 0] = 1.0
        for k, (parents, last, multiplicity) in enumerate(self._steps, start=1):
            out[:, self.block(k)] = out[:, parents] * one[multiplicity, :, last].T
        return out

    def chunks(self, X: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Features of the rows of X in blocks of about 32 MiB, with the rows they belong to."""
        step = max(1, _BLOCK_DOUBLES // self.size)
        for first in range(0, len(X), step):
            rows = slice(first, min(first + step, len(X)))
            yield rows, self.features(X[rows])

    def combine(self, X: np.ndarray, values: np.ndarray) -> np.ndarray:
        """sum_i values_i phi(x_i): (n, d) and (n,) -> (size,)."""
        total = np.zeros(self.size)
        for rows, features in self.chunks(X):
            total += values[rows] @ features
        return total

    def monomials(self, W: np.ndarray, degree: int) -> np.ndarray:
        """w^alpha / sqrt(alpha!) for |alpha| = degree: (r, d) -> (r, C(d + degree - 1, degree)).

        E sigma(<w, x>) phi_alpha(x) is D_k(|w|) times that, by integration by parts.
        """
        lists = self._indices[degree]
        out = np.ones((len(W), len(lists)))
        for position in range(degree):
            out *= W[:, lists[:, position]]
        return out / np.sqrt(_factorials(lists))

    def tensor_entries(self, coefficients: np.ndarray, degree: int) -> np.ndarray:
        """T_k with <T_k, He_k(x)> = sum over |alpha| = k of c_alpha phi_alpha: a dense array.

        He_k(x) has the entry sqrt(alpha!) phi_alpha at each of the k!/alpha! lists of alpha, so T
        has c_alpha sqrt(alpha!)/k! there.
        """
        lists = self._indices[degree]
        values = coefficients[self.block(degree)] * np.sqrt(_factorials(lists))
        values /= math.factorial(degree)
        # The number of a sorted list, looked up from every unsorted one.
        numbers = np.zeros((self.dim,) * degree, dtype=np.int64)
        numbers[tuple(lists.T)] = np.arange(len(lists))
        everywhere = np.sort(np.indices((self.dim,) * degree).reshape(degree, -1), axis=0)
        return values[numbers[tuple(everywhere)]].reshape((self.dim,) * degree)

    def of_tensor(self, entries: np.ndarray) -> np.ndarray:
        """Coefficients of <T_k, He_k(x)> in the block of degree k = entries.ndim."""
        lists = self._indices[entries.ndim]
        return entries[tuple(lists.T)] * math.factorial(entries.ndim) / np.sqrt(_factorials(lists))


@lru_cache(maxsize=8)
def hermite_basis(dim: int, degree: int) -> HermiteBasis:
    """The basis, with its index lists made once for the process."""
    return HermiteBasis(dim, degree)


def _factorials(lists: np.ndarray) -> np.ndarray:
    """alpha! of sorted index lists: the product of each entry's rank among its equals."""
    out = np.ones(len(lists))
    for position in range(lists.shape[1]):
        out *= (lists[:, : position + 1] == lists[:, position : position + 1]).sum(axis=1)
    return out


def hermite_values(X: np.ndarray, degree: int) -> np.ndarray:
    """h_m(x) = He_m(x) / sqrt(m!) elementwise, m = 0..degree: (n, d) -> (degree + 1, n, d)."""
    values = np.empty((degree + 1, *X.shape))
    values[0] = 1.0
    if degree:
        values[1] = X
    for m in range(1, degree):
        # He_{m+1} = x He_m - m He_{m-1}, each over the root of its factorial.
        values[m + 1] = (X * values[m] - math.sqrt(m) * values[m - 1]) / math.sqrt(m + 1)
    return values


def hermite_kernels(
    inner: np.ndarray, squares: np.ndarray, dim: int, degree: int
) -> list[np.ndarray]:
    """K_k(x, x') = sum over |alpha| = k of phi_alpha(x) phi_alpha(x'), k = 0..degree, no features.

    Parameters
    ----------
    inner, squares : arrays of one shape
        u = <x, x'> and s = |x|^2 + |x'|^2.

    Notes
    -----
    Mehler's formula sums F(t) = sum_k t^k K_k; (1 - t^2)^2 F' = (d t (1 - t^2) + u - s t + u t^2) F
    gives (k+1) K_{k+1} = u K_k + (d - s + 2(k-1)) K_{k-1} + u K_{k-2} - (d + k - 3) K_{k-3}.
    """
    kernels = [np.ones_like(inner)]
    for k in range(degree):
        following = inner * kernels[k]
        if k >= 1:
            following += (dim - squares + 2 * (k - 1)) * kernels[k - 1]
        if k >= 2:
            following += inner * kernels[k - 2]
        if k >= 3:
            following -= (dim + k - 3) * kernels[k - 3]
        kernels.append(following / (k + 1))
    return kernels


@dataclass(frozen=True, eq=False, init=False)
class HermitePolynomial:
    """f(x) = sum_alpha c_alpha phi_alpha(x): a polynomial target or predictor.

    Parameters
    ----------
    coefficients : (C(dim + degree, degree),) array
        In the order of `HermiteBasis`.
    dim, degree : int

    Examples
    --------
    >>> import tdlab
    >>> from tdlab.networks import HermitePolynomial
    >>> net = tdlab.sample_network(4, 6, rng=0)
    >>> same = HermitePolynomial.of_network(net)
    >>> round(same.risk(net), 10), bool(abs(same.variance() - net.variance()) < 1e-9)
    (0.0, True)
    """

    coefficients: np.ndarray
    dim: int
    degree: int

    def __init__(self, coefficients: np.ndarray, dim: int, degree: int) -> None:
        basis = hermite_basis(check_integer("dim", dim, 1), check_integer("degree", degree, 0))
        values = np.array(check_array("coefficients", coefficients, (basis.size,)))
        values.flags.writeable = False
        object.__setattr__(self, "coefficients", values)
        object.__setattr__(self, "dim", dim)
        object.__setattr__(self, "degree", degree)

    @classmethod
    def of_network(cls, network: TwoLayerNetwork, degree: int | None = None) -> HermitePolynomial:
        """The network's part of degree at most ``degree`` (default: all of it)."""
        degree = network.activation.degree if degree is None else degree
        basis = hermite_basis(network.dim, degree)
        norms = np.linalg.norm(network.weights, axis=1)
        coefficients = np.zeros(basis.size)
        for k in range(min(degree, network.activation.degree) + 1):
            # E f phi_alpha = sum_i a_i D_k(|w_i|) w_i^alpha / sqrt(alpha!), by k-fold parts.
            outputs = network.output_weights * network.activation.mean_derivative(k, norms)
            block = basis.block(k)
            step = max(1, _BLOCK_DOUBLES // (block.stop - block.start))
            for first in range(0, network.rank, step):
                rows = slice(first, first + step)
                coefficients[block] += outputs[rows] @ basis.monomials(network.weights[rows], k)
        return cls(coefficients, network.dim, degree)

    @property
    def basis(self) -> HermiteBasis:
        """The basis of the coefficients."""
        return hermite_basis(self.dim, self.degree)

    def predict(self, X: np.ndarray) -> np.ndarray:
        """f at each row of X: (n, d) -> (n,)."""
        X = check_array("X", X, ("n", self.dim))
        out = np.empty(len(X))
        for rows, features in self.basis.chunks(X):
            out[rows] = features @ self.coefficients
        return out

    def sample(
        self, n: int, noise: float = 0.0, *, rng: np.random.Generator | int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw n labelled inputs, as `TwoLayerNetwork.sample` does and from the same streams."""
        from tdlab.networks.two_layer import draw

        return draw(self, n, noise, rng)

    def mean(self) -> float:
        """E f(x)."""
        return float(self.coefficients[0])

    def hermite_energies(self) -> np.ndarray:
        """Share of each degree in E f^2, shape (degree + 1,)."""
        basis = self.basis
        return np.array(
            [
                float(self.coefficients[basis.block(k)] @ self.coefficients[basis.block(k)])
                for k in range(self.degree + 1)
            ]
        )

    def variance(self, noise: float = 0.0) -> float:
        """Exact Var(y), y = f(x) + noise * standard Gaussian."""
        return float(self.hermite_energies()[1:].sum()) + check_real("noise", noise, 0.0) ** 2

    def risk(self, other: TwoLayerNetwork | HermitePolynomial, noise: float = 0.0) -> float:
        """Exact risk E (y - g(x))^2 of predicting y = f(x) + noise with g = ``other``."""
        if other.dim != self.dim:
            raise InputError(f"other: got input dimension {other.dim}, wanted {self.dim}")
        noise = check_real("noise", noise, 0.0)
        above = 0.0
        if not isinstance(other, HermitePolynomial):
            # What the network has in higher degrees than this polynomial needs no coefficients.
            above = float(other.hermite_energies()[self.degree + 1 :].sum())
            other = HermitePolynomial.of_network(other, min(self.degree, other.activation.degree))
        short, long = sorted((self.coefficients, other.coefficients), key=len)
        apart = short - long[: len(short)]
        rest = long[len(short) :]
        return float(apart @ apart + rest @ rest) + above + noise**2

    def __repr__(self) -> str:
        return f"HermitePolynomial(dim={self.dim}, degree={self.degree})"


def gaussian_polynomial(
    dim: int,
    energies: Sequence[float] | np.ndarray,
    *,
    rng: np.random.Generator | int | None = None,
) -> HermitePolynomial:
    """The null target: a polynomial without structure, of stated energy in each degree.

    Its Hermite tensor of degree k is a Gaussian symmetric tensor with k! |T_k|^2 = ``energies[k]``
    exactly, so that the shares of ``network.hermite_energies()`` give the null of a network.

    Parameters
    ----------
    dim : int
    energies : sequence of float
        Of degrees 0, 1, ..., each >= 0.
    rng : Generator, int or None

    Examples
    --------
    >>> import tdlab
    >>> net = tdlab.sample_network(5, 8, "He3", rng=0)
    >>> null = tdlab.gaussian_polynomial(5, net.hermite_energies(), rng=1)
    >>> bool(abs(null.variance() / net.variance() - 1) < 1e-12)
    True
    """
    shares = check_array("energies", energies, ("degree + 1",))
    if (shares < 0).any():
        raise InputError(f"energies: got {shares.min():g}, wanted numbers >= 0")
    basis = hermite_basis(check_integer("dim", dim, 1), len(shares) - 1)
    coefficients = own_stream(rng, Part.GAUSSIAN_POLYNOMIAL).standard_normal(basis.size)
    for k, share in enumerate(shares):
        part = coefficients[basis.block(k)]
        part *= math.sqrt(share) / np.linalg.norm(part)
    return HermitePolynomial(coefficients, basis.dim, basis.degree)
