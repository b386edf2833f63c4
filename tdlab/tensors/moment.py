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

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from tdlab._kernels.hermite import weighted_hermite
from tdlab.errors import InputError, check_array, check_integer
from tdlab.tensors.arrays import array_home, lifted, torch_array
from tdlab.tensors.base import SymmetricTensor
from tdlab.tensors.dense import DenseTensor, symmetrize
from tdlab.tensors.hermite_pairs import HermiteKernel
from tdlab.tensors.power_sums import (
    PowerSum,
    hermite_combination,
    pairings,
    shuffled,
)

_CHUNK_DOUBLES = 2**18  # 2 MiB: inner products of one chunk of samples with the factors
_HELD_DOUBLES = 2**24  # 128 MiB of inner products on another device
_PAIR_ROWS = 1024
_MAX_ORDER = 5


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
    max_bytes : int
        Size d^k * 8 up to which `norm` may accumulate and keep the dense tensor, where that is
        cheaper than n^2 d (for n >= C(d+k-2, k-1)); every later action then uses it. 0: never.

    Raises
    ------
    InputError
        For an order outside 2 to 5, shapes that do not fit, no samples, NaN or infinite entries.

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
        self, X: np.ndarray, y: np.ndarray, order: int = 3, *, max_bytes: int = 2**28
    ) -> None:
        order = check_order(order)
        X, y = check_samples(X, y)
        self._max_bytes = check_integer("max_bytes", max_bytes, 0)
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

    def _like(self, coefficients: np.ndarray, frame: np.ndarray) -> HermiteMomentTensor:
        tensor = type(self).__new__(type(self))
        tensor._max_bytes = self._max_bytes
        tensor._set(self._X, coefficients, self.order, frame)
        return tensor

    @property
    def n(self) -> int:
        """Number of samples."""
        return len(self._coefficients)

    def to(self, device: str) -> SymmetricTensor:
        """Held by torch: the samples, or the dense tensor where `norm` would keep that."""
        if self._prefers_dense():
            return self._accumulated().to(device)
        tensor = self._like(self._coefficients, self._frame)
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
        step = max(64, _CHUNK_DOUBLES // max(width, self._X.shape[1]))
        for first in range(0, self.n, step):
            part = np.asarray(self._X[first : first + step], dtype=np.float64)
            part = part if self._plain else part @ self._frame.T
            yield part, self._coefficients[first : first + step]

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
        out = self._contract_batch(batch)
        return out[0] if single else out

    def _contract_batch(self, vectors: np.ndarray) -> np.ndarray:
        """(m, b, d) vectors to (b, d, ..., d).

        In the sum over partial pairings of the k modes a contracted mode is single (<x, v>),
        paired with another one (-<v, v'>), or with a free one (-v there). For the set S of the
        last kind, with h the pairings among the others, T(v_1, ..., v_m, .) =
        sum_S (-1)^|S| |S|! C(f, |S|) Sym(sum_i c_i h_{S^c}(x_i) He_{f-|S|}(x_i) (x) v_S).
        """
        modes, batch = vectors.shape[:2]
        free = self.order - modes
        lowered = vectors @ self._metric
        products = np.einsum("abi,cbi->acb", vectors, lowered)
        everything = tuple(range(modes))
        subsets = [s for size in range(min(free, modes) + 1) for s in _subsets(everything, size)]
        sums = {s: _hermite_sums(self.dim, free - len(s), batch) for s in subsets}
        for samples, coefficients in self._chunks(2**modes * batch):
            t = np.matmul(samples, vectors.transpose(0, 2, 1))
            known: dict[tuple[int, ...], Any] = {(): np.ones((len(samples), batch))}
            for s in subsets:
                rest = tuple(a for a in everything if a not in s)
                weights = coefficients[:, None] * _multilinear_hermite(rest, t, products, known)
                for one in sums[s]:
                    one.add(samples, weights)
        total = np.zeros((batch, *(self.dim,) * free))
        for s in subsets:
            size = len(s)
            moment = hermite_combination([one.arrays() for one in sums[s]], self._metric)
            # |S|! Sym(v_S) is the sum over arrangements.
            arranged = np.zeros((batch, self.dim**size))
            for arrangement in itertools.permutations(s):
                outer = np.ones((batch, 1))
                for a in arrangement:
                    outer = (outer[:, :, None] * lowered[a][:, None, :]).reshape(batch, -1)
                arranged += outer
            flat = moment.reshape(batch, -1, 1) * arranged[:, None, :]
            joined = flat.reshape(batch, *(self.dim,) * free)
            total += (-1) ** size * math.comb(free, size) * shuffled(joined, size)
        return total

    def _flat_apply(self, vector: np.ndarray, rows: int) -> np.ndarray:
        columns = self.order - rows
        if self._dense is not None:
            return self._dense._flat_apply(vector, rows)
        if columns == 1:
            return self.contract(vector).ravel()
        # Only the symmetric part of the argument V meets a symmetric tensor. With j pairs inside V
        # and p pairs across, as in `contract`, V_j = tr^j V, the result is the sum over j and p of
        # (-1)^(j+p) pairings(c, j) C(c-2j, p) p! C(f, p) Sym(He_{f-p}(x) (x) V_j(x^{c-2j-p})).
        argument = symmetrize(vector.reshape((self.dim,) * columns)).dense()
        total = np.zeros((1, *(self.dim,) * rows))
        for j in range(columns // 2 + 1):
            left = columns - 2 * j
            for p in range(min(left, rows) + 1):
                factor = (-1) ** (j + p) * pairings(columns, j) * math.perm(left, p)
                term = self._mixed_moment(_lower_last(argument, self._metric, p), p, rows - p)
                total += factor * math.comb(rows, p) * shuffled(term, p)
            if left >= 2:
                argument = np.tensordot(argument, self._metric, axes=2)
        return total.ravel()

    def _mixed_moment(self, argument: np.ndarray, p: int, free: int) -> np.ndarray:
        """sum_i c_i He_free(x_i) (x) V(x_i, ..., x_i, [p modes]) as a (1, d, ..., d) array."""
        contracted = argument.ndim - p
        orders = range(free, -1, -2)
        powers = _hermite_sums(self.dim, free, 1)
        mixed = [np.zeros((self.dim**a, self.dim**p)) for a in orders]
        for samples, coefficients in self._chunks(self.dim ** max(argument.ndim - 1, free)):
            inner = _contracted_leading(argument, samples, contracted)
            weighted = coefficients[:, None] * inner
            for a, power, total in zip(orders, powers, mixed, strict=True):
                if p == 0:
                    power.add(samples, weighted)
                else:
                    total += _khatri_rao_power(samples, a).T @ weighted
        if p == 0:
            return hermite_combination([one.arrays() for one in powers], self._metric)
        # The entries of V's p modes are a batch of weights.
        batch = [
            total.T.reshape(-1, *(self.dim,) * a) for a, total in zip(orders, mixed, strict=True)
        ]
        moment = hermite_combination(batch, self._metric).reshape(self.dim**p, -1)
        return moment.T.reshape(1, *(self.dim,) * (free + p))

    def rotate(self, rotation: np.ndarray) -> HermiteMomentTensor:
        rotation = check_array("rotation", rotation, ("d'", self.dim))
        return self._like(self._coefficients, rotation @ self._frame)

    def dense(self, max_bytes: int = 2**30) -> np.ndarray:
        self._check_bytes(max_bytes)
        return self._accumulated().dense(max_bytes)

    def _accumulated(self) -> DenseTensor:
        if self._dense is None:
            sums = _hermite_sums(self.dim, self.order, 1)
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
        fits = 8 * self.dim**self.order <= self._max_bytes
        return fits and (cheaper or not self._isometric)

    def norm(self) -> float:
        """Frobenius norm, exact: of the dense tensor, or from all pairs of samples.

        After a change of variables that is no isometry only the first is possible; it raises
        `InputError` where the array needs more than ``max_bytes``.
        """
        if self._norm is None:
            if self._prefers_dense():
                self._norm = self._accumulated().norm()
            elif self._isometric:
                self._norm = math.sqrt(max(self._squared_norm_by_pairs(), 0.0))
            else:
                self._check_bytes(self._max_bytes)
        return float(self._norm or 0.0)

    def _squared_norm_by_pairs(self) -> float:
        """sum_ij c_i c_j <He_k(x_i), He_k(x_j)>, in blocks of samples: O(n^2 d)."""
        kernel = HermiteKernel(self._X.shape[1], self.order)
        total = 0.0
        for first in range(0, self.n, _PAIR_ROWS):
            rows = self._block(first)
            for second in range(first, self.n, _PAIR_ROWS):
                columns = rows if second == first else self._block(second)
                values = kernel(rows @ columns.T, _squares(rows)[:, None], _squares(columns))
                part = self._coefficients[first : first + _PAIR_ROWS] @ values
                part = float(part @ self._coefficients[second : second + _PAIR_ROWS])
                total += part if second == first else 2.0 * part
        return total

    def _block(self, first: int) -> np.ndarray:
        return np.asarray(self._X[first : first + _PAIR_ROWS], dtype=np.float64)

    def __repr__(self) -> str:
        return f"HermiteMomentTensor(order={self.order}, dim={self.dim}, n={self.n})"


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
    step = max(1, _CHUNK_DOUBLES // X.shape[1])
    for first in range(0, len(y), step):
        part = np.asarray(X[first : first + step], dtype=np.float64)
        total.add(part, y[first : first + step, None] / len(y))
    return total.arrays()[0]


def check_order(order: Any) -> int:
    """The order as an int from 2 to 5, or `InputError`."""
    order = check_integer("order", order, 2)
    if order > _MAX_ORDER:
        raise InputError(f"order: got {order}, wanted 2 to {_MAX_ORDER}")
    return order


def check_samples(X: Any, y: Any) -> tuple[Any, np.ndarray]:
    """Samples as they are, without a copy of X, and y as float64; or `InputError`."""
    if getattr(X, "ndim", None) != 2 or not isinstance(X, np.ndarray):
        X = check_array("X", X, ("n", "d"))
    if X.dtype.kind not in "fiu":
        raise InputError(f"X: got {X.dtype}, wanted a real array of shape (n, d)")
    if 0 in X.shape:
        raise InputError(f"X: got an empty array of shape {X.shape}, wanted (n, d)")
    # Finite, a block at a time: a memory map may be larger than memory.
    step = max(1, _CHUNK_DOUBLES // X.shape[1])
    for first in range(0, len(X), step):
        bad = np.argwhere(~np.isfinite(X[first : first + step]))
        if len(bad):
            raise InputError(
                f"X: got a NaN or infinite entry at [{first + bad[0, 0]}, {bad[0, 1]}], "
                "wanted finite numbers"
            )
    return X, np.array(check_array("y", y, (len(X),)))


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


def _hermite_sums(dim: int, order: int, batch: int) -> list[PowerSum]:
    return [PowerSum(dim, a, batch) for a in range(order, -1, -2)]


def _subsets(items: tuple[int, ...], size: int) -> list[tuple[int, ...]]:
    return list(itertools.combinations(items, size))


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


def _squares(rows: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", rows, rows)
