"""An order-4 array as an n^2 x n^2 matrix, symmetric or not: what robust spectral methods take.

Memory     n^4 doubles
Layout     rows (i, j), columns (k, l), both in C order: M[i n + j, k n + l] = T_ijkl
"""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from tdlab.errors import InputError, check_array
from tdlab.tensors.base import SymmetricTensor, Tensor

# Within these norms no square leaves the doubles.
_SMALLEST_NORM = 1e-150


class Flattening4(Tensor):
    """The {12}{34} flattening of T = sum_i a_i^{(x)4} + E, where E need not be symmetric.

    Only methods that declare it decompose it: ``schramm-steurer``.

    Parameters
    ----------
    matrix : (n^2, n^2) array

    Raises
    ------
    InputError
        If the matrix is not real and finite, or its size is no square of an integer.

    Examples
    --------
    >>> import numpy as np, tdlab
    >>> pairs = np.eye(9)[[0, 4, 8]]                    # e_i (x) e_i
    >>> T = tdlab.Flattening4(pairs.T @ pairs)
    >>> T.dim, T.order, T.evaluate(np.eye(3))
    (3, 4, array([1., 1., 1.]))
    """

    kind: ClassVar[str] = "flattening4"
    order = 4

    def __init__(self, matrix: np.ndarray) -> None:
        array = check_array("matrix", matrix, ("n^2", "n^2"))
        self.dim = math.isqrt(len(array))
        if array.shape != (self.dim**2, self.dim**2):
            raise InputError(f"matrix: got shape {array.shape}, wanted (n^2, n^2)")
        self.matrix = np.array(array, order="C")
        self.matrix.flags.writeable = False

    def norm(self) -> float:
        """Frobenius norm."""
        return float(np.linalg.norm(self.matrix))

    def evaluate(self, vectors: np.ndarray) -> np.ndarray:
        """T(v, v, v, v) for each row v of a (b, n) array: a (b,) array."""
        pairs = lifted(vectors)
        return np.einsum("ij,ij->i", pairs @ self.matrix, pairs)

    def in_plain_units(self) -> tuple[Flattening4, int]:
        """The tensor as it is: its terms have coefficient 1, which another unit would not keep.

        Raises `InputError` where the square of its norm leaves the doubles.
        """
        norm = self.norm()
        if not (_SMALLEST_NORM < norm < 1 / _SMALLEST_NORM or norm == 0.0):
            raise InputError(
                f"tensor: got norm {norm:.3g}, wanted one between {_SMALLEST_NORM:g} and "
                f"{1 / _SMALLEST_NORM:g}: rescale it"
            )
        return self, 0

    def inner(self, other: SymmetricTensor) -> float:
        """Frobenius inner product with sum_i a_i w_i^{(x)4}; raises `InputError` for others."""
        known = other.terms()
        if known is None:
            raise InputError(f"other: got {other!r}, wanted a tensor of known terms")
        rows, weights = known
        return float(weights @ self.evaluate(rows))

    def magnitude(self) -> float:
        """|T|^2, the scale of its rounding."""
        return self.norm() ** 2

    def __repr__(self) -> str:
        return f"Flattening4(dim={self.dim})"


def lifted(vectors: np.ndarray) -> np.ndarray:
    """v (x) v for each row v of a (b, n) array: a (b, n^2) array in C order."""
    return np.einsum("bi,bj->bij", vectors, vectors).reshape(len(vectors), -1)


def swap_middle(matrix: np.ndarray) -> np.ndarray:
    """The {13}{24} matrix of the {12}{34} one, and back: M[(i,j),(k,l)] -> M'[(i,k),(j,l)]."""
    dim = math.isqrt(len(matrix))
    array = matrix.reshape(dim, dim, dim, dim).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(array).reshape(dim**2, dim**2)
