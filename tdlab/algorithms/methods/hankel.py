"""Pencils of catalecticant matrices: exact decomposition of forms by linear algebra.

Solves     T = sum_i a_i w_i^{(x)k} of any order k >= 3, real, and tells complex and coinciding w_i
Method     the range of the catalecticant Sym^{k-m} -> Sym^m, or where it is full at odd orders the
           kernel of a Koszul flattening, gives the span of the w_i^{(x)m}; pencils of its
           contractions, after prolongation where needed, give the w_i. For binary forms that is
           Sylvester's algorithm; where their sums are a family, one with real terms is looked for
Guarantee  exact for generic components: to C(d+m-1, m) at order 2m+1, to C(d+m-1, m) - d at 2m
Cost       one SVD of the catalecticant, eigenproblems of size rank: milliseconds
Sources    Sylvester (1851); Brachat, Comon, Mourrain and Tsigaridas (2010), arXiv 0901.3706;
           Oeding and Ottaviani (2013), arXiv 1103.0203; Harmouch, Khalil and Mourrain (2018),
           arXiv 1609.05720
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tdlab.algorithms.base import EXACT_FIT, Budget, Decomposition, Status, finish
from tdlab.algorithms.descent.damped import affordable, damped_finish
from tdlab.algorithms.descent.polish import polish
from tdlab.algorithms.parts.apolar import LARGEST_SPACE, numerical_rank, points
from tdlab.algorithms.parts.binary import real_terms
from tdlab.algorithms.parts.koszul import koszul_space, largest_rank
from tdlab.algorithms.parts.terms import Terms, terms_at
from tdlab.algorithms.words import n_terms
from tdlab.errors import check_integer
from tdlab.streams import Part, own_stream
from tdlab.tensors import SymmetricTensor
from tdlab.tensors.packed import Forms, size

# Loudest noise that is looked through where nobody stated it.
_LOUDEST = 0.3
# Above this relative residual the terms at the points are none of the tensor's.
_ASTRAY = 0.9


@dataclass(frozen=True)
class Hankel:
    """Decompose a tensor of order 3 or more by pencils of its catalecticant matrices.

    Parameters
    ----------
    draws : int
        Pencils tried, each in random directions; the first that fits exactly ends it.
    """

    name: ClassVar[str] = "hankel"
    orders: ClassVar[tuple[int, ...]] = tuple(range(3, 17))
    version: ClassVar[int] = 1
    guarantee: ClassVar[str] = "exact for generic components, to the catalecticant's size"
    cost: ClassVar[str] = "one SVD of size C(d+m-1, m), eigenproblems of size rank"
    source: ClassVar[str] = "Brachat, Comon, Mourrain, Tsigaridas (2010); Harmouch et al. (2018)"

    draws: int = 3

    def __post_init__(self) -> None:
        check_integer("method 'hankel', option 'draws'", self.draws, 1)

    def reach(self, dim: int, order: int) -> int:
        """Largest rank at which generic components are found.

        The size of the catalecticant at odd orders, with Koszul's equations half as many again; at
        even ones what its quadrics, cubics, ... cut out, to the size of space that is formed.
        """
        limit = self.limit(dim, order)
        if dim == 2:
            return (order + 1) // 2
        if order % 2:
            return limit
        half = order // 2
        once = size(dim, half + 1) <= LARGEST_SPACE
        # Prolonged once, the forms of degree m through r points give all of degree m + 1 while
        # d (N_m - r) >= N_{m+1} - r.
        direct = size(dim, half - 1)
        grown = (dim * size(dim, half) - size(dim, half + 1)) // (dim - 1) if once else 0
        return min(max(direct, grown), limit)

    def limit(self, dim: int, order: int) -> int:
        """Beyond it the catalecticant is full, or too few equations are left; 0 where too large."""
        if dim == 1:
            return 1
        half = order // 2
        if size(dim, order - half) > LARGEST_SPACE:
            return 0
        if dim == 2:
            # A binary form of order k has real rank at most k.
            return order
        if order % 2:
            return max(size(dim, half), largest_rank(dim, order))
        # Finitely many points are cut out by d - 1 equations or more.
        return max(size(dim, half) - dim + 1, size(dim, half - 1))

    def required_bytes(self, tensor: SymmetricTensor) -> int:
        """The array that entries are read from, where they are not at hand."""
        return 0 if tensor.entries_at_hand else tensor.array_bytes

    def run(
        self, tensor: SymmetricTensor, rank: int, *, rng: np.random.Generator, budget: Budget
    ) -> Decomposition:
        rng = own_stream(rng, Part.METHOD)
        degree = tensor.order - tensor.order // 2
        matrix = tensor.catalecticant(degree)
        left, values, _ = np.linalg.svd(matrix, full_matrices=False)
        count = numerical_rank(values, rank)
        exact = count <= rank
        tail = float(np.linalg.norm(values[rank:]) / np.linalg.norm(values))
        # Unstated noise fills the whole spectrum; a gap in it counts the terms.
        hidden = budget.estimate and count == len(values) and tail <= _LOUDEST
        if not exact and not (budget.noise or hidden):
            return self._without_rows(
                tensor,
                rank,
                budget,
                Status.BREAKDOWN,
                f"The catalecticant has rank {count}, so the tensor is no sum of {n_terms(rank)}: "
                f"try rank={count}, or state the noise.",
            )
        forms = Forms.of(tensor.dim, degree)
        space = left[:, : min(count, rank)]
        if exact and rank > count == len(values) and largest_rank(tensor.dim, tensor.order) >= rank:
            # The catalecticant is full: more terms than its size show in Koszul's equations.
            space = koszul_space(matrix, tensor, rank, rng)
        best, draw = None, 0
        while space is not None and draw < self.draws and not budget.expired:
            draw += 1
            found = points(space, forms, rng, exact=exact, stop=lambda: budget.expired)
            if found is None:
                break
            terms = terms_at(tensor, found)
            if best is None or terms.residual < best.residual:
                best = terms
            if best.residual <= 1e-12:
                break
        return self._judge(tensor, rank, count, best, draw, rng, budget)

    def _judge(
        self,
        tensor: SymmetricTensor,
        rank: int,
        count: int,
        terms: Terms | None,
        draws: int,
        rng: np.random.Generator,
        budget: Budget,
    ) -> Decomposition:
        fits = terms is not None and terms.residual <= EXACT_FIT
        real = terms is not None and not terms.imaginary.any()
        if terms is not None and terms.multiple == 1 and (real or not fits):
            usable = terms.residual < _ASTRAY and len(terms.rows) <= rank
            result = self._from_rows(tensor, rank, terms, draws, budget) if usable else None
            if result is not None and (result.success or not (fits or tensor.dim == 2)):
                return result
        else:
            result = None
        # A binary form has other sums, of more terms.
        if tensor.dim == 2 and (rank > count or 2 * count > tensor.order + 1):
            rows = real_terms(tensor, rank, rng)
            if rows is not None:
                fitted = terms_at(tensor, rows.astype(complex))
                result = self._from_rows(tensor, rank, fitted, draws, budget)
                if result.success:
                    return result
        status, message = _verdict(tensor, rank, count, terms, budget)
        return result or self._without_rows(tensor, rank, budget, status, message, draws)

    def _from_rows(
        self, tensor: SymmetricTensor, rank: int, terms: Terms, draws: int, budget: Budget
    ) -> Decomposition:
        """The result of real terms after joint least squares."""
        rows = terms.real_rows()
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        weights = np.real(terms_at(tensor, rows.astype(complex)).weights)
        if len(weights) < len(rows):
            rows, weights = np.real(terms.rows), np.real(terms.weights)
        history: tuple[float, ...] = ()
        if affordable(tensor, len(rows)):
            rows, weights, history = damped_finish(tensor, rows, weights, budget)
        elif terms.residual > 1e-9:
            rows, weights, history = polish(tensor, rows, weights, budget)
        late = budget.expired
        return finish(
            self,
            tensor,
            rank,
            budget,
            components=rows,
            weights=weights,
            status=Status.TIME_LIMIT if late else Status.STAGNATED,
            message="Stopped by max_seconds." if late else _INEXACT,
            nit=draws + len(history),
            history=history,
        )

    def _without_rows(
        self,
        tensor: SymmetricTensor,
        rank: int,
        budget: Budget,
        status: Status,
        message: str,
        draws: int = 0,
    ) -> Decomposition:
        return finish(
            self,
            tensor,
            rank,
            budget,
            components=None,
            status=status,
            message=message,
            nit=draws,
        )


_INEXACT = (
    "Terms at the points of the pencils do not fit the tensor: it carries noise (state it), or has "
    "more terms. Try method='auto', or a larger rank."
)


def _verdict(
    tensor: SymmetricTensor, rank: int, count: int, terms: Terms | None, budget: Budget
) -> tuple[Status, str]:
    """Why there are no real terms to show."""
    if budget.expired:
        return Status.TIME_LIMIT, "Stopped by max_seconds."
    if terms is not None and terms.multiple > 1:
        return Status.DEGENERATE, (
            f"The tensor is a limit of sums of {count} powers and no such sum: {terms.multiple} of "
            f"their terms coincide. It has border rank {count} and a larger rank: try a larger one."
        )
    if terms is not None and terms.residual <= EXACT_FIT:
        number, pairs = len(terms.rows), int(terms.imaginary.sum()) // 2
        fact = (
            f"Exact over the complex numbers with {n_terms(number)}, {2 * pairs} of them in "
            f"{pairs} conjugate pair{'s' if pairs > 1 else ''}{_named(terms)}; over the reals the "
            f"rank is larger than {number}"
        )
        if rank == number:
            return Status.COMPLEX, f"{fact}: try a larger one."
        return Status.STAGNATED, f"{fact}, and whether {rank} real terms fit is not known here."
    return Status.STAGNATED, (
        f"The catalecticant has rank {count}, but no {rank} powers that its kernel allows fit: the "
        "rank is larger, or the kernel leaves too much open. Try method='auto', or a larger rank."
    )


def _named(terms: Terms) -> str:
    """The roots of the apolar form that are not real, of a binary form."""
    if terms.rows.shape[1] != 2:
        return ""
    roots = (terms.rows[:, 1] / terms.rows[:, 0])[terms.imaginary]
    shown = [f"{z.real:.4g} +- {abs(z.imag):.4g}i" for z in roots if z.imag > 0.0][:4]
    return f" (the powers of x + t y with t = {', '.join(shown)})" if shown else ""
