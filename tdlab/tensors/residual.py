"""What is left of a tensor after known terms are taken away: T - sum_i a_i w_i^{(x)k}."""

from __future__ import annotations

import numpy as np

from tdlab.tensors.base import SymmetricTensor
from tdlab.tensors.dense import DenseTensor
from tdlab.tensors.factored import FactoredTensor


def deflate(tensor: SymmetricTensor, rows: np.ndarray, weights: np.ndarray) -> SymmetricTensor:
    """T - sum_i a_i w_i^{(x)k}: factored if T is (nothing of size d^k is formed), else dense.

    Parameters
    ----------
    rows : (m, d) array
    weights : (m,) array

    Examples
    --------
    >>> import numpy as np, tdlab
    >>> from tdlab.tensors.residual import deflate
    >>> rest = deflate(tdlab.FactoredTensor(np.eye(3)), np.eye(3)[:2], np.ones(2))
    >>> round(rest.norm(), 12)
    1.0
    """
    if len(rows) == 0:
        return tensor
    if isinstance(tensor, FactoredTensor):
        return tensor._like(
            np.vstack([tensor.components, rows]), np.concatenate([tensor.weights, -weights])
        )
    known = FactoredTensor(rows, weights, tensor.order)
    return DenseTensor._trusted(tensor.dense() - known.dense())
