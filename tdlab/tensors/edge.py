"""What a user hands in as a tensor: the one place where arrays become `DenseTensor`."""

from __future__ import annotations

from typing import Any

from tdlab.errors import InputError
from tdlab.tensors.base import SymmetricTensor, Tensor
from tdlab.tensors.dense import DenseTensor


def as_tensor(value: Any) -> Tensor:
    """A tensor of any kind as it is, and an array as a `DenseTensor`, with its checks.

    Examples
    --------
    >>> import numpy as np
    >>> from tdlab.tensors import as_tensor
    >>> as_tensor(np.ones((2, 2, 2)))
    DenseTensor(order=3, dim=2)
    """
    return value if isinstance(value, Tensor) else DenseTensor(value)


def as_symmetric(value: Any) -> SymmetricTensor:
    """As `as_tensor`; `InputError` for a tensor of a kind that is not symmetric.

    Examples
    --------
    >>> import numpy as np, tdlab
    >>> from tdlab.tensors import as_symmetric
    >>> as_symmetric(tdlab.Flattening4(np.eye(4)))
    Traceback (most recent call last):
        ...
    tdlab.errors.InputError: tensor: got a Flattening4, wanted a symmetric tensor: its form is \
that of tdlab.symmetrize(matrix.reshape(n, n, n, n))
    """
    tensor = as_tensor(value)
    if not isinstance(tensor, SymmetricTensor):
        raise InputError(
            f"tensor: got a {type(tensor).__name__}, wanted a symmetric tensor: its form is that "
            "of tdlab.symmetrize(matrix.reshape(n, n, n, n))"
        )
    return tensor
