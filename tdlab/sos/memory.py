"""The memory that a certificate needs, from the sizes alone, and the refusal above a limit."""

from __future__ import annotations

import math

from tdlab.errors import InputError, check_real
from tdlab.tensors import SymmetricTensor

# Measured bytes beside the fast path's: Clarabel factorises a system with a row for each of the
# N^2/2 entries of the moment matrix (13.6 to 14.5 N^4), SCS holds sparse maps of that many rows
# (930 N^2); importing CVXPY takes the rest.
_CLARABEL, _SCS, _CVXPY = 15, 1000, 2**26


def required_memory(dim: int, order: int, degree: int, solver: str = "auto") -> int:
    """Bytes that `certify` needs at its peak, from the sizes alone.

    Examples
    --------
    >>> from tdlab.sos import required_memory
    >>> required_memory(50, 3, 4) < 512 * 2**20
    True
    >>> required_memory(20, 3, 4, "clarabel") > 2**35
    True
    """
    half = degree // 2
    size = math.comb(dim + half - 1, half)
    moments = math.comb(dim + degree - 1, degree)
    if order % 2 == 1:
        size += math.comb(dim + half - 2, half - 1)
        moments += math.comb(dim + degree - 2, degree - 1) + math.comb(dim + degree - 3, degree - 2)
    # Measured: FACE holds 11 matrices of float64 at its peak, ADMM 14, and one of int32; a moment
    # carries its sorted variables, their count and work arrays; the tensor is held twice.
    need = size**2 * (14 * 8 + 4) + moments * 8 * (degree + 6) + 16 * dim**order
    if solver == "clarabel":
        need += _CLARABEL * size**4 + _SCS * size**2 + _CVXPY
    elif solver == "scs":
        need += _SCS * size**2 + _CVXPY
    return need


def check_memory(
    tensor: SymmetricTensor, degree: int, max_memory: float, solver: str = "auto"
) -> int:
    """``max_memory`` as an integer; `InputError` for a relaxation that needs more bytes."""
    limit = int(check_real("max_memory", max_memory, 0.0))
    need = required_memory(tensor.dim, tensor.order, degree, solver)
    if need > limit:
        beside = f" with solver={solver!r}" if solver in ("clarabel", "scs") else ""
        raise InputError(
            f"max_memory: got {limit} bytes, wanted at least {need} for degree {degree} at "
            f"dim={tensor.dim}{beside}"
        )
    return limit
