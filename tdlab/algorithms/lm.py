"""Levenberg-Marquardt on the components, matrix-free, from random starts.

Solves     min_W |sum_i w_i^{(x)3} - T|^2 / 2 over free rows w_i (coefficients live in the norms)
Guarantee  none; from random starts it recovers iid components well beyond rank = dim
Cost       an iteration: one MTTKRP and up to ``cg_steps`` products of 6 r^2 d flops; no d^3 array
Sources    Levenberg (1944); Marquardt (1963); Phan, Tichavsky and Cichocki (2013) for Gram forms
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tdlab.algorithms.base import EXACT_FIT, Budget, Decomposition, Status, finish
from tdlab.errors import check_integer
from tdlab.tensors import SymmetricTensor

# Squared relative residuals: from the first on the loss is too close to its rounding error for a
# gain ratio and steps are taken as they come; at the second it is rounding error.
_NEARLY_EXACT = 1e-12
_EXACT = 1e-15
_POLISH_STEPS = 5


@dataclass(frozen=True)
class LevenbergMarquardt:
    """Decompose an order-3 tensor by damped Gauss-Newton steps from random starts.

    Parameters
    ----------
    restarts : int
        Random starts tried until one fits.
    iterations : int
        Steps of one start.
    cg_steps : int
        Conjugate-gradient products that solve one step, at the most.
    """

    name: ClassVar[str] = "lm"
    orders: ClassVar[tuple[int, ...]] = (3,)
    version: ClassVar[int] = 1
    guarantee: ClassVar[str] = "none; measured on iid components"
    cost: ClassVar[str] = "O(r^2 d) a conjugate-gradient step, one MTTKRP an iteration"
    source: ClassVar[str] = "Levenberg (1944); Marquardt (1963)"

    restarts: int = 5
    iterations: int = 300
    cg_steps: int = 60

    def __post_init__(self) -> None:
        for option in ("restarts", "iterations", "cg_steps"):
            check_integer(f"method 'lm', option '{option}'", getattr(self, option), 1)

    def reach(self, dim: int, order: int) -> int:
        """Rank that was recovered in every trial of iid components, d = 10 to 40: 1.5 dim."""
        return max(dim, int(1.5 * dim)) if dim >= 10 else max(dim - 1, 1)

    def limit(self, dim: int, order: int) -> None:
        """Any rank."""
        return None

    def run(
        self, tensor: SymmetricTensor, rank: int, *, rng: np.random.Generator, budget: Budget
    ) -> Decomposition:
        # Work at unit mean squared coefficient, so that damping and starts need no other scale.
        scale = tensor.norm() / np.sqrt(rank)
        best_rows, best_squared = None, np.inf
        history: list[float] = []
        for _ in range(self.restarts):
            start = rng.standard_normal((rank, tensor.dim)) / np.sqrt(tensor.dim)
            rows, squared = self._descend(tensor, scale, start, history, budget)
            if squared < best_squared:
                best_rows, best_squared = rows, squared
            if best_squared <= max(budget.noise, EXACT_FIT) ** 2 or budget.expired:
                break
        late = budget.expired
        return finish(
            self,
            tensor,
            rank,
            budget,
            components=best_rows,
            weights=None if best_rows is None else scale * np.linalg.norm(best_rows, axis=1) ** 3,
            status=Status.TIME_LIMIT if late else Status.STAGNATED,
            message=(
                "Stopped by max_seconds."
                if late
                else f"All {self.restarts} starts ended in local "
                "minima. Try method='auto', or more restarts."
            ),
            nit=len(history),
            history=tuple(history),
        )

    def _descend(
        self,
        tensor: SymmetricTensor,
        scale: float,
        rows: np.ndarray,
        history: list[float],
        budget: Budget,
    ) -> tuple[np.ndarray, float]:
        """One start: rows (rank, dim) and the squared relative residual they end at."""
        squared_norm = (tensor.norm() / scale) ** 2

        def evaluate(point: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
            gram = point @ point.T
            product = tensor.mttkrp(point) / scale
            # |sum w^3 - T|^2 = 1' G^{o3} 1 - 2 <W, B> + |T|^2.
            loss = float((gram**3).sum() - 2.0 * np.vdot(point, product)) + squared_norm
            return gram, product, max(loss, 0.0)

        gram, product, loss = evaluate(rows)
        damping, growth = 0.1, 2.0
        recent, polished = [loss], 0
        for _ in range(self.iterations):
            half_gradient = (gram**2) @ rows - product
            near = loss <= _NEARLY_EXACT * squared_norm
            # A poorly conditioned end needs accurate steps, and few of them.
            cg_steps = 5 * self.cg_steps if near else self.cg_steps
            step, predicted = _gauss_newton_step(gram, rows, half_gradient, damping, cg_steps)
            new_gram, new_product, new_loss = evaluate(rows + step)
            gain = (loss - new_loss) / predicted if predicted > 0 else -1.0
            if gain > 0 or new_loss <= _NEARLY_EXACT * squared_norm:
                rows, gram, product, loss = rows + step, new_gram, new_product, new_loss
                # Nielsen's rule: shrink smoothly with the quality of the model.
                damping = max(damping * max(1 / 3, 1 - (2 * gain - 1) ** 3), 1e-12)
                growth = 2.0
            else:
                damping, growth = damping * growth, growth * 2
            history.append(float(np.sqrt(loss / squared_norm)))
            recent.append(loss)
            polished += near
            done = loss <= _EXACT * squared_norm or polished >= _POLISH_STEPS
            stuck = (len(recent) > 25 and loss > 0.99 * recent[-25]) or damping > 1e8
            if done or stuck or budget.expired:
                break
        return rows, loss / squared_norm


def _gauss_newton_step(
    gram: np.ndarray, rows: np.ndarray, half_gradient: np.ndarray, damping: float, cg_steps: int
) -> tuple[np.ndarray, float]:
    """Damped Gauss-Newton step and the decrease of the loss that its model predicts.

    With G the Gram matrix of the rows, half the gradient of |sum w^3 - T|^2 is 3 (G^{o2} W - B),
    and half the Gauss-Newton Hessian acts as X -> 3 (G^{o2} X + 2 (G o (X W^T)^T) W); the common
    factor 3 is dropped from both sides.
    """
    squared_gram = gram**2
    norms = np.diag(gram)

    def curvature(x: np.ndarray) -> np.ndarray:
        return squared_gram @ x + 2.0 * (gram * (x @ rows.T).T) @ rows

    # Block-diagonal preconditioner: row i sees (g^2 + damping) I + 2 g w w^T, inverted in closed
    # form by Sherman-Morrison.
    alpha = norms**2 + damping
    factor = 2.0 * norms / (alpha + 2.0 * norms**2)

    def precondition(x: np.ndarray) -> np.ndarray:
        along = np.einsum("ij,ij->i", x, rows)
        return (x - (factor * along)[:, None] * rows) / alpha[:, None]

    step = np.zeros_like(rows)
    remainder = -half_gradient
    direction = z = precondition(remainder)
    inner = np.vdot(remainder, z)
    # Solve more tightly as the gradient vanishes, for superlinear convergence at the end.
    stop = inner * min(1e-2, float(np.linalg.norm(half_gradient))) ** 2
    for _ in range(cg_steps):
        image = curvature(direction) + damping * direction
        length = inner / np.vdot(direction, image)
        step = step + length * direction
        remainder = remainder - length * image
        z = precondition(remainder)
        new_inner = np.vdot(remainder, z)
        if new_inner <= stop:
            break
        direction = z + (new_inner / inner) * direction
        inner = new_inner
    # loss(W) - model(W + step) with loss = |..|^2: gradient 6 x, Hessian 6 x the forms above.
    model = np.vdot(half_gradient, step) + 0.5 * np.vdot(step, curvature(step))
    return step, float(-6.0 * model)
