"""What every problem shares: instances at (dim, rank), their nulls, and the judgement of answers.

A problem draws an `Instance`. A contender, be it a decomposition method or a learner, is given its
tensor or samples of it and what it may be told, and comes back with an `Answer`; the instance
judges that. Nothing here knows what the contender is, and no contender sees the planted weights.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tdlab.errors import InputError
from tdlab.options import checked_options

if TYPE_CHECKING:
    from tdlab.tensors import SymmetricTensor


@dataclass(frozen=True, eq=False)
class Terms:
    """sum_i a_i w_i^{(x)order}.

    Attributes
    ----------
    components : (k, d) array of rows w_i
    weights : (k,) array of coefficients a_i
    order : int
    """

    components: np.ndarray
    weights: np.ndarray
    order: int


@dataclass(frozen=True, eq=False)
class Answer:
    """What a contender says of an instance.

    Attributes
    ----------
    terms : Terms or None
        Those of the instance's tensor, None where it finds no such thing.
    predictor : object with ``predict``, or None
        None where the terms are all it says: then they stand for the network that they make.
    """

    terms: Terms | None = None
    predictor: Any = None


@dataclass(frozen=True)
class Verdict:
    """What an answer is worth.

    Attributes
    ----------
    solved : bool or None
        Whether it is what was asked for; None where there is nothing to find.
    measures : dict of str to float
        By their names.
    remark : str
        How a measure was taken, where that is not plain.
    """

    solved: bool | None
    measures: Mapping[str, float] = field(default_factory=dict)
    remark: str = ""


class Instance(ABC):
    """One draw of a problem.

    Attributes
    ----------
    dim, rank : int
    order : int
        Of its tensor.
    """

    dim: int
    rank: int
    order: int

    def tensor(self) -> SymmetricTensor:
        """The tensor to decompose; `InputError` for a problem that has none."""
        raise InputError(f"tensor: got {type(self).__name__}, wanted a problem with a tensor")

    def sample(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Inputs (n, d) and labels (n,); the same ones at each call, a larger n holds a smaller.

        `InputError` for a problem that has no samples.
        """
        raise InputError(f"samples: got {type(self).__name__}, wanted a problem with samples")

    @abstractmethod
    def null(self) -> Instance:
        """Its control: as large, with nothing to find; drawn once, from the instance's stream."""

    def told(self) -> dict[str, Any]:
        """What a contender that asks for it may know: rank, activation; a control, all."""
        return {"rank": self.rank}

    @abstractmethod
    def score(self, answer: Answer) -> Verdict:
        """Judge an answer."""


class Problem(ABC):
    """A law of instances: a frozen dataclass whose fields are its options.

    Class attributes
    ----------------
    kind : str
        Its name in specifications.

    Attributes
    ----------
    order : int
        Of the tensor that its instances give; an option, or a class attribute.
    """

    kind: ClassVar[str]
    order: int

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> tuple[Problem, str]:
        """The problem of a specification's options, and a label for it.

        Raises
        ------
        InputError
            For options that it has not, or has not like this.
        """
        made = cls(**checked_options(f"problem '{cls.kind}'", cls, options))
        return made, cls.kind

    @property
    def family(self) -> str:
        """What figures call the law of its instances."""
        return self.kind

    @property
    def degree(self) -> int:
        """Degree of a target as a polynomial of the inputs: what C(d+k, k) samples are counted
        by."""
        return self.order

    @property
    def sizes(self) -> str:
        """Ranks at which it has instances, in words."""
        return "rank >= 1"

    def exists(self, dim: int, rank: int) -> bool:
        """Whether it has instances of that size."""
        return rank >= 1

    def check(self, dim: int, rank: int) -> None:
        """`InputError` where it has no instances."""
        if not self.exists(dim, rank):
            raise InputError(
                f"rank: got {rank} with problem '{self.kind}' at dim={dim}, wanted {self.sizes}"
            )

    @abstractmethod
    def draw(self, dim: int, rank: int, rng: np.random.Generator) -> Instance:
        """An instance, from a stream that is its own from here on."""

    @abstractmethod
    def small(self) -> tuple[Problem, int, int]:
        """A problem like it with a (dim, rank) at which a trial takes no time: for warming up."""
