"""Spectral decomposition by contracted squares: leading eigenvectors of sum_kl G_kl T_k (x) T_l.

Solves     T = sum_i w_i^{(x)3} of random w_i; for a random g, G = T(g, ., .), one component a draw
Guarantee  published: rank up to d^{4/3} over logarithms, asymptotically; small sizes fall short
Cost       a contraction: ``lanczos`` products of 6 r^2 d flops (factored) or 4 d^4 (dense)
Sources    Hopkins, Schramm, Shi and Steurer (2016), arXiv 1512.02337

X -> R sum_kl G_kl T_k (R X) T_l on d x d matrices, where R scales the identity direction by
sqrt(2/(d+2)); no d^2 x d^2 array is formed. ``form="preconditioned"`` (this library's) whitens T,
takes its harmonic part, and reads each draw's candidate from the three leading eigenvectors, as the
direction x with the largest T(x, x, x): two components that a draw weighs alike are mixed in each
alone. ``form="published"`` does none of this. Rounds of deflation and the joint least squares at
the end stand for the paper's local refinement.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tdlab.algorithms.base import Budget, Decomposition
from tdlab.algorithms.parts.precondition import harmonic, plain, precondition
from tdlab.algorithms.parts.rounds import fit_in_rounds
from tdlab.errors import check_choice, check_integer
from tdlab.streams import Part, own_stream
from tdlab.tensors import SymmetricTensor

_FORMS = ("published", "preconditioned")
# Eigenvectors of a whitened draw, and directions of each, among which the candidate is chosen.
_LEADING = 3
_BLOCK_DOUBLES = 2**23


@dataclass(frozen=True)
class HSSS:
    """Decompose an order-3 tensor by random contractions of its square.

    Parameters
    ----------
    form : {"preconditioned", "published"}
    contractions : int
        Random contractions of a round, a candidate each; 0 takes 2 for each component that is
        still missing, and 16 more.
    lanczos : int
        Lanczos steps of one contraction.
    rounds : int
        Each adds distinct candidates, fits all jointly and deflates; a full set that does not fit
        first loses the fifth of it that its residual marks.
    """

    name: ClassVar[str] = "hsss"
    orders: ClassVar[tuple[int, ...]] = (3,)
    version: ClassVar[int] = 1
    guarantee: ClassVar[str] = "random components, rank << d^(4/3), asymptotically"
    cost: ClassVar[str] = "O(r^2 d) or O(d^4) a Lanczos step"
    source: ClassVar[str] = "Hopkins, Schramm, Shi and Steurer (2016), arXiv 1512.02337"

    form: str = "preconditioned"
    contractions: int = 0
    lanczos: int = 30
    rounds: int = 10

    def __post_init__(self) -> None:
        check_choice("method 'hsss', option 'form'", self.form, _FORMS)
        check_integer("method 'hsss', option 'contractions'", self.contractions, 0)
        check_integer("method 'hsss', option 'lanczos'", self.lanczos, 2)
        check_integer("method 'hsss', option 'rounds'", self.rounds, 1)

    def reach(self, dim: int, order: int) -> int:
        """Measured on iid components, 6 trials each at d = 10, 20, 30: 47 of 48 up to rank d.

        Beyond, with whitening: 50 of 77 at d = 20, 75 of 165 at d = 30 (most trials).
        """
        return dim if self.form == "preconditioned" else max(dim // 3, 1)

    def limit(self, dim: int, order: int) -> None:
        """Any rank."""
        return None

    def required_bytes(self, tensor: SymmetricTensor) -> int:
        """The array of all entries, where the terms are not known."""
        return 0 if tensor.terms() else 8 * tensor.dim**3

    def run(
        self, tensor: SymmetricTensor, rank: int, *, rng: np.random.Generator, budget: Budget
    ) -> Decomposition:
        rng = own_stream(rng, Part.METHOD)

        def draw(rest: SymmetricTensor, need: int) -> np.ndarray:
            count = self.contractions or 2 * need + 16
            return self.candidates(rest, count, rng=rng, budget=budget)

        return fit_in_rounds(self, tensor, rank, draw, rng, budget, _INCOMPLETE)

    def candidates(
        self,
        tensor: SymmetricTensor,
        count: int,
        *,
        rng: np.random.Generator,
        budget: Budget,
    ) -> np.ndarray:
        """Raw unit rows (<= count, d), one a contraction, signed so that T(x, x, x) >= 0."""
        rng = own_stream(rng, Part.CANDIDATES)
        whitened = self.form == "preconditioned"
        frame = precondition(tensor) if whitened else plain(tensor)
        inner = harmonic(frame)
        rows = []
        for _ in range(count):
            operator = contracted_square(inner, rng.standard_normal(tensor.dim))
            drawn = _leading_directions(
                operator, tensor.dim, self.lanczos, _LEADING if whitened else 1, rng, budget
            )
            values = np.abs(inner.evaluate(drawn)) if whitened else np.ones(len(drawn))
            rows.append(drawn[np.argmax(values)])
            if budget.expired:
                break
        found = frame.back(np.array(rows))
        return found * np.where(tensor.evaluate(found) < 0.0, -1.0, 1.0)[:, None]


_INCOMPLETE = (
    "The contractions missed components, or their eigenvectors are too far off to polish: at "
    "these sizes the rank is beyond the method. Try method='auto', or more contractions."
)


def contracted_square(
    tensor: SymmetricTensor, vector: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    """X -> R sum_kl G_kl T_k (R X) T_l for symmetric (d, d) arrays X, with G = T(vector, ., .)."""
    dim = tensor.dim
    square = mixed_square(tensor, tensor.contract(vector))
    shrink = np.sqrt(2.0 / (dim + 2)) - 1.0

    def balance(x: np.ndarray) -> np.ndarray:
        return x + (shrink * np.trace(x) / dim) * np.eye(dim)

    return lambda x: balance(square(balance(x)))


def mixed_square(tensor: SymmetricTensor, matrix: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """X -> sum_kl G_kl T_k X T_l for symmetric (d, d) arrays X and G = ``matrix``."""
    dim = tensor.dim
    known = tensor.terms()
    if known is not None:
        rows, weights = known
        step = max(1, _BLOCK_DOUBLES // len(rows))

        def square(x: np.ndarray) -> np.ndarray:
            # W' [aa' o WGW' o WXW'] W, over blocks of its rows.
            total = np.zeros((dim, dim))
            for first in range(0, len(rows), step):
                part = slice(first, first + step)
                pairs = (rows[part] @ matrix) @ rows.T
                pairs *= (rows[part] @ x) @ rows.T
                pairs *= weights
                total += (weights[part, None] * rows[part]).T @ (pairs @ rows)
            return total
    else:
        slices = tensor.dense()
        mixed = (matrix @ slices.reshape(dim, -1)).reshape(dim, dim, dim)

        def square(x: np.ndarray) -> np.ndarray:
            left = (slices.reshape(-1, dim) @ x).reshape(dim, dim, dim)
            return np.tensordot(left, mixed, axes=((0, 2), (0, 1)))

    return square


def _leading_directions(
    operator: Callable[[np.ndarray], np.ndarray],
    dim: int,
    steps: int,
    pairs: int,
    rng: np.random.Generator,
    budget: Budget,
) -> np.ndarray:
    """Top eigenvectors of the matrices that Lanczos finds for the largest |eigenvalues|.

    ``pairs`` of each of the first ``pairs`` matrices.
    """
    # The operator keeps symmetric matrices symmetric, so a symmetric start is all it takes.
    start = rng.standard_normal((dim, dim))
    vector = (start + start.T).ravel()
    basis = [vector / np.linalg.norm(vector)]
    images: list[np.ndarray] = []
    for _ in range(steps):
        image = operator(basis[-1].reshape(dim, dim)).ravel()
        images.append(image)
        known = np.array(basis)
        rest = image - known.T @ (known @ image)
        rest -= known.T @ (known @ rest)
        size = np.linalg.norm(rest)
        if size <= 1e-12 * np.linalg.norm(image) or len(basis) == steps or budget.expired:
            break
        basis.append(rest / size)
    known = np.array(basis)[: len(images)]
    projected = known @ np.array(images).T
    values, vectors = np.linalg.eigh((projected + projected.T) / 2)
    found = []
    for index in np.argsort(-np.abs(values), kind="stable")[:pairs]:
        sizes, axes = np.linalg.eigh((known.T @ vectors[:, index]).reshape(dim, dim))
        found.append(axes[:, np.argsort(-np.abs(sizes), kind="stable")[:pairs]].T)
    return np.vstack(found)
