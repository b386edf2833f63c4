"""Sparsely used orthogonal dictionaries from the fourth cumulant of the samples.

Solves     Y = A Z with A (n, n) orthogonal and sparse coefficients Z, up to signs and order
Guarantee  that of ``schramm-steurer`` where E z_i^2 z_j^2 is small beside E z_i^4
Cost       n^4 N / 2 flops for the cumulant, O(n^5) for its decomposition, n^2 N a polish step
Sources    Schramm and Steurer (2017), arXiv 1706.08672

For independent z of variance p, E y^{(x)4} = sum_i k_i a_i^{(x)4} + p^2 (three pairings of I (x) I)
with k the fourth cumulant: p (1 - 3p) for values +-1 at density p, 3 p (1 - p) for Gaussian ones.
Dependence adds an error to that; its spectral norm, not its size, is what matters.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from tdlab.algorithms.base import Budget, Status
from tdlab.algorithms.schramm_steurer import SchrammSteurer
from tdlab.errors import InputError, check_array, check_choice, check_integer, check_real
from tdlab.tensors.flattening4 import Flattening4

# Cumulants of the two halves of the samples that agree less than this are sampling noise.
_AGREEMENT = 0.3
_POLISH_STEPS = 30


@dataclass(frozen=True, eq=False)
class Dictionary:
    """A learned dictionary and what is known of it.

    Attributes
    ----------
    atoms : (n, n) array
        One atom a column, orthonormal; empty (n, 0) where nothing was learned.
    success : bool
        All n atoms were found. It is no proof that they are the true ones.
    status : Status
    message : str
    cumulant : float
        Median fourth cumulant of the coefficients, at unit variance.
    agreement : float
        Correlation of the fourth cumulants of the two halves of the samples.
    seconds : float
    """

    atoms: np.ndarray
    success: bool
    status: Status
    message: str
    cumulant: float
    agreement: float
    seconds: float


def learn_dictionary(
    samples: np.ndarray, *, polish: bool = True, rng: np.random.Generator | int | None = None
) -> Dictionary:
    """Learn an orthogonal dictionary from samples that use few of its atoms each.

    Parameters
    ----------
    samples : (n, N) array
        One sample a column, Y = A Z.
    polish : bool
        Refine by alternating thresholds and polar factors where that makes A^T Y sparser.
    rng : Generator, int or None

    Returns
    -------
    Dictionary
        With status ``unsupported`` where the fourth cumulant vanishes: no method that uses it
        can see the atoms, as at density 1/3 with values +-1.

    Examples
    --------
    >>> import numpy as np, tdlab
    >>> A = np.linalg.qr(np.random.default_rng(0).standard_normal((8, 8)))[0]
    >>> Z = sparse_coefficients(8, 4000, 0.2, rng=1)
    >>> found = learn_dictionary(A @ Z, rng=2)
    >>> found.success, tdlab.match(found.atoms.T, A.T, order=4).recovered
    (True, 1.0)
    """
    started = time.perf_counter()
    samples = check_array("samples", samples, ("n", "N"))
    dim, count = samples.shape
    if dim < 2 or count < 2 * dim:
        raise InputError(f"samples: got shape {samples.shape}, wanted (n, N), n >= 2 and N >= 2n")
    variance = float(np.mean(samples**2))
    if variance == 0.0:
        raise InputError("samples: got zeros only, wanted samples that use atoms")
    samples = samples / np.sqrt(variance)
    halves = [_cumulant(part) for part in (samples[:, ::2], samples[:, 1::2])]
    norms = [float(np.linalg.norm(half)) for half in halves]
    agreement = float(np.vdot(*halves)) / (norms[0] * norms[1])
    cumulant = (halves[0] + halves[1]) / 2
    atoms = np.empty((dim, 0))
    if agreement < _AGREEMENT:
        size = 0.0
        status = Status.UNSUPPORTED
        message = (
            f"The fourth cumulant is not above its sampling error (the halves of the samples agree "
            f"to {agreement:.2f}): it vanishes, as for values +-1 at density 1/3 or Gaussian "
            "coefficients, or the samples are too few."
        )
    else:
        # The signal has n eigenvalues k_i; the scale that makes them 1, with their sign.
        values = np.linalg.eigvalsh(cumulant)
        leading = values[np.argsort(-np.abs(values))[:dim]]
        size = float(np.median(leading))
        method = SchrammSteurer(rounds=30, contractions=2)
        budget = Budget()
        found = method.run(
            Flattening4(cumulant / size), dim, rng=np.random.default_rng(rng), budget=budget
        )
        if len(found.components) == dim:
            atoms = found.components.T
            status, message = Status.CONVERGED, f"Found {dim} atoms."
            if polish:
                atoms = _polish(samples, atoms)
        else:
            status, message = Status.STAGNATED, found.message
    return Dictionary(
        atoms=atoms,
        success=status is Status.CONVERGED,
        status=status,
        message=message,
        cumulant=size,
        agreement=agreement,
        seconds=time.perf_counter() - started,
    )


KINDS = ("gaussian", "rademacher", "fixed-size")


def sparse_coefficients(
    dim: int,
    count: int,
    density: float,
    kind: str = "gaussian",
    *,
    rng: np.random.Generator | int | None = None,
) -> np.ndarray:
    """Coefficients Z (dim, count), one sample a column.

    Parameters
    ----------
    density : float
        Share of nonzero entries, in (0, 1].
    kind : {"gaussian", "rademacher", "fixed-size"}
        Independent Bernoulli supports with Gaussian or +-1 values; or, not independent, exactly
        round(density dim) nonzeros a sample that share one random size, 0.5 or 1.5.

    Examples
    --------
    >>> Z = sparse_coefficients(10, 100, 0.3, "fixed-size", rng=0)
    >>> set((Z != 0).sum(axis=0).tolist())
    {3}
    """
    dim = check_integer("dim", dim, 1)
    count = check_integer("count", count, 1)
    density = check_real("density", density, 0.0)
    if not 0.0 < density <= 1.0:
        raise InputError(f"density: got {density:g}, wanted a number in (0, 1]")
    kind = check_choice("kind", kind, KINDS)
    generator = np.random.default_rng(rng)
    if kind == "fixed-size":
        ranks = generator.random((dim, count)).argsort(axis=0).argsort(axis=0)
        support = ranks < max(round(density * dim), 1)
        sizes = generator.choice([0.5, 1.5], size=count)
        return support * sizes * generator.standard_normal((dim, count))
    support = generator.random((dim, count)) < density
    if kind == "rademacher":
        return support * generator.choice([-1.0, 1.0], size=(dim, count))
    return support * generator.standard_normal((dim, count))


def _cumulant(samples: np.ndarray) -> np.ndarray:
    """The (n^2, n^2) matrix of E y^{(x)4} less p^2 times the three pairings, p = E |y|^2 / n."""
    dim, count = samples.shape
    first, second = np.triu_indices(dim)
    pairs = samples[first] * samples[second]
    packed = pairs @ pairs.T / count
    place = np.empty((dim, dim), dtype=np.intp)
    place[first, second] = place[second, first] = np.arange(len(first))
    moment = packed[np.ix_(place.ravel(), place.ravel())]
    eye = np.eye(dim)
    pairings = np.einsum("ij,kl->ijkl", eye, eye)
    pairings = pairings + np.einsum("ik,jl->ijkl", eye, eye) + np.einsum("il,jk->ijkl", eye, eye)
    power = float(np.mean(samples**2))
    return moment - power**2 * pairings.reshape(dim**2, dim**2)


def _polish(samples: np.ndarray, atoms: np.ndarray) -> np.ndarray:
    """Alternate hard thresholds and polar factors; keep what has the smaller l1 norm."""
    best, best_norm = atoms, float(np.abs(atoms.T @ samples).sum())
    for _ in range(_POLISH_STEPS):
        coefficients = atoms.T @ samples
        # Entries below half the root mean square are mostly leakage of other atoms.
        kept = np.where(np.abs(coefficients) > 0.5, coefficients, 0.0)
        left, _, right = np.linalg.svd(samples @ kept.T)
        atoms = left @ right
        norm = float(np.abs(atoms.T @ samples).sum())
        if norm >= best_norm * (1.0 - 1e-6):
            break
        best, best_norm = atoms, norm
    return best
