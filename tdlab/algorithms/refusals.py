"""What a method says before it runs: why it cannot be asked, in one sentence.

Solves     orders, kinds, ranks and memory are compared with what the method declares, so that no
           exception about them comes out of the middle of a method
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tdlab.tensors import Tensor
from tdlab.tensors.base import ARRAY_BYTES

if TYPE_CHECKING:
    from tdlab.algorithms.base import Method


def refusal(method: Method, tensor: Tensor, rank: int) -> str:
    """Why the method cannot be asked, in a sentence; empty if it can."""
    if tensor.order not in method.orders:
        wanted = ", ".join(map(str, method.orders))
        return f"'{method.name}' decomposes tensors of order {wanted}, not {tensor.order}."
    accepted = getattr(method, "accepts", ("symmetric",))
    if tensor.kind not in accepted:
        return (
            f"'{method.name}' decomposes tensors of kind {', '.join(accepted)}, not {tensor.kind}."
        )
    largest = method.limit(tensor.dim, tensor.order)
    if largest is not None and rank > largest:
        advice = "lower the rank" if method.name == "auto" else "try method='auto'"
        return (
            f"'{method.name}' needs rank <= {largest} at dimension {tensor.dim}, and was asked for "
            f"{rank}: {advice}."
        )
    need = needed_bytes(method, tensor)
    if need > ARRAY_BYTES:
        advice = "lower the dimension" if method.name == "auto" else "try method='auto'"
        return (
            f"'{method.name}' needs {need} bytes for a tensor of shape {tensor.shape}, and takes "
            f"at most {ARRAY_BYTES} (1 GiB): {advice}."
        )
    if tensor.norm() == 0.0:
        return "The tensor is zero: it has no components."
    return ""


def needed_bytes(method: Method, tensor: Tensor) -> int:
    """Bytes of the arrays that the method declares to form; 0 where it declares none."""
    declared = getattr(method, "required_bytes", None)
    return 0 if declared is None else declared(tensor)
