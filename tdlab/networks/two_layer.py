"""Two-layer networks f(x) = sum_i a_i sigma(<w_i, x>) with Gaussian inputs, and their exact risk.

The Hermite expansion splits f into orthogonal parts, one a degree: f = sum_k <T_k, He_k(x)> with
T_k = E[f He_k(x)] / k! = sum_i a_i D_k(|w_i|)/k! w_i^{(x)k}; E[f g] = sum_k k! <T_k(f), T_k(g)>.
So population risks are sums over pairs of weights, O((r + s)^2 d), and need no test set.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tdlab.errors import InputError, check_array, check_integer, check_real
from tdlab.networks.activation import Activation
from tdlab.streams import Part, own_stream
from tdlab.tensors import FactoredTensor

if TYPE_CHECKING:
    from tdlab.networks.hermite import HermitePolynomial

_BLOCK_DOUBLES = 2**22


@dataclass(frozen=True, eq=False, init=False)
class TwoLayerNetwork:
    """f(x) = sum_i a_i sigma(<w_i, x>).

    Parameters
    ----------
    weights : (r, d) array, one hidden unit w_i a row, of any norm
    output_weights : (r,) array, optional
        a_i; ones if not given.
    activation : str, sequence of coefficients, or Activation

    Examples
    --------
    >>> import numpy as np, tdlab
    >>> net = tdlab.TwoLayerNetwork(np.eye(2), activation="He3")
    >>> net.predict(np.array([[1.0, 2.0]]))
    array([0.])
    >>> net.variance()                                 # two orthogonal units, E He_3^2 = 6
    12.0
    >>> net.risk(tdlab.TwoLayerNetwork(np.eye(2)[:1], activation="He3"))
    6.0
    """

    weights: np.ndarray
    output_weights: np.ndarray
    activation: Activation

    def __init__(
        self,
        weights: np.ndarray,
        output_weights: np.ndarray | None = None,
        activation: str | Activation | tuple[float, ...] | list[float] = "x**3",
    ) -> None:
        rows = np.array(check_array("weights", weights, ("r", "d")))
        given = np.ones(len(rows)) if output_weights is None else output_weights
        outputs = np.array(check_array("output_weights", given, (len(rows),)))
        for array in (rows, outputs):
            array.flags.writeable = False
        object.__setattr__(self, "weights", rows)
        object.__setattr__(self, "output_weights", outputs)
        object.__setattr__(self, "activation", Activation.parse(activation))

    @property
    def dim(self) -> int:
        """Input dimension d."""
        return self.weights.shape[1]

    @property
    def rank(self) -> int:
        """Number of hidden units r."""
        return self.weights.shape[0]

    def predict(self, X: np.ndarray) -> np.ndarray:
        """f at each row of X: (n, d) -> (n,)."""
        X = check_array("X", X, ("n", self.dim))
        step = max(1, _BLOCK_DOUBLES // self.rank)
        parts = [
            self.activation(X[first : first + step] @ self.weights.T) @ self.output_weights
            for first in range(0, len(X), step)
        ]
        return np.concatenate(parts)

    def sample(
        self, n: int, noise: float = 0.0, *, rng: np.random.Generator | int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw n labelled inputs: X (n, d) standard Gaussian, y = f(X) + noise * standard Gaussian.

        Inputs and label noise come from separate streams and are drawn row by row, so a smaller
        n gives a prefix of a larger one, with and without noise.
        """
        return draw(self, n, noise, rng)

    def mean(self) -> float:
        """E f(x)."""
        return float(self._coefficients(0).sum())

    def hermite_tensor(self, order: int) -> FactoredTensor:
        """T_k = E[f He_k(x)] / k! for k = order >= 2, as a `FactoredTensor` on the weights."""
        order = check_integer("order", order, 2)
        if order > self.activation.degree or not np.any(self._coefficients(order)):
            raise InputError(
                f"order: got {order}, wanted a degree in which the network with activation "
                f"{self.activation} has a Hermite component"
            )
        return FactoredTensor(self.weights, self._coefficients(order), order)

    def hermite_energies(self) -> np.ndarray:
        """Share of each degree in E f^2: k! |T_k|^2 for k = 0..degree, shape (degree + 1,).

        Entries 1.. sum to Var f; entry 1 is what linear regression explains of it.
        """
        degrees = self.activation.degree + 1
        energies = np.zeros(degrees)
        coefficients = [self._coefficients(k) for k in range(degrees)]
        energies[0] = coefficients[0].sum() ** 2
        # sum_ij c_i c_j <w_i, w_j>^k for every k from one pass over blocks of the Gram matrix.
        step = max(1, _BLOCK_DOUBLES // self.rank)
        for first in range(0, self.rank, step):
            gram = self.weights[first : first + step] @ self.weights.T
            power = np.ones_like(gram)
            for k in range(1, degrees):
                power *= gram
                block = coefficients[k][first : first + step]
                energies[k] += math.factorial(k) * (block @ (power @ coefficients[k]))
        # A vanishing component sums to rounding noise of either sign.
        return np.maximum(energies, 0.0)

    def variance(self, noise: float = 0.0) -> float:
        """Exact Var(y), y = f(x) + noise * standard Gaussian."""
        return float(self.hermite_energies()[1:].sum()) + check_real("noise", noise, 0.0) ** 2

    def risk(self, other: TwoLayerNetwork | HermitePolynomial, noise: float = 0.0) -> float:
        """Exact population risk E (y - g(x))^2 of predicting y = f(x) + noise with g = ``other``.

        Parameters
        ----------
        other : TwoLayerNetwork or HermitePolynomial
            Any number of units and any polynomial activation, on the same inputs; or any other
            polynomial of them.
        noise : float
            Standard deviation of the label noise; adds its square.

        Notes
        -----
        The squares are expanded through Gram matrices, so values below about 1e-15 of
        E f^2 + E g^2 are rounding; a negative result is clipped at 0.
        """
        if other.dim != self.dim:
            raise InputError(f"other: got input dimension {other.dim}, wanted {self.dim}")
        if not isinstance(other, TwoLayerNetwork):
            return other.risk(self, noise)
        noise = check_real("noise", noise, 0.0)
        total = (self.mean() - other.mean()) ** 2
        for k in range(1, max(self.activation.degree, other.activation.degree) + 1):
            total += math.factorial(k) * self._squared_distance(other, k)
        return float(total) + noise**2

    def _squared_distance(self, other: TwoLayerNetwork, k: int) -> float:
        """|T_k(f) - T_k(g)|^2 as the norm of one difference, not of three separate terms."""
        weights = np.vstack([self.weights, other.weights])
        coefficients = np.concatenate([self._coefficients(k), -other._coefficients(k)])
        if not np.any(coefficients):
            return 0.0
        step = max(1, _BLOCK_DOUBLES // len(weights))
        total = 0.0
        for first in range(0, len(weights), step):
            gram = weights[first : first + step] @ weights.T
            total += float(coefficients[first : first + step] @ (gram**k @ coefficients))
        return max(total, 0.0)

    def _coefficients(self, k: int) -> np.ndarray:
        """a_i D_k(|w_i|) / k!, the weight of w_i^{(x)k} in T_k."""
        norms = np.linalg.norm(self.weights, axis=1)
        return self.output_weights * self.activation.mean_derivative(k, norms) / math.factorial(k)

    def __repr__(self) -> str:
        return f"TwoLayerNetwork(dim={self.dim}, rank={self.rank}, activation='{self.activation}')"


def draw(
    target: TwoLayerNetwork | HermitePolynomial,
    n: int,
    noise: float,
    rng: np.random.Generator | int | None,
) -> tuple[np.ndarray, np.ndarray]:
    """n labelled inputs of a target; a smaller n gives a prefix of a larger one."""
    n = check_integer("n", n, 1)
    noise = check_real("noise", noise, 0.0)
    inputs, labels = own_stream(rng, Part.SAMPLES).spawn(2)
    X = inputs.standard_normal((n, target.dim))
    y = target.predict(X)
    if noise > 0.0:
        y = y + noise * labels.standard_normal(n)
    return X, y
