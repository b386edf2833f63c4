"""What a found decomposition says of others nearby: the Jacobian of W -> sum_i s_i w_i^{(x)k}.

Its Gram matrix has (d x d) blocks k G_ij^{k-1} I + k (k-1) G_ij^{k-2} w_j w_i^T (times s_i s_j), so
it is formed in O(r^2 d^2) and its eigenvalues tell the local geometry: a zero is a direction in
which the weights move and the tensor does not, and with noise its inverse is the covariance of
the weights. Both cost O((r d)^3) and run on request only.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np

from tdlab.errors import InputError, check_integer, check_real
from tdlab.streams import Part, own_stream
from tdlab.theory import uniqueness_class

if TYPE_CHECKING:
    from tdlab.algorithms.base import Decomposition
    from tdlab.tensors import SymmetricTensor

# Eigenvalues of J^T J carry an error of 1e-16 of the largest one; below this share of it they
# cannot be told from zero with a margin.
_ZERO = 1e-11
# A component is found again at this cosine, in one of so many runs; one that fits as well decides.
_SAME, _RUNS, _AS_WELL = 0.99, 3, 1.002


def uniqueness(result: Decomposition, max_bytes: int = 2**31) -> str:
    """What can be said of other decompositions, from the one that was found.

    Parameters
    ----------
    result : Decomposition
    max_bytes : int
        Memory allowed; the Jacobian's Gram matrix takes 8 (r d)^2 bytes, the solver twice that.

    Returns
    -------
    "certified"
        The fit is exact and either the components are linearly independent at odd order >= 3
        (Kruskal 1977: no other decomposition of this rank exists), or the Jacobian has full rank,
        so none exists nearby, at an (order, dim, rank) where a generic tensor has only one.
    "no"
        A generic tensor of this (order, dim, rank) has others.
    "unknown"
        Otherwise: no exact fit, or a Jacobian that is singular to rounding, as for weights that
        can move along a curve while the tensor stays.

    Raises
    ------
    InputError
        If the Jacobian needs more than ``max_bytes``.

    Examples
    --------
    >>> import tdlab
    >>> net = tdlab.sample_network(8, 12, "He3", "sphere", rng=0)
    >>> tdlab.uniqueness(tdlab.decompose(net.hermite_tensor(3), 12, rng=0))
    'certified'
    """
    if not result.success or len(result.components) == 0:
        return "unknown"
    result = _unit_size(result)
    rank, dim = result.components.shape
    # A term that the fit would not miss is arbitrary, whatever the Jacobian says.
    if np.abs(result.weights).min() < 100 * result.residual * np.abs(result.weights).max():
        return "unknown"
    singular = np.linalg.svd(result.components, compute_uv=False)
    if result.order >= 3 and rank <= dim and singular[-1] > 1e-6 * singular[0]:
        return "certified"
    if uniqueness_class(dim, rank, result.order) == "no":
        return "no"
    values = np.linalg.eigvalsh(_gram(result, max_bytes))
    return "certified" if values[0] > _ZERO * values[-1] else "unknown"


def confidence(
    result: Decomposition,
    level: float = 0.95,
    *,
    joint: bool = False,
    tensor: SymmetricTensor | np.ndarray | None = None,
    rng: np.random.Generator | int | None = None,
    max_bytes: int = 2**31,
) -> np.ndarray:
    """Lower confidence bounds for the cosine of each component with the true one.

    Parameters
    ----------
    result : Decomposition
        Of a tensor with noise that is isotropic on the symmetric tensors; its level is taken from
        the residual and the degrees of freedom left.
    level : float
        Confidence of each bound on its own, in (0, 1); of all of them together with ``joint``.
    joint : bool
        Whether all bounds are to hold at once.
    tensor : SymmetricTensor or array, optional
        What was decomposed. If given, it is decomposed again from independent starts (up to three,
        by the same method with its default options), and a component that none of them finds at
        cosine .99 has no bound. Ask for this where the noise is large: a fit to noise has a
        Jacobian, and so a bound, like any other.
    rng : Generator, int or None
        Of those starts.
    max_bytes : int
        As in `uniqueness`.

    Returns
    -------
    (k,) array
        The cosine of component i with the direction it estimates is at least entry i with
        probability ``level``, to first order in the noise; -1 where nothing can be said: everywhere
        if the Jacobian is singular, and for components that were not found again.

    Raises
    ------
    InputError
        If the decomposition is no success, no degrees of freedom are left, or ``tensor`` has
        another order or dimension.

    Notes
    -----
    Least squares has Cov(W) = s^2 (J^T J)^{-1}, and s^2 = |T - T_hat|^2 / n is estimated on
    n = N - r d degrees of freedom, N = C(d+k-1, k) distinct entries. The squared angle of component
    i is a sum of d - 1 squared Gaussians, here with the law of a chi-square of k degrees that has
    the same two moments; divided by s^2, which is independent of it, it is F(k, n). Chi-square
    quantiles would take the estimate for the noise itself and hold 91% where 95% is asked for
    (`benchmarks/confidence_coverage.py`). Joint bounds are those at level 1 - (1 - level)/k each
    (Bonferroni): no law of the components' common errors is needed.

    Examples
    --------
    >>> import tdlab
    >>> net = tdlab.sample_network(8, 6, "He3", "sphere", rng=0)
    >>> noise = tdlab.gaussian_tensor(8, norm=0.05 * net.hermite_tensor(3).norm(), rng=1)
    >>> T = net.hermite_tensor(3).dense() + noise.dense()
    >>> res = tdlab.decompose(T, 6, noise=0.05, rng=2)
    >>> each, together = res.confidence(), res.confidence(joint=True, tensor=T, rng=3)
    >>> bool(0.98 < each.min()), bool((together < each).all())
    (True, True)
    """
    from scipy.stats import f

    level = check_real("level", level, 0.0)
    if not 0.0 < level < 1.0:
        raise InputError(f"level: got {level:g}, wanted a number in (0, 1)")
    rank, dim = result.components.shape
    if not result.success:
        # What is left then is misfit, not noise, and bounds from it would be false.
        raise InputError(
            f"result: got status '{result.status}', wanted a success: the residual of a failed fit "
            "says nothing of its errors"
        )
    entries = math.comb(dim + result.order - 1, result.order)
    freedom = entries - rank * dim
    if freedom <= 0:
        raise InputError(
            f"result: got {rank * dim} parameters for {entries} entries, wanted fewer parameters: "
            "nothing is left to estimate the noise from"
        )
    angles = squared_angles(result, freedom, max_bytes)
    if angles is None:
        bounds = np.full(rank, -1.0)
    else:
        mean, degrees = angles
        single = 1.0 - (1.0 - level) / rank if joint else level
        squared = mean * f.ppf(single, degrees, freedom)
        bounds = np.cos(np.minimum(np.sqrt(squared), math.pi))
    if tensor is not None:
        bounds[~_found_again(result, tensor, rng)] = -1.0
    return bounds


def squared_angles(
    result: Decomposition, freedom: int, max_bytes: int = 2**31
) -> tuple[np.ndarray, np.ndarray] | None:
    """Mean of each component's squared angle from the true one, and the degrees of its law.

    With the noise that ``freedom`` degrees of freedom of the residual show; None where the Jacobian
    is singular. The law is mean chi^2 / degrees, which has the variance of the sum of squares.
    """
    result = _unit_size(result)
    rank, dim = result.components.shape
    gram = _gram(result, max_bytes)
    values, vectors = np.linalg.eigh(gram)
    if values[0] <= _ZERO * values[-1]:
        return None
    # At a least-squares fit T_hat is orthogonal to the residual: |T|^2 = |T_hat|^2 + |R|^2.
    relative = min(result.residual, 0.999999)
    noise = result.tensor().norm() ** 2 * relative**2 / (1.0 - relative**2) / freedom
    half = (vectors / np.sqrt(values)).reshape(rank, dim, rank * dim)
    mean, degrees = np.empty(rank), np.empty(rank)
    lengths = result.weights_norms()
    for i, (unit, length) in enumerate(zip(result.components, lengths, strict=True)):
        # Only the part across the component turns it: covariance of P (dw) / |w|.
        across = half[i] - np.outer(unit, unit @ half[i])
        covariance = noise / length**2 * (across @ across.T)
        mean[i] = np.trace(covariance)
        degrees[i] = mean[i] ** 2 / np.vdot(covariance, covariance)
    return mean, degrees


def _found_again(
    result: Decomposition,
    tensor: SymmetricTensor | np.ndarray,
    rng: np.random.Generator | int | None,
) -> np.ndarray:
    """Which components runs from other starts find: (k,) booleans."""
    from tdlab.algorithms.front import decompose
    from tdlab.algorithms.registry import methods
    from tdlab.metrics import match

    known = {record.name for record in methods()}
    method = result.method if result.method in known else "auto"
    found = np.zeros(len(result.components), dtype=bool)
    for start in own_stream(rng, Part.CONFIDENCE).spawn(_RUNS):
        again = decompose(tensor, result.rank, method, rng=start, noise=result.noise or None)
        if (again.order, again.components.shape[1:]) != (
            result.order,
            result.components.shape[1:],
        ):
            raise InputError(
                f"tensor: got order {again.order} and dimension {again.components.shape[1]}, "
                f"wanted the decomposed one, of {result.order} and {result.components.shape[1]}"
            )
        if len(again.components):
            cosines = match(again.components, result.components, result.order, _SAME).cosines
            found |= cosines >= _SAME
        # A run that fits no worse and misses a component says that it is one of several answers.
        if found.all() or again.residual <= _AS_WELL * result.residual:
            break
    return found


def _unit_size(result: Decomposition) -> Decomposition:
    """The same in a unit in which no power of a coefficient leaves the doubles."""
    largest = np.abs(result.weights).max()
    if not 0.0 < largest < np.inf:
        raise InputError(
            f"result: got coefficients of {largest:g}, beyond the range of doubles, wanted the "
            "decomposition of a rescaled tensor"
        )
    return dataclasses.replace(result, weights=result.weights / largest)


def _gram(result: Decomposition, max_bytes: int) -> np.ndarray:
    """`jacobian_gram` for the rows w_i = |a_i|^{1/k} u_i of a decomposition."""
    rows = result.components * result.weights_norms()[:, None]
    return jacobian_gram(rows, np.sign(result.weights), result.order, max_bytes)


def jacobian_gram(
    rows: np.ndarray, signs: np.ndarray, order: int, max_bytes: int = 2**31
) -> np.ndarray:
    """J^T J, (r d, r d), of W -> sum_i s_i w_i^{(x)k}; its eigenvalues are >= 0.

    Parameters
    ----------
    rows : (r, d) array
    signs : (r,) array of -1 and 1
    order : int
    max_bytes : int
        Memory allowed; the matrix takes 8 (r d)^2 bytes, a solver twice that.
    """
    check_integer("max_bytes", max_bytes, 1)
    rank, dim = rows.shape
    size = rank * dim
    if 3 * 8 * size**2 > max_bytes:
        raise InputError(
            f"max_bytes: got {max_bytes}, wanted at least {3 * 8 * size**2} for the Jacobian of "
            f"{rank} components in dimension {dim}"
        )
    gram = rows @ rows.T
    coupling = np.outer(signs, signs)
    blocks = np.einsum(
        "ij,ja,ib->iajb", order * (order - 1) * coupling * gram ** (order - 2), rows, rows
    )
    diagonal = order * coupling * gram ** (order - 1)
    for a in range(dim):
        blocks[:, a, :, a] += diagonal
    return blocks.reshape(size, size)
