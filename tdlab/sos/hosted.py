"""A solver in a process of its own, ended when its time is up.

An interior point method looks at its clock between steps only, and one step of a large relaxation
takes minutes: what ends on time is the process.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys

import numpy as np

from tdlab.sos.basis import Relaxation
from tdlab.sos.reference import Reference, solve


def solve_hosted(
    relaxation: Relaxation,
    target: np.ndarray,
    solver: str,
    *,
    max_iterations: int | None,
    max_seconds: float,
    accurate: bool = False,
) -> Reference:
    """`solve` in a new interpreter; status "user_limit" where the seconds pass before it ends."""
    sizes = (relaxation.dim, relaxation.order, relaxation.degree)
    task = pickle.dumps((sizes, target, solver, max_iterations, max_seconds, accurate))
    # The same packages as here, whatever made them importable.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tdlab.sos.hosted"],
            input=task,
            capture_output=True,
            timeout=max_seconds,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        return Reference(None, None, "user_limit")
    if done.returncode != 0:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        return Reference(None, None, f"failed ({''.join(last) or done.returncode})")
    return pickle.loads(done.stdout)


def _serve() -> None:
    """Solve the task on standard input; the answer goes to standard output and nothing else."""
    answer = os.dup(1)
    os.dup2(2, 1)
    sizes, target, solver, max_iterations, max_seconds, accurate = pickle.load(sys.stdin.buffer)
    found = solve(
        Relaxation(*sizes),
        target,
        solver,
        max_iterations=max_iterations,
        max_seconds=max_seconds,
        accurate=accurate,
    )
    with os.fdopen(answer, "wb") as out:
        pickle.dump(found, out)


if __name__ == "__main__":
    _serve()
