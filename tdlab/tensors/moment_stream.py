"""Hermite moments of samples that pass by once, and how far an estimate is from the truth.

Solves     the dense T_hat = (1/n) sum_i y_i He_k(x_i) / k! from chunks, of which none is kept,
           with an estimate of its own error, and its optimal shrinkage
Method     with Z_i = y_i He_k(x_i) / k! and V = (1/n) sum_i |Z_i|^2, the U-statistics
           (V - |T_hat|^2) / (n-1) and |T_hat|^2 less that are unbiased for E|T_hat - T|^2 and
           |T|^2: no truth and no held-out half is needed. c T_hat has the least risk at
           c = 1/(1 + e), e = E|T_hat - T|^2 / |T|^2, and then the relative risk e/(1 + e)
Cost       2 C(d+k-1, k) flops a sample; d^k/k! doubles while it adds up, 3 d^k when asked for
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from tdlab.errors import InputError, check_integer
from tdlab.tensors.dense import DenseTensor
from tdlab.tensors.gaussian_inputs import GaussianCheck
from tdlab.tensors.hermite_pairs import HermiteKernel
from tdlab.tensors.power_sums import PowerSum, hermite_combination, hermite_sums
from tdlab.tensors.samples import check_order, check_samples, chunk_slices


class MomentAccumulator:
    """Adds up (1/n) sum_i y_i He_k(x_i) / k! from chunks of samples.

    Parameters
    ----------
    order : int, 2 to 5
    max_bytes : int
        The first chunk is refused if 8 d^k is more.

    Examples
    --------
    >>> import tdlab
    >>> net = tdlab.sample_network(dim=5, rank=8, activation="He3", rng=0)
    >>> sums = tdlab.MomentAccumulator(order=3)
    >>> for seed in range(20):
    ...     _ = sums.add(*net.sample(5000, rng=seed))
    >>> sums.n, sums.tensor()
    (100000, DenseTensor(order=3, dim=5))
    >>> 0.0 < sums.relative_error() < 0.1
    True
    """

    def __init__(self, order: int = 3, *, max_bytes: int = 2**30) -> None:
        self.order = check_order(order)
        self.n = 0
        self._max_bytes = check_integer("max_bytes", max_bytes, 0)
        self._sums: list[PowerSum] = []
        self._squares = 0.0

    @classmethod
    def over(cls, chunks: Iterable[tuple[np.ndarray, np.ndarray]], order: int = 3) -> DenseTensor:
        """The moment tensor of an iterator of chunks X (m, d), y (m,)."""
        sums = cls(order)
        for X, y in chunks:
            sums.add(X, y)
        return sums.tensor()

    def add(self, X: np.ndarray, y: np.ndarray) -> MomentAccumulator:
        """Add samples X (m, d), y (m,); raises `InputError` for what does not fit."""
        X, y = check_samples(X, y)
        dim = X.shape[1]
        if not self._sums:
            need = 8 * dim**self.order
            if need > self._max_bytes:
                raise InputError(
                    f"X: got {dim} columns, whose tensor of order {self.order} needs {need} bytes, "
                    f"wanted at most max_bytes={self._max_bytes}"
                )
            self._sums = hermite_sums(dim, self.order)
            self._kernel = HermiteKernel(dim, self.order)
            self._inputs = GaussianCheck(dim)
        elif dim != self._sums[0].dim:
            raise InputError(f"X: got {dim} columns, wanted {self._sums[0].dim} as before")
        for part in chunk_slices(0, len(y), dim):
            samples = np.asarray(X[part], dtype=np.float64)
            self._inputs.add(samples)
            for one in self._sums:
                one.add(samples, y[part, None])
            self._squares += float(y[part] ** 2 @ own_squares(self._kernel, samples))
        self.n += len(y)
        return self

    def tensor(self) -> DenseTensor:
        """The estimate from everything added so far.

        An `InputWarning` says where the inputs are not standard Gaussian.
        """
        if self.n == 0:
            raise InputError("chunks: got no samples, wanted at least one chunk (X, y)")
        self._inputs.warn("chunks")
        sums = [one.arrays() for one in self._sums]
        total = hermite_combination(sums, np.eye(self._sums[0].dim))[0]
        return DenseTensor._trusted(total / (self.n * math.factorial(self.order)))

    def relative_error(self) -> float:
        """Estimate of E|T_hat - T|^2 / |T|^2; infinite where T_hat is not told from noise."""
        return self._error_of(self.tensor())

    def shrunk(self) -> DenseTensor:
        """T_hat / (1 + e), the multiple of least risk."""
        tensor = self.tensor()
        return DenseTensor._trusted(tensor.dense() / (1.0 + self._error_of(tensor)))

    def _error_of(self, tensor: DenseTensor) -> float:
        mean_square = self._squares / (self.n * math.factorial(self.order) ** 2)
        return estimated_error(mean_square, tensor.norm() ** 2, self.n)

    def __repr__(self) -> str:
        return f"MomentAccumulator(order={self.order}, n={self.n})"


def estimated_error(mean_square: float, squared_norm: float, n: int) -> float:
    """e from V = ``mean_square`` and |T_hat|^2; infinite where |T|^2 is not told from 0."""
    if n < 2:
        raise InputError(f"n: got {n} sample, wanted at least 2 to estimate an error")
    error = max(mean_square - squared_norm, 0.0) / (n - 1)
    signal = squared_norm - error
    return error / signal if signal > 0.0 else math.inf


def own_squares(kernel: HermiteKernel, samples: np.ndarray) -> np.ndarray:
    """|He_k(x)|^2 of each sample."""
    squares = np.einsum("ij,ij->i", samples, samples)
    return kernel(squares, squares, squares)


def moment_vector(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(1/n) sum_i y_i x_i, the moment of order 1: a (d,) array.

    Examples
    --------
    >>> import numpy as np
    >>> from tdlab.tensors import moment_vector
    >>> moment_vector(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([2.0, 0.0]))
    array([1., 2.])
    """
    X, y = check_samples(X, y)
    total = PowerSum(X.shape[1], 1)
    for part in chunk_slices(0, len(y), X.shape[1]):
        total.add(np.asarray(X[part], dtype=np.float64), y[part, None] / len(y))
    return total.arrays()[0]
