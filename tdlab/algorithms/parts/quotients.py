"""Order-4 components from the range of the flattening: quotients of two matrices, until one fits.

Solves     T = sum_i a_i w_i^{(x)4} where pairs of matrices A D U and A D' U can be drawn, D and D'
           diagonal, A holding the coordinates of the w_i w_i^T in a basis of their span
Method     the eigenvectors of the quotient are the columns of A; each makes a matrix of rank one,
           whose leading eigenvector is w_i; coefficients from the flattening, then a joint polish
Cost       an eigenproblem of side r and r of side d, a draw
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tdlab.algorithms.base import Budget, Decomposition, Status, finish
from tdlab.algorithms.descent.even import Spectrum
from tdlab.algorithms.descent.polish import polish
from tdlab.algorithms.parts.pencil import real_eigenvectors
from tdlab.tensors import SymmetricTensor


def fit_by_quotients(
    method: Any,
    tensor: SymmetricTensor,
    rank: int,
    found: Spectrum,
    basis: np.ndarray,
    draw_pair: Callable[[], tuple[np.ndarray, np.ndarray]],
    budget: Budget,
    message: str,
) -> Decomposition:
    """The best of ``method.draws`` quotients, or the first that fits.

    Parameters
    ----------
    method : a method with the option ``draws``
    found : Spectrum
        Of the flattening.
    basis : (r, d, d) array
        Of the span of the w_i w_i^T.
    draw_pair : function without arguments
        Two (r, r) matrices.
    message : str
        What a result says that does not fit.
    """
    results: list[Decomposition] = []
    for draw in range(method.draws):
        vectors = real_eigenvectors(*draw_pair())
        rows = weights = None
        if vectors is not None:
            rows = _leading_rows(vectors.T, basis)
            rows, weights, _ = polish(tensor, rows, found.coefficients(rows), budget)
        results.append(
            finish(
                method,
                tensor,
                rank,
                budget,
                components=rows,
                weights=weights,
                status=Status.BREAKDOWN,
                message=message,
                nit=draw + 1,
                history=tuple(result.residual for result in results),
            )
        )
        if results[-1].success or budget.expired:
            break
    return min(results, key=lambda result: result.residual)


def _leading_rows(coordinates: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Eigenvector (d,) of the largest |eigenvalue| of each sum_s c_s B_s: a (b, d) array."""
    values, vectors = np.linalg.eigh(np.tensordot(coordinates, basis, axes=1))
    best = np.abs(values).argmax(axis=1)
    return np.take_along_axis(vectors, best[:, None, None], axis=2)[:, :, 0]
