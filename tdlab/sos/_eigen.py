"""Eigenpairs above a moving threshold of a slowly moving symmetric matrix.

Small matrices: LAPACK. Large ones: LAPACK once, then one Chebyshev-filtered subspace step a call,
warm-started (Zhou, Saad, Tiago and Chelikowsky, J. Comput. Phys. 219 (2006)). The pairs are Ritz
pairs, good enough to shrink eigenvalues by; nothing rigorous rests on them.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh

_DIRECT = 250  # below this side a dense solve costs no more than the filter
_FILTER_DEGREE = 6


class TopEigenpairs:
    """Call with a symmetric matrix and a threshold: (values above it, vectors), ascending."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._block: np.ndarray | None = None

    def __call__(self, matrix: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
        """At least the largest pair is returned."""
        if len(matrix) < _DIRECT or self._block is None:
            return self.exact(matrix, threshold)
        values, vectors = self._filtered(matrix, threshold)
        above = np.count_nonzero(values > threshold)
        if above == len(values):
            # The block holds nothing below the threshold: there may be more above it.
            return self.exact(matrix, threshold)
        return values[-max(above, 1) :], vectors[:, -max(above, 1) :]

    def exact(self, matrix: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
        """The same from LAPACK, whatever the size."""
        size = len(matrix)
        if size < _DIRECT:
            values, vectors = np.linalg.eigh(matrix)
        else:
            values, vectors = eigh(
                matrix, subset_by_value=(threshold, np.inf), driver="evr", check_finite=False
            )
            spare = max(12, len(values) // 4)
            extra = self._rng.standard_normal((size, min(spare, size - len(values))))
            self._block = np.linalg.qr(np.concatenate([extra, vectors], axis=1))[0]
            if len(values) == 0:
                return self._filtered_top(matrix, threshold)
        above = max(np.count_nonzero(values > threshold), 1)
        return values[-above:], vectors[:, -above:]

    def _filtered_top(self, matrix: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
        for _ in range(3):
            values, vectors = self._filtered(matrix, threshold)
        return values[-1:], vectors[:, -1:]

    def _filtered(self, matrix: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
        # T_n on [low, cut] stays within 1 and grows beyond it: the block turns towards the top.
        assert self._block is not None
        low = self._lowest(matrix)
        centre, radius = (low + threshold) / 2.0, (threshold - low) / 2.0
        before = self._block
        now = (matrix @ before - centre * before) / radius
        for _ in range(_FILTER_DEGREE - 1):
            before, now = now, (2.0 / radius) * (matrix @ now - centre * now) - before
        basis = np.linalg.qr(now)[0]
        values, turn = np.linalg.eigh(basis.T @ (matrix @ basis))
        self._block = basis @ turn
        return values, self._block

    def _lowest(self, matrix: np.ndarray) -> float:
        """A number somewhat below the smallest eigenvalue, from a few Lanczos steps."""
        steps = 10
        vector = self._rng.standard_normal(len(matrix))
        vector /= np.linalg.norm(vector)
        previous, beta = np.zeros_like(vector), 0.0
        diagonal, off = [], []
        for _ in range(steps):
            image = matrix @ vector - beta * previous
            diagonal.append(float(image @ vector))
            image -= diagonal[-1] * vector
            beta = float(np.linalg.norm(image))
            off.append(beta)
            if beta == 0.0:
                break
            previous, vector = vector, image / beta
        small = np.diag(diagonal) + np.diag(off[:-1], 1) + np.diag(off[:-1], -1)
        # The last beta bounds what the Krylov space has not seen.
        return float(np.linalg.eigvalsh(small)[0]) - off[-1]
