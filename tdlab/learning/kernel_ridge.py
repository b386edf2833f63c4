"""Kernel ridge regression, its penalty chosen on the training data alone.

Solves     any target that the kernel's eigenfunctions hold, from as many samples as those number:
           a rotation-invariant kernel meets degree k only from about d^k samples
Method     one eigendecomposition of the kernel matrix; the ridge is the one of a grid whose exact
           leave-one-out error is least (PRESS: residual_i / (1 - H_ii))
Cost       O(n^2 d + n^3), 16 n^2 bytes
Source     kernels: Jacot, Gabriel and Hongler (2018), arXiv 1806.07572 (ReLU in closed form: Cho
           and Saul 2009); limits of kernels: Ghorbani, Mei, Misiakiewicz and Montanari (2019),
           arXiv 1904.12191; leave-one-out: Allen (1974)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import linalg

from tdlab.algorithms.base import Budget
from tdlab.errors import InputError, check_choice, check_integer
from tdlab.learning.base import Fit, Learner, too_few
from tdlab.networks import HermitePolynomial, TwoLayerNetwork
from tdlab.networks.hermite import hermite_basis

KERNELS = ("polynomial", "relu-ntk", "cubic-ntk")
# Relative to the mean eigenvalue: from interpolation to the mean.
_RIDGES = np.logspace(-10, 4, 57)
_MAX_SAMPLES = 15_000
_BLOCK_DOUBLES = 2**22
_MAX_COEFFICIENTS = 2**18


@dataclass(frozen=True)
class KernelRidge(Learner):
    """Ridge regression on a rotation-invariant kernel, the mean of y taken out first.

    Parameters
    ----------
    kernel : str
        "polynomial", (1 + <x, x'>/d)^degree; "relu-ntk", the neural tangent kernel of a wide
        two-layer ReLU network; "cubic-ntk", that of a network with activation x^3.
    degree : int
        Of the polynomial kernel.
    """

    kernel: str = "polynomial"
    degree: int = 3

    name = "kernel-ridge"
    proper = False
    version = 2
    samples = "about d^k for a target of degree k"
    guarantee = "consistent as n grows where the kernel holds the target"
    cost = "O(n^2 d + n^3)"
    source = "Jacot, Gabriel and Hongler (2018), arXiv 1806.07572; Allen (1974)"

    def __post_init__(self) -> None:
        check_choice("learner 'kernel-ridge', option 'kernel'", self.kernel, KERNELS)
        check_integer("learner 'kernel-ridge', option 'degree'", self.degree, 1)
        if self.kernel != "polynomial" and self.degree != type(self).degree:
            raise InputError(
                f"learner 'kernel-ridge', option 'degree': got {self.degree} for kernel "
                f"{self.kernel!r}, wanted kernel 'polynomial'"
            )

    def refuses(self, n: int, dim: int) -> str:
        if n > _MAX_SAMPLES:
            return f"n: got {n} samples, wanted at most {_MAX_SAMPLES} for a kernel"
        return too_few(self, n, 2, "one is left out at a time")

    def _fit(self, X: np.ndarray, y: np.ndarray, rng: np.random.Generator, budget: Budget) -> Fit:
        n, dim = X.shape
        mean = float(y.mean())
        alpha, ridge = _ridge(kernel_matrix(self.kernel, self.degree, X, X), y - mean)
        predictor: Any
        if self.kernel == "polynomial":
            predictor = _polynomial(X, alpha, self.degree, mean)
        elif self.kernel == "cubic-ntk":
            predictor = _cubic(X, alpha, mean)
        else:
            predictor = KernelExpansion(self.kernel, self.degree, X, alpha, mean)
        message = f"Kernel '{self.kernel}', ridge {ridge:.3g} by leave-one-out, {n} samples."
        return self._done(predictor, dim, message, chosen=(("ridge", ridge),))


@dataclass(frozen=True, eq=False)
class KernelExpansion:
    """g(x) = mean + sum_i alpha_i K(x_i, x)."""

    kernel: str
    degree: int
    X: np.ndarray
    alpha: np.ndarray
    mean: float

    def predict(self, X: np.ndarray) -> np.ndarray:
        """(n, d) -> (n,)."""
        out = np.empty(len(X))
        step = max(1, _BLOCK_DOUBLES // len(self.X))
        for first in range(0, len(X), step):
            part = X[first : first + step]
            out[first : first + step] = (
                kernel_matrix(self.kernel, self.degree, part, self.X) @ self.alpha
            )
        return out + self.mean


def kernel_matrix(kernel: str, degree: int, X: np.ndarray, Z: np.ndarray) -> np.ndarray:
    """K(x, z) for rows of X (n, d) and Z (m, d): (n, m).

    With u = <x, z> and E over w ~ N(0, I): the tangent kernel of sum_i a_i sigma(<w_i, x>) is
    u E sigma'(<w,x>) sigma'(<w,z>) + E sigma(<w,x>) sigma(<w,z>). For sigma = t^3 that is
    9 u (|x|^2 |z|^2 + 2 u^2) + 9 u |x|^2 |z|^2 + 6 u^3.
    """
    dim = X.shape[1]
    inner = X @ Z.T
    if kernel == "polynomial":
        return (1.0 + inner / dim) ** degree
    if kernel == "cubic-ntk":
        squares = (X**2).sum(axis=1)[:, None] * (Z**2).sum(axis=1)
        return (24.0 * inner**3 + 18.0 * inner * squares) / dim**3
    norms = np.linalg.norm(X, axis=1)[:, None] * np.linalg.norm(Z, axis=1)
    # At x = 0 the kernel vanishes, whatever the cosine.
    cosines = np.clip(inner / np.where(norms > 0.0, norms, 1.0), -1.0, 1.0)
    angles = np.pi - np.arccos(cosines)
    arcs = cosines * angles + np.sqrt(1.0 - cosines**2)
    return norms * (cosines * angles + arcs) / (math.pi * dim)


def _ridge(kernel: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    """Coefficients at the ridge of least leave-one-out error, and that ridge.

    (K + s I)^{-1} = V diag(1/(l + s)) V^T, and leaving sample i out changes its residual to
    alpha_i / ((K + s I)^{-1})_ii.

    The coefficients returned have no part in the null space of K. It does not change the predictor,
    but at a small ridge it is as large as y / ridge, and its rounding would drown the rest.
    """
    values, vectors = linalg.eigh(kernel, overwrite_a=True, check_finite=False)
    values = np.maximum(values, 0.0)
    if not values[-1] > 0.0:
        return np.zeros(len(y)), 0.0
    turned, squares = vectors.T @ y, vectors**2
    best: tuple[float, float] = (math.inf, math.nan)
    for relative in _RIDGES:
        ridge = relative * float(values.mean())
        inverse = 1.0 / (values + ridge)
        left_out = (vectors @ (inverse * turned)) / (squares @ inverse)
        error = float(left_out @ left_out)
        if error < best[0]:
            best = (error, ridge)
    seen = values > len(y) * np.finfo(float).eps * values[-1]
    return vectors[:, seen] @ (turned[seen] / (values[seen] + best[1])), best[1]


def _polynomial(
    X: np.ndarray, alpha: np.ndarray, degree: int, mean: float
) -> TwoLayerNetwork | HermitePolynomial:
    """sum_i alpha_i (1 + <x_i, x>/d)^p is itself a network with the samples as hidden units.

    The mean joins as a unit of weight zero, on which the activation is 1. The squares of a risk
    cancel between units as the square of the condition number of K, in Hermite coefficients
    as its root: wherever those fit, the predictor is made of them.
    """
    dim = X.shape[1]
    coefficients = tuple(math.comb(degree, m) / dim**m for m in range(degree + 1))
    units = TwoLayerNetwork(np.vstack([X, np.zeros(dim)]), np.append(alpha, mean), coefficients)
    if math.comb(dim + degree, degree) > _MAX_COEFFICIENTS:
        return units
    return HermitePolynomial.of_network(units)


def _cubic(X: np.ndarray, alpha: np.ndarray, mean: float) -> HermitePolynomial:
    """mean + sum_i alpha_i (24 <x_i, x>^3 + 18 |x_i|^2 <x_i, x> |x|^2) / d^3 in the Hermite basis.

    x_j |x|^2 = He_3(x_j) + sum over l != j of x_j He_2(x_l) + (d + 2) x_j.
    """
    dim = X.shape[1]
    basis = hermite_basis(dim, 3)
    cubes = TwoLayerNetwork(X, 24.0 * alpha / dim**3, "x**3")
    coefficients = np.array(HermitePolynomial.of_network(cubes).coefficients)
    vector = 18.0 * (alpha * (X**2).sum(axis=1)) @ X / dim**3
    coefficients[basis.block(1)] += (dim + 2) * vector
    entries = np.einsum("j,kl->jkl", vector, np.eye(dim)) / 3.0
    entries = entries + entries.transpose(1, 0, 2) + entries.transpose(1, 2, 0)
    # <Sym(v (x) I), He_3(x)> is the degree-3 part of <v, x> |x|^2.
    coefficients[basis.block(3)] += basis.of_tensor(entries)
    coefficients[0] += mean
    return HermitePolynomial(coefficients, dim, 3)
