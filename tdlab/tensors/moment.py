"""The Hermite moment tensor of samples, (1/n) sum_i y_i He_k(x_i) / k!, implicit and streaming.

Solves     an unbiased estimate of T_k = E[y He_k(x)] / k!, x ~ N(0, I), as an operator: neither
           n d^k nor (unless asked or cheaper) d^k numbers are formed; X may be a memory map
Method     He_k(x) contracted with w^k is P_k(t, s), t = <x, w>, s = |w|^2, with
           P_k = t P_{k-1} - (k-1) s P_{k-2}; its gradient gives the MTTKRP row
           (1/(n k!)) sum_i y_i [P_{k-1}(t_i, s) x_i - (k-1) P_{k-2}(t_i, s) w]
Cost       MTTKRP of r vectors 4 n r d flops, one pass over the samples; the dense tensor
           2 n C(d+k-1, k) flops, after which every action costs what a `DenseTensor`'s does
Sources    Janzamin, Sedghi and Anandkumar (2015, arXiv 1506.08473); Hermite tensors: Grad (1949)
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from tdlab._kernels.hermite import weighted_hermite
from tdlab.errors import InputError, check_array, check_integer
from tdlab.tensors.arrays import array_home, lifted, torch_array
from tdlab.tensors.base import SymmetricTensor
from tdlab.tensors.dense import DenseTensor
from tdlab.tensors.gaussian_inputs import warn_unless_gaussian
from tdlab.tensors.hermite_contract import apply_samples, contract_samples
from tdlab.tensors.hermite_pairs import HermiteKernel
from tdlab.tensors.lower_degrees import fit_residuals
from tdlab.tensors.moment_stream import estimated_error, own_squares
from tdlab.tensors.power_sums import hermite_combination, hermite_sums
from tdlab.tensors.samples import check_order, check_samples, chunk_slices

_HELD_DOUBLES = 2**24  # 128 MiB of inner products on another device
_PAIR_ROWS = 1024


class HermiteMomentTensor(SymmetricTensor):
    """The tensor (1/n) sum_i y_i He_k(x_i) / k! of samples with standard Gaussian inputs.

    Parameters
    ----------
    X : (n, d) array
        One input a row: an array or a memory map, of any real type. Held, not copied: it must not
        change.
    y : (n,) array
    order : int, 2 to 5
        Order 1 is a vector: `moment_vector`.
    residualise : int, optional
        First subtract from y its least-squares polynomial of this degree, 0 to order - 1: lower
        degrees are noise to this moment. Needs two samples a Hermite feature in every fit.
    folds : int, optional
        With ``residualise``: consecutive blocks of samples, each with a polynomial fitted on the
        others (2 if not given). The moment then stays unbiased; 1 fits on the same samples. Blocks
        are taken as they come: shuffle samples that are sorted.
    max_bytes : int
        Size 8 d^k up to which `norm` may accumulate and keep the dense tensor, where that is
        cheaper than n^2 d (for n >= C(d+k-2, k-1)); every later action then uses it. Up to that
        size `minus` gives a dense tensor, and a lazy sum beyond. 0: never.

    Raises
    ------
    InputError
        For an order outside 2 to 5, shapes that do not fit, no samples, NaN or infinite entries,
        or too few samples for ``residualise``.

    Warns
    -----
    InputWarning
        Where the mean or the covariance of X is not that of N(0, I), beyond chance: the moments of
        other inputs are not Hermite moments.

    Notes
    -----
    The estimate is unbiased for x ~ N(0, I) and any y with finite variance. For y = sum_i a_i
    He_3(<w_i, x>), unit w_i and sum_i a_i w_i = 0, E|T_hat - T|^2 / |T|^2 = (c - 1)/n with
    c = C(d+2,3) (d+6)(d^2+15d+38) / (d(d+1)(d+2)).

    Examples
    --------
    >>> import numpy as np, tdlab
    >>> net = tdlab.sample_network(dim=4, rank=6, activation="He3", rng=0)
    >>> X, y = net.sample(200_000, rng=1)
    >>> T = tdlab.HermiteMomentTensor(X, y, order=3)
    >>> exact = net.hermite_tensor(3)
    >>> bool(np.linalg.norm(T.dense() - exact.dense()) < 0.1 * exact.norm())
    True
    >>> np.allclose(T.mttkrp(np.eye(4)[:1])[0], T.dense()[0, 0])
    True
    """

    def __init__(
        self,
        X: np.ndarray,
        y: np.ndarray,
        order: int = 3,
        *,
        residualise: int | None = None,
        folds: int | None = None,
        max_bytes: int = 2**28,
    ) -> None:
        order = check_order(order)
        X, y = check_samples(X, y)
        warn_unless_gaussian(X)
        self._max_bytes = check_integer("max_bytes", max_bytes, 0)
        if residualise is not None:
            degree = check_integer("residualise", residualise, 0)
            if degree >= order:
                raise InputError(f"residualise: got {degree}, wanted less than the order, {order}")
            blocks = 2 if folds is None else check_integer("folds", folds, 1)
            if blocks > len(y):
                raise InputError(
                    f"folds: got {blocks} for {len(y)} samples, wanted at most as many"
                )
            y = fit_residuals(X, y, degree, blocks)
        elif folds is not None:
            raise InputError(f"folds: got {folds} without residualise, wanted both or neither")
        self._shrunk = False
        self._set(X, y / (len(y) * math.factorial(order)), order, np.eye(X.shape[1]))

    def _set(self, X: Any, coefficients: np.ndarray, order: int, frame: np.ndarray) -> None:
        """Keep sum_i c_i He_k(x_i) in the variables z = frame x.

        A change of variables Q takes He_k(x) to sum_j (-1)^j pairings(k, j) Sym((Q x)^{k-2j} (x)
        (Q Q^T)^j): the metric Q Q^T stands wherever the identity did.
        """
        self._X, self._coefficients, self._frame = X, coefficients, frame
        self.order, self.dim = order, len(frame)
        self._plain = frame.shape[0] == frame.shape[1] and np.array_equal(frame, np.eye(self.dim))
        self._metric = frame @ frame.T
        # |Q^{(x)k} T| = |T| where Q^T Q = I.
        self._isometric = np.allclose(frame.T @ frame, np.eye(frame.shape[1]), rtol=0, atol=1e-13)
        self._norm: float | None = None
        self._dense: DenseTensor | None = None
        self._held: Any = None

    def _with(self, coefficients: np.ndarray) -> HermiteMomentTensor:
        """The same samples and variables with other coefficients; nothing of size d^2 is formed."""
        tensor = copy.copy(self)
        tensor._coefficients = coefficients
        tensor._norm = tensor._dense = tensor._held = None
        return tensor

    @property
    def n(self) -> int:
        """Number of samples."""
        return len(self._coefficients)

    def at_unit_scale(self) -> tuple[HermiteMomentTensor, int]:
        exponent = int(np.frexp(np.abs(self._coefficients).max())[1])
        return self._with(np.ldexp(self._coefficients, -exponent)), exponent

    def scaled(self, a: float) -> HermiteMomentTensor:
        a = float(check_array("a", [a], (1,))[0])
        tensor = self._with(self._coefficients * a)
        tensor._dense = None if self._dense is None else self._dense.scaled(a)
        if self._held is not None:
            samples, coefficients, metric = self._held
            tensor._held = (samples, a * coefficients, metric)
        return tensor

    def minus(self, rows: np.ndarray, weights: np.ndarray) -> SymmetricTensor:
        """Dense where the array is within ``max_bytes``, and else a lazy sum with known terms."""
        if len(rows) == 0:
            return self
        if 8 * self.dim**self.order <= self._max_bytes:
            return self._accumulated().minus(rows, weights)
        return super().minus(rows, weights)

    def to(self, device: str) -> SymmetricTensor:
        """Held by torch: the samples, or the dense tensor where `norm` would keep that."""
        if self._prefers_dense():
            return self._accumulated().to(device)
        tensor = self._with(self._coefficients)
        samples = np.concatenate([part for part, _ in self._chunks(self.dim)])
        tensor._held = (
            torch_array(samples, device),
            torch_array(self._coefficients, device),
            torch_array(self._metric, device),
        )
        return tensor

    def lift(self, array: np.ndarray) -> Any:
        return lifted(array, None if self._held is None else array_home(self._held[0]))

    def _chunks(self, width: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Samples z (m, d) and coefficients (m,), for work of ``width`` doubles a sample."""
        for rows in chunk_slices(0, self.n, max(width, self._X.shape[1])):
            part = np.asarray(self._X[rows], dtype=np.float64)
            yield part if self._plain else part @ self._frame.T, self._coefficients[rows]

    def mttkrp(self, factors: Any) -> Any:
        if self._held is not None and not isinstance(factors, np.ndarray):
            return self._held_mttkrp(factors)
        factors = self._check_factors(factors)
        if self._dense is not None:
            return self._dense.mttkrp(factors)
        lowered = factors @ self._metric
        squares = np.einsum("ij,ij->i", factors, lowered)
        along, back = np.zeros(factors.shape), np.zeros(len(factors))
        for samples, coefficients in self._chunks(len(factors)):
            t = samples @ factors.T
            weighted_hermite(t, squares, coefficients, self.order - 1, back)
            along += t.T @ samples
        return along - (self.order - 1) * back[:, None] * lowered

    def _held_mttkrp(self, factors: Any) -> Any:
        """The same on another device, where each power is an array of its own."""
        held_samples, held_coefficients, metric = self._held
        xp = array_namespace(factors)
        lowered = factors @ metric
        squares = xp.sum(factors * lowered, axis=1)
        along, back = xp.zeros_like(factors), xp.zeros_like(squares)
        step = max(64, _HELD_DOUBLES // max(factors.shape[0], 1))
        for first in range(0, self.n, step):
            samples = held_samples[first : first + step, :]
            coefficients = held_coefficients[first : first + step]
            t = samples @ factors.T
            before, last = xp.ones_like(t), t
            for k in range(2, self.order):
                before, last = last, t * last - (k - 1) * squares * before
            back += coefficients @ before
            along += (coefficients[:, None] * last).T @ samples
        return along - (self.order - 1) * back[:, None] * lowered

    def contract(self, *vectors: np.ndarray) -> np.ndarray:
        arrays = self._check_vectors(vectors)
        if self._dense is not None:
            return self._dense.contract(*vectors)
        single = all(a.ndim == 1 for a in arrays)
        batch = np.stack(np.broadcast_arrays(*(np.atleast_2d(a) for a in arrays)))
        out = contract_samples(self._chunks, self.order, batch, self._metric)
        return out[0] if single else out

    def _flat_apply(self, vector: np.ndarray, rows: int) -> np.ndarray:
        columns = self.order - rows
        if self._dense is not None:
            return self._dense._flat_apply(vector, rows)
        if columns == 1:
            return self.contract(vector).ravel()
        return apply_samples(self._chunks, vector, rows, columns, self._metric)

    def rotate(self, rotation: np.ndarray) -> HermiteMomentTensor:
        rotation = check_array("rotation", rotation, ("d'", self.dim))
        tensor = self._with(self._coefficients)
        tensor._set(self._X, self._coefficients, self.order, rotation @ self._frame)
        return tensor

    def dense(self, max_bytes: int = 2**30) -> np.ndarray:
        self._check_bytes(max_bytes)
        return self._accumulated().dense(max_bytes)

    @property
    def array_bytes(self) -> int:
        return 8 * self.dim**self.order if self._dense is None else 0

    def _accumulated(self) -> DenseTensor:
        if self._dense is None:
            sums = hermite_sums(self.dim, self.order, 1)
            for samples, coefficients in self._chunks(self.dim):
                for one in sums:
                    one.add(samples, coefficients[:, None])
            total = hermite_combination([one.arrays() for one in sums], self._metric)
            self._dense = DenseTensor._trusted(total[0])
        return self._dense

    def _prefers_dense(self) -> bool:
        """Whether n C(d+k-1, k) is less than n^2 d / k, and the array fits."""
        if self._dense is not None:
            return True
        cheaper = self.n >= math.comb(self.dim + self.order - 2, self.order - 1)
        fits = self.array_bytes <= self._max_bytes
        return fits and (cheaper or not self._isometric)

    def norm(self) -> float:
        """Frobenius norm, exact: of the dense tensor, or from all pairs of samples.

        After a change of variables that is no isometry pairs do not serve: where the array needs
        more than ``max_bytes``, it is that of the d slices T(e_j), a pass over the samples for
        each block of them.
        """
        if self._norm is None:
            if self._prefers_dense():
                self._norm = self._accumulated().norm()
            elif self._isometric:
                # At unit scale, where no square leaves the doubles.
                unit, exponent = self.at_unit_scale()
                root = math.sqrt(max(unit._squared_norm_by_pairs(), 0.0))
                with np.errstate(over="ignore", under="ignore"):
                    self._norm = float(np.ldexp(root, exponent))
            else:
                self._norm = self._norm_by_slices()
        return self._norm

    def _squared_norm_by_pairs(self) -> float:
        """sum_ij c_i c_j <He_k(x_i), He_k(x_j)>, in blocks of samples: O(n^2 d)."""
        kernel = HermiteKernel(self._X.shape[1], self.order)
        total = 0.0
        for first in range(0, self.n, _PAIR_ROWS):
            rows = self._block(first)
            for second in range(first, self.n, _PAIR_ROWS):
                columns = rows if second == first else self._block(second)
                values = kernel(
                    rows @ columns.T, _row_squares(rows)[:, None], _row_squares(columns)
                )
                part = self._coefficients[first : first + _PAIR_ROWS] @ values
                part = float(part @ self._coefficients[second : second + _PAIR_ROWS])
                total += part if second == first else 2.0 * part
        return total

    def _block(self, first: int) -> np.ndarray:
        return np.asarray(self._X[first : first + _PAIR_ROWS], dtype=np.float64)

    def relative_error(self) -> float:
        """Estimate of e = E|T_hat - T|^2 / |T|^2 before any shrinkage, from the samples alone.

        By U-statistics: see `tdlab.tensors.moment_stream`. Infinite where the samples do not tell
        T from zero. Folds of a residualised moment count as independent.

        Raises
        ------
        InputError
            For one sample, or after a change of variables that is no isometry.
        """
        if not self._isometric:
            raise InputError(
                "tensor: got one after a change of variables that is no isometry, wanted the "
                "error before it"
            )
        kernel = HermiteKernel(self._X.shape[1], self.order)
        total = 0.0
        for rows in chunk_slices(0, self.n, self._X.shape[1]):
            own = own_squares(kernel, np.asarray(self._X[rows], dtype=np.float64))
            total += float(self._coefficients[rows] ** 2 @ own)
        # Z_i = n c_i He_k(x_i).
        return estimated_error(self.n * total, self.norm() ** 2, self.n)

    def shrunk(self) -> HermiteMomentTensor:
        """T_hat / (1 + e), the multiple of least risk, e as in `relative_error`; once.

        Its relative risk is e / (1 + e), below 1 however few the samples.

        Examples
        --------
        >>> import tdlab
        >>> net = tdlab.sample_network(dim=6, rank=12, activation="He3", rng=0)
        >>> T = tdlab.HermiteMomentTensor(*net.sample(2000, rng=1))
        >>> round(T.shrunk().norm() / T.norm() * (1.0 + T.relative_error()), 12)
        1.0
        """
        if self._shrunk:
            return self
        tensor = self.scaled(1.0 / (1.0 + self.relative_error()))
        tensor._shrunk = True
        return tensor

    def __repr__(self) -> str:
        return f"HermiteMomentTensor(order={self.order}, dim={self.dim}, n={self.n})"


def _row_squares(rows: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", rows, rows)
