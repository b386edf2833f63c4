"""The same relaxation through CVXPY: Clarabel (interior point) or SCS (first order).

Solves     max c(y) over moments y of degree 2m and 2m - 1 with y(|x|^(2m)) = 1 and M(y) >= 0, the
           linear matrix inequality form, at the solvers' default tolerances or (Clarabel) tighter
Role       an independent path to the value, and the yardstick for speed. Its dual matrix becomes a
           bound like any other proposal, so that a loose tolerance costs the gap, not the truth
Sources    Diamond and Boyd, JMLR 17 (2016); Goulart and Chen, arXiv 2405.12762; O'Donoghue,
           SIAM J. Optim. 31 (2021)
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from tdlab.sos.basis import Relaxation
from tdlab.sos.face import Dual

# About as far as an interior point method gets in double precision.
_TIGHT = 1e-13


@dataclass(frozen=True, eq=False)
class Reference:
    """What the solver proposed: H, or None where it gave nothing; M(y); its own last word."""

    dual: Dual | None
    moments: np.ndarray | None
    status: str


def solve(
    relaxation: Relaxation,
    target: np.ndarray,
    solver: str,
    *,
    max_iterations: int | None,
    max_seconds: float | None,
    accurate: bool = False,
) -> Reference:
    """Solve the relaxation with ``solver`` "clarabel" or "scs"."""
    import cvxpy as cp

    rows = _moment_map(relaxation)
    size, count = relaxation.size, _moment_count(relaxation)
    moments = cp.Variable(count)
    matrix = cp.reshape(rows @ moments, (size, size), order="C")
    trace = np.asarray(rows[:: size + 1].sum(axis=0)).ravel()
    positive = matrix >> 0
    problem = cp.Problem(
        cp.Maximize(target[:count] @ moments),
        [positive, trace @ moments == relaxation.mass],
    )
    options: dict[str, Any] = {}
    if accurate:
        options |= dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), _TIGHT)
    if max_iterations is not None:
        options["max_iter" if solver == "clarabel" else "max_iters"] = max_iterations
    if max_seconds is not None:
        options["time_limit" if solver == "clarabel" else "time_limit_secs"] = max_seconds
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "may be inaccurate": the bound is checked anyway
            problem.solve(solver=solver.upper(), **options)
    except cp.SolverError as error:
        return Reference(None, None, f"failed ({error})")
    if positive.dual_value is None or moments.value is None:
        return Reference(None, None, problem.status)
    slack = np.asarray(positive.dual_value, dtype=np.float64)
    value = np.reshape(rows @ np.asarray(moments.value, dtype=np.float64), (size, size))
    if not (np.isfinite(slack).all() and np.isfinite(value).all()):
        return Reference(None, None, problem.status)
    # c(y) = mass theta - <Z, M(y)> for all y, so that H = theta I - Z lies in C + L^perp.
    theta = float(target[:count] @ np.asarray(moments.value)) / relaxation.mass
    proposal = theta * np.eye(size) - 0.5 * (slack + slack.T)
    relaxation.correct(proposal, target)
    largest = float(np.linalg.eigvalsh(0.5 * (proposal + proposal.T))[-1])
    nit = getattr(problem.solver_stats, "num_iters", None) or 0
    return Reference(Dual(proposal, largest, int(nit)), value, problem.status)


def _moment_count(relaxation: Relaxation) -> int:
    return int(relaxation.starts[2 if relaxation.odd else 1])


def _moment_map(relaxation: Relaxation) -> sparse.csr_array:
    """(N^2, count) map from moments of degree 2m (and 2m - 1) to the entries of M(y)."""
    outer = np.outer(relaxation.weights, relaxation.weights).ravel()
    index = relaxation.index.ravel()
    entries, count = np.arange(len(index)), _moment_count(relaxation)
    if not relaxation.odd:
        return sparse.csr_array((outer, (entries, index)), shape=(len(index), count))
    low = index >= count
    # Entries of the lower block are traces: sums of d moments of degree 2m.
    squared = relaxation.levels[2].squared[index[low] - count]
    columns = np.concatenate([index[~low], squared.ravel()])
    places = np.concatenate([entries[~low], np.repeat(entries[low], relaxation.dim)])
    values = np.concatenate([outer[~low], np.repeat(outer[low], relaxation.dim)])
    return sparse.csr_array((values, (places, columns)), shape=(len(index), count))
