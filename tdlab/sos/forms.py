"""A tensor as a polynomial, with the rounding errors of getting there bounded.

Every bound of this package speaks of the form T(x) = sum over all entries of the given array, or of
sum_i a_i <w_i, x>^k, as exact real numbers; what is computed from them differs by ``error``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tdlab.sos.basis import Monomials, Relaxation, add_square, monomials
from tdlab.tensors import DenseTensor, SymmetricTensor, symmetrize

# Half a unit in the last place: the relative error of one operation.
UNIT = float(np.finfo(np.float64).eps) / 2


@dataclass(frozen=True, eq=False)
class Form:
    """T(x) / 2^exponent as coefficients of a homogeneous polynomial on R^dim.

    Attributes
    ----------
    tensor : DenseTensor
        The symmetrised array over 2^exponent.
    monomials : Monomials
        Of degree k.
    coefficients : (M,) array
    exponent : int
        2^exponent is near the largest entry: dividing by it is exact, and no square overflows.
    norm : float
        Frobenius norm of ``tensor``, rounded up.
    error : float
        |T(x) / 2^exponent - sum_alpha c_alpha x^alpha| <= error for every unit x.
    """

    tensor: DenseTensor
    monomials: Monomials
    coefficients: np.ndarray
    exponent: int
    norm: float
    error: float

    @classmethod
    def of(cls, tensor: SymmetricTensor, max_bytes: int) -> Form:
        """The form of a tensor, whose array must fit into ``max_bytes``."""
        order = tensor.order
        tensor, exponent = tensor.at_unit_scale()
        array = tensor.dense(max_bytes)
        # An array is symmetric to rounding only; averaging leaves the form unchanged.
        dense = symmetrize(array)
        basis = monomials(tensor.dim, order)
        coefficients = dense.dense(max_bytes)[tuple(basis.lists.T)] * basis.counts
        # Errors e of the entries change the form by at most |e|_F on the sphere.
        error = (math.factorial(order) + 3) * UNIT * float(np.linalg.norm(array))
        error += tensor.dense_error()
        norm = dense.norm() * (1.0 + 1e-12)
        return cls(dense, basis, coefficients, exponent, norm, 1.01 * error)

    @property
    def order(self) -> int:
        """k."""
        return self.tensor.order

    @property
    def dim(self) -> int:
        """d."""
        return self.tensor.dim

    def in_units(self, value: float, towards: float) -> float:
        """2^exponent times the value, never rounded away from ``towards``."""
        with np.errstate(over="ignore", under="ignore"):
            product = float(np.ldexp(value, self.exponent))
        # Multiplying by a power of two is exact but outside the normal range.
        if math.isinf(product) and product != towards:
            return math.copysign(float(np.finfo(float).max), product)
        subnormal = value != 0.0 and abs(product) < 1e-300
        return math.nextafter(product, towards) if subnormal else product

    def target(self, relaxation: Relaxation) -> np.ndarray:
        """Coefficients of the form times a power of |x|^2, at the level that carries them."""
        level = 1 if relaxation.odd else 0
        top = relaxation.levels[level]
        low, coefficients = self.monomials, self.coefficients
        while low.degree < top.degree:
            raised = monomials(low.dim, low.degree + 2)
            coefficients = add_square(coefficients, low, len(raised))
            low = raised
        out = np.zeros(relaxation.starts[-1])
        out[relaxation.starts[level] : relaxation.starts[level + 1]] = coefficients
        return out

    def lower_bound(self, point: np.ndarray) -> float:
        """A number <= T(x / |x|) / 2^exponent, with rounding covered."""
        terms = self.coefficients * self.monomials.values(point[None])[0]
        value = math.fsum(terms)
        # k + 1 roundings a term; the sum itself is rounded once.
        error = (self.order + 3) * UNIT * math.fsum(np.abs(terms)) * 1.01 + self.error
        # |x|^2 summed exactly from rounded squares is right to 3 units, so |x|^k to 2 k + 4.
        length = math.sqrt(math.fsum(point * point)) ** self.order
        exact = (value - error) / length
        return float(exact - (2 * self.order + 8) * UNIT * abs(exact))
