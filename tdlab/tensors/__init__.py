"""Symmetric tensors: what an algorithm sees, whatever they are made of."""

from tdlab.tensors.base import SymmetricTensor
from tdlab.tensors.dense import DenseTensor, gaussian_tensor, symmetrize
from tdlab.tensors.factored import FactoredTensor
from tdlab.tensors.flattening4 import Flattening4
from tdlab.tensors.moment import HermiteMomentTensor
from tdlab.tensors.moment_stream import MomentAccumulator, moment_vector

__all__ = [
    "DenseTensor",
    "FactoredTensor",
    "Flattening4",
    "HermiteMomentTensor",
    "MomentAccumulator",
    "SymmetricTensor",
    "gaussian_tensor",
    "moment_vector",
    "symmetrize",
]
