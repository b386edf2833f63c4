"""Sparsely used orthogonal dictionaries from the fourth cumulant of the samples.

Solves     Y = A Z with A (n, n) orthogonal and coefficients Z that are sparse, or independent with
           fourth cumulants of any signs (independent component analysis), up to signs and order
Method     ``schramm-steurer`` where the cumulants agree in sign; where they do not, or atoms are
           missing, joint diagonalisation of the cumulant's eigenmatrices (JADE)
Guarantee  that of ``schramm-steurer`` where E z_i^2 z_j^2 is small beside E z_i^4
Cost       n^4 N / 2 flops for the cumulant, O(n^5) for its decomposition, n^2 N a polish step
Sources    Schramm and Steurer (2017), arXiv 1706.08672; Cardoso and Souloumiac, IEE Proc. F 140
           (1993)

For independent z, E y^{(x)4} = sum_i k_i a_i^{(x)4} + (three pairings of S (x) S), S = E y y^T,
with k the fourth cumulant: p (1 - 3p) for values +-1 at density p, 3 p (1 - p) for Gaussian ones.
Dependence adds an error to that; its spectral norm, not its size, is what matters. Coefficients
whose law no rotation changes leave a multiple of Sym(I (x) I), which holds no direction.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv
from scipy.stats import chi2

from tdlab.algorithms.base import Budget, Status
from tdlab.algorithms.descent.joint import joint_diagonaliser
from tdlab.algorithms.methods.schramm_steurer import SchrammSteurer
from tdlab.errors import InputError, check_array, check_choice, check_integer, check_real
from tdlab.metrics import match
from tdlab.streams import Part, own_stream
from tdlab.tensors.flattening4 import Flattening4

# Cumulants of the two halves of the samples that agree less than this are sampling noise.
_AGREEMENT = 0.2
# Share of pairs of independent directions that agree by chance as much as what is accepted.
_CHANCE = 1e-3
# Atoms are confirmed where each half of the samples leads to them at this cosine. Without atoms
# halves reach .81 at n = 5 and .61 at n = 10; at N = 20 000 all that was found right reached .98.
_CONFIRMED = 0.95
_POLISH_STEPS = 30
# Chance at which a mean of zero passes for another; share of the squares of the cumulants that
# have the rarer sign from which signs are mixed; standard deviations of an atom's own cumulant.
_CHANCE_OF_A_MEAN, _MIXED, _OWN = 1e-6, 0.02, 5.0


@dataclass(frozen=True, eq=False)
class Dictionary:
    """A learned dictionary and what is known of it.

    Attributes
    ----------
    atoms : (n, n) array
        One atom a column, orthonormal; empty (n, 0) where nothing was learned.
    success : bool
        All n atoms were found, and again from each half of the samples. It is no proof that they
        are the true ones: an A that is not orthogonal has a stable nearest answer too.
    status : Status
    message : str
    cumulant : float
        Median fourth cumulant of the coefficients, at unit variance.
    agreement : float
        Correlation of the fourth cumulants of the two halves of the samples (even and odd columns),
        without their rotation-invariant parts.
    stability : float
        Smallest cosine between an atom and its counterpart from either half; 0 where there is none.
    seconds : float
    """

    atoms: np.ndarray
    success: bool
    status: Status
    message: str
    cumulant: float
    agreement: float
    stability: float
    seconds: float


def learn_dictionary(
    samples: np.ndarray, *, polish: bool = True, rng: np.random.Generator | int | None = None
) -> Dictionary:
    """Learn an orthogonal dictionary from samples that use few of its atoms each.

    Independent coefficients need not be sparse: those with negative fourth cumulants (uniform, +-1)
    may stand beside those with positive ones (Laplace, sparse). Of samples with a general mixing
    matrix take whitened ones: their dictionary is orthogonal.

    Parameters
    ----------
    samples : (n, N) array
        One sample a column, Y = A Z; columns independent of each other. A mean that is more than
        chance is taken off, and the message says so.
    polish : bool
        Refine by alternating thresholds and polar factors where that makes A^T Y sparser, and the
        cumulants have one sign.
    rng : Generator, int or None

    Returns
    -------
    Dictionary
        With status ``unsupported`` where the fourth cumulant vanishes or shows no direction: no
        method that uses it can see the atoms, as at density 1/3 with values +-1. With status
        ``stagnated`` where atoms are missing, or are others in a half of the samples.

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
    largest = float(np.abs(samples).max())
    if largest == 0.0:
        raise InputError("samples: got zeros only, wanted samples that use atoms")
    # First by the largest entry: squares of tiny or huge samples leave the doubles.
    samples = samples / largest
    samples, shift = _centred(samples)
    size = math.sqrt(float(np.mean(samples**2)))
    samples = samples / size
    span = _span(samples, 1.0 / size)
    parts = (samples[:, ::2], samples[:, 1::2])
    halves = [_cumulant(part) for part in parts]
    agreement = _agreement(*halves)
    cumulant = (halves[0] + halves[1]) / 2
    atoms, size, stability = np.empty((dim, 0)), 0.0, 0.0
    if agreement < _least_agreement(dim):
        status = Status.UNSUPPORTED
        message = (
            f"The fourth cumulant shows no direction above its sampling error (the halves of the "
            f"samples agree to {agreement:.2f}): it vanishes, as for values +-1 at density 1/3 or "
            "Gaussian coefficients, no rotation changes it, or the samples are too few."
        )
    elif span < dim:
        status = Status.STAGNATED
        message = (
            f"The samples span {span} of {dim} dimensions, so that no {dim} orthogonal atoms are "
            "all in use: take the constant or dependent rows out."
        )
    else:
        streams = own_stream(rng, Part.DICTIONARY).spawn(3)
        atoms, size, message = _atoms(samples, cumulant, polish, streams[0])
        status = Status.STAGNATED
        if atoms.shape[1] == dim:
            pairs = zip(parts, halves, streams[1:], strict=True)
            others = [_atoms(part, half, True, stream)[0] for part, half, stream in pairs]
            stability = min(_worst_cosine(atoms, other) for other in others)
            if stability >= _CONFIRMED:
                status = Status.CONVERGED
            else:
                message += (
                    f" But the halves of the samples lead to others (cosine {stability:.2f}): the "
                    "samples are too few, or do not come from an orthogonal dictionary."
                )
    if shift > 0.0:
        message += (
            f" The samples had a mean of {shift:.2g} of their root mean square, which was taken "
            "off first."
        )
    return Dictionary(
        atoms=atoms,
        success=status is Status.CONVERGED,
        status=status,
        message=message,
        cumulant=size,
        agreement=agreement,
        stability=stability,
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
    generator = own_stream(rng, Part.SPARSE_COEFFICIENTS)
    if kind == "fixed-size":
        ranks = generator.random((dim, count)).argsort(axis=0).argsort(axis=0)
        support = ranks < max(round(density * dim), 1)
        sizes = generator.choice([0.5, 1.5], size=count)
        return support * sizes * generator.standard_normal((dim, count))
    support = generator.random((dim, count)) < density
    if kind == "rademacher":
        return support * generator.choice([-1.0, 1.0], size=(dim, count))
    return support * generator.standard_normal((dim, count))


def _centred(samples: np.ndarray) -> tuple[np.ndarray, float]:
    """Samples without their mean, where that is more than chance, and its share of their size.

    For zero mean N m^T S^-1 m is about chi-square with n degrees of freedom, S the covariance.
    """
    dim, count = samples.shape
    mean = samples.mean(axis=1)
    size = math.sqrt(float(np.mean(samples**2)))
    rest = samples - mean[:, None]
    if np.abs(rest).max() <= 1e-12 * size:
        return samples, 0.0  # Equal samples: nothing would be left.
    spread = np.linalg.pinv(rest @ rest.T / count, rcond=1e-10, hermitian=True)
    # What the covariance does not span has no variance: any mean there is more than chance.
    outside = float(np.linalg.norm(mean - rest @ (rest.T @ (spread @ mean)) / count))
    score = count * float(mean @ spread @ mean)
    if outside <= 1e-9 * size and chi2.sf(score, dim) >= _CHANCE_OF_A_MEAN:
        return samples, 0.0
    return rest, float(np.linalg.norm(mean)) / (size * math.sqrt(dim))


def _span(samples: np.ndarray, largest: float) -> int:
    """Dimensions in which samples of unit power vary; they had entries up to ``largest`` before."""
    values = np.sqrt(np.maximum(np.linalg.eigvalsh(samples @ samples.T / samples.shape[1]), 0.0))
    # What centring leaves of a constant is a rounding of it, and eigenvalues are squares.
    rounding = max(1e-7, 1e3 * np.finfo(float).eps * largest)
    return int((values > rounding * values[-1]).sum())


def _cumulant(samples: np.ndarray) -> np.ndarray:
    """The (n^2, n^2) matrix of E y^{(x)4} less the three pairings of S (x) S, S = E y y^T."""
    dim, count = samples.shape
    first, second = np.triu_indices(dim)
    pairs = samples[first] * samples[second]
    packed = pairs @ pairs.T / count
    place = np.empty((dim, dim), dtype=np.intp)
    place[first, second] = place[second, first] = np.arange(len(first))
    moment = packed[np.ix_(place.ravel(), place.ravel())]
    return moment - _pairings(samples @ samples.T / count)


def _pairings(matrix: np.ndarray) -> np.ndarray:
    """S_ij S_kl + S_ik S_jl + S_il S_jk as an (n^2, n^2) matrix."""
    size = len(matrix) ** 2
    total = np.einsum("ij,kl->ijkl", matrix, matrix)
    total += np.einsum("ik,jl->ijkl", matrix, matrix)
    total += np.einsum("il,jk->ijkl", matrix, matrix)
    return total.reshape(size, size)


def _agreement(first: np.ndarray, second: np.ndarray) -> float:
    """Correlation of two cumulants without their parts along the pairings of the identity."""
    invariant = _pairings(np.eye(math.isqrt(len(first))))
    invariant /= np.linalg.norm(invariant)
    first, second = (half - np.vdot(half, invariant) * invariant for half in (first, second))
    sizes = float(np.linalg.norm(first)) * float(np.linalg.norm(second))
    # Cumulants of samples of unit power: below this they are rounding.
    return float(np.vdot(first, second)) / sizes if sizes > 1e-20 else 0.0


def _least_agreement(dim: int) -> float:
    """Correlation that counts: `_AGREEMENT`, or what chance rarely reaches in few dimensions.

    (1 + c) / 2 of two independent uniform directions in R^m is Beta((m - 1)/2, (m - 1)/2), and the
    cumulants have m = C(n + 3, 4) - 1 entries to differ in.
    """
    half = (math.comb(dim + 3, 4) - 2) / 2
    return max(_AGREEMENT, 2.0 * float(betaincinv(half, half, 1.0 - _CHANCE)) - 1.0)


def _atoms(
    samples: np.ndarray, cumulant: np.ndarray, polish: bool, rng: np.random.Generator
) -> tuple[np.ndarray, float, str]:
    """Atoms (n, n), or (n, 0) where some are missing; their median cumulant; what happened."""
    dim = len(samples)
    # The signal has n eigenvalues k_i; the scale that makes them 1, with their sign.
    values, vectors = np.linalg.eigh(cumulant)
    top = np.argsort(-np.abs(values))[:dim]
    size = float(np.median(values[top]))
    squares = values[top] ** 2
    minority = min(squares[values[top] > 0].sum(), squares[values[top] < 0].sum())
    reason = "The fourth cumulants of the atoms have no common sign."
    if minority <= _MIXED * squares.sum() and abs(size) >= 1e-12:
        method = SchrammSteurer(rounds=30, contractions=2)
        found = method.run(Flattening4(cumulant / size), dim, rng=rng, budget=Budget())
        if len(found.components) == dim:
            atoms = found.components.T
            return _polish(samples, atoms) if polish else atoms, size, f"Found {dim} atoms."
        reason = found.message
    # T(., ., E_m) = l_m E_m for its eigenmatrices, all of them A D A^T whatever the signs.
    matrices = (vectors[:, top] * values[top]).T.reshape(dim, dim, dim)
    atoms = joint_diagonaliser((matrices + matrices.transpose(0, 2, 1)) / 2)
    pairs = np.einsum("ia,ja->aij", atoms, atoms).reshape(dim, -1)
    own = np.einsum("ai,ij,aj->a", pairs, cumulant, pairs)
    # The fourth cumulant of N Gaussian numbers has standard deviation sqrt(24 / N).
    if np.abs(own).min() <= _OWN * math.sqrt(24.0 / samples.shape[1]):
        return np.empty((dim, 0)), size, reason
    signs = f"{(own > 0).sum()} with positive and {(own < 0).sum()} with negative cumulants"
    return atoms, float(np.median(own)), f"Found {dim} atoms, {signs}."


def _worst_cosine(atoms: np.ndarray, other: np.ndarray) -> float:
    """Smallest |cosine| after matching; 0 where the other has none."""
    return float(match(other.T, atoms.T, order=4).worst) if other.size else 0.0


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
