"""Weights from samples: estimate a Hermite tensor, decompose it, refine on the data.

Solves     networks of known activation and rank: their weights, and with them a proper predictor
Method     T_k = E[y He_k(x)]/k! has the weights as its components. It is estimated by least squares
           (exact from C(d+k, k) noiseless samples) or by moments of y with lower degrees taken out;
           any decomposition method gives components, and descent on the empirical risk finishes
Guarantee  that of the decomposition method, once the tensor is accurate: 50-100 d^3 samples by
           moments (measured), C(d+3, 3) by least squares
Cost       that of the tensor, O(n N min(n, N)), and of the method
Sources    Janzamin, Sedghi and Anandkumar (2015), arXiv 1506.08473; Zhong, Song, Jain, Bartlett and
           Dhillon (2017), arXiv 1706.03175 (refinement); Ge, Lee and Ma (2017), arXiv 1711.00501
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tdlab.algorithms import decompose
from tdlab.algorithms.base import Budget, Decomposition, Status
from tdlab.algorithms.registry import get_method
from tdlab.errors import InputError, check_choice, check_integer
from tdlab.learning import student_lm as _student_lm
from tdlab.learning.base import Fit, Learner, too_few
from tdlab.learning.moment_predictor import shrinkage
from tdlab.learning.polynomial_regression import regress, regression_refuses
from tdlab.learning.student_risk import Point, Risk, Search
from tdlab.metrics import student_network
from tdlab.networks import Activation, HermitePolynomial, TwoLayerNetwork
from tdlab.networks.hermite import hermite_basis
from tdlab.tensors import DenseTensor, HermiteMomentTensor, SymmetricTensor

TENSORS = ("auto", "least-squares", "moments")
# Steps of descent at the most, and the residual over the labels' spread that is an exact fit.
_STEPS, _EXACT = 60, 1e-10


@dataclass(frozen=True)
class MomentsDecompose(Learner):
    """Decompose an estimated Hermite tensor into the weights of a network.

    Parameters
    ----------
    rank : int
        Units of the network.
    activation : str
    order : int
        Of the tensor; 0 takes the highest degree of the activation.
    method : str
        Of decomposition.
    tensor : str
        "least-squares", "moments", or "auto": least squares from C(d + order, order) samples on.
    refine : bool
        Whether descent on the empirical risk follows.
    """

    rank: int
    activation: str
    order: int = 0
    method: str = "auto"
    tensor: str = "auto"
    refine: bool = True

    name = "moments-decompose"
    proper = True
    version = 2
    samples = "C(d+3, 3) by least squares; 50 to 100 d^3 by moments"
    guarantee = "exact from C(d+k, k) noiseless samples where the decomposition method is"
    cost = "the tensor, O(n N min(n, N)), N = C(d+k, k), and the method"
    source = (
        "Janzamin, Sedghi and Anandkumar (2015), arXiv 1506.08473; Zhong et al. (2017), arXiv "
        "1706.03175; Ge, Lee and Ma (2017), arXiv 1711.00501"
    )

    def __post_init__(self) -> None:
        what = f"learner '{self.name}', option"
        check_integer(f"{what} 'rank'", self.rank, 1)
        activation = Activation.parse(self.activation)
        check_choice(f"{what} 'tensor'", self.tensor, TENSORS)
        get_method(self.method)  # refuses what is no method
        if self.order:
            check_integer(f"{what} 'order'", self.order, 2)
        if self._order < 2 or not activation.mean_derivative(self._order, 1.0):
            raise InputError(
                f"{what} 'order': got {self._order}, wanted a degree from 2 on in which "
                f"{self.activation!r} has a Hermite component"
            )

    @property
    def _order(self) -> int:
        return self.order or Activation.parse(self.activation).degree

    def refuses(self, n: int, dim: int) -> str:
        few = too_few(self, n, 2, "an average and its error")
        return few or regression_refuses(n, dim, self._regressed(n, dim))

    def _regressed(self, n: int, dim: int) -> int:
        """The degree of the regression: of the tensor, or of what is taken out before averaging."""
        order = self._order
        if self.tensor == "least-squares" or (
            self.tensor == "auto" and n >= math.comb(dim + order, order)
        ):
            return order
        # What lower degrees explain is noise in the average: least squares takes out those that
        # half as many samples would fit.
        return max(k for k in range(order) if k == 0 or 2 * math.comb(dim + k, k) <= n)

    def _fit(self, X: np.ndarray, y: np.ndarray, rng: np.random.Generator, budget: Budget) -> Fit:
        tensor, noise, how = self._estimate(X, y)
        found = decompose(
            tensor,
            self.rank,
            self.method,
            rng=rng,
            noise=noise,
            max_seconds=budget.left,
        )
        network = self._student(found) if len(found.components) else None
        message = f"{how} tensor of order {self._order}; '{self.method}': {found.message}"
        status = found.status
        if network is None:
            nothing = student_network(found, self.activation)
            return self._done(nothing, X.shape[1], message, status=status)
        nit, history = found.nit, found.history
        if self.refine:
            search = _descent(network, X, y, budget)
            assert search.best is not None
            network = TwoLayerNetwork(search.best.rows, search.best.outputs, network.activation)
            message += (
                f" Descent on {len(y)} samples ended at a residual of {search.share**0.5:.2g} of "
                "the labels' spread."
            )
            status = search.status if status is not Status.TIME_LIMIT else status
            nit, history = nit + len(search.history) - 1, tuple(search.history)
        return self._done(
            network,
            X.shape[1],
            message,
            status=status,
            nit=nit,
            history=history,
            chosen=(("tensor", how.lower()),),
        )

    def _estimate(self, X: np.ndarray, y: np.ndarray) -> tuple[SymmetricTensor, float | None, str]:
        """The tensor, its relative noise where that shows, and what it is called."""
        order, (n, dim) = self._order, X.shape
        lower = self._regressed(n, dim)
        if lower == order:
            coefficients, _ = regress(X, y, order, 0.0)
            entries = hermite_basis(dim, order).tensor_entries(coefficients, order)
            return DenseTensor._trusted(entries), None, "Least-squares"
        low, _ = regress(X, y, lower, 0.0)
        rest = y - HermitePolynomial(low, dim, lower).predict(X)
        basis = hermite_basis(dim, order)
        if basis.size <= 2**24:
            block = basis.block(order)
            averages = basis.combine(X, rest) / n
            # 1 - f is the share of noise in |T_hat|^2.
            noise = math.sqrt(1.0 - shrinkage(X, rest, averages[block], order))
            entries = basis.tensor_entries(averages, order)
            return DenseTensor._trusted(entries), max(noise, 1e-3), "Moment"
        return HermiteMomentTensor(X, rest, order), None, "Moment"

    def _student(self, found: Decomposition) -> TwoLayerNetwork:
        """Output weights of size 1, as teachers have, and rows of the norms that go with that.

        Exact for a homogeneous activation; descent corrects the norms for others.
        """
        unit = student_network(found, self.activation)
        norms = np.abs(unit.output_weights) ** (1.0 / self._order)
        signs = np.where(unit.output_weights < 0.0, -1.0, 1.0)
        return TwoLayerNetwork(norms[:, None] * unit.weights, signs, unit.activation)


def _descent(network: TwoLayerNetwork, X: np.ndarray, y: np.ndarray, budget: Budget) -> Search:
    """Move the weights, not the outputs, to a minimum of the empirical risk."""
    coefficients = np.array(network.activation.coefficients)
    risk = Risk(np.ascontiguousarray(X), y, coefficients, free=False, unit=False, decay=0.0)
    spread = float(np.var(y)) or float(np.mean(y**2)) or 1.0
    search = Search(risk, budget, scale=spread, exact=_EXACT**2, iterations=_STEPS)
    _student_lm.descend(search, Point(network.weights.copy(), network.output_weights.copy()))
    return search
