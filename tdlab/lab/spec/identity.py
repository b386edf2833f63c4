"""What makes two trials the same: canonical JSON, SHA-256 digests, and the random streams.

A cell's identity is text a person can read, hashed; display names are no part of it. Streams are
SeedSequences of the root seed, a digest and the trial index, so every trial can be rerun alone:

instance   root seed, digest of (problem, dim, rank, null), index: *not* the method nor n, so that
           methods meet the same instances and samples are nested in n
method     the same and the digest of (method, version, options)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

# Raised when the meaning of an identity, what a stream draws, or the layout of a store changes.
SCHEMA_VERSION = 3

_STREAM_BITS = 128


def canonical_json(value: Mapping[str, Any]) -> str:
    """The one JSON text of a value: sorted keys, no spaces, floats at their shortest.

    >>> canonical_json({"rank": 3, "dim": 2, "weights": (0.5, 1.0)})
    '{"dim":2,"rank":3,"weights":[0.5,1.0]}'
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False
    )


def digest(value: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON, as 64 hexadecimal digits.

    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def stream(seed: int, digests: tuple[str, ...], index: int) -> np.random.Generator:
    """The random stream of trial ``index`` under a root seed and some digests."""
    import numpy as np

    # 128 bits of a digest are as good as all of them against accidental collisions.
    keys = [int(text[: _STREAM_BITS // 4], 16) for text in digests]
    return np.random.default_rng(np.random.SeedSequence([seed, *keys, index]))
