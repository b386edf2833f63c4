"""Orthonormal order-4 tensors under errors of a stated spectral norm.

The spectral norm is that of the n^2 x n^2 matrix {12}{34}. A relative constant of it may have a
Frobenius norm sqrt(n) times larger than the tensor's own.
"""

from __future__ import annotations

import numpy as np

from tdlab.errors import check_choice, check_integer, check_real
from tdlab.streams import Part, own_stream
from tdlab.tensors.dense import gaussian_tensor
from tdlab.tensors.flattening4 import Flattening4, lifted

KINDS = ("hard", "random", "symmetric", "identity")


def orthonormal_with_error(
    dim: int,
    error: float,
    kind: str = "hard",
    *,
    rng: np.random.Generator | int | None = None,
) -> tuple[Flattening4, np.ndarray]:
    """sum_i a_i^{(x)4} + E for a random orthonormal basis a_1, ..., a_n, and the basis.

    Parameters
    ----------
    dim : int
        n, and the number of components.
    error : float
        Spectral norm of E as a {12}{34} matrix, exact to rounding.
    kind : {"hard", "random", "symmetric", "identity"}
        hard: error (b b^T)_{13} (x) I_{24} for a random unit b, whose {13}{24} flattening has
        norm error sqrt(n) and drowns every random contraction; random: iid Gaussian, not
        symmetric; symmetric: a Gaussian symmetric tensor; identity: error times the identity.
    rng : Generator, int or None

    Returns
    -------
    tensor : Flattening4
    components : (n, n) array, one a_i a row

    Examples
    --------
    >>> import numpy as np
    >>> T, A = orthonormal_with_error(5, 0.5, "hard", rng=0)
    >>> round(float(np.linalg.norm(T.matrix - lifted(A).T @ lifted(A), 2)), 12)
    0.5
    """
    dim = check_integer("dim", dim, 1)
    error = check_real("error", error, 0.0)
    kind = check_choice("kind", kind, KINDS)
    generator = own_stream(rng, Part.ERROR_TENSOR)
    basis = np.linalg.qr(generator.standard_normal((dim, dim)))[0]
    if kind == "hard":
        b = generator.standard_normal(dim)
        noise = np.kron(np.outer(b, b) / (b @ b), np.eye(dim))
    elif kind == "identity":
        noise = np.eye(dim**2)
    else:
        noise = (
            generator.standard_normal((dim**2, dim**2))
            if kind == "random"
            else gaussian_tensor(dim, 4, rng=generator).dense().reshape(dim**2, dim**2)
        )
        noise = noise / _spectral_norm(noise)
    pairs = lifted(basis)
    return Flattening4(pairs.T @ pairs + error * noise), basis


def _spectral_norm(matrix: np.ndarray) -> float:
    """Largest singular value, by Lanczos from a fixed start."""
    from scipy.sparse.linalg import svds

    if len(matrix) < 10:
        return float(np.linalg.norm(matrix, 2))
    start = np.cos(np.arange(len(matrix)))
    values = svds(matrix, k=1, v0=start, return_singular_vectors=False)
    return float(np.ravel(values)[0])  # type: ignore[arg-type] (stub: svds)
