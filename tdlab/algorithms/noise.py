"""Noise: what residual it leaves, and what a tensor without structure leaves.

Solves     what a fit of r terms leaves of noise of a level, and of a Gaussian tensor of equal norm;
           what one component more takes of noise; joint least squares under noise
Guarantee  measured laws, with their margins
Cost       ``gain_of_one_more``: power steps from 2 d starts and a fit of rank + 1
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tdlab.streams import Part, own_stream
from tdlab.tensors import SymmetricTensor
from tdlab.theory import null_power, r_id

if TYPE_CHECKING:
    from tdlab.algorithms.base import Budget, Decomposition, Method

# The share of |T|^2 that r units leave of a tensor without structure is (1 - r/r_id)^q, where q
# grows with d (`null_power`). Below d = 10 it was not measured: a larger q is the stricter one.
LEAST_POWER = 2.35
# That law errs by up to a quarter for a few units or nearly r_id of them, and nulls differ: a fit
# has found something where it leaves less than 0.6 of the null's square, or explains 1.3 times as
# much and two standard deviations of a mean over the N distinct entries.
_LEAVES, _EXPLAINS, _SPREAD = 0.6, 1.3, 2.0
# Too few degrees of freedom left tell noise from nothing: at d = 2 and 3 random tensors passed.
LEAST_FREEDOM = 15
# Loudest noise that is believed unstated, a degree of freedom, and at most: half of the exact
# tensors at d = 8, r = 14 that no search solved passed for noise of .2 to .6.
_LOUDEST_EACH, _LOUDEST = 0.003, 0.6
_EXCLUDED_EACH = 0.02


def null_residual(dim: int, rank: int, order: int) -> float:
    """Relative residual that ``rank`` terms leave of a Gaussian tensor, by the measured law."""
    if order == 2:
        return _semicircle_rest(min(rank / dim, 1.0))
    filled = min(rank / r_id(dim, order), 1.0)
    return (1.0 - filled) ** (max(null_power(dim, rank, order), LEAST_POWER) / 2)


def _semicircle_rest(share: float) -> float:
    """|R| / |M| when the ``share`` of largest eigenvalues, by size, is taken off Gaussian noise.

    Eigenvalues x in units of the edge have the density (2/pi) sqrt(1 - x^2). Below x = sin(t) lies
    the fraction (2/pi) (t + sin(2t)/2) of them and (2/pi) (t - sin(4t)/4) of their squares.
    """
    low, high = 0.0, math.pi / 2
    for _ in range(50):
        middle = (low + high) / 2
        below = 2 / math.pi * (middle + math.sin(2 * middle) / 2)
        low, high = (middle, high) if below < 1.0 - share else (low, middle)
    return math.sqrt(max(2 / math.pi * (low - math.sin(4 * low) / 4), 0.0))


def null_bar(dim: int, rank: int, order: int) -> float:
    """Relative residual below which a fit has found what no tensor without structure has."""
    left = null_residual(dim, rank, order) ** 2
    spread = _SPREAD / math.sqrt(math.comb(dim + order - 1, order))
    return math.sqrt(max(_LEAVES * left, 1.0 - _EXPLAINS * (1.0 - left) - spread))


def freedom(dim: int, rank: int, order: int) -> int:
    """Distinct entries less parameters, C(d+k-1, k) - r d; not below 0.

    A matrix of rank r has r (r - 1) / 2 parameters fewer: rotations of its terms do not show.
    """
    rotations = rank * (rank - 1) // 2 if order == 2 else 0
    return max(math.comb(dim + order - 1, order) - rank * dim + rotations, 0)


def residual_under(noise: float, dim: int, rank: int, order: int) -> float:
    """Largest relative residual that a least-squares fit leaves of noise of that level.

    The fit takes r d of the N degrees of freedom, so |R|^2 = noise^2 (1 - r d / N) chi^2 / E chi^2,
    here with four standard deviations to spare.
    """
    left = freedom(dim, rank, order)
    if left == 0:
        return 0.0
    share = left / math.comb(dim + order - 1, order)
    return noise * math.sqrt(share * (1.0 + 4.0 * math.sqrt(2.0 / left)))


def noise_behind(residual: float, dim: int, rank: int, order: int) -> float:
    """Relative noise level that a least-squares fit leaves that residual of."""
    left = freedom(dim, rank, order)
    return residual / math.sqrt(left / math.comb(dim + order - 1, order)) if left else math.inf


def loudest_noise(left: int, *, excluded: bool) -> float:
    """Largest relative noise that is believed unstated, with ``left`` degrees of freedom.

    ``excluded``: no exact fit exists, so that only a tensor without structure is to be feared.
    """
    return _EXCLUDED_EACH * left if excluded else min(_LOUDEST_EACH * left, _LOUDEST)


def gain_of_one_more(
    tensor: SymmetricTensor, rows: np.ndarray, weights: np.ndarray, budget: Budget
) -> float:
    """Fall of |R|^2 when one component is added to a least-squares fit, in units of `noise_gain`.

    Above 1 the remainder R holds more than noise. The new component starts at the largest
    |R(x, ..., x)| that power steps find, and all are refitted; 0 where no freedom is left.
    """
    from tdlab.algorithms.base import relative_residual
    from tdlab.algorithms.descent.polish import polish
    from tdlab.algorithms.parts.candidates import power_steps, random_units

    (rank, dim), order = rows.shape, tensor.order
    left = freedom(dim, rank, order)
    if left == 0:
        return 0.0
    rest = tensor.minus(rows, weights)
    # A judgement, not a search: the same fit is always judged alike.
    starts = random_units(2 * dim + 16, dim, own_stream(0, Part.JUDGEMENT))
    found = power_steps(rest.mttkrp, starts, 30, budget)
    heights = rest.evaluate(found)
    best = int(np.argmax(np.abs(heights)))
    more, coefficients, _ = polish(
        tensor,
        np.vstack([rows, found[best]]),
        np.append(weights, heights[best]),
        budget,
        iterations=40,
    )
    before = relative_residual(tensor, rows, weights) ** 2
    fall = before - relative_residual(tensor, more, coefficients) ** 2
    return fall * left / before / noise_gain(dim, order)


def noise_gain(dim: int, order: int) -> float:
    """Most that one more component takes of noise, in units of its variance per entry.

    In an orthonormal basis of the symmetric tensors noise has independent entries of one standard
    deviation s, so R(x, ..., x) is s times a standard Gaussian for each unit x. Its maximum over
    the sphere is about 1.66 s sqrt(d) at order 3, 1.79 at order 4, growing like sqrt(log k) (the
    ground state of the spherical spin glass: Auffinger, Ben Arous and Cerny 2013, arXiv 1003.1129),
    so one component takes 2.8 d s^2 at order 3. Measured with refitting, d = 5 to 30: 1.1 to 3.1 d
    on noise, 4.3 d and more where a component was missing.
    """
    return 3.5 * dim * math.log(max(order, 3)) / math.log(3)


def refit(
    method: Method, tensor: SymmetricTensor, result: Decomposition, budget: Budget
) -> Decomposition:
    """The result after joint least squares from its components, if that fits better."""
    from tdlab.algorithms.base import finish
    from tdlab.algorithms.descent.polish import polish

    if len(result.components) == 0 or budget.expired:
        return result
    rows, weights, history = polish(
        tensor, result.components, result.weights, budget, iterations=30
    )
    better = finish(
        method,
        tensor,
        result.rank,
        budget,
        components=rows,
        weights=weights,
        status=result.status,
        message=result.message,
        nit=result.nit + len(history),
        history=result.history + history,
    )
    return better if better.residual < result.residual else result
