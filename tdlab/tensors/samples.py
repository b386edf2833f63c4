"""Samples (X, y) at the edge: checked a block at a time, read in chunks, X never copied whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tdlab.errors import InputError, check_array, check_integer

# 512 KiB of work on one chunk of samples, or 256 of them up to 8 MiB: in cache, yet long enough
# for matrix products.
CHUNK_DOUBLES = 2**16
_LEAST_ROWS, _MOST_DOUBLES = 256, 2**20
_MAX_ORDER = 5


def check_order(order: Any) -> int:
    """The order as an int from 2 to 5, or `InputError`."""
    order = check_integer("order", order, 2)
    if order > _MAX_ORDER:
        raise InputError(f"order: got {order}, wanted 2 to {_MAX_ORDER}")
    return order


def check_samples(X: Any, y: Any) -> tuple[Any, np.ndarray]:
    """Samples as they are, without a copy of X, and y as float64; or `InputError`."""
    if getattr(X, "ndim", None) != 2 or not isinstance(X, np.ndarray):
        X = check_array("X", X, ("n", "d"))
    if X.dtype.kind not in "fiu":
        raise InputError(f"X: got {X.dtype}, wanted a real array of shape (n, d)")
    if 0 in X.shape:
        raise InputError(f"X: got an empty array of shape {X.shape}, wanted (n, d)")
    # Finite, a block at a time: a memory map may be larger than memory.
    for part in chunk_slices(0, len(X), X.shape[1]):
        finite = np.isfinite(X[part])
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            raise InputError(
                f"X: got a NaN or infinite entry at [{part.start + row}, {column}], "
                "wanted finite numbers"
            )
    return X, np.array(check_array("y", y, (len(X),)))


def chunk_slices(first: int, last: int, width: int) -> Iterator[slice]:
    """Slices of the samples first..last for work of ``width`` doubles each."""
    step = max(CHUNK_DOUBLES // width, min(_LEAST_ROWS, _MOST_DOUBLES // width), 1)
    return (slice(start, min(start + step, last)) for start in range(first, last, step))
