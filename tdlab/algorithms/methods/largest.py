"""The largest component alone, by one polynomial in the entries of the tensor.

Solves     T = (1 + b) w_1^{(x)3} + sum over i > 1 of w_i^{(x)3} of random w_i, for w_1
Method     X_1 = sum_k T_k T_k, X_{p+1} = sum_k T_k X_p T_k without the multiple of the identity,
           and the estimate v_k = <T_k, X_p>, a polynomial of degree 2p + 1: X_p gains (1 + b)^2 a
           step on w_1 w_1^T over the other w_i w_i^T
Guarantee  rank << d^{3/2} at degrees of the order of log d, b fixed, asymptotically
Cost       degree / 2 products of 6 r^2 d flops (factored) or 4 d^4 (dense)
Sources    Hopkins, Schramm, Shi and Steurer (2016), arXiv 1512.02337, for the matrix; Wein (2022),
           arXiv 2211.05274: no polynomial of such a degree succeeds for rank >> d^{3/2}

As an operator on X the sum is sum_ij c_i c_j <w_i, w_j> (w_i (x) w_j)(w_i (x) w_j)^T. Terms i = j
are the signal; the others are r^2 random ones of size d^{-1/2} in d^2 dimensions, of norm about
sqrt(r^2 / d^2) d^{-1/2} = r / d^{3/2}. The identity is taken away because the w_i w_i^T share it:
sum_i w_i w_i^T is nearly (r/d) I, which says nothing of any of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tdlab.algorithms.base import Budget, Decomposition, Status, finish
from tdlab.algorithms.methods.hsss import mixed_square
from tdlab.errors import InputError, check_integer
from tdlab.tensors import DenseTensor, SymmetricTensor

# 64 MiB, and as much again in a product.
_LARGEST_ARRAY = 200


@dataclass(frozen=True)
class Largest:
    """Estimate the largest component of an order-3 tensor: a result of one term.

    Parameters
    ----------
    degree : int
        Of the polynomial: odd. At high degrees the estimate is that of the leading eigenvector.

    Examples
    --------
    >>> import tdlab
    >>> net = tdlab.sample_network(16, 10, "He3", "hypercube", boost=1.0, rng=0)
    >>> res = tdlab.decompose(net.hermite_tensor(3), 1, "largest", noise=0.0)
    >>> bool(abs(res.components[0] @ net.weights[0]) > 0.95)
    True
    """

    name: ClassVar[str] = "largest"
    orders: ClassVar[tuple[int, ...]] = (3,)
    version: ClassVar[int] = 1
    guarantee: ClassVar[str] = "one larger random component, rank << d^(3/2), asymptotically"
    cost: ClassVar[str] = "O(r^2 d) or O(d^4) two degrees"
    source: ClassVar[str] = "Wein (2022), arXiv 2211.05274; Hopkins et al. (2016), arXiv 1512.02337"

    degree: int = 33

    def __post_init__(self) -> None:
        what = "method 'largest', option 'degree'"
        if check_integer(what, self.degree, 1) % 2 == 0:
            raise InputError(f"{what}: got {self.degree}, wanted an odd number")

    def reach(self, dim: int, order: int) -> int:
        """1: several components are never all found."""
        return 1

    def limit(self, dim: int, order: int) -> int:
        """1: it is asked for one term, whatever the rank of the tensor."""
        return 1

    def required_bytes(self, tensor: SymmetricTensor) -> int:
        """The array of all entries, where the terms are not known."""
        return 0 if tensor.terms() else 8 * tensor.dim**3

    def run(
        self, tensor: SymmetricTensor, rank: int, *, rng: np.random.Generator, budget: Budget
    ) -> Decomposition:
        eye = np.eye(tensor.dim)
        square = mixed_square(_cheapest(tensor), eye)
        form, steps = eye, 0
        while steps < self.degree // 2 and not budget.expired:
            form = square(form)
            # In one dimension the identity is all there is.
            if tensor.dim > 1:
                form = form - np.trace(form) / tensor.dim * eye
            form, steps = form / (np.linalg.norm(form) + 1e-150), steps + 1
        late = steps < self.degree // 2
        return finish(
            self,
            tensor,
            rank,
            budget,
            components=contract_form(tensor, form)[None],
            status=Status.TIME_LIMIT if late else Status.STAGNATED,
            message="Stopped by max_seconds." if late else _ONE,
            nit=steps,
        )


def _cheapest(tensor: SymmetricTensor) -> SymmetricTensor:
    """The array in place of more than d^{3/2} terms, where it is small."""
    known = tensor.terms()
    if known is None or len(known[1]) ** 2 <= tensor.dim**3 or tensor.dim > _LARGEST_ARRAY:
        return tensor
    return DenseTensor._trusted(tensor.dense())


def contract_form(tensor: SymmetricTensor, form: np.ndarray) -> np.ndarray:
    """<T_k, X> for every slice T_k and a symmetric matrix X: a (d,) array."""
    values, axes = np.linalg.eigh(form)
    return values @ tensor.mttkrp(axes.T)


_ONE = (
    "This is an estimate of the largest component alone, from one polynomial in the entries. For "
    "all of them try method='auto'."
)
