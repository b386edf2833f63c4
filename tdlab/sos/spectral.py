"""Bounds by one eigenvalue problem: what a certificate costs before any optimisation.

`flattening_bound`   T(x) = b_m(x)^T B b_n(x) with |b_m| = |b_n| = 1: the norm of a flattening
`traceless_bound`    the same after adding a multiple of (tr T) (x) |x|^2 minus its symmetric part,
                     which is zero on the sphere: it moves the identity direction, that inflates a
                     flattening, out of the way; the best multiple, one number, is searched for

Both are sums-of-squares proofs of the smallest degree, so the optimum of `certify` is at most
either. Rounding is covered. Source of the second idea: Hopkins, Shi and Steurer, COLT 2015.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import minimize_scalar

from tdlab.errors import InputError
from tdlab.sos.basis import Relaxation
from tdlab.sos.forms import Form
from tdlab.sos.front import smallest_degree
from tdlab.sos.memory import check_memory
from tdlab.sos.rigor import upper_bound
from tdlab.tensors import SymmetricTensor, as_symmetric


def flattening_bound(tensor: SymmetricTensor | np.ndarray, *, max_memory: int = 2**30) -> float:
    """The largest singular value (odd order) or eigenvalue (even) of the squarest flattening.

    Parameters
    ----------
    tensor : SymmetricTensor or (d,) * k array
    max_memory : int
        Bytes.

    Returns
    -------
    float
        T(x, ..., x) is at most this for every unit x.

    Examples
    --------
    >>> import numpy as np, tdlab
    >>> T = tdlab.FactoredTensor(np.eye(5))
    >>> round(tdlab.sos.flattening_bound(T), 9)
    1.0
    """
    return _bound(*_flattening(tensor, max_memory))


def traceless_bound(tensor: SymmetricTensor | np.ndarray, *, max_memory: int = 2**30) -> float:
    """`flattening_bound` with the trace of the tensor moved out of the way, as far as it helps.

    Parameters
    ----------
    tensor : SymmetricTensor of order 3 or 4, or such an array
    max_memory : int
        Bytes.

    Returns
    -------
    float
        T(x, ..., x) is at most this for every unit x.

    Examples
    --------
    >>> import numpy as np, tdlab
    >>> T = tdlab.sample_network(dim=8, rank=40, activation="x**3", rng=0).hermite_tensor(3)
    >>> bool(tdlab.sos.certify(T, rng=0).lower_bound <= tdlab.sos.traceless_bound(T))
    True
    """
    form, relaxation, matrix = _flattening(tensor, max_memory)
    if form.order not in (3, 4):
        raise InputError(f"tensor: got order {form.order}, wanted order 3 or 4")
    upper = len(relaxation.blocks[0])
    lists = relaxation.blocks[0].lists
    # u picks |x|^2 = 1 out of the monomials of degree 2, so that H u is the trace of the tensor.
    direction = np.zeros(relaxation.size)
    direction[:upper] = np.where(lists[:, 0] == lists[:, 1], 1.0, 0.0)
    shift = np.outer(matrix @ direction, direction)
    shift = shift + shift.T
    shift -= relaxation.project(shift)
    size = float(np.linalg.norm(shift))
    if size > 1e-12 * form.norm:
        shift *= float(np.linalg.norm(matrix)) / size
        # Convex in the multiple; any gives a valid bound, zero the flattening's.
        best = minimize_scalar(
            lambda t: float(np.linalg.eigvalsh(matrix + t * shift)[-1]),
            bounds=(-3.0, 3.0),
            method="bounded",
            options={"xatol": 1e-3},
        )
        if best.fun < np.linalg.eigvalsh(matrix)[-1]:
            matrix = matrix + best.x * shift
    return _bound(form, relaxation, matrix)


def _bound(form: Form, relaxation: Relaxation, matrix: np.ndarray) -> float:
    top = float(np.linalg.eigvalsh(matrix)[-1])
    bound = upper_bound(relaxation, form.target(relaxation), matrix, top)
    return form.in_units(bound + form.error, math.inf)


def _flattening(
    tensor: SymmetricTensor | np.ndarray, max_memory: int
) -> tuple[Form, Relaxation, np.ndarray]:
    tensor = as_symmetric(tensor)
    degree = smallest_degree(tensor.order)
    form = Form.of(tensor, check_memory(tensor, degree, max_memory))
    relaxation = Relaxation(form.dim, form.order, degree)
    # The element of least norm in C + L^perp is the flattening in both off-diagonal blocks.
    return form, relaxation, relaxation.matrix(relaxation.moments(form.target(relaxation)))
