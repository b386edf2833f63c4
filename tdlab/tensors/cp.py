"""Canonical polyadic tensors of other libraries: one factor matrix (d, r) a mode, weights (r,).

A term sum_i a_i u_i (x) v_i (x) w_i is symmetric where u_i, v_i, w_i agree up to scale and sign;
those then belong to the coefficient.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tdlab.errors import InputError, check_array

if TYPE_CHECKING:
    from tensorly.cp_tensor import CPTensor

_SYMMETRY_TOLERANCE = 1e-6


def read_cp(cp: Any) -> tuple[np.ndarray, np.ndarray, int]:
    """Unit components (r, d), coefficients (r,) and the order of a symmetric CP tensor.

    Parameters
    ----------
    cp : tensorly ``CPTensor``, pyttb ``ktensor``, or a pair (weights or None, factors)

    Raises
    ------
    InputError
        If it is none of these, not a cube, not symmetric, or zero.
    """
    weights, factors = _parts(cp)
    weights, factors = _off_tape(weights), [_off_tape(factor) for factor in factors]
    if len(factors) < 2:
        raise InputError(f"cp: got {len(factors)} factor matrices, wanted one a mode, at least 2")
    factors = [check_array(f"cp, factor {m}", f, ("d", "r")) for m, f in enumerate(factors)]
    shapes = {factor.shape for factor in factors}
    if len(shapes) > 1:
        raise InputError(f"cp: got factors of shapes {sorted(shapes)}, wanted equal ones")
    rank = factors[0].shape[1]
    given = np.ones(rank) if weights is None else weights
    coefficients = np.array(check_array("cp, weights", given, (rank,)))
    norms = np.array([np.linalg.norm(factor, axis=0) for factor in factors])
    coefficients *= norms.prod(axis=0)
    kept = coefficients != 0.0
    if not kept.any():
        raise InputError("cp: got only zero terms, wanted at least one that is not")
    units = [factor[:, kept] / norm[kept] for factor, norm in zip(factors, norms, strict=True)]
    coefficients, distance = coefficients[kept], 0.0
    for unit in units[1:]:
        signs = np.where(np.einsum("ij,ij->j", units[0], unit) < 0.0, -1.0, 1.0)
        distance = max(distance, float(np.linalg.norm(unit * signs - units[0], axis=0).max()))
        coefficients = coefficients * signs
    if distance > _SYMMETRY_TOLERANCE:
        raise InputError(
            f"cp: got components that differ between modes (unit columns at distance "
            f"{distance:.1e}), wanted a symmetric tensor to {_SYMMETRY_TOLERANCE:.0e}; "
            "tdlab.symmetrize(its full array) averages over permutations"
        )
    return units[0].T, coefficients, len(factors)


def write_tensorly(components: np.ndarray, weights: np.ndarray, order: int) -> CPTensor:
    """sum_i a_i w_i^{(x)order} as a tensorly ``CPTensor``, with arrays of its own."""
    from tensorly.cp_tensor import CPTensor

    return CPTensor((weights.copy(), [components.T.copy() for _ in range(order)]))


def _off_tape(array: Any) -> Any:
    """The values of a torch tensor, wherever it is and whether or not it records gradients."""
    return array.detach().cpu().numpy() if hasattr(array, "detach") else array


def _parts(cp: Any) -> tuple[Any, list[Any]]:
    for name in ("factor_matrices", "factors"):  # pyttb, tensorly
        if hasattr(cp, name) and hasattr(cp, "weights"):
            return cp.weights, list(getattr(cp, name))
    if isinstance(cp, tuple) and len(cp) == 2 and isinstance(cp[1], list | tuple):
        return cp[0], list(cp[1])
    raise InputError(
        f"cp: got {type(cp).__name__}, wanted a tensorly CPTensor, a pyttb ktensor, or a pair "
        "(weights, factors)"
    )
