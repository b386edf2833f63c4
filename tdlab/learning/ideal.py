"""The teacher with its weights perturbed: what accurate weights are worth, and what they must be.

Solves     nothing; it is given the answer and moves it
Method     each unit row becomes cos(t) w + sin(t) u with u a random unit vector orthogonal to w
Guarantee  every row has the stated cosine with the teacher's; for the pure degree k and rows in
           general position the risk ratio is near 2 (1 - c^k), or 1 - c^{2k} once rescaled by c^k
Cost       O(r d)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tdlab.errors import InputError, check_real
from tdlab.learning.control import Control
from tdlab.networks import TwoLayerNetwork


@dataclass(frozen=True)
class Ideal(Control):
    """The teacher with every weight turned by the same angle.

    Parameters
    ----------
    teacher : TwoLayerNetwork
    cosine : float
        Between each perturbed row and the true one, 0 to 1.
    rescaled : bool
        Whether the output weights are multiplied by the best common factor for the teacher.
    """

    cosine: float = 1.0
    rescaled: bool = False

    name = "ideal"
    version = 1
    guarantee = "rows of the stated cosine"
    cost = "O(r d)"

    def __post_init__(self) -> None:
        what = "learner 'ideal', option 'cosine'"
        if check_real(what, self.cosine, 0.0) > 1.0:
            raise InputError(f"{what}: got {self.cosine}, wanted a number from 0 to 1")
        if not self.teacher.weights.any(axis=1).all():
            raise InputError(
                "learner 'ideal', option 'teacher': got a zero row, wanted rows that have a "
                "direction"
            )

    def _refuses_teacher(self) -> str:
        if self.teacher.dim >= 2:
            return ""
        return "X: got 1 column, wanted at least 2: a row of one input cannot turn"

    def _altered(self, rng: np.random.Generator) -> tuple[TwoLayerNetwork, str]:
        turned = perturbed(self.teacher, self.cosine, rng)
        if self.rescaled:
            # <f, g>/|g|^2 from three exact risks: E(f-g)^2 = |f|^2 + |g|^2 - 2<f, g>.
            own, all_of = self.teacher.hermite_energies().sum(), turned.hermite_energies().sum()
            inner = (own + all_of - self.teacher.risk(turned)) / 2.0
            outputs = turned.output_weights * (inner / all_of)
            turned = TwoLayerNetwork(turned.weights, outputs, turned.activation)
        return turned, f"The teacher at cosine {self.cosine:g}."


def perturbed(network: TwoLayerNetwork, cosine: float, rng: np.random.Generator) -> TwoLayerNetwork:
    """The network with each row turned by arccos(cosine) towards a random direction."""
    rows = network.weights
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    units = rows / norms
    aside = rng.standard_normal(rows.shape)
    aside -= (aside * units).sum(axis=1, keepdims=True) * units
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    turned = cosine * units + np.sqrt(max(1.0 - cosine**2, 0.0)) * aside
    return TwoLayerNetwork(norms * turned, network.output_weights, network.activation)
