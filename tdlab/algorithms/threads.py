"""One BLAS thread for problems whose matrices are too small for two.

On a busy machine the threads of a BLAS wait for one another, spinning, many times longer than they
compute: a fit of half a second took a minute. What runs in milliseconds gains nothing from them.
"""

from __future__ import annotations

import contextlib
import functools

from threadpoolctl import ThreadpoolController

LARGEST_ENTRIES = 300_000


def threads_for(dim: int, order: int) -> contextlib.AbstractContextManager[object]:
    """A context with one thread where a tensor of that size has few entries."""
    if dim**order > LARGEST_ENTRIES:
        return contextlib.nullcontext()
    return _controller().limit(limits=1)


@functools.cache
def _controller() -> ThreadpoolController:
    # SciPy brings a BLAS of its own, and only libraries that are loaded are found.
    import scipy.linalg  # noqa: F401

    return ThreadpoolController()
