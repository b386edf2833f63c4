"""A tensor as a polynomial, with the rounding errors of getting there bounded.

Every bound of this package speaks of the form T(x) = sum over all entries of the given array, or of
sum_i a_i <w_i, x>^k, as exact real numbers; what is computed from them differs by ``error``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tdlab.errors import InputError
from tdlab.sos.basis import Monomials, Relaxation, add_square, monomials
from tdlab.tensors import DenseTensor, FactoredTensor, SymmetricTensor, symmetrize

# Half a unit in the last place: the relative error of one operation.
UNIT = float(np.finfo(np.float64).eps) / 2


@dataclass(frozen=True, eq=False)
class Form:
    """T(x) / unit as coefficients of a homogeneous polynomial on R^dim.

    Attributes
    ----------
    tensor : DenseTensor
        The symmetrised array over ``unit``.
    monomials : Monomials
        Of degree k.
    coefficients : (M,) array
    unit : float
        A power of two near the largest entry: dividing by it is exact, and no square overflows.
    norm : float
        Frobenius norm of ``tensor``, rounded up.
    error : float
        |T(x) / unit - sum_alpha c_alpha x^alpha| <= error for every unit x.
    """

    tensor: DenseTensor
    monomials: Monomials
    coefficients: np.ndarray
    unit: float
    norm: float
    error: float

    @classmethod
    def of(cls, tensor: SymmetricTensor, max_bytes: int) -> Form:
        """The form of a tensor, whose array must fit into ``max_bytes``."""
        order = tensor.order
        array = tensor.dense(max_bytes)
        largest = float(np.abs(array).max())
        if not math.isfinite(largest):
            raise InputError("tensor: got entries that overflow, wanted finite numbers")
        # frexp's range is wider than that of a double's powers of two at the lower end.
        unit = 2.0 ** min(max(math.frexp(largest)[1], -1000), 1023) if largest > 0.0 else 1.0
        # An array is symmetric to 1e-8 only; averaging over permutations leaves the form unchanged.
        dense = symmetrize(array / unit)
        basis = monomials(tensor.dim, order)
        coefficients = dense.dense(max_bytes)[tuple(basis.lists.T)] * basis.counts
        # Errors e of the entries change the form by at most |e|_F on the sphere.
        error = (math.factorial(order) + 3) * UNIT * float(np.linalg.norm(array / unit))
        if isinstance(tensor, FactoredTensor):
            norms = np.linalg.norm(tensor.components, axis=1)
            terms = float(np.abs(tensor.weights / unit) @ norms**order)
            error += (tensor.rank + order + 3) * UNIT * terms
        norm = dense.norm() * (1.0 + 1e-12)
        if not math.isfinite((norm + 2.0 * error) * unit):
            raise InputError("tensor: got a norm that overflows, wanted a finite one: rescale it")
        return cls(dense, basis, coefficients, unit, norm, 1.01 * error)

    @property
    def order(self) -> int:
        """k."""
        return self.tensor.order

    @property
    def dim(self) -> int:
        """d."""
        return self.tensor.dim

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
        """A number <= T(x / |x|) / unit, with rounding covered."""
        terms = self.coefficients * self.monomials.values(point[None])[0]
        value = math.fsum(terms)
        # k + 1 roundings a term; the sum itself is rounded once.
        error = (self.order + 3) * UNIT * math.fsum(np.abs(terms)) * 1.01 + self.error
        # |x|^2 summed exactly from rounded squares is right to 3 units, so |x|^k to 2 k + 4.
        length = math.sqrt(math.fsum(point * point)) ** self.order
        exact = (value - error) / length
        return float(exact - (2 * self.order + 8) * UNIT * abs(exact))
