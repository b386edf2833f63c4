"""Laws of hidden weights: functions (dim, rank, rng) -> (rank, dim) unit rows, one idea each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tdlab.errors import InputError, check_choice
from tdlab.networks import structured
from tdlab.streams import RNG, Part, own_stream

_TOLERANCE = 1e-12
_MAX_SWEEPS = 2000
_MAX_DRAWS = 5


@dataclass(frozen=True)
class Ensemble:
    """A named law of hidden weights.

    Attributes
    ----------
    name : str
    law : function (dim, rank, rng) -> (rank, dim) array
    properties : str
        What holds for every draw.
    exists : function (dim, rank) -> bool
    sizes : str
        The same in words.
    signed : bool
        Whether the law also takes the output weights, which it then depends on.
    """

    name: str
    law: Callable[..., np.ndarray]
    properties: str
    exists: Callable[[int, int], bool] = lambda dim, rank: True
    sizes: str = "rank >= 1"
    signed: bool = False

    def draw(self, dim: int, rank: int, rng: RNG, outputs: np.ndarray | None = None) -> np.ndarray:
        """Hidden weights (rank, dim) for output weights (rank,), all 1 if not given."""
        stream = own_stream(rng, Part.ENSEMBLE)
        if self.signed:
            return self.law(dim, rank, stream, outputs)
        return self.law(dim, rank, stream)


def sphere(dim: int, rank: int, rng: np.random.Generator) -> np.ndarray:
    """Independent uniform points of the unit sphere."""
    rows = rng.standard_normal((rank, dim))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def hypercube(dim: int, rank: int, rng: np.random.Generator) -> np.ndarray:
    """Independent uniform corners of the cube, over sqrt(dim): entries +-1/sqrt(dim)."""
    return rng.choice([-1.0, 1.0], (rank, dim)) / np.sqrt(dim)


def isotropic(
    dim: int, rank: int, rng: np.random.Generator, outputs: np.ndarray | None = None
) -> np.ndarray:
    """Unit rows with sum_i a_i w_i = 0 and sum_i w_i w_i^T = (rank/dim) I, both to 1e-12.

    a_i = +-1 are the output weights, 1 if not given.

    From Gaussian rows, alternate {centre; whiten; normalise rows}, which converges linearly and
    slowly only as rank approaches dim + 1. A draw that has not converged after 2000 sweeps
    (possible only near that edge) is replaced.
    """
    signs = np.ones((rank, 1)) if outputs is None else outputs[:, None]
    for _ in range(_MAX_DRAWS):
        rows = rng.standard_normal((rank, dim))
        for _ in range(_MAX_SWEEPS):
            rows -= signs * (signs * rows).mean(axis=0)
            # rows (rows^T rows)^{-1/2} is the orthogonal polar factor, from the thin SVD.
            left, _, right = np.linalg.svd(rows, full_matrices=False)
            rows = np.sqrt(rank / dim) * (left @ right)
            norms = np.linalg.norm(rows, axis=1, keepdims=True)
            # Rows are centred and whitened here: only their norms can still be off.
            if np.abs(norms - 1.0).max() < _TOLERANCE:
                return rows
            rows /= norms
    raise InputError(
        f"ensemble 'isotropic': {_MAX_SWEEPS} sweeps did not converge at dim={dim}, rank={rank}; "
        "wanted a larger rank"
    )


def _isotropic_exists(dim: int, rank: int) -> bool:
    # The normalised columns and the ones vector extend to an orthonormal basis of R^rank, so the
    # rank - dim - 1 added columns have equal row norms. One added column then has entries of equal
    # size that sum to zero, which an odd number of entries cannot.
    return rank > dim and not (rank == dim + 2 and rank % 2 == 1)


_ENSEMBLES = {
    "sphere": Ensemble("sphere", sphere, "iid uniform unit vectors"),
    "hypercube": Ensemble("hypercube", hypercube, "iid uniform corners of {+-1/sqrt(dim)}^dim"),
    "isotropic": Ensemble(
        "isotropic",
        isotropic,
        "unit vectors, exactly centred, sum w w^T = (rank/dim) I",
        _isotropic_exists,
        "rank >= dim + 1, and not rank = dim + 2 if that is odd",
        signed=True,
    ),
    "orthobases": Ensemble(
        "orthobases",
        structured.orthobases,
        "unions of orthonormal bases, sum w w^T = (rank/dim) I, not centred",
        lambda dim, rank: rank % dim == 0,
        "a multiple of dim",
    ),
    "simplices": Ensemble(
        "simplices",
        structured.simplices,
        "unions of regular simplices, centred, sum w w^T = (rank/dim) I; two and more are a trap",
        lambda dim, rank: rank % (dim + 1) == 0,
        "a multiple of dim + 1",
    ),
    "low-coherence": Ensemble(
        "low-coherence",
        structured.low_coherence,
        "unit vectors of small largest |cosine|; orthonormal up to rank dim",
        lambda dim, rank: rank <= structured.LARGEST_LOW_COHERENCE,
        f"rank <= {structured.LARGEST_LOW_COHERENCE}",
    ),
    "collinear": Ensemble(
        "collinear",
        structured.collinear,
        f"unit vectors of mean cosine {structured.COLLINEARITY:g} around one direction",
        lambda dim, rank: dim >= 3,
        "rank >= 1 at dim >= 3",
    ),
}


def ensembles() -> list[Ensemble]:
    """The ensembles that `sample_network` and scan specifications accept."""
    return list(_ENSEMBLES.values())


def get_ensemble(name: str) -> Ensemble:
    """The ensemble of that name; raises `InputError` with the known ones."""
    return _ENSEMBLES[check_choice("ensemble", name, _ENSEMBLES)]


def check_ensemble_size(ensemble: Ensemble, dim: int, rank: int) -> None:
    """Raise `InputError` where the ensemble does not exist at (dim, rank)."""
    if not ensemble.exists(dim, rank):
        raise InputError(
            f"rank: got {rank} with ensemble '{ensemble.name}' at dim={dim}, "
            f"wanted {ensemble.sizes}"
        )
