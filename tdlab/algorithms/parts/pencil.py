"""Simultaneous diagonalisation of two matrices by their pencil.

Solves     A = V diag(a) U and B = V diag(b) U for V: its columns are the eigenvectors of
           A B^-1 = V diag(a_i / b_i) V^-1, whatever U, if these ratios are distinct
Cost       O(n^3)
Source     Leurgans, Ross and Abel (1993), SIAM J. Matrix Anal. Appl. 14(4)
"""

from __future__ import annotations

import numpy as np

_IMAGINARY = 1e-6


def real_eigenvectors(first: np.ndarray, second: np.ndarray) -> np.ndarray | None:
    """Eigenvectors of first @ inv(second), as columns; None where they are not real.

    Parameters
    ----------
    first, second : (n, n) array

    Examples
    --------
    >>> import numpy as np
    >>> V = np.array([[1.0, 1.0], [0.0, 1.0]])
    >>> found = real_eigenvectors(V @ np.diag([1.0, 2.0]), V @ np.diag([1.0, 5.0]))
    >>> bool(np.allclose(found / found[0], V / V[0]) or np.allclose(found / found[0], V[:, ::-1]))
    True
    >>> real_eigenvectors(np.array([[0.0, 1.0], [-1.0, 0.0]]), np.eye(2)) is None
    True
    """
    try:
        ratios, vectors = np.linalg.eig(np.linalg.solve(second.T, first.T).T)
    except np.linalg.LinAlgError:
        return None
    if np.abs(np.imag(ratios)).max() > _IMAGINARY * np.abs(ratios).max():
        return None
    return np.real(vectors)
