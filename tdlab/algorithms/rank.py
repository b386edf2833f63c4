"""How many terms a symmetric tensor has: `tdlab.estimate_rank`.

Solves     the rank of an exact tensor, at order 3 to about 1.75 d and in small spaces to the
           counting bound and beyond; with noise the least rank within a stated level, or the rank
           that a table of fits shows; where none stands out, the table and the reason
Method     on the span of the terms: flattenings bound the (border) rank from below, and a rank is
           told only with an exact real fit of so many terms. Where none is found: the least rank
           that leaves what looks like noise and that independent runs agree on, else the last rank
           whose term lowers the residual far more than those after it
Guarantee  an exact rank that a flattening shows is proved; one above it rests on searches that
           found no fewer
Cost       a singular value decomposition and a fit where a flattening tells; else fits of growing
           rank, a minute at the most unless ``max_seconds`` says otherwise
Sources    Landsberg and Ottaviani (2013), arXiv 1111.4567 for the flattenings
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tdlab.algorithms.base import Budget, Decomposition
from tdlab.algorithms.noise import null_bar
from tdlab.algorithms.ranks.bounds import span
from tdlab.algorithms.ranks.exact import Told, tell_exact, telling
from tdlab.algorithms.ranks.matrix import drop_sentence, tell_matrix
from tdlab.algorithms.ranks.noise import tell_noisy, within
from tdlab.algorithms.ranks.table import RankRow, Table, ranks_to_show, standing_out
from tdlab.algorithms.threads import threads_for
from tdlab.algorithms.words import n_terms
from tdlab.errors import InputError, check_integer, check_real
from tdlab.streams import Part, own_stream
from tdlab.tensors import SymmetricTensor, as_symmetric
from tdlab.tensors.base import ARRAY_BYTES

if TYPE_CHECKING:
    import pandas as pd

# Where nobody says how long the estimate may take, table included.
_SECONDS = 60.0
# Share of the time left that may go to exact fits, and then to strides, before the table.
_EXACT_SHARE, _STRIDES_SHARE = 0.4, 0.3
# Where no rank is told, the table goes to the dimension, and to this rank at least.
_SHOWN = 12


@dataclass(frozen=True)
class RankEstimate:
    """A number of terms and where it comes from.

    Attributes
    ----------
    rank : int or None
        None where nothing tells, with the reason in ``message``.
    noise : float
        Relative noise level behind it: as stated, or estimated from the residual; 0 without noise.
    evidence : str
        "exact": an exact real fit of so many terms was found, and none of fewer; "noise": what is
        left looks like isotropic noise; "stated noise": the fit is within it; "drop": the last
        term lowers the residual far more than those after it. Where no rank is told: "complex"
        (so many terms are exact over the complex numbers only), "border" (so many terms come
        arbitrarily close, and none of the next fit exactly), or "".
    message : str
        In sentences.
    rows : tuple of RankRow
        What ``table`` shows.
    fits : dict
        By rank, the best fit of each row, a `Decomposition`.
    """

    rank: int | None
    noise: float
    evidence: str
    message: str
    rows: tuple[RankRow, ...] = ()
    fits: dict[int, Decomposition] = field(default_factory=dict, compare=False, repr=False)

    @property
    def table(self) -> pd.DataFrame:
        """One row per rank that was fitted.

        Columns: ``rank``; ``residual``, relative; ``agreement``, the share of independent runs that
        end in that fit; ``null``, the residual of as many terms for a Gaussian tensor of equal norm
        by the same searches; ``gain``, what one term more takes of the remainder's square in units
        of the most that it takes of isotropic noise.
        """
        import pandas as pd

        columns = ["rank", "residual", "agreement", "null", "gain"]
        values = [[getattr(row, column) for column in columns] for row in self.rows]
        kinds = dict.fromkeys(columns[1:], float)
        return pd.DataFrame(values, columns=columns).astype({"rank": int, **kinds})


def estimate_rank(
    tensor: SymmetricTensor | np.ndarray,
    *,
    noise: float | None = None,
    rng: np.random.Generator | int | None = None,
    max_rank: int | None = None,
    max_seconds: float | None = None,
    progress: Callable[[str], None] | None = None,
) -> RankEstimate:
    """Number of terms of a symmetric tensor, and a table of fits of growing rank.

    Parameters
    ----------
    tensor : SymmetricTensor, or a symmetric (d,) * k array
    noise : float, optional
        |noise|_F / |tensor|_F: the least rank whose fit is within it is told; 0 states that there
        is none, None that it is not known.
    rng : Generator, int or None
    max_rank : int, optional
        Largest rank that is told or shown; default: the last at which a fit says something, which
        is below the counting bound but for perfect cases.
    max_seconds : float, optional
        For everything, table included; default: 60. Results are reproducible only where it ends by
        itself.
    progress : callable, optional
        Takes a sentence as each rank is fitted.

    Returns
    -------
    RankEstimate
        Its ``rank`` is None where none stands out, with the reason in ``message``; its ``table``
        always has the ranks that were fitted.

    Raises
    ------
    InputError
        If the tensor is not a symmetric one.

    Examples
    --------
    >>> import tdlab
    >>> net = tdlab.sample_network(8, 11, "He3", "sphere", rng=0)
    >>> told = tdlab.estimate_rank(net.hermite_tensor(3), rng=0)
    >>> told.rank, told.evidence
    (11, 'exact')
    >>> list(told.table.columns)
    ['rank', 'residual', 'agreement', 'null', 'gain']
    """
    tensor = as_symmetric(tensor)
    level = None if noise is None else check_real("noise", noise, 0.0)
    if level is not None and level >= 1.0:
        raise InputError(f"noise: got {level:g}, wanted a share of the tensor's norm below 1")
    largest = None if max_rank is None else check_integer("max_rank", max_rank, 1)
    limit = _SECONDS if max_seconds is None else check_real("max_seconds", max_seconds, 0.0)
    if tensor.order == 2 and tensor.array_bytes > ARRAY_BYTES:
        return RankEstimate(
            None,
            0.0,
            "",
            f"Eigenvalues of a matrix of shape {tensor.shape} need {tensor.array_bytes} bytes, "
            f"and at most {ARRAY_BYTES} (1 GiB) are taken.",
        )
    tensor, exponent = tensor.in_plain_units()
    if tensor.norm() == 0.0:
        return RankEstimate(None, 0.0, "", "The tensor is zero: it has no terms.")
    estimate = _Estimate(
        tensor,
        exponent,
        level,
        largest,
        own_stream(rng, Part.RANK),
        Budget(max_seconds=limit),
        progress or (lambda sentence: None),
    )
    with threads_for(tensor.dim, tensor.order):
        return estimate.run()


@dataclass
class _Estimate:
    """One question, and the clock that holds for all of it."""

    tensor: SymmetricTensor
    exponent: int
    level: float | None
    largest: int | None
    rng: np.random.Generator
    clock: Budget
    tell: Callable[[str], None]

    def run(self) -> RankEstimate:
        """Exact fits, then noise, then the table; the first that tells."""
        whole = self.tensor
        if whole.order == 2:
            told, rows = tell_matrix(whole, self.level, self.largest, self.rng)
            return self._answer(told, rows, {})
        tensor, basis = span(whole, self.rng)
        last = telling(tensor.dim, tensor.order)
        largest = last if self.largest is None else min(self.largest, last)
        table = Table(tensor, self.rng.spawn(1)[0], self.clock, self.tell)
        told = Told(None, 0.0, "", "", final=False)
        if not self.clock.expired:
            told = self._tell(tensor, table, largest)
        about = told.rank or told.about
        if told.fit is not None:
            table.add(told.fit.rank, told.fit)
        if about is not None:
            around = {about // 2, about - 1, about, about + 1}
            shown = sorted(rank for rank in around if 1 <= rank <= max(largest, about))
        else:
            few = max(tensor.dim, _SHOWN) if self.largest is None else largest
            shown = ranks_to_show(min(few, largest))
        for rank in shown:
            table.add(rank)
        if not told.final:
            told = self._from_table(table, told.message)
        if tensor.dim < whole.dim:
            words = f"The terms span {tensor.dim} of {whole.dim} dimensions. {told.message}"
            told = dataclasses.replace(told, message=words)
        fits = {
            rank: dataclasses.replace(
                fit,
                components=fit.components @ basis,
                weights=np.ldexp(fit.weights, self.exponent),
            )
            for rank, fit in table.best.items()
        }
        return self._answer(told, table.rows, fits)

    def _tell(self, tensor: SymmetricTensor, table: Table, largest: int) -> Told:
        """What exact fits and remainders that look like noise tell."""
        if self.level:
            self.tell(f"fits within noise of {self.level:.2g}")
            return within(table, self.level, largest)
        self.tell(f"exact fits in {tensor.dim} dimensions")
        certain = self.level == 0.0 or tensor.dim < self.tensor.dim
        exact = tell_exact(tensor, certain, self.rng, self._share(_EXACT_SHARE))
        if exact.final:
            return exact
        self.tell("fits that leave noise")
        share = self._share(_STRIDES_SHARE)
        noisy = tell_noisy(tensor, table, self.level, largest, self.rng, share)
        return noisy if noisy.final else exact

    def _share(self, share: float) -> Budget:
        """A clock for a part of what is left."""
        left = self.clock.left
        return Budget(max_seconds=None if left is None else share * left)

    def _from_table(self, table: Table, so_far: str) -> Told:
        """The last rank that stands out, or why none does."""
        rows = [table.rows[rank] for rank in sorted(table.rows)]
        late = self.clock.expired
        if not rows:
            message = f"The {self.clock.max_seconds:g} s passed before any rank was fitted."
            return Told(None, 0.0, "", f"{so_far} {message} State the rank.".strip())
        out = standing_out(table.rows) if self.level is None else None
        if out is not None:
            rank, factor, after = out
            residual = table.rows[rank].residual
            message = (
                f"{drop_sentence(rank, factor, after)} What is left, {residual:.2g}, need not be "
                "isotropic noise."
            )
            return Told(rank, residual, "drop", message)
        message = f"{so_far} {_why_none(rows, table.tensor)}"
        if late:
            message += f" The {self.clock.max_seconds:g} s ended the table at rank {rows[-1].rank}."
        return Told(None, self.level or 0.0, "", f"{message} State the rank.".strip())

    def _answer(
        self, told: Told, rows: dict[int, RankRow], fits: dict[int, Decomposition]
    ) -> RankEstimate:
        shown = tuple(rows[rank] for rank in sorted(rows))
        if self.largest is not None and told.rank is not None and told.rank > self.largest:
            words = f"{told.message} That is more than max_rank = {self.largest}."
            return RankEstimate(None, 0.0, "", words, shown, fits)
        return RankEstimate(told.rank, told.noise, told.evidence, told.message, shown, fits)


def _why_none(rows: list[RankRow], tensor: SymmetricTensor) -> str:
    """Why no rank of a table stands out."""
    last = rows[-1].rank
    beats = [row for row in rows if row.residual < null_bar(tensor.dim, row.rank, tensor.order)]
    if not beats:
        return (
            f"No fit of up to {n_terms(last)} explains the tensor better than one of a tensor "
            "without structure."
        )
    gains = [row.gain for row in rows if row.gain is not None]
    if gains and min(gains) > 1.0:
        return (
            f"No rank stands out: after each rank to {last} one term more takes {min(gains):.2g} "
            f"to {max(gains):.2g} times the most that it takes of isotropic noise."
        )
    quiet = [row for row in rows if row.gain is not None and row.gain <= 1.0]
    torn = [row for row in quiet if row.agreement <= 0.5]
    if quiet and len(torn) == len(quiet):
        return (
            f"From rank {quiet[0].rank} on one term more takes no more than it takes of noise, but "
            "independent runs end in different fits there."
        )
    factors = [
        before.residual / after.residual
        for before, after in itertools.pairwise(rows)
        if after.rank == before.rank + 1 and after.residual > 0.0
    ]
    fall = f"{min(factors):.2g} to {max(factors):.2g}-fold" if factors else "evenly"
    return (
        f"No rank to {last} stands out: each further term lowers the residual {fall}, and the "
        f"space of order {tensor.order} and dimension {tensor.dim} is too small to tell noise from "
        "terms."
    )
