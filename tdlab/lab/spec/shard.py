"""Shards: N disjoint parts of a scan whose union is the whole, each with a store of its own.

Trial ``index`` of a cell belongs to shard (digest of the cell + index) mod N. That depends neither
on the order of the cells nor on the other cells: an edited scan leaves every trial in its shard.
Every cell is spread evenly over the shards, and so is the cost of the slow ones.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tdlab.errors import InputError
from tdlab.lab.spec.cells import Cell

if TYPE_CHECKING:
    from tdlab.lab.store.reader import CellCounts, Store

MAX_SHARDS = 10**6
# Of the digest: as good as all of it for spreading cells over shards.
_DIGITS = 16


@dataclass(frozen=True)
class Shard:
    """Part ``part`` of ``parts``, counted from 1 as the indices of job arrays usually are.

    >>> Shard(2, 8), str(Shard(2, 8))
    (Shard(part=2, parts=8), '2/8')
    """

    part: int
    parts: int

    def __post_init__(self) -> None:
        if not 1 <= self.part <= self.parts <= MAX_SHARDS:
            raise InputError(
                f"shard: got {self}, wanted I/N with 1 <= I <= N <= {MAX_SHARDS}, such as 1/8"
            )

    def __str__(self) -> str:
        return f"{self.part}/{self.parts}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read "I/N".

        >>> Shard.parse("1/8")
        Shard(part=1, parts=8)
        """
        found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text.strip())
        if not found:
            raise InputError(f"shard: got {text!r}, wanted I/N with 1 <= I <= N, such as 1/8")
        return cls(int(found[1]), int(found[2]))

    @property
    def suffix(self) -> str:
        """What the default store's name gets."""
        return f".shard-{self.part}-of-{self.parts}"

    def first(self, cell: Cell) -> int:
        """The lowest index of a cell that is of this shard; every ``parts``-th follows."""
        return (self.part - 1 - int(cell.digest[:_DIGITS], 16)) % self.parts

    def size(self, cell: Cell, trials: int) -> int:
        """How many of the indices 0..trials-1 of a cell are of this shard."""
        return len(range(self.first(cell), trials, self.parts))

    def skip_others(self, cells: Sequence[Cell], flags: Sequence[bytearray]) -> None:
        """Flag every trial of another shard as if it were stored."""
        for cell, flag in zip(cells, flags, strict=True):
            first = self.first(cell)
            own = flag[first :: self.parts]
            flag[:] = b"\1" * len(flag)
            flag[first :: self.parts] = own


def lone_shard(runs: Sequence[dict[str, Any]], counts: Sequence[CellCounts]) -> str | None:
    """The shard "I/N" that the latest run was, if its store lacks trials of the others."""
    facts = runs[-1]["provenance"] if runs else {}
    if not facts.get("shard"):
        return None
    present = counts[: facts.get("cells")]
    whole = all(sum(cell.prefix.values()) >= facts["trials"] for cell in present)
    return None if whole else facts["shard"]


def refuse_lone_shard(store: Store) -> None:
    """Raise `InputError` for a store that is one shard of a scan."""
    shard = lone_shard(store.runs(), store.counts())
    if shard:
        raise InputError(
            f"store {store.path}: got shard {shard} alone, wanted the whole (`tdlab merge`)"
        )
