"""Decompositions of symmetric tensors, one file each, behind one front door."""

from tdlab.algorithms.base import Budget, Decomposition, Status, finish
from tdlab.algorithms.front import decompose
from tdlab.algorithms.registry import get_method

__all__ = ["Budget", "Decomposition", "Status", "decompose", "finish", "get_method"]
