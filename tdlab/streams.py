"""Random streams of one seed that have nothing in common.

A random start is Gaussian rows, as a teacher is: were both drawn from the seed 0, the start would
be the teacher, and the search a success that means nothing.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

# Children of a seed; samples of a network take 0 and 1.
LEARNING = 2
DECOMPOSITION = 3


def own_stream(rng: Any, child: int) -> np.random.Generator:
    """A generator that no other part makes of the same seed; Generators are as they are.

    Parameters
    ----------
    rng : Generator, SeedSequence, int or None
    child : int
        One number a part.

    Examples
    --------
    >>> from tdlab.streams import DECOMPOSITION, own_stream
    >>> own_stream(0, DECOMPOSITION).random() == np.random.default_rng(0).random()
    False
    """
    if isinstance(rng, np.random.SeedSequence):
        # Spawning would change a sequence that the caller may want to use again.
        sequence = copy.deepcopy(rng)
    elif rng is None or isinstance(rng, int | np.integer):
        sequence = np.random.SeedSequence(rng)
    else:
        return np.random.default_rng(rng)
    return np.random.default_rng(sequence.spawn(child + 1)[child])
