"""What every decomposition method shares: the protocol, the result, and how a result is judged."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from tdlab.algorithms.jacobian import undetermined
from tdlab.algorithms.moves import uniqueness_of
from tdlab.algorithms.noise import noise_gain, null_bar
from tdlab.algorithms.words import n_terms
from tdlab.tensors import FactoredTensor, SymmetricTensor, Tensor

if TYPE_CHECKING:
    from tensorly.cp_tensor import CPTensor

# Squares expanded through Gram matrices bottom out at 1e-16 |T|^2: below this a residual is noise.
RESIDUAL_FLOOR = 1e-8
# An exact fit computed in double precision lands within an order of magnitude of that floor.
EXACT_FIT = 1e-7
_ROUNDED = 1e-5
# Coarsest rounding of data that an exact fit is judged by.
_FINE = 1e-4


class Status(StrEnum):
    """Why a decomposition ended.

    ``approximation``: independent runs agree on a best fit that is not exact, and nothing says
    that what it leaves is noise. ``complex``: exact over the complex numbers only.
    ``below-noise``: the fit reaches the noise, which may have made some of its components, or all.
    """

    CONVERGED = "converged"
    APPROXIMATION = "approximation"
    COMPLEX = "complex"
    FIT_NOT_UNIQUE = "fit-not-unique"
    STAGNATED = "stagnated"
    DEGENERATE = "degenerate"
    BELOW_NOISE = "below-noise"
    UNSUPPORTED = "unsupported"
    BREAKDOWN = "breakdown"
    TIME_LIMIT = "time-limit"


@dataclass(frozen=True, eq=False)
class Decomposition:
    """A sum of rank-one terms, T ~ sum_i weights_i components_i^{(x)order}, and what is known.

    Attributes
    ----------
    components : (k, d) array
        Unit rows, k <= rank; never padded.
    weights : (k,) array
        Coefficients; positive at odd orders.
    residual : float
        |T - T_hat|_F / |T|_F, not below 1e-8.
    success : bool
        The fit is exact to rounding, or reaches the noise level where that beats a tensor without
        structure. It says nothing about other decompositions: see ``unique``.
    unique : str
        "generic", "no" or "unknown": whether a generic tensor of this order and rank, in as many
        dimensions as the components span, has only this decomposition. "no" also where fewer terms
        suffice, or where these can move while their sum stays.
    status : Status
    message : str
        Why it ended, and what to try next.
    nit : int
        Iterations, all restarts together.
    history : tuple of float
        Relative residual after each iteration (or restart), as the method reports it.
    seconds : float
        Wall-clock time of the method, without compilation.
    method : str
    order, rank : int
        Of the request.
    noise : float
        |noise|_F / |T|_F: as given, or estimated from the residual of a success; 0 for an exact
        fit.
    """

    components: np.ndarray
    weights: np.ndarray
    residual: float
    success: bool
    unique: str
    status: Status
    message: str
    nit: int
    history: tuple[float, ...]
    seconds: float
    method: str
    order: int
    rank: int
    noise: float = 0.0
    agreement: int = 1

    def tensor(self) -> FactoredTensor:
        """T_hat as a `FactoredTensor`; raises `InputError` if there are no components."""
        return FactoredTensor(self.components, self.weights, self.order)

    def to_tensorly(self) -> CPTensor:
        """T_hat as a tensorly ``CPTensor``; raises `InputError` if there are no components."""
        return self.tensor().to_tensorly()

    def weights_norms(self) -> np.ndarray:
        """|a_i|^{1/k}, the norms of the rows w_i of T_hat = sum_i +-w_i^{(x)k}: a (k,) array."""
        return np.abs(self.weights) ** (1.0 / self.order)

    def confidence(
        self,
        level: float = 0.95,
        *,
        joint: bool = False,
        tensor: SymmetricTensor | np.ndarray | None = None,
        rng: np.random.Generator | int | None = None,
    ) -> np.ndarray:
        """Lower confidence bounds (k,) for the cosines with the true components, under noise.

        Each holds with probability ``level``, or all at once with ``joint``. With the ``tensor``,
        a component that other starts do not find again has none (-1). See
        `tdlab.algorithms.uniqueness.confidence`; costs O((k d)^3).
        """
        from tdlab.algorithms.uniqueness import confidence

        return confidence(self, level, joint=joint, tensor=tensor, rng=rng)

    def __repr__(self) -> str:
        lines = [
            f"    method: {self.method}",
            f"    status: {self.status}",
            f"   message: {self.message}",
            f"   success: {self.success}    unique: {self.unique}",
            f"  residual: {self.residual:.3e}    noise: {self.noise:.3g}",
            f"components: {self.components.shape} array, asked for rank {self.rank}",
            f"       nit: {self.nit}    seconds: {self.seconds:.3f}",
        ]
        return "\n".join(lines)


@dataclass
class Budget:
    """The clock of one decomposition: methods count iterations, seconds only stop them.

    Attributes
    ----------
    max_seconds : float or None
    noise : float
        Relative residual at which a fit reaches the noise; 0 asks for an exact fit.
    level : float
        Relative Frobenius norm of that noise: above ``noise``, as a fit takes part of it.
    estimate : bool
        Whether nobody knows the noise: a fit that is not exact may then stand all the same.
    exact : float
        Relative residual up to which a fit is exact: see `exact_fit`.
    """

    max_seconds: float | None = None
    noise: float = 0.0
    level: float = 0.0
    estimate: bool = False
    exact: float = EXACT_FIT
    started: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.started

    @property
    def expired(self) -> bool:
        """Whether ``max_seconds`` have passed."""
        return self.max_seconds is not None and self.seconds >= self.max_seconds

    @property
    def left(self) -> float | None:
        """Seconds until ``max_seconds``; None without a limit."""
        return None if self.max_seconds is None else max(self.max_seconds - self.seconds, 0.0)

    @property
    def checked(self) -> int:
        """Parameters r d up to which a success is asked whether its terms can move, or be noise.

        That costs (r d)^3 / 3 flops: seconds at the most where a user asks once, and less than the
        fit where scans ask for exact ones.
        """
        return 2500 if self.estimate else 1000 if self.noise else 600

    @property
    def target(self) -> float:
        """Relative residual at which the fit is as good as the data."""
        return max(self.noise, self.exact)


def exact_fit(tensor: Tensor) -> float:
    """Relative residual up to which a fit is exact: the rounding of the data, where that is more.

    Entries in half precision are so coarse that their rounding is noise like any other.
    """
    return max(EXACT_FIT, tensor.rounding if tensor.rounding <= _FINE else 0.0)


class Method(Protocol):
    """A decomposition algorithm: a frozen dataclass whose fields are its options.

    ``run`` is called only for an order in ``orders`` and a rank within ``limit``; it returns
    `finish` (...) and raises nothing of its own.

    A method that takes other tensors than symmetric ones names their kinds in ``accepts``, and one
    that forms large arrays has ``required_bytes(tensor)``: above 1 GiB it is not run.
    """

    name: ClassVar[str]
    orders: ClassVar[tuple[int, ...]]
    version: ClassVar[int]
    guarantee: ClassVar[str]
    cost: ClassVar[str]
    source: ClassVar[str]

    def reach(self, dim: int, order: int) -> int | None:
        """Largest rank at which success is guaranteed or was measured; None if not known."""
        ...

    def limit(self, dim: int, order: int) -> int | None:
        """Largest rank that the method accepts at all; None if any."""
        ...

    def run(
        self,
        tensor: SymmetricTensor,
        rank: int,
        *,
        rng: np.random.Generator,
        budget: Budget,
    ) -> Decomposition:
        """Decompose the tensor into at most ``rank`` terms."""
        ...


def finish(
    method: Any,
    tensor: SymmetricTensor,
    rank: int,
    budget: Budget,
    *,
    components: np.ndarray | None,
    weights: np.ndarray | None = None,
    status: Status = Status.STAGNATED,
    message: str = "",
    nit: int = 0,
    history: tuple[float, ...] = (),
) -> Decomposition:
    """Judge components by one standard and wrap them as a `Decomposition`.

    Parameters
    ----------
    components : (k, d) array of any row norms, or None where the method has nothing to show
    weights : (k,) array, optional
        Coefficients of the normalised rows; fitted by least squares if not given.
    status, message : used where the fit is not a success
    """
    order, dim = tensor.order, tensor.dim
    rows = np.empty((0, dim)) if components is None else np.asarray(components, dtype=np.float64)
    shown = len(rows)
    rows = rows[np.isfinite(rows).all(axis=1)]
    lost = shown - len(rows)
    norms = np.linalg.norm(rows, axis=1)
    rows = rows[norms > 0] / norms[norms > 0, None]
    if weights is None or len(weights) != len(rows):
        weights = fit_weights(tensor, rows)
    # Terms that add nothing at double precision are padding.
    kept = np.abs(weights) > 1e-12 * np.abs(weights).max(initial=0.0)
    rows, weights = rows[kept], weights[kept]
    if order % 2 == 1:
        rows, weights = rows * np.sign(weights)[:, None], np.abs(weights)

    residual = relative_residual(tensor, rows, weights)
    exact = residual <= budget.exact
    reaches = residual <= budget.noise
    cancels = _cancelling(rows, weights, tensor.norm())
    # A fit that approaches by ever larger terms has no limit: noise does not excuse that.
    beats = residual < null_bar(dim, rank, order)
    if exact:
        # Terms smaller than what the residual resolves may point anywhere.
        seen = np.abs(weights) > residual * tensor.norm()
        rows, weights = rows[seen], weights[seen]
    success = exact or (reaches and beats and not cancels)
    loose = buried = 0
    if success and not exact and order > 2:
        left = residual * tensor.norm()
        loose, buried = undetermined(
            rows, weights, order, left, noise_gain(dim, order), budget.checked
        )
        success = loose == buried == 0
    unique, why = (
        uniqueness_of(rows, weights, order, rank, budget.checked) if success else ("unknown", "")
    )
    if success:
        status = Status.CONVERGED if unique == "generic" else Status.FIT_NOT_UNIQUE
        message = f"Fits the tensor to a relative residual of {residual:.1e}.{why}"
        if not exact:
            message += f" That is what noise of {budget.level:.2g} of the tensor's norm leaves."
    elif loose:
        status = Status.BELOW_NOISE
        message = (
            f"The residual {residual:.2g} reaches the noise level, but that noise leaves the "
            f"directions of {loose} of {len(rows)} components undetermined. Lower the rank."
        )
    elif buried:
        status = Status.BELOW_NOISE
        message = (
            f"The residual {residual:.2g} reaches the noise level, but {buried} of {len(rows)} "
            "components take no more of the tensor than one would take of that noise. Lower the "
            "rank."
        )
    elif reaches and not beats:
        status = Status.BELOW_NOISE
        message = (
            f"The residual {residual:.2g} reaches the noise level, but {n_terms(rank, 'fit')} a "
            "tensor without structure nearly as well: nothing was found. Lower the rank or "
            "the noise."
        )
    elif (reaches or status is Status.STAGNATED) and cancels:
        status = Status.DEGENERATE
        message = (
            f"Stopped at residual {residual:.2g} with components that nearly cancel each other. "
            f"{message}"
        )
    elif lost and status in (Status.STAGNATED, Status.CONVERGED):
        status = Status.BREAKDOWN
        message = f"{lost} of {shown} components were not finite and were left out. {message}"
    return Decomposition(
        components=rows,
        weights=weights,
        residual=residual,
        success=success,
        unique=unique,
        status=status,
        message=message.strip(),
        nit=nit,
        history=tuple(float(h) for h in history),
        seconds=budget.seconds,
        method=method.name,
        order=order,
        rank=rank,
        noise=0.0 if exact else budget.level,
    )


def fit_weights(tensor: SymmetricTensor, rows: np.ndarray) -> np.ndarray:
    """Least-squares coefficients of fixed unit rows: (G^{ok}) a = T(w_i, ..., w_i)."""
    if len(rows) == 0:
        return np.empty(0)
    gram = (rows @ rows.T) ** tensor.order
    values = tensor.evaluate(rows)
    return np.linalg.lstsq(gram, values, rcond=1e-14)[0]


def relative_residual(tensor: SymmetricTensor, rows: np.ndarray, weights: np.ndarray) -> float:
    """|T - sum_i a_i w_i^{ok}| / |T| through Gram matrices, clipped from below at the floor."""
    norm = tensor.norm()
    if norm == 0.0 or len(rows) == 0:
        return 1.0
    fitted = FactoredTensor(rows, weights, tensor.order)
    squared = norm**2 - 2.0 * tensor.inner(fitted) + fitted.norm() ** 2
    residual = float(np.sqrt(max(squared, 0.0))) / norm
    if residual < _ROUNDED:
        # Cancelling terms round at the size they had before they cancelled: no smaller residual
        # can be told from zero.
        size = fitted.magnitude() + tensor.magnitude()
        residual = max(residual, float(np.sqrt(np.finfo(float).eps / 8 * size)) / norm)
    return max(residual, RESIDUAL_FLOOR)


def cancelling(result: Decomposition, tensor: SymmetricTensor) -> bool:
    """Whether single terms of a fit are far larger than the tensor."""
    return _cancelling(result.components, result.weights, tensor.norm())


def _cancelling(rows: np.ndarray, weights: np.ndarray, norm: float) -> bool:
    """Whether single terms are far larger than the tensor: they can only cancel in pairs."""
    return len(weights) > 1 and float(np.abs(weights).max()) > 3.0 * norm
