"""Spectral decomposition through degree-6 contractions: the span of the cubes, then one at a time.

Solves     T = sum_i w_i^{(x)3} of random w_i
Method     X -> sum_abc T_abc (T_a (x) T_b (x) T_c) X on harmonic cubic forms has w_i^{(x)3} near
           the span of its leading ``rank`` eigenvectors v; for a random g the largest singular
           vector of the contractions v(g, ., .), as a matrix, is near one w_i w_i^T
Guarantee  published: rank up to d^{3/2} over logarithms, asymptotically; small sizes fall short
Cost       4 d^6 flops a product and about 3 ``rank`` products; 2 ``rank`` d^3 + d^4 doubles
Sources    Ding, d'Orsi, Liu, Tiegel and Steurer (2022), arXiv 2202.06442

``form="preconditioned"`` (this library's) whitens T first. Rounds of deflation and the joint least
squares at the end stand for the paper's boosting.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tdlab.algorithms.base import Budget, Decomposition
from tdlab.algorithms.parts.precondition import plain, precondition
from tdlab.algorithms.parts.rounds import fit_in_rounds
from tdlab.errors import check_choice, check_integer
from tdlab.streams import Part, own_stream
from tdlab.tensors import SymmetricTensor

_FORMS = ("preconditioned", "published")
_LARGEST = 40


@dataclass(frozen=True)
class Ding:
    """Decompose an order-3 tensor by the spectrum of a degree-6 contraction, d <= 40.

    Parameters
    ----------
    form : {"preconditioned", "published"}
    contractions : int
        Random contractions of a round; 0 takes 6 for each component that is still missing.
    rounds : int
        Each adds distinct candidates, fits all jointly and deflates; a full set that does not fit
        first loses the fifth of it that its residual marks.
    """

    name: ClassVar[str] = "ding"
    orders: ClassVar[tuple[int, ...]] = (3,)
    version: ClassVar[int] = 1
    guarantee: ClassVar[str] = "random components, rank << d^(3/2), asymptotically"
    cost: ClassVar[str] = "4 d^6 flops a product, 3 products a component"
    source: ClassVar[str] = "Ding, d'Orsi, Liu, Tiegel, Steurer (2022), arXiv 2202.06442"

    form: str = "preconditioned"
    contractions: int = 0
    rounds: int = 10

    def __post_init__(self) -> None:
        check_choice("method 'ding', option 'form'", self.form, _FORMS)
        check_integer("method 'ding', option 'contractions'", self.contractions, 0)
        check_integer("method 'ding', option 'rounds'", self.rounds, 1)

    def reach(self, dim: int, order: int) -> int:
        """Measured on iid components, 6 trials each: all at d = 10 and 20 up to rank d.

        Beyond, whitened: 40 of 77 in all 6 trials at d = 20.
        """
        return dim if self.form == "preconditioned" else max(dim // 3, 1)

    def limit(self, dim: int, order: int) -> int:
        """One less than the dimension of harmonic cubic forms, C(d+2, 3) - d; 0 beyond d = 40."""
        return max(math.comb(dim + 2, 3) - dim - 1, 0) if dim <= _LARGEST else 0

    def run(
        self, tensor: SymmetricTensor, rank: int, *, rng: np.random.Generator, budget: Budget
    ) -> Decomposition:
        rng = own_stream(rng, Part.METHOD)

        def draw(rest: SymmetricTensor, need: int) -> np.ndarray:
            return self.candidates(
                rest, need, self.contractions or 6 * need, rng=rng, budget=budget
            )

        return fit_in_rounds(self, tensor, rank, draw, rng, budget, _INCOMPLETE)

    def candidates(
        self,
        tensor: SymmetricTensor,
        rank: int,
        count: int,
        *,
        rng: np.random.Generator,
        budget: Budget,
    ) -> np.ndarray:
        """Raw unit rows (count, d), one a contraction, signed so that T(x, x, x) >= 0."""
        rng = own_stream(rng, Part.CANDIDATES)
        whitened = self.form == "preconditioned"
        frame = precondition(tensor) if whitened else plain(tensor)
        forms = leading_forms(frame.tensor.dense(), rank, rng, budget)
        if len(forms) == 0:
            return np.empty((0, tensor.dim))
        found = frame.back(contracted_candidates(forms, count, rng))
        return found * np.where(tensor.evaluate(found) < 0.0, -1.0, 1.0)[:, None]


_INCOMPLETE = (
    "The leading forms do not hold all components, or the contractions missed some: at these "
    "sizes the rank is beyond the method. Try method='auto', or more contractions."
)


def harmonic_part(form: np.ndarray) -> np.ndarray:
    """X - 3/(d+2) Sym(tr X (x) I) of a symmetric (d, d, d) array: orthogonal to |x|^2 times linear.

    Examples
    --------
    >>> import numpy as np
    >>> X = harmonic_part(np.ones((2, 2, 2)))
    >>> float(np.abs(np.einsum("iij", X)).max())
    0.0
    """
    dim = len(form)
    trace = np.einsum("iij->j", form) / (dim + 2)
    eye = np.eye(dim)
    out = form - np.einsum("i,jk->ijk", trace, eye)
    out -= np.einsum("j,ik->ijk", trace, eye)
    return out - np.einsum("k,ij->ijk", trace, eye)


def sextic_product(array: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """X -> sum_abc T_abc (T_a (x) T_b (x) T_c) X for symmetric (d, d, d) arrays.

    4 d^6 flops in slices of d^4 numbers.
    """
    dim = len(array)
    # Rows (b, j), columns m; and rows (a, b), columns c.
    rows, pairs = array.reshape(dim * dim, dim), array.reshape(dim * dim, dim)

    def product(form: np.ndarray) -> np.ndarray:
        out = np.empty((dim, dim, dim))
        for i in range(dim):
            first = np.tensordot(array[:, i, :], form, axes=(1, 0))  # a, m, n
            second = rows @ first.transpose(1, 0, 2).reshape(dim, -1)  # (b, j), (a, n)
            second = second.reshape(dim, dim, dim, dim).transpose(2, 0, 1, 3)  # a, b, j, n
            third = pairs.T @ second.reshape(dim * dim, -1)  # c, (j, n)
            out[i] = np.tensordot(third.reshape(dim, dim, dim), array, axes=((0, 2), (0, 2)))
        return out

    return product


class _Expired(Exception):
    """Raised inside the eigensolver when the time is up."""


def leading_forms(
    array: np.ndarray, count: int, rng: np.random.Generator, budget: Budget
) -> np.ndarray:
    """(count, d, d, d) orthonormal harmonic forms: the leading eigenvectors of the product."""
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

    dim = len(array)
    product = sextic_product(array)

    def apply(vector: np.ndarray) -> np.ndarray:
        if budget.expired:
            raise _Expired
        form = vector.reshape(dim, dim, dim)
        return harmonic_part(product(form)).ravel()

    start = rng.standard_normal(dim)
    form = np.einsum("i,j,k->ijk", start, start, start)
    for _ in range(2):
        other = rng.standard_normal(dim)
        form += np.einsum("i,j,k->ijk", other, other, other)
    operator = LinearOperator(
        shape=(dim**3, dim**3),
        dtype=np.dtype(np.float64),
        matvec=apply,  # type: ignore[call-arg] (stub)
    )
    options: dict[str, Any] = {"which": "LA", "v0": harmonic_part(form).ravel(), "tol": 1e-3}
    try:
        _, vectors = eigsh(operator, k=count, **options)
    except ArpackNoConvergence as error:
        vectors = error.eigenvectors
    except _Expired:
        vectors = np.empty((dim**3, 0))
    return vectors.T.reshape(-1, dim, dim, dim)


def contracted_candidates(forms: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count, d) unit rows: the top vector of each random contraction's leading singular matrix."""
    rank, dim = forms.shape[:2]
    flat = forms.reshape(rank, dim, -1)
    found = np.empty((count, dim))
    for place, vector in enumerate(rng.standard_normal((count, dim))):
        part = np.tensordot(vector, flat, axes=(0, 1))  # (rank, d^2)
        _, left = np.linalg.eigh(part @ part.T)
        sizes, axes = np.linalg.eigh((left[:, -1] @ part).reshape(dim, dim))
        found[place] = axes[:, np.argmax(np.abs(sizes))]
    return found
