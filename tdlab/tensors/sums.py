"""Weighted sums of tensors, through the actions of their parts: sum_p c_p T_p.

Solves     a sum of an estimate from samples and known terms, or of any tensors, without the array:
           what is left of a moment tensor at d = 560 takes the terms' memory, not 1.4 GB
Cost       of an action: those of the parts. Known terms of all parts are one `FactoredTensor`, and
           arrays, with known terms beside them, one `DenseTensor`: only what is left over is lazy
Accuracy   actions are as accurate as those of the parts, relative to the parts' sizes; the norm is
           of the array where that is cheap, or else of inner products, whose squares lose half of
           the digits: where more than five digits cancel it is that of the slices T(e_j)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tdlab.errors import InputError, check_array
from tdlab.tensors.arrays import array_home
from tdlab.tensors.base import SymmetricTensor
from tdlab.tensors.dense import DenseTensor
from tdlab.tensors.factored import FactoredTensor

# Share of the parts' squares below which squares of a norm are rounding to too many digits.
_CANCELLED = 1e-10
_SQUARES = 1e140
_UNIT = float(np.finfo(np.float64).eps) / 2


class SumTensor(SymmetricTensor):
    """The tensor sum_p c_p T_p, kept as its parts; made by ``+``, ``-``, ``*`` and ``minus``.

    Attributes
    ----------
    parts : tuple of SymmetricTensor
        Of one shape.
    coefficients : (m,) array

    Examples
    --------
    >>> import numpy as np, tdlab
    >>> net = tdlab.sample_network(4, 5, "He3", rng=0)
    >>> T = tdlab.HermiteMomentTensor(*net.sample(400, rng=1), max_bytes=0)
    >>> rest = T - net.hermite_tensor(3)
    >>> rest
    SumTensor(order=3, dim=4, parts=2)
    >>> np.allclose(rest.dense(), T.dense() - net.hermite_tensor(3).dense())
    True
    """

    def __init__(self, parts: Sequence[SymmetricTensor], coefficients: np.ndarray) -> None:
        self.parts, self.coefficients = tuple(parts), np.array(coefficients)
        self.coefficients.flags.writeable = False
        self.order, self.dim = parts[0].order, parts[0].dim
        self._norm: float | None = None
        if any(part.rounding for part in parts):
            self.rounding = summed_rounding(parts, coefficients, self.norm())

    def norm(self) -> float:
        """Frobenius norm: see the head of `tdlab.tensors.sums` for its accuracy."""
        if self._norm is None:
            self._norm = self._found_norm()
        return self._norm

    def _found_norm(self) -> float:
        if all(part._prefers_dense() for part in self.parts):
            return DenseTensor._trusted(self.dense()).norm()
        sizes = np.abs(self.coefficients) * [part.norm() for part in self.parts]
        if not 1 / _SQUARES < sizes.max() < _SQUARES:
            if not sizes.any():
                return 0.0
            unit, exponent = self.at_unit_scale()
            with np.errstate(over="ignore", under="ignore"):
                return float(np.ldexp(unit._found_norm(), exponent))
        squared = float(sizes @ sizes)
        for i, part in enumerate(self.parts):
            for j in range(i):
                both = 2.0 * self.coefficients[i] * self.coefficients[j]
                squared += both * part.inner(self.parts[j])
        if squared <= _CANCELLED * float(sizes @ sizes):
            return self._norm_by_slices()
        return math.sqrt(squared)

    def _prefers_dense(self) -> bool:
        return all(part._prefers_dense() for part in self.parts)

    def mttkrp(self, factors: Any) -> Any:
        return self._summed(part.mttkrp(factors) for part in self.parts)

    def evaluate(self, vectors: np.ndarray) -> np.ndarray:
        return self._summed(part.evaluate(vectors) for part in self.parts)

    def contract(self, *vectors: np.ndarray) -> np.ndarray:
        return self._summed(part.contract(*vectors) for part in self.parts)

    def _flat_apply(self, vector: np.ndarray, rows: int) -> np.ndarray:
        return self._summed(part._flat_apply(vector, rows) for part in self.parts)

    def inner(self, other: SymmetricTensor) -> float:
        return float(self._summed(part.inner(other) for part in self.parts))

    def packed(self) -> np.ndarray:
        return self._summed(part.packed() for part in self.parts)

    def catalecticant(self, degree: int) -> np.ndarray:
        return self._summed(part.catalecticant(degree) for part in self.parts)

    def dense(self, max_bytes: int = 2**30) -> np.ndarray:
        self._check_bytes(max_bytes)
        return self._summed(part.dense(max_bytes) for part in self.parts)

    def dense_error(self) -> float:
        sizes = np.abs(self.coefficients) * [part.norm() for part in self.parts]
        errors = np.abs(self.coefficients) * [part.dense_error() for part in self.parts]
        # One rounding of each product, one of each addition.
        return float(errors.sum() + (len(sizes) + 1) * _UNIT * sizes.sum())

    def magnitude(self) -> float:
        sizes = np.sqrt([part.magnitude() for part in self.parts])
        return float(np.abs(self.coefficients) @ sizes) ** 2

    @property
    def entries_at_hand(self) -> bool:
        return all(part.entries_at_hand for part in self.parts)

    def rotate(self, rotation: np.ndarray) -> SumTensor:
        return SumTensor([part.rotate(rotation) for part in self.parts], self.coefficients)

    def scaled(self, a: float) -> SumTensor:
        return SumTensor(self.parts, _check_factors([a])[0] * self.coefficients)

    def at_unit_scale(self) -> tuple[SumTensor, int]:
        units, exponents = zip(*(part.at_unit_scale() for part in self.parts), strict=True)
        mantissas, own = np.frexp(self.coefficients)
        sizes = own + np.array(exponents, dtype=np.int64)
        used = mantissas != 0.0
        largest = int(sizes[used].max()) if used.any() else 0
        # Parts that underflow beside the largest one are far below its rounding.
        return SumTensor(units, np.ldexp(mantissas, np.maximum(sizes - largest, -2000))), largest

    def to(self, device: str) -> SymmetricTensor:
        return weighted_sum([part.to(device) for part in self.parts], self.coefficients)

    def lift(self, array: np.ndarray) -> Any:
        return self.parts[0].lift(array)

    def _summed(self, answers: Any) -> Any:
        total = None
        for c, answer in zip(self.coefficients.tolist(), answers, strict=True):
            term = answer if c == 1.0 else c * answer
            total = term if total is None else total + term
        return total

    def __repr__(self) -> str:
        return f"SumTensor(order={self.order}, dim={self.dim}, parts={len(self.parts)})"


def weighted_sum(
    tensors: Sequence[SymmetricTensor], coefficients: Sequence[float] | np.ndarray | None = None
) -> SymmetricTensor:
    """sum_p c_p T_p in its shortest form: terms, an array, or a `SumTensor` of what is left over.

    Parameters
    ----------
    tensors : sequence of SymmetricTensor, of one shape and in one place
    coefficients : (m,) array, optional
        Ones if not given.

    Raises
    ------
    InputError
        If there are none, their shapes or places differ, or a coefficient is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> import tdlab
    >>> from tdlab.tensors import weighted_sum
    >>> T = tdlab.FactoredTensor(np.eye(3))
    >>> weighted_sum([T, T], [2.0, -1.0]).terms()[1]
    array([ 2.,  2.,  2., -1., -1., -1.])
    """
    _check_alike(tensors)
    given = np.ones(len(tensors)) if coefficients is None else _check_factors(coefficients)
    if len(given) != len(tensors):
        raise InputError(f"coefficients: got {len(given)}, wanted {len(tensors)}, one for each")
    parts = [
        (c * inner, part)
        for c, tensor in zip(given.tolist(), tensors, strict=True)
        for inner, part in (
            zip(tensor.coefficients.tolist(), tensor.parts, strict=True)
            if isinstance(tensor, SumTensor)
            else [(1.0, tensor)]
        )
    ]
    known = [(c, part) for c, part in parts if isinstance(part, FactoredTensor)]
    arrays = [(c, part) for c, part in parts if isinstance(part, DenseTensor)]
    lazy = [(c, part) for c, part in parts if not isinstance(part, FactoredTensor | DenseTensor)]
    terms = _joined_terms(known) if known else None
    if arrays:
        lazy.append((1.0, _joined_arrays(arrays, terms)))
    elif terms is not None:
        lazy.append((1.0, terms))
    if len(lazy) == 1 and (arrays or known):
        return lazy[0][1]
    return SumTensor([part for _, part in lazy], np.array([c for c, _ in lazy]))


def summed_rounding(
    parts: Sequence[SymmetricTensor], coefficients: np.ndarray, norm: float
) -> float:
    """Relative rounding of sum_p c_p T_p with that norm: absolute ones add up; at most 1."""
    pairs = zip(np.abs(coefficients), parts, strict=True)
    absolute = sum(float(c) * part.rounding * part.norm() for c, part in pairs)
    return absolute / norm if absolute < norm else float(absolute > 0.0)


def _joined_terms(known: list[tuple[float, FactoredTensor]]) -> FactoredTensor:
    rows = np.vstack([part.components for _, part in known])
    weights = np.concatenate([c * part.weights for c, part in known])
    return known[0][1]._like(rows, weights)


def _joined_arrays(
    arrays: list[tuple[float, DenseTensor]], terms: FactoredTensor | None
) -> DenseTensor:
    parts: list[SymmetricTensor] = [part for _, part in arrays]
    total = sum(c * part._array for c, part in arrays)
    if terms is not None:
        total = total + terms.dense(2**62)
    joined = arrays[0][1]._like(np.asarray(total))
    joined.rounding = summed_rounding(parts, np.array([c for c, _ in arrays]), joined.norm())
    return joined


def _check_alike(tensors: Sequence[SymmetricTensor]) -> None:
    shapes = sorted({tensor.shape for tensor in tensors})
    if len(shapes) != 1:
        raise InputError(f"tensors: got shapes {shapes}, wanted one or more tensors of one shape")
    homes = {str(array_home(tensor.lift(np.empty(0))) or "NumPy") for tensor in tensors}
    if len(homes) > 1:
        raise InputError(
            f"tensors: got parts held in {len(homes)} places ({', '.join(sorted(homes))}), wanted "
            "one: see the method `to`"
        )


def _check_factors(coefficients: Any) -> np.ndarray:
    return check_array("coefficients", coefficients, ("m",))
