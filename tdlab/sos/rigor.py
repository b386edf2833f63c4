"""From any matrix to a bound that holds: what a solver returns is a hint, this is the proof.

For every symmetric H and unit x,  T(x) = <v, H v> + r(x)  with v = v(x),  |v|^2 = mass, so
T(x) <= mass lambda_max(H) + |r|.  H is what the computer holds, as exact numbers; lambda_max is
bounded by a Cholesky factorisation that runs to completion, r by the norm of its coefficients.

Source     Rump, BIT Numerical Mathematics 46 (2006): verification of positive definiteness
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from scipy.linalg import get_lapack_funcs

from tdlab.sos.basis import Relaxation, add_square
from tdlab.sos.forms import UNIT

_potrf: Any = get_lapack_funcs("potrf", dtype=np.float64)


def upper_bound(
    relaxation: Relaxation, target: np.ndarray, matrix: np.ndarray, guess: float
) -> float:
    """A number >= max over the sphere of the polynomial with coefficients ``target``.

    Parameters
    ----------
    matrix : (N, N) array
        Any one gives a valid bound; its symmetric part is taken.
    guess : float
        The largest eigenvalue as estimated; it moves the bound, never its validity.
    """
    matrix = 0.5 * (matrix + matrix.T)
    top = _largest_eigenvalue(matrix, guess)
    rest = residual_norm(relaxation, target, matrix)
    bound = relaxation.mass * top + rest
    return float(bound + 8 * UNIT * (abs(relaxation.mass * top) + rest))


def residual_norm(relaxation: Relaxation, target: np.ndarray, matrix: np.ndarray) -> float:
    """A number >= |T(x) - <v(x), H v(x)>| for every unit x."""
    starts = relaxation.starts
    rest = relaxation.coefficients(matrix) - target
    parts = [rest[a:b] for a, b in itertools.pairwise(starts)]
    if relaxation.odd:
        # On the sphere the form of degree 2m - 2 equals itself times |x|^2.
        top, middle, low = parts
        parts = [top + add_square(low, relaxation.levels[2], len(top)), middle]
    # |sum c_alpha x^alpha|^2 <= sum c_alpha^2 / count, because sum count x^(2 alpha) = 1.
    squares = [
        np.sum(c**2 / level.counts) for c, level in zip(parts, relaxation.levels, strict=False)
    ]
    # A coefficient adds at most count <= (2m)! / (m!)^2-fold many entries; with the weights, the
    # products, |x|^2 and the target's own powers of |x|^2 that is this many roundings, each on
    # numbers whose norms |H|_F, |target| bound (Cauchy-Schwarz over entries of equal moment).
    longest = _longest_sum(relaxation) + 6 * relaxation.degree + relaxation.dim
    sizes = float(np.linalg.norm(matrix)) * relaxation.mass
    sizes += float(np.sqrt(np.sum(target**2 / relaxation.counts))) * relaxation.mass
    total = float(np.sqrt(squares).sum())
    return total * (1.0 + 1e-9) + 1.01 * longest * UNIT * sizes


def _longest_sum(relaxation: Relaxation) -> int:
    """The largest number of entries of the matrix that share a moment."""
    return int(np.bincount(relaxation.index.ravel()).max())


def _largest_eigenvalue(matrix: np.ndarray, guess: float) -> float:
    """A number >= lambda_max of an exactly symmetric matrix."""
    size = len(matrix)
    scale = max(abs(guess), float(np.abs(np.diagonal(matrix)).max()))
    step = 4 * size * UNIT * scale
    for _ in range(12):
        shift = guess + step
        shifted = -matrix
        diagonal = np.einsum("ii->i", shifted)
        diagonal += shift
        mass = float(np.abs(diagonal).sum())
        rounding = UNIT * float(np.abs(diagonal).max())
        _, failed = _potrf(shifted.T, lower=1, overwrite_a=1)
        if failed == 0:
            # Factorisation of A = fl(sI - H) to the end proves lambda_min(A) >= -gamma tr A.
            gamma = (size + 2) * UNIT / (1.0 - 2 * (size + 2) * UNIT)
            return shift + 1.01 * (gamma * mass + rounding) + 4 * UNIT * abs(shift)
        step *= 8.0
    return float(np.linalg.norm(matrix)) * (1.0 + (size + 4) * size * UNIT)
