"""Numba kernels: njit only, single-threaded, cached on disk; this package imports nothing of ours.

`warm_up` compiles or loads them all, so that no clock inside the project counts compilation.
"""

from functools import cache


@cache
def warm_up() -> None:
    """Compile every kernel once in this process."""
    from . import gauss_newton, hermite, khatri_rao, moments, student

    khatri_rao.warm_up()
    gauss_newton.warm_up()
    hermite.warm_up()
    moments.warm_up()
    student.warm_up()
