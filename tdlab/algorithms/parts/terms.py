"""What points make of a tensor: its terms, real, complex or nowhere apart.

Solves     the coefficients a_i of T = sum_i a_i w_i^{(x)k} at given complex points w_i, and whether
           points that coincide stand for w^{(x)(k-1)} v and the like: a limit of sums of as many
           powers, and no sum of them
Cost       one complex least-squares problem, N x s
Sources    Brachat, Comon, Mourrain and Tsigaridas (2010), arXiv 0901.3706; generalised additive
           decompositions: Iarrobino and Kanev (1999), Lecture Notes in Mathematics 1721
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tdlab.tensors import SymmetricTensor
from tdlab.tensors.packed import Forms, size

# Points within this sine of each other are looked at as one with multiplicity: rounding splits a
# root of multiplicity m by about eps^(1/m).
_CLUSTER = 3e-3
# Coefficients, over |T|, from which terms at such points cancel.
_CANCELS = 10.0
_LIMIT_FITS = 1e-9
# Coefficients below this share of the largest: points that the equations allow and T does not hold.
_ABSENT = 1e-8
# Imaginary share of a unit point that may be rounding of an ill-conditioned pencil.
_REAL = 1e-4


@dataclass(frozen=True, eq=False)
class Terms:
    """Terms a_i w_i^{(x)k} at complex unit points.

    Attributes
    ----------
    rows : (s, d) complex array
        With phases at which their real parts are longest.
    weights : (s,) complex array
    residual : float
        |T - sum a_i w_i^{(x)k}| / |T|.
    multiple : int
        Largest number of points that coincide, where the tensor is a limit only; 1 otherwise.
    """

    rows: np.ndarray
    weights: np.ndarray
    residual: float
    multiple: int = 1

    @property
    def imaginary(self) -> np.ndarray:
        """Which points (s,) are not real."""
        return np.linalg.norm(np.imag(self.rows), axis=1) > _REAL

    def real_rows(self) -> np.ndarray:
        """Real rows (s, d): real parts, and of a conjugate pair the sum and difference of both."""
        # Of a pair, one has its partner's imaginary part with the other sign.
        return np.real(self.rows) + np.where(self.imaginary[:, None], np.imag(self.rows), 0.0)


def terms_at(tensor: SymmetricTensor, points: np.ndarray) -> Terms:
    """Least-squares terms at unit complex points (s, d), those without a share left out."""
    forms = Forms.of(tensor.dim, tensor.order)
    norm = tensor.norm()
    target = tensor.packed() / norm
    turn = np.exp(-0.5j * np.angle(np.einsum("ij,ij->i", points, points)))
    rows = points * turn[:, None]
    backward = np.real(rows) @ np.linspace(1.0, 2.0, tensor.dim) < 0.0
    rows = np.where(backward[:, None], -rows, rows)
    weights, residual = _fit(forms.lift(rows).T, target)
    apart = residual <= _LIMIT_FITS and np.abs(weights).max() < _CANCELS
    multiple = 1 if apart else _multiplicity(rows, target, forms)
    if multiple > 1:
        return Terms(rows, norm * weights, residual, multiple)
    kept = np.abs(weights) > _ABSENT * np.abs(weights).max()
    if not kept.all():
        rows = rows[kept]
        weights, residual = _fit(forms.lift(rows).T, target)
    return Terms(rows, norm * weights, residual)


def _fit(columns: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, float]:
    solution = np.linalg.lstsq(columns, target.astype(columns.dtype), rcond=1e-15)[0]
    return solution, float(np.linalg.norm(columns @ solution - target))


def _multiplicity(rows: np.ndarray, target: np.ndarray, forms: Forms) -> int:
    """Largest cluster of coinciding points, if the tensor is their limit; 1 otherwise."""
    cosines = np.abs(rows.conj() @ rows.T)
    near = cosines > 1.0 - 0.5 * _CLUSTER**2
    if not np.triu(near, 1).any():
        return 1
    columns, left, largest = [], np.ones(len(rows), dtype=bool), 1
    while left.any():
        first = int(np.argmax(left))
        cluster = left & near[first]
        left &= ~cluster
        number = int(cluster.sum())
        largest = max(largest, number)
        # Rounding moves the points of a cluster apart about their mean, which stays.
        aligned = (
            rows[cluster] * np.exp(-1j * np.angle(rows[cluster] @ rows[first].conj()))[:, None]
        )
        columns.append(_osculating(aligned.mean(axis=0), min(number, forms.degree + 1), forms))
    together = np.hstack(columns)
    if largest == 1 or together.shape[1] > 4 * len(target):
        return 1
    return largest if _fit(together, target)[1] <= _LIMIT_FITS else 1


def _osculating(point: np.ndarray, number: int, forms: Forms) -> np.ndarray:
    """Columns that span {w^{(x)(k-number+1)} g : g in Sym^{number-1}}, symmetrised."""
    degree = forms.degree - number + 1
    factor, power = Forms.of(forms.dim, number - 1), Forms.of(forms.dim, degree)
    # As forms: x^beta <w, x>^a = sum_gamma (a! / gamma!) w^gamma x^(beta + gamma).
    spread = power.lift(point[None])[0] * power.scales
    strides = forms.dim ** np.arange(forms.degree, dtype=np.int64)[::-1]
    out = np.zeros((len(forms.scales), size(forms.dim, number - 1)), dtype=complex)
    for column, beta in enumerate(factor.indices):
        joined = np.hstack([np.broadcast_to(beta, (len(spread), number - 1)), power.indices])
        place = np.searchsorted(forms.places, np.sort(joined, axis=1) @ strides)
        out[place, column] = spread / forms.scales[place]
    return out / np.linalg.norm(out, axis=0)
