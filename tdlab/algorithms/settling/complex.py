"""Exact fits over the complex numbers: where the terms are no real ones.

Solves     are the terms of a small tensor complex, or real after all
Method     descents over the complex numbers; one that ends at an exact fit with a regular Jacobian,
           where a generic tensor has no other terms of that number, shows the terms there are
Guarantee  none; an exact fit is verified
Cost       up to 30 short descents on explicit arrays
"""

from __future__ import annotations

import dataclasses

import numpy as np

from tdlab.algorithms.base import Budget, Decomposition, Method, Status, finish
from tdlab.algorithms.descent import small as _small
from tdlab.algorithms.jacobian import regular
from tdlab.algorithms.ranks.bounds import span
from tdlab.algorithms.settling.verdict import inner_bound, telling
from tdlab.algorithms.words import n_terms
from tdlab.tensors import SymmetricTensor
from tdlab.theory import uniqueness_class

STAGES = 24
# Descents where nothing is known, and where a flattening shows that just so many terms fit.
COMPLEX_RUNS, MANY_COMPLEX_RUNS = 8, 30


def complex_terms(
    method: Method,
    tensor: SymmetricTensor,
    rank: int,
    rng: np.random.Generator,
    budget: Budget,
) -> Decomposition | None:
    """The verdict that the terms are complex, or an exact real fit found on the way.

    None where the tensor is not small, or no flattening shows that it has just that many terms.
    """
    own = rng.spawn(1)[0]
    if not telling(tensor, rank):
        return None
    inner, basis = span(tensor, own)
    if not _small.fits_in(inner.dim, rank, tensor.order):
        return None
    known = inner_bound(inner, own, budget)
    if not (known.shows and known.rank == rank):
        return None
    target = _small.SmallTensor.of(inner)
    complex_fit = ComplexSearch(target, rank, own, budget)
    signs = np.ones(rank)
    for _ in range(MANY_COMPLEX_RUNS):
        found = complex_fit.run()
        if found is None:
            continue
        if isinstance(found, str):
            start = _small.random_rows(rank, inner.dim, tensor.order, own)
            fit = _small.anneal(target, start, signs, STAGES, lambda: budget.expired)
            best = shown_fit(
                method, tensor, rank, budget, fit.rows @ basis, signs, target.norm, fit.steps
            )
            return dataclasses.replace(best, status=Status.COMPLEX, message=found)
        rows, signs = found
        return shown_fit(method, tensor, rank, budget, rows @ basis, signs, target.norm, 0)
    return None


def shown_fit(
    method: Method,
    tensor: SymmetricTensor,
    rank: int,
    budget: Budget,
    rows: np.ndarray,
    signs: np.ndarray,
    norm: float,
    steps: int,
) -> Decomposition:
    weights = signs * norm * np.linalg.norm(rows, axis=1) ** tensor.order
    return finish(method, tensor, rank, budget, components=rows, weights=weights, nit=steps)


class ComplexSearch:
    """Exact fits over the complex numbers, where a generic one is the only one."""

    def __init__(
        self, target: _small.SmallTensor, rank: int, rng: np.random.Generator, budget: Budget
    ) -> None:
        self.target, self.rank, self.rng, self.budget = target, rank, rng, budget
        self.unique = uniqueness_class(target.dim, rank, target.order) == "generic"

    def run(self) -> str | tuple[np.ndarray, np.ndarray] | None:
        """A sentence where the terms are complex; rows and signs where they are real after all."""
        if not self.unique:
            return None
        order, rank = self.target.order, self.rank
        start = _small.random_rows(rank, self.target.dim, order, self.rng, complex_rows=True)
        ones = np.ones(rank)
        fit = _small.anneal(self.target, start, ones, STAGES, lambda: self.budget.expired)
        if fit.residual > max(1e-10, self.budget.exact / 10) or not regular(fit.rows, ones, order):
            return None
        sizes = np.einsum("ij,ij->i", fit.rows.conj(), fit.rows).real
        own = np.einsum("ij,ij->i", fit.rows, fit.rows)
        # |z^T z| = |z|^2 where z is a real vector times a number.
        real = np.abs(own) >= (1.0 - 1e-6) * sizes
        if real.all():
            phase = np.sqrt(own / np.abs(own))
            rows = (fit.rows / phase[:, None]).real
            return rows, np.sign((phase**order).real)
        pairs, singles = int((~real).sum()) // 2, int(real.sum())
        beside = f" and {singles} real ones" if singles else ""
        return (
            f"Exact over the complex numbers only: {pairs} pairs of complex conjugate terms"
            f"{beside} fit to {fit.residual:.0e}, and no other {n_terms(rank)} do. What is "
            "shown is the best real fit found; over the real numbers the rank is larger."
        )
