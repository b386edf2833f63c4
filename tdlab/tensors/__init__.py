"""Symmetric tensors: what an algorithm sees, whatever they are made of."""

from tdlab.tensors.base import SymmetricTensor, Tensor
from tdlab.tensors.dense import DenseTensor, gaussian_tensor, symmetrize
from tdlab.tensors.edge import as_symmetric, as_tensor
from tdlab.tensors.factored import FactoredTensor
from tdlab.tensors.flattening4 import Flattening4
from tdlab.tensors.moment import HermiteMomentTensor
from tdlab.tensors.moment_stream import MomentAccumulator, moment_vector
from tdlab.tensors.sums import SumTensor, weighted_sum

__all__ = [
    "DenseTensor",
    "FactoredTensor",
    "Flattening4",
    "HermiteMomentTensor",
    "MomentAccumulator",
    "SumTensor",
    "SymmetricTensor",
    "Tensor",
    "as_symmetric",
    "as_tensor",
    "gaussian_tensor",
    "moment_vector",
    "symmetrize",
    "weighted_sum",
]
