"""Planted problems every algorithm meets: name -> function(rng) -> (tensor, true components)."""

import numpy as np

from tdlab import FactoredTensor, sample_network


def _unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def orthogonal(rng):
    rows = np.linalg.qr(rng.standard_normal((10, 10)))[0]
    return FactoredTensor(rows), rows


def half_dim(rng):
    rows = _unit(rng.standard_normal((5, 10)))
    return FactoredTensor(rows), rows


def full_dim(rng):
    rows = _unit(rng.standard_normal((12, 12)))
    return FactoredTensor(rows), rows


def signed_weights(rng):
    rows = _unit(rng.standard_normal((6, 12)))
    weights = np.array([2.0, -1.0, 1.5, -0.5, 1.0, -1.2])
    # A negative coefficient of w is a positive one of -w.
    return FactoredTensor(rows, weights), rows * np.sign(weights)[:, None]


def dense_array(rng):
    rows = _unit(rng.standard_normal((6, 12)))
    from tdlab import DenseTensor

    return DenseTensor(FactoredTensor(rows).dense()), rows


def overcomplete(rng):
    rows = _unit(rng.standard_normal((18, 12)))
    return FactoredTensor(rows), rows


def isotropic(rng):
    rows = sample_network(12, 18, "He3", "isotropic", rng=rng).weights
    return FactoredTensor(rows), rows


def beyond_counting(rng):
    rows = _unit(rng.standard_normal((14, 6)))
    return FactoredTensor(rows), rows


PLANTED = {
    "orthogonal": orthogonal,
    "half-dim": half_dim,
    "full-dim": full_dim,
    "signed-weights": signed_weights,
    "dense-array": dense_array,
    "overcomplete": overcomplete,
    "isotropic": isotropic,
    "beyond-counting": beyond_counting,
}
