"""Fits of independent runs, and which of them are the same."""

from __future__ import annotations

from dataclasses import dataclass, field

from tdlab.algorithms.base import Decomposition

# Fits agree where each component of one has a cosine above the first with one of the other, and the
# residuals differ by no more than this share.
_SAME, _SAME_RESIDUAL = 0.999, 2e-3


@dataclass
class Optima:
    """Fits of independent runs, and how often each came back.

    Attributes
    ----------
    order : int
    groups : list of lists of Decomposition
        Fits that agree; the first of a group is its best.
    judged : pair of Decomposition, optional
        The best fit that was last asked whether it may stand under noise, and the answer.
    """

    order: int
    groups: list[list[Decomposition]] = field(default_factory=list)
    judged: tuple[Decomposition, Decomposition] | None = None

    def add(self, fit: Decomposition) -> None:
        """Put a fit to those that it agrees with."""
        for group in self.groups:
            if agree(fit, group[0]):
                group.append(fit)
                group.sort(key=lambda one: one.residual)
                return
        self.groups.append([fit])

    @property
    def runs(self) -> int:
        """Fits seen."""
        return sum(map(len, self.groups))

    def _leading(self) -> list[Decomposition]:
        # Of fits that are equally good, those that came back.
        best = min(group[0].residual for group in self.groups)
        near = [g for g in self.groups if g[0].residual <= best * (1 + _SAME_RESIDUAL) + 1e-12]
        return max(near, key=len)

    @property
    def equally_good(self) -> int:
        """How many runs ended at the smallest residual, whatever their components."""
        best = self.best.residual
        near = [g for g in self.groups if g[0].residual <= best * (1 + 1e-5)]
        return sum(map(len, near))

    @property
    def best(self) -> Decomposition:
        """The fit of the smallest residual."""
        return self._leading()[0]

    @property
    def agreement(self) -> int:
        """How many runs found it."""
        return len(self._leading())


def agree(one: Decomposition, other: Decomposition) -> bool:
    """Whether two fits of one tensor have the same residual and the same components."""
    from tdlab.metrics import match

    low, high = sorted((one.residual, other.residual))
    if high - low > _SAME_RESIDUAL * low or len(one.components) != len(other.components):
        return False
    if len(one.components) == 0:
        return False
    return match(one.components, other.components, one.order, _SAME).recovered == 1.0
