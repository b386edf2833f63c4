"""The teacher with all its weights moved a little, one way: how much its predictions notice.

Solves     nothing; it is given the answer and moves it
Method     W + size |W|_F V with |V|_F = 1: V random, or the eigenvector of the least eigenvalue of
           J^T J, J the Jacobian of W -> T_k
Guarantee  to second order, risk ratio = v^T J^T J v size^2 |W|_F^2 / |T_k|^2, v = vec V; near the
           teacher none is smaller than that of the weakest direction
Cost       O(r d), or O((r d)^3) for the weakest direction

Zero from some rank on: predicting well then no longer needs these weights, even nearby.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tdlab.algorithms.uniqueness import jacobian_gram
from tdlab.errors import check_choice, check_real
from tdlab.learning.control import Control
from tdlab.networks import TwoLayerNetwork

# What `jacobian_gram` allows itself.
_MAX_BYTES = 2**31
DIRECTIONS = ("weakest", "random")
_PURE = 1e-12


@dataclass(frozen=True)
class Moved(Control):
    """The teacher, of activation He_k and unit rows, with its weights moved.

    The coefficient a_i of a unit counts as |a_i|^{1/k} in its row, so that norms move too.

    Parameters
    ----------
    teacher : TwoLayerNetwork
    direction : {"weakest", "random"}
    size : float
        |move|_F / |W|_F.
    """

    direction: str = "weakest"
    size: float = 1e-3

    name = "moved"
    version = 1
    guarantee = "weights at the stated distance"
    cost = "O((r d)^3)"

    def __post_init__(self) -> None:
        check_choice("learner 'moved', option 'direction'", self.direction, DIRECTIONS)
        check_real("learner 'moved', option 'size'", self.size, 0.0)

    def _refuses_teacher(self) -> str:
        size = self.teacher.weights.size
        if self.direction == "weakest" and 24 * size**2 > _MAX_BYTES:
            return f"learner 'moved': got {size} weights, whose Jacobian needs too much memory"
        return _impurity(self.teacher)

    def _altered(self, rng: np.random.Generator) -> tuple[TwoLayerNetwork, str]:
        order = self.teacher.activation.degree
        coefficients = self.teacher.output_weights
        rows = self.teacher.weights * np.abs(coefficients[:, None]) ** (1.0 / order)
        signs = np.where(coefficients < 0.0, -1.0, 1.0)
        if self.direction == "weakest":
            way = weakest_direction(rows, signs, order)[1]
        else:
            way = rng.standard_normal(rows.shape)
            way /= np.linalg.norm(way)
        rows = rows + self.size * np.linalg.norm(rows) * way
        norms = np.linalg.norm(rows, axis=1)
        # Units of norm 1 see He_k alone: a longer row would leak into lower degrees.
        network = TwoLayerNetwork(
            rows / norms[:, None], signs * norms**order, self.teacher.activation
        )
        return network, f"The teacher moved by {self.size:g}."


def weakest_direction(
    rows: np.ndarray, signs: np.ndarray, order: int = 3
) -> tuple[float, np.ndarray]:
    """The least eigenvalue of J^T J for W -> sum_i s_i w_i^{(x)k}, and its unit (r, d) eigenvector.

    Examples
    --------
    >>> import numpy as np
    >>> value, way = weakest_direction(np.eye(3), np.ones(3))
    >>> round(value, 6), way.shape                   # orthonormal rows: 3 in d - 1 directions each
    (3.0, (3, 3))
    """
    from scipy.linalg import eigh

    values, vectors = eigh(jacobian_gram(rows, signs, order), subset_by_index=[0, 0])
    return max(float(values[0]), 0.0), vectors[:, 0].reshape(rows.shape)


def _impurity(network: TwoLayerNetwork) -> str:
    """What keeps the activation from being He_k, k >= 2, on rows of norm 1, or ""."""
    shares = network.activation.hermite_coefficients()
    norms = np.linalg.norm(network.weights, axis=1)
    if len(shares) < 3 or np.abs(shares[:-1]).max() > _PURE or not math.isclose(shares[-1], 1.0):
        return f"learner 'moved': got activation {network.activation}, wanted He_k with k >= 2"
    if np.abs(norms - 1.0).max() > 1e-6:
        return f"learner 'moved': got rows of norm up to {norms.max():.3g}, wanted 1"
    return ""
