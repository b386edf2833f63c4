"""Drawing a random teacher network."""

from __future__ import annotations

import numpy as np

from tdlab.errors import check_choice, check_integer, check_real
from tdlab.networks.activation import Activation
from tdlab.networks.ensembles import check_ensemble_size, get_ensemble
from tdlab.networks.two_layer import TwoLayerNetwork
from tdlab.streams import Part, own_stream

SIGNS = ("positive", "random")


def sample_network(
    dim: int,
    rank: int,
    activation: str | Activation | tuple[float, ...] | list[float] = "x**3",
    ensemble: str = "isotropic",
    *,
    signs: str = "positive",
    boost: float = 0.0,
    rng: np.random.Generator | int | None = None,
) -> TwoLayerNetwork:
    """Draw a network of ``rank`` unit-norm hidden units with output weights 1, or +-1.

    Parameters
    ----------
    dim : int
        Input dimension d >= 2.
    rank : int
        Hidden units r >= 1 (``"isotropic"``: r >= d + 1).
    activation : str, sequence of coefficients, or Activation
    ensemble : str
        ``"isotropic"``, ``"sphere"``, ``"hypercube"``, ``"orthobases"``, ``"simplices"``,
        ``"low-coherence"`` or ``"collinear"``; `tdlab.networks.ensembles` says what holds for each.
    signs : str
        Of the output weights: "positive" (all 1) or "random". ``"isotropic"`` weights are then
        centred with their signs, so that no linear function of the inputs is leaked.
    boost : float
        The first output weight is 1 + boost times that size: one component larger than the rest.
        ``"isotropic"`` weights are centred as if it were not.
    rng : Generator, int or None

    Raises
    ------
    InputError
        For an unknown ensemble or activation, or a rank the ensemble does not have.

    Examples
    --------
    >>> import tdlab
    >>> net = tdlab.sample_network(dim=20, rank=40, rng=0)
    >>> net.weights.shape, bool(abs(net.weights.sum(axis=0)).max() < 1e-10)
    ((40, 20), True)
    """
    dim = check_integer("dim", dim, 2)
    rank = check_integer("rank", rank, 1)
    parsed = Activation.parse(activation)
    law = get_ensemble(ensemble)
    check_ensemble_size(law, dim, rank)
    boost = check_real("boost", boost, 0.0)
    generator = own_stream(rng, Part.NETWORK)
    outputs = np.ones(rank)
    if check_choice("signs", signs, SIGNS) == "random":
        outputs = generator.choice([-1.0, 1.0], rank)
    rows = law.draw(dim, rank, generator, outputs)
    outputs[0] *= 1.0 + boost
    return TwoLayerNetwork(rows, outputs, parsed)
