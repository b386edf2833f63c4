"""A network with one component larger than the others: how well that one is estimated."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from tdlab.errors import InputError, check_real
from tdlab.metrics import largest_overlap
from tdlab.problems.base import Terms
from tdlab.problems.two_layer import TwoLayer, TwoLayerInstance


@dataclass(frozen=True)
class Boosted(TwoLayer):
    """A two-layer network whose first output weight is 1 + boost times as large as the others.

    The measure ``recovered`` is the squared cosine of the largest component found with that one,
    and success is one half of it or more.

    Attributes
    ----------
    boost : float
        > 0.

    Examples
    --------
    >>> import numpy as np
    >>> from tdlab.problems.boosted import Boosted
    >>> problem = Boosted((0.0, 0.0, 0.0, 1.0), "hypercube", 3, boost=1.0)
    >>> float(problem.draw(16, 10, np.random.default_rng(0)).network.output_weights.max())
    2.0
    """

    kind: ClassVar[str] = "boosted"

    boost: float = field(kw_only=True)

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> tuple[Boosted, str]:
        boost = check_real("boost", options.get("boost", 0.0), 0.0)
        if boost == 0.0:
            raise InputError(f"boost: got {options.get('boost')}, wanted a number > 0")
        plain, label = TwoLayer.read(options)
        return cls(**dataclasses.asdict(plain), boost=boost), label

    def draw(self, dim: int, rank: int, rng: np.random.Generator) -> BoostedInstance:
        network = self._network(dim, rank, rng, self.boost)
        return BoostedInstance(network, self.order, self.noise, rng)


class BoostedInstance(TwoLayerInstance):
    """A teacher whose larger component is to be found."""

    def _recovery(self, terms: Terms) -> tuple[float, bool]:
        overlap = largest_overlap(terms.components, terms.weights, self.network, self.order)
        return overlap, overlap >= 0.5
