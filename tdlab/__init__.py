"""tdlab: a lab for the hardness of tensor decomposition and the recovery of two-layer networks.

Names load on first use, so that ``import tdlab`` costs milliseconds.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_HOMES = {
    "DenseTensor": "tdlab.tensors",
    "FactoredTensor": "tdlab.tensors",
    "Flattening4": "tdlab.tensors",
    "HermiteMomentTensor": "tdlab.tensors",
    "MomentAccumulator": "tdlab.tensors",
    "SymmetricTensor": "tdlab.tensors",
    "gaussian_tensor": "tdlab.tensors",
    "symmetrize": "tdlab.tensors",
    "Activation": "tdlab.networks",
    "HermitePolynomial": "tdlab.networks",
    "TwoLayerNetwork": "tdlab.networks",
    "gaussian_polynomial": "tdlab.networks",
    "sample_network": "tdlab.networks",
    "Decomposition": "tdlab.algorithms",
    "Status": "tdlab.algorithms",
    "decompose": "tdlab.algorithms",
    "methods": "tdlab.algorithms.registry",
    "uniqueness": "tdlab.algorithms.uniqueness",
    "RankEstimate": "tdlab.algorithms.rank",
    "estimate_rank": "tdlab.algorithms.rank",
    "learner": "tdlab.learning",
    "learners": "tdlab.learning",
    "least_squares_tensor": "tdlab.learning.polynomial_regression",
    "match": "tdlab.metrics",
    "InputError": "tdlab.errors",
    "InputWarning": "tdlab.errors",
    "run": "tdlab.lab",
    "merge": "tdlab.lab",
    "open_store": "tdlab.lab",
}
_MODULES = (
    "algorithms",
    "dictionary",
    "lab",
    "learning",
    "metrics",
    "networks",
    "problems",
    "sos",
    "stats",
    "tensors",
    "theory",
    "view",
)

__all__ = [
    "Activation",
    "Decomposition",
    "DenseTensor",
    "FactoredTensor",
    "Flattening4",
    "HermiteMomentTensor",
    "HermitePolynomial",
    "InputError",
    "InputWarning",
    "MomentAccumulator",
    "RankEstimate",
    "Status",
    "SymmetricTensor",
    "TwoLayerNetwork",
    "algorithms",
    "decompose",
    "dictionary",
    "estimate_rank",
    "gaussian_polynomial",
    "gaussian_tensor",
    "lab",
    "learner",
    "learners",
    "learning",
    "least_squares_tensor",
    "match",
    "merge",
    "methods",
    "metrics",
    "networks",
    "open_store",
    "problems",
    "run",
    "sample_network",
    "sos",
    "stats",
    "symmetrize",
    "tensors",
    "theory",
    "uniqueness",
    "view",
]

if TYPE_CHECKING:
    from tdlab import (
        algorithms,
        dictionary,
        lab,
        learning,
        metrics,
        networks,
        problems,
        sos,
        stats,
        tensors,
        theory,
        view,
    )
    from tdlab.algorithms import Decomposition, Status, decompose
    from tdlab.algorithms.rank import RankEstimate, estimate_rank
    from tdlab.algorithms.registry import methods
    from tdlab.algorithms.uniqueness import uniqueness
    from tdlab.errors import InputError, InputWarning
    from tdlab.lab import merge, open_store, run
    from tdlab.learning import learner, learners
    from tdlab.learning.polynomial_regression import least_squares_tensor
    from tdlab.metrics import match
    from tdlab.networks import (
        Activation,
        HermitePolynomial,
        TwoLayerNetwork,
        gaussian_polynomial,
        sample_network,
    )
    from tdlab.tensors import (
        DenseTensor,
        FactoredTensor,
        Flattening4,
        HermiteMomentTensor,
        MomentAccumulator,
        SymmetricTensor,
        gaussian_tensor,
        symmetrize,
    )


def __getattr__(name: str) -> object:
    if name in _HOMES:
        value = getattr(_import_module(_HOMES[name]), name)
    elif name in _MODULES:
        value = _import_module(f"tdlab.{name}")
    else:
        raise AttributeError(f"module 'tdlab' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
