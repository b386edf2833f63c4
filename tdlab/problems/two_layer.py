"""Two-layer networks: all hidden units are to be found, from a Hermite tensor or from samples."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tdlab.errors import InputError, check_choice, check_integer, check_real
from tdlab.metrics import directions, match, null_risk_ratio, risk_ratio, score, student_network
from tdlab.networks import Activation, TwoLayerNetwork, gaussian_polynomial, sample_network
from tdlab.networks.ensembles import check_ensemble_size, get_ensemble
from tdlab.networks.sampling import SIGNS
from tdlab.problems.base import Answer, Instance, Problem, Terms, Verdict
from tdlab.tensors import SymmetricTensor, gaussian_tensor

if TYPE_CHECKING:
    from tdlab.networks import HermitePolynomial


@dataclass(frozen=True)
class TwoLayer(Problem):
    """y = sum_i a_i sigma(<w_i, x>), x standard Gaussian.

    Attributes
    ----------
    activation : tuple of float
        Its monomial coefficients.
    ensemble : str
        Law of the weights (`tdlab.networks.ensembles`).
    order : int
        Of the Hermite tensor that is decomposed.
    signs : str
        Of the output weights: "positive" or "random".
    noise : float
        Standard deviation of the label noise, in units of that of the noiseless labels.

    Examples
    --------
    >>> import numpy as np
    >>> from tdlab.problems.two_layer import TwoLayer
    >>> instance = TwoLayer((0.0, 0.0, 0.0, 1.0), "sphere", 3).draw(5, 4, np.random.default_rng(0))
    >>> instance.tensor().shape, instance.sample(10)[0].shape
    ((5, 5, 5), (10, 5))
    """

    kind: ClassVar[str] = "two-layer"

    activation: tuple[float, ...]
    ensemble: str
    order: int
    signs: str = "positive"
    noise: float = 0.0

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> tuple[TwoLayer, str]:
        for key in ("activation", "ensemble"):
            if key not in options:
                raise InputError(f"got no key {key!r}, wanted one")
        text = options["activation"]
        if not isinstance(text, str | list):
            raise InputError(f"activation: got {text!r}, wanted a formula or coefficients")
        activation = Activation.parse(text)
        if not isinstance(options["ensemble"], str):
            raise InputError(f"ensemble: got {options['ensemble']!r}, wanted a name")
        ensemble = get_ensemble(options["ensemble"])
        order = check_integer("order", options.get("order", activation.degree), 2)
        if order > activation.degree or not activation.mean_derivative(order, 1.0):
            raise InputError(
                f"order: got {order}, wanted a degree in which {text!r} has a Hermite component"
            )
        noise = check_real("noise", options.get("noise", 0.0), 0.0)
        signs = check_choice("signs", options.get("signs", "positive"), SIGNS)
        made = cls(activation.coefficients, ensemble.name, order, signs, noise)
        formula = text.strip() if isinstance(text, str) else str(activation)
        return made, f"{formula}/{ensemble.name}"

    @property
    def family(self) -> str:
        return self.ensemble

    @property
    def degree(self) -> int:
        return len(self.activation) - 1

    @property
    def sizes(self) -> str:
        return get_ensemble(self.ensemble).sizes

    def exists(self, dim: int, rank: int) -> bool:
        return get_ensemble(self.ensemble).exists(dim, rank)

    def check(self, dim: int, rank: int) -> None:
        check_ensemble_size(get_ensemble(self.ensemble), dim, rank)

    def draw(self, dim: int, rank: int, rng: np.random.Generator) -> TwoLayerInstance:
        return TwoLayerInstance(self._network(dim, rank, rng), self.order, self.noise, rng)

    def _network(
        self, dim: int, rank: int, rng: np.random.Generator, boost: float = 0.0
    ) -> TwoLayerNetwork:
        return sample_network(
            dim,
            rank,
            activation=Activation(self.activation),
            ensemble=self.ensemble,
            signs=self.signs,
            boost=boost,
            rng=rng,
        )

    def small(self) -> tuple[TwoLayer, int, int]:
        # Iid rows exist at every rank, and rank 2 at dim 4 is within the range of every method.
        return replace(self, ensemble="sphere"), 4, 2


class _Sampled(Instance):
    """A target that is sampled at Gaussian inputs, with label noise of a given size."""

    def __init__(
        self, noise: float, rng: np.random.Generator, children: list[np.random.Generator]
    ) -> None:
        self._noise, self._rng, self._children = noise, rng, children
        self._sampling, self._testing = children
        self._start = self._sampling.bit_generator.state

    @abstractmethod
    def _target(self) -> TwoLayerNetwork | HermitePolynomial:
        """The function behind the labels."""

    def sample(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        self._sampling.bit_generator.state = self._start
        return self._target().sample(n, self._noise, rng=self._sampling)

    def _risk(self, predictor: Any) -> tuple[float, str]:
        """Risk ratio of a predictor, and how it was measured where it is not exact."""
        found = score(self._target(), predictor, rng=self._testing)
        if found.standard_error == 0.0:
            return found.ratio, ""
        error = f"standard error {found.standard_error:.2g}"
        return found.ratio, f"risk ratio on a test set, {error}"


class TwoLayerInstance(_Sampled):
    """A teacher, and all its units to be found.

    Attributes
    ----------
    network : TwoLayerNetwork
    """

    def __init__(
        self, network: TwoLayerNetwork, order: int, noise: float, rng: np.random.Generator
    ) -> None:
        # The stream is spent after an unknown number of draws: children are not.
        super().__init__(noise * math.sqrt(network.variance()), rng, rng.spawn(2))
        self.network, self.order = network, order
        self.rank, self.dim = network.weights.shape

    def _target(self) -> TwoLayerNetwork:
        return self.network

    def tensor(self) -> SymmetricTensor:
        return self.network.hermite_tensor(self.order)

    def null(self) -> TwoLayerNull:
        return TwoLayerNull(self.network, self.order, self._noise, self._rng, self._children)

    def told(self) -> dict[str, Any]:
        return told_of(self.network)

    def score(self, answer: Answer) -> Verdict:
        measures: dict[str, float] = {}
        solved, remark = None, ""
        if answer.terms is not None:
            measures["recovered"], solved = self._recovery(answer.terms)
        if answer.predictor is not None:
            measures["risk_ratio"], remark = self._risk(answer.predictor)
        elif answer.terms is not None:
            student = student_network(answer.terms, self.network.activation)
            measures["risk_ratio"] = risk_ratio(self.network, student)
        return Verdict(solved, measures, remark)

    def _recovery(self, terms: Terms) -> tuple[float, bool]:
        """The share of the units that was found, and whether that is all of them."""
        truth = directions(self.network, self.order)
        found = match(terms.components, truth, order=self.order)
        return found.recovered, found.recovered == 1.0


class TwoLayerNull(_Sampled):
    """Its control: a Gaussian tensor of the teacher's norm, or labels of its variance.

    A structureless target has nothing to learn in other degrees, so the null's student is pure in
    the degree that was decomposed: the ratio is what rank alone compresses away. The labels are a
    polynomial with Gaussian coefficients and the teacher's energy in each degree.
    """

    def __init__(
        self,
        network: TwoLayerNetwork,
        order: int,
        noise: float,
        rng: np.random.Generator,
        children: list[np.random.Generator],
    ) -> None:
        super().__init__(noise, rng, children)
        self._network, self.order = network, order
        self.rank, self.dim = network.weights.shape

    @cached_property
    def _gaussian(self) -> SymmetricTensor:
        norm = self._network.hermite_tensor(self.order).norm()
        return gaussian_tensor(self.dim, self.order, norm, rng=self._rng)

    @cached_property
    def _polynomial(self) -> HermitePolynomial:
        return gaussian_polynomial(self.dim, self._network.hermite_energies(), rng=self._rng)

    def _target(self) -> HermitePolynomial:
        return self._polynomial

    def tensor(self) -> SymmetricTensor:
        return self._gaussian

    def null(self) -> TwoLayerNull:
        return self

    def told(self) -> dict[str, Any]:
        return told_of(self._network)

    def score(self, answer: Answer) -> Verdict:
        if answer.predictor is not None:
            ratio, remark = self._risk(answer.predictor)
            return Verdict(None, {"risk_ratio": ratio}, remark)
        if answer.terms is None:
            return Verdict(None)
        student = student_network(answer.terms, f"He{self.order}")
        return Verdict(None, {"risk_ratio": null_risk_ratio(self._gaussian, student)})


def told_of(network: TwoLayerNetwork) -> dict[str, Any]:
    """What a contender may be told of a teacher: of its facts those that it asks for."""
    return {
        "rank": len(network.weights),
        "activation": str(network.activation),
        "teacher": network,
    }
