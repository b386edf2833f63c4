"""Bounds by one eigenvalue problem: what a certificate costs before any optimisation.

`flattening_bound`   T(x) = b_m(x)^T B b_n(x) with |b_m| = |b_n| = 1: the norm of a flattening
`traceless_bound`    the same after splitting x x^T = I/d + X, tr X = 0, |X|^2 = 1 - 1/d: the part
                     of T that the identity direction inflates is bounded by itself

Both are sums-of-squares proofs of the smallest degree, so `certify` never proves less. Rounding is
covered. Source of the second: Hopkins, Shi and Steurer, COLT 2015 (trace direction of T_(1) T_(1)).
"""

from __future__ import annotations

import math

import numpy as np

from tdlab.errors import InputError
from tdlab.sos.basis import Relaxation
from tdlab.sos.forms import UNIT, Form
from tdlab.sos.front import as_tensor, check_memory, smallest_degree
from tdlab.sos.rigor import largest_eigenvalue, upper_bound
from tdlab.tensors import SymmetricTensor


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
    form, relaxation, matrix = _flattening(tensor, max_memory)
    top = float(np.linalg.eigvalsh(matrix)[-1])
    bound = upper_bound(relaxation, form.target(relaxation), matrix, top)
    return (bound + form.error) * form.unit


def traceless_bound(tensor: SymmetricTensor | np.ndarray, *, max_memory: int = 2**30) -> float:
    """`flattening_bound` with the identity direction of one pair of modes bounded by itself.

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
    dim, upper = form.dim, len(relaxation.blocks[0])
    lists = relaxation.blocks[0].lists
    # u picks |x|^2 = 1 from the monomials of degree 2; Q projects it away.
    identity = np.where(lists[:, 0] == lists[:, 1], 1.0, 0.0)
    keep = 1.0 - 1.0 / dim
    rounding = (2 * upper + 40) * UNIT * float(np.linalg.norm(matrix)) * relaxation.mass
    if form.order == 3:
        # x^T B v with B twice the off-diagonal block: x^T B Q v + <B u, x> / d.
        block = 2.0 * matrix[upper:, :upper]
        trace = block @ identity
        block = block - np.outer(trace, identity / dim)
        joined = np.zeros_like(matrix)
        joined[upper:, :upper], joined[:upper, upper:] = block, block.T
        bound = math.sqrt(keep) * largest_eigenvalue(joined) + float(np.linalg.norm(trace)) / dim
    else:
        # v^T Q H Q v + (2/d) <Q H u, v> + u^T H u / d^2; the middle one is a quadratic form in x.
        image = matrix @ identity
        value = float(identity @ image)
        linear = image - identity * (value / dim)
        block = matrix - np.outer(image, identity / dim) - np.outer(identity / dim, image)
        block += (value / dim**2) * np.outer(identity, identity)
        quadratic = np.zeros((dim, dim))
        quadratic[lists[:, 0], lists[:, 1]] = linear * relaxation.weights / 2.0
        quadratic = quadratic + quadratic.T
        bound = keep * max(largest_eigenvalue(block), 0.0)
        bound += 2.0 / dim * largest_eigenvalue(quadratic) + value / dim**2
        rounding *= 2.0
    return float((bound + rounding + form.error) * (1.0 + 20 * UNIT) * form.unit)


def _flattening(
    tensor: SymmetricTensor | np.ndarray, max_memory: int
) -> tuple[Form, Relaxation, np.ndarray]:
    tensor = as_tensor(tensor)
    degree = smallest_degree(tensor.order)
    check_memory(tensor, degree, max_memory)
    form = Form.of(tensor, max_memory)
    relaxation = Relaxation(form.dim, form.order, degree)
    # The element of least norm in C + L^perp is the flattening in both off-diagonal blocks.
    return form, relaxation, relaxation.matrix(relaxation.moments(form.target(relaxation)))
