"""Drawing a random teacher network."""

from __future__ import annotations

import numpy as np

from tdlab.errors import check_integer
from tdlab.networks.activation import Activation
from tdlab.networks.ensembles import check_ensemble_size, get_ensemble
from tdlab.networks.two_layer import TwoLayerNetwork


def sample_network(
    dim: int,
    rank: int,
    activation: str | Activation | tuple[float, ...] | list[float] = "x**3",
    ensemble: str = "isotropic",
    *,
    rng: np.random.Generator | int | None = None,
) -> TwoLayerNetwork:
    """Draw a network of ``rank`` unit-norm hidden units with output weights 1.

    Parameters
    ----------
    dim : int
        Input dimension d >= 2.
    rank : int
        Hidden units r >= 1 (``"isotropic"``: r >= d + 1).
    activation : str, sequence of coefficients, or Activation
    ensemble : str
        ``"isotropic"`` or ``"sphere"``; see `tdlab.networks.ensembles`.
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
    return TwoLayerNetwork(law.draw(dim, rank, np.random.default_rng(rng)), activation=parsed)
