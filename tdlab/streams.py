"""Random streams: each part that draws makes its own of what it is given.

A random start is Gaussian rows, as a teacher is: were both drawn from the seed 0, or from two
Generators in the same state, the start would be the teacher, and the search a success that means
nothing. So no part draws from what it is given. A seed has one child per part, named by a hash of
the part's name; of a Generator a part draws 128 bits, as entropy, and hashes its name into them.
Equal seeds and equal Generators then give the same part the same stream, and two parts streams that
have nothing in common; a Generator that is used twice has moved on in between.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from enum import StrEnum

import numpy as np

from tdlab.errors import InputError

# What `rng` may be, as in SPEC 7 of Scientific Python.
RNG = (
    np.random.Generator
    | np.random.BitGenerator
    | np.random.SeedSequence
    | int
    | Sequence[int]
    | None
)

_BYTES = 16


class Part(StrEnum):
    """The parts that draw; a stream depends on the text alone."""

    NETWORK = "network"
    ENSEMBLE = "ensemble"
    GAUSSIAN_TENSOR = "gaussian-tensor"
    GAUSSIAN_POLYNOMIAL = "gaussian-polynomial"
    ERROR_TENSOR = "error-tensor"
    SPARSE_COEFFICIENTS = "sparse-coefficients"
    SAMPLES = "samples"
    SCORE = "score"
    DECOMPOSITION = "decomposition"
    METHOD = "method"
    CANDIDATES = "candidates"
    RANK = "rank"
    JUDGEMENT = "judgement"
    CONFIDENCE = "confidence"
    LEARNING = "learning"
    CERTIFICATE = "certificate"
    DICTIONARY = "dictionary"

    @property
    def key(self) -> int:
        """32 bits of a hash of the text: no child that a caller spawns from the seed has them."""
        return int.from_bytes(hashlib.sha256(self.encode()).digest()[:4], "little")


def own_stream(rng: RNG, part: Part) -> np.random.Generator:
    """A generator that no other part makes of the same seed or of an equal Generator.

    Parameters
    ----------
    rng : Generator, BitGenerator, SeedSequence, int >= 0, a sequence of such ints, or None
        None takes fresh entropy. A Generator or BitGenerator moves on by 128 bits, and a
        SeedSequence stays as it is.
    part : Part

    Raises
    ------
    InputError
        For anything else.

    Examples
    --------
    >>> import numpy as np
    >>> from tdlab.streams import Part, own_stream
    >>> own_stream(0, Part.NETWORK).random() == own_stream(0, Part.METHOD).random()
    False
    >>> first, second = np.random.default_rng(0), np.random.default_rng(0)
    >>> own_stream(first, Part.NETWORK).random() == own_stream(second, Part.METHOD).random()
    False
    """
    if isinstance(rng, np.random.BitGenerator):
        rng = np.random.Generator(rng)
    if isinstance(rng, np.random.Generator):
        entropy, path, pool = int.from_bytes(rng.bytes(_BYTES), "little"), (), 4
    else:
        # Spawning would change a sequence that the caller may want to use again.
        given = rng if isinstance(rng, np.random.SeedSequence) else _sequence(rng)
        entropy, path, pool = given.entropy, tuple(given.spawn_key), given.pool_size
    own = np.random.SeedSequence(entropy, spawn_key=(*path, part.key), pool_size=pool)
    return np.random.default_rng(own)


def _sequence(seed: object) -> np.random.SeedSequence:
    try:
        return np.random.SeedSequence(seed)  # type: ignore[arg-type] (checked by NumPy)
    except (TypeError, ValueError):
        raise InputError(
            f"rng: got {seed!r}, wanted None, an integer >= 0, a SeedSequence, or a Generator"
        ) from None
