"""Arrays of NumPy, torch or CuPy through one set of names (Python array API standard).

Solves     Gram-form code that runs where its arrays live: each operation takes its namespace from
           the array it is given, and NumPy arrays take the NumPy call
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device, is_array_api_obj, is_torch_array

from tdlab.errors import InputError

Array = Any


def array_home(array: Array) -> tuple[Any, Any] | None:
    """(namespace, device) of an array that NumPy does not hold; None for what NumPy takes in."""
    if isinstance(array, np.ndarray) or not is_array_api_obj(array):
        return None
    return array_namespace(array), device(array)


def lifted(array: np.ndarray, home: tuple[Any, Any] | None) -> Array:
    """A float64 copy in another library and on its device; the array itself where home is None."""
    if home is None:
        return array
    xp, where = home
    return xp.asarray(np.array(array), dtype=xp.float64, device=where)


def to_numpy(array: Array) -> np.ndarray:
    """The array in main memory."""
    if is_torch_array(array):
        return array.detach().cpu().numpy()
    if hasattr(array, "get"):  # CuPy refuses implicit copies.
        return array.get()
    return np.asarray(array)


def torch_array(array: np.ndarray, where: str) -> Array:
    """A float64 torch tensor on a device; `InputError` where there is none such."""
    try:
        torch: Any = import_module("torch")
    except ImportError as error:
        raise InputError(
            f"device: got {where!r} without torch, wanted torch installed: pip install 'tdlab[nn]'"
        ) from error
    try:
        return torch.tensor(array, dtype=torch.float64, device=where)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"device: got {where!r}, wanted one that torch has ({reason})") from error


def row_dots(first: Array, second: Array) -> Array:
    """<a_i, b_i> of each row."""
    if isinstance(first, np.ndarray):
        return np.einsum("ij,ij->i", first, second)
    return array_namespace(first).sum(first * second, axis=1)


def inner(first: Array, second: Array) -> float:
    """<A, B>."""
    if isinstance(first, np.ndarray):
        return float(np.vdot(first, second))
    return float(array_namespace(first).sum(first * second))


def diagonal(matrix: Array) -> Array:
    """A copy of the diagonal, (r,)."""
    return array_namespace(matrix).linalg.diagonal(matrix) * 1.0


def cast(array: Array, single: bool) -> Array:
    """The array in single or double precision."""
    xp = array_namespace(array)
    return xp.astype(array, xp.float32 if single else xp.float64)
