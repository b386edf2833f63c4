"""Scores: matched components, recovery, risk ratios against the trivial predictor and the null."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tdlab.errors import InputError, check_array, check_integer, check_real
from tdlab.networks import Activation, HermitePolynomial, RadialPolynomial, TwoLayerNetwork
from tdlab.streams import Part, own_stream

if TYPE_CHECKING:
    from tdlab.algorithms import Decomposition
    from tdlab.tensors import SymmetricTensor


@dataclass(frozen=True, eq=False)
class Match:
    """Estimated components assigned to true ones.

    Attributes
    ----------
    recovered : float
        Fraction of the true rows whose assigned cosine reaches the threshold.
    cosines : (r,) array
        Cosine of each true row with its assigned estimate; 0 where none is assigned.
    worst : float
        Smallest entry of ``cosines``.
    assignment : (r,) int array
        Row of the estimate assigned to each true row; -1 where there is none.
    """

    recovered: float
    cosines: np.ndarray
    worst: float
    assignment: np.ndarray


def match(
    estimated: np.ndarray | Decomposition,
    true: np.ndarray,
    order: int | None = None,
    threshold: float = 0.99,
) -> Match:
    """Assign estimated components to true ones, one to one.

    Of all assignments it takes one with the most hits, pairs whose cosine reaches the threshold,
    and among those one with the largest sum of cosines: the share recovered is then the largest
    that any assignment gives.

    Parameters
    ----------
    estimated : (k, d) array or Decomposition
        Rows of any nonzero norm; k = 0 is allowed and recovers nothing. A decomposition stands
        for its components.
    true : (r, d) array
    order : int, optional
        Of the tensor: at even orders w and -w are the same component and cosines are absolute.
        Default: that of the decomposition, else 3.
    threshold : float
        Cosine at which a true row counts as recovered.

    Returns
    -------
    Match

    Raises
    ------
    InputError
        For zero rows, shapes that do not fit, or an order that is not the decomposition's.

    Examples
    --------
    >>> import numpy as np, tdlab
    >>> m = tdlab.match(np.eye(3)[[2, 0]], np.eye(3))
    >>> round(m.recovered, 3), m.assignment, m.worst
    (0.667, array([ 1, -1,  0]), 0.0)
    """
    true = _unit_rows("true", true)
    if order is not None:
        order = check_integer("order", order, 2)
    brought = getattr(estimated, "order", None)
    if brought is not None and order not in (None, brought):
        raise InputError(
            f"order: got {order} for a decomposition of order {brought}, wanted that or none"
        )
    order = int(order or brought or 3)
    rows_found: Any = getattr(estimated, "components", estimated)
    threshold = check_real("threshold", threshold, 0.0)
    rank = len(true)
    cosines, assignment = np.zeros(rank), np.full(rank, -1)
    if np.shape(rows_found) != (0, true.shape[1]):
        rows_found = _unit_rows("estimated", rows_found)
        if rows_found.shape[1] != true.shape[1]:
            raise InputError(
                f"estimated: got shape {rows_found.shape}, wanted (k, {true.shape[1]}) as `true`"
            )
        table = true @ rows_found.T
        if order % 2 == 0:
            table = np.abs(table)
        rows, columns = _best_assignment(table, threshold)
        cosines[rows], assignment[rows] = table[rows, columns], columns
    return Match(
        recovered=float(np.mean((cosines >= threshold) & (assignment >= 0))),
        cosines=cosines,
        worst=float(cosines.min()),
        assignment=assignment,
    )


def _best_assignment(table: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the pairs: most entries from the threshold on, then the largest sum."""
    from scipy.optimize import linear_sum_assignment

    # The sums of two assignments of m pairs differ by 2 m at the most, so that a hit which is
    # worth more than that is never given up for cosines.
    bonus = 2.0 * min(table.shape) + 1.0
    return linear_sum_assignment(table + bonus * (table >= threshold), maximize=True)


def directions(network: TwoLayerNetwork, order: int) -> np.ndarray:
    """The components of the network's T_k that a decomposition should find, (r, d) unit rows.

    At odd orders -w with a negative coefficient is w with a positive one, and decompositions
    report the positive one.
    """
    rows = _unit_rows("weights", network.weights)
    if order % 2 == 0:
        return rows
    signs = np.where(network.hermite_tensor(order).weights < 0.0, -1.0, 1.0)
    return rows * signs[:, None]


def largest_overlap(
    components: np.ndarray, weights: np.ndarray, network: TwoLayerNetwork, order: int
) -> float:
    """Squared cosine of the largest component found with the largest of the network's T_k.

    Parameters
    ----------
    components : (k, d) array of nonzero rows
        k = 0 is allowed and has no overlap.
    weights : (k,) array
    network : TwoLayerNetwork
    order : int

    Returns
    -------
    float
        In [0, 1]; 1/d on average for a random direction.

    Examples
    --------
    >>> import numpy as np, tdlab
    >>> net = tdlab.TwoLayerNetwork(np.eye(3), np.array([1.0, 2.0, 1.0]), "He3")
    >>> tdlab.metrics.largest_overlap(np.ones((1, 3)), np.ones(1), net, 3)
    0.333333...
    """
    if len(weights) == 0:
        return 0.0
    found = _unit_rows("components", components)[int(np.argmax(np.abs(weights)))]
    sizes = np.abs(network.hermite_tensor(order).weights)
    truth = _unit_rows("weights", network.weights)[int(np.argmax(sizes))]
    return min(float(found @ truth) ** 2, 1.0)


class HasTerms(Protocol):
    """What has terms of a symmetric tensor: a `Decomposition`, or `tdlab.problems.Terms`."""

    @property
    def components(self) -> np.ndarray:
        """(k, d) rows."""
        ...

    @property
    def weights(self) -> np.ndarray:
        """(k,) coefficients."""
        ...

    @property
    def order(self) -> int:
        """Of the tensor."""
        ...


def student_network(result: HasTerms, activation: Activation | str) -> TwoLayerNetwork:
    """The proper predictor that a decomposition of T_k gives: unit rows and output weights.

    T_k = sum_i a_i D_k(1)/k! w_i^{(x)k} for unit rows, so a_i = k!/D_k(1) times the weight found.
    A decomposition with no components gives the zero predictor.
    """
    activation = Activation.parse(activation)
    scale = float(activation.mean_derivative(result.order, 1.0)) / math.factorial(result.order)
    if scale == 0.0:
        raise InputError(
            f"activation: got {activation}, wanted a Hermite component of order {result.order}"
        )
    if len(result.components) == 0:
        rows = np.eye(1, result.components.shape[1])
        return TwoLayerNetwork(rows, np.zeros(1), activation)
    return TwoLayerNetwork(result.components, result.weights / scale, activation)


def risk_ratio(teacher: TwoLayerNetwork, student: TwoLayerNetwork) -> float:
    """Exact E (f - g)^2 / Var f: 0 is perfect, 1 is the trivial predictor E f."""
    return teacher.risk(student) / teacher.variance()


@dataclass(frozen=True)
class Score:
    """A predictor's risk against a target.

    Attributes
    ----------
    ratio : float
        E (f - g)^2 / Var f: 0 is perfect, 1 is the trivial predictor E f.
    standard_error : float
        Of the ratio; 0 where it is exact.
    """

    ratio: float
    standard_error: float


def score(
    target: TwoLayerNetwork | HermitePolynomial,
    predictor: Any,
    *,
    n: int = 20_000,
    rng: np.random.Generator | int | None = None,
) -> Score:
    """The risk ratio of a predictor: exact for polynomials, on n fresh inputs for other ones.

    Label noise is left out: nothing predicts it.

    Parameters
    ----------
    target : TwoLayerNetwork or HermitePolynomial
    predictor : TwoLayerNetwork, HermitePolynomial, RadialPolynomial, or any with ``predict``
        A `tdlab.learning.Fit` stands for its predictor.
    n : int
        Test inputs, where the risk is not exact.
    rng : Generator, int or None
        Draws them.

    Examples
    --------
    >>> import tdlab
    >>> net = tdlab.sample_network(4, 6, rng=0)
    >>> X, y = net.sample(100, rng=1)
    >>> tdlab.metrics.score(net, tdlab.learner("trivial").fit(X, y)).ratio < 1.2
    True
    """
    from tdlab.learning.base import Fit

    if isinstance(predictor, Fit):
        predictor = predictor.predictor
    variance = target.variance()
    if not variance > 0.0:
        raise InputError("target: got a constant, wanted a function with a variance")
    if isinstance(predictor, TwoLayerNetwork | HermitePolynomial):
        return Score(target.risk(predictor) / variance, 0.0)
    if isinstance(predictor, RadialPolynomial):
        return Score(predictor.risk(target) / variance, 0.0)
    n = check_integer("n", n, 2)
    X = own_stream(rng, Part.SCORE).standard_normal((n, target.dim))
    errors = (target.predict(X) - predictor.predict(X)) ** 2 / variance
    return Score(float(errors.mean()), float(errors.std(ddof=1)) / math.sqrt(n))


def null_risk_ratio(tensor: SymmetricTensor, student: TwoLayerNetwork) -> float:
    """Exact risk ratio on the null target y = <T, He_k(x)> for a tensor T without structure.

    E (y - g)^2 = k! |T - T_k(g)|^2 + sum over j != k of j! |T_j(g)|^2, over Var y = k! |T|^2.
    """
    order = tensor.order
    variance = math.factorial(order) * tensor.norm() ** 2
    energies = student.hermite_energies()
    risk = variance + energies.sum()
    if order < len(energies) and energies[order] > 0.0:
        cross = tensor.inner(student.hermite_tensor(order))
        risk -= 2.0 * math.factorial(order) * cross
    return max(float(risk), 0.0) / variance


def gain_over_null(ratio: np.ndarray | float, null_ratio: np.ndarray | float) -> np.ndarray:
    """How much of the risk that the null leaves is gone: 1 - ratio / null ratio, elementwise.

    0 means no better than compressing noise of the same norm with the same budget, 1 is perfect.
    Where the null leaves nothing, no gain can be claimed: the result is NaN.
    """
    ratio, null_ratio = np.asarray(ratio, float), np.asarray(null_ratio, float)
    return np.where(null_ratio > 0.0, 1.0 - ratio / np.where(null_ratio > 0, null_ratio, 1), np.nan)


def _unit_rows(what: str, rows: np.ndarray) -> np.ndarray:
    rows = check_array(what, rows, ("r", "d"))
    sizes = np.abs(rows).max(axis=1, keepdims=True)
    if not sizes.all():
        raise InputError(f"{what}: got a zero row ({int(np.argmin(sizes))}), wanted nonzero rows")
    # First by the largest entry: squares of tiny or huge rows leave the doubles.
    rows = rows / sizes
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
