"""The tests under several BLAS kernels: ``python -m tests.kernels [--others N] [PYTEST OPTIONS]``.

OpenBLAS picks its kernels by the processor, and each rounds in its own way; a test that passes
under one of them only says something of that processor. OpenBLAS takes another kernel where
``OPENBLAS_CORETYPE`` names one, if the processor has its instructions. Here the tests run under the
native kernel and two others (``--others N``: under N others and not the native one).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

VARIABLE = "OPENBLAS_CORETYPE"
# From AVX-512 to SSE3; far from one another first: 128 bits, 256 bits without FMA, with it, 512.
CANDIDATES = ("Nehalem", "Haswell", "Sandybridge", "SkylakeX", "Prescott")
_TRIED = """
import numpy as np
from scipy.linalg import eigh
from tdlab.lab.workers.processor import blas
a = np.random.default_rng(0).standard_normal((64, 64))
eigh(a @ a.T), np.linalg.svd(a), np.linalg.solve(a, a)
print(blas())
"""


def environment(kernel: str | None) -> dict[str, str]:
    """This environment with another kernel; None for the native one."""
    others = {key: value for key, value in os.environ.items() if key != VARIABLE}
    return others if kernel is None else {**others, VARIABLE: kernel}


def runs_as(kernel: str | None) -> str | None:
    """What BLAS runs as under a name of a kernel; None where this processor cannot run it."""
    tried = subprocess.run(
        [sys.executable, "-c", _TRIED], env=environment(kernel), capture_output=True, text=True
    )
    return tried.stdout.strip() if tried.returncode == 0 else None


def others(count: int) -> list[str]:
    """Up to so many names of kernels that run here, differ from the native one, and differ."""
    seen, found = {runs_as(None)}, []
    for kernel in CANDIDATES:
        if len(found) == count:
            break
        name = runs_as(kernel)
        if name is not None and name not in seen:
            seen.add(name)
            found.append(kernel)
    return found


def main(arguments: list[str]) -> int:
    """Run pytest once a kernel, one after the other; 1 if a run failed."""
    if arguments[:1] == ["--others"]:
        kernels: list[str | None] = [*others(int(arguments[1]))]
        wanted, arguments = int(arguments[1]), arguments[2:]
    else:
        kernels, wanted = [None, *others(2)], 3
    if len(kernels) < wanted:
        print(f"kernels: got {len(kernels)} that run here, wanted {wanted}", file=sys.stderr)
    told = []
    for kernel in kernels:
        started = time.monotonic()
        print(f"== {kernel or 'native'}: {runs_as(kernel)}", flush=True)
        command = [sys.executable, "-m", "pytest", *arguments]
        status = subprocess.run(command, env=environment(kernel)).returncode
        passed = "passed" if status == 0 else f"FAILED (status {status})"
        told.append((f"{kernel or 'native'}: {passed}, {time.monotonic() - started:.0f} s", status))
    print("\n".join(line for line, _ in told))
    return int(len(kernels) < wanted or any(status for _, status in told))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
