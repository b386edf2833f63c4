"""Certificates for the maximum of a form on the sphere: a bound above, a point below, the gap.

Solves     max T(x, ..., x) over |x| = 1 from above, by sums of squares of degree 2m (any order k
           <= 2m; odd and even orders): T(x) <= upper_bound for every unit x, rounding covered
Methods    search for maximisers, FACE on the face they fix, ADMM where that leaves a gap; or a
           general solver through CVXPY. Each only proposes a matrix; `rigor` makes it a bound
Guarantee  the bounds hold however a solver ended. That the gap closes is never guaranteed
Cost       N^2 numbers for the moment matrix, N = d(d+3)/2 at degree 4 and order 3
Sources    Lasserre, SIAM J. Optim. 11 (2001); Parrilo, Math. Program. 96 (2003); on the sphere:
           Nie and Wang, SIAM J. Matrix Anal. Appl. 35 (2014)
"""

from __future__ import annotations

import math
import time
from functools import partial

import numpy as np

from tdlab._kernels import warm_up
from tdlab.errors import InputError, check_array, check_choice, check_integer, check_real
from tdlab.sos.admm import Moments, admm
from tdlab.sos.basis import Relaxation
from tdlab.sos.certificate import Certificate, CertificateStatus
from tdlab.sos.face import Dual, face
from tdlab.sos.forms import Form
from tdlab.sos.hosted import solve_hosted
from tdlab.sos.maximize import maximisers
from tdlab.sos.memory import check_memory, required_memory
from tdlab.sos.reference import solve
from tdlab.sos.rigor import upper_bound
from tdlab.streams import Part, own_stream
from tdlab.tensors import SymmetricTensor, as_symmetric

SOLVERS = ("auto", "face", "admm", "clarabel", "scs")
_ITERATIONS = 2000  # of FACE and ADMM together
_POLISH = 1000  # of ADMM after interior points
# Share of |T|_F below which a maximum is no scale to measure a gap by: that of a form without
# structure is 0.35 |T|_F at d = 10 and 0.12 |T|_F at d = 30.
_SCALE = 0.01
# Side of moment matrices that an interior point method solves in a second or two.
_SMALL_SIZE = 50


def certify(
    tensor: SymmetricTensor | np.ndarray,
    degree: int | None = None,
    *,
    solver: str = "auto",
    maximizer: np.ndarray | None = None,
    tolerance: float = 1e-8,
    max_iterations: int | None = None,
    max_seconds: float | None = None,
    max_memory: int = 2**30,
    rng: np.random.Generator | int | None = None,
) -> Certificate:
    """Bound max T(x, ..., x) over the unit sphere from both sides.

    Parameters
    ----------
    tensor : SymmetricTensor or (d,) * k array
    degree : int, optional
        Even degree 2m >= k of the sums of squares; the smallest if not given (4 for k = 3, 4).
        The next degree gives a bound at least as good, at much higher cost.
    solver : str
        "auto": FACE, then ADMM where FACE leaves a gap, then, where that is slow and the matrix
        small, Clarabel at its tightest tolerances. "face", "admm": one of them. "clarabel", "scs":
        through CVXPY, at their default tolerances.
    maximizer : (d,) array, optional
        A vector believed to be the maximiser, refined and used in place of the search. A wrong one
        costs the certificate, never its truth.
    tolerance : float
        Gap up to which the status is "certified".
    max_iterations : int, optional
        2000 of FACE and ADMM together if not given; CVXPY's solvers have their own.
    max_seconds : float, optional
        Stops search and solver; the bounds hold nevertheless. Clarabel then runs, beyond small
        sizes, in a process of its own, because it looks at its clock between long steps only.
    max_memory : int
        Bytes; a relaxation that needs more with this solver is refused: see `required_memory`.
    rng : Generator, int or None
        For the starts of the search.

    Returns
    -------
    Certificate

    Raises
    ------
    InputError
        If the tensor, the degree or an option is not as described, or needs too much memory.

    Examples
    --------
    >>> import tdlab
    >>> T = tdlab.gaussian_tensor(6, rng=0)
    >>> c = tdlab.sos.certify(T, degree=4, rng=0)
    >>> c.status.value, c.gap < 1e-8, c.lower_bound <= c.upper_bound
    ('certified', True, True)
    """
    tensor = as_symmetric(tensor)
    degree = _check_degree(degree, tensor.order)
    check_choice("solver", solver, SOLVERS)
    tolerance = check_real("tolerance", tolerance, 0.0)
    if max_iterations is not None:
        max_iterations = check_integer("max_iterations", max_iterations, 0)
    if max_seconds is not None:
        max_seconds = check_real("max_seconds", max_seconds, 0.0)
    if maximizer is not None:
        maximizer = check_array("maximizer", maximizer, (tensor.dim,))
        if not np.any(maximizer):
            raise InputError("maximizer: got the zero vector, wanted a direction")
        maximizer = maximizer / np.abs(maximizer).max()
    max_bytes = check_memory(tensor, degree, max_memory, solver)
    warm_up()
    generator = own_stream(rng, Part.CERTIFICATE)
    return _Run(
        tensor, degree, solver, tolerance, max_iterations, max_seconds, max_bytes, generator
    ).certificate(maximizer)


def smallest_degree(order: int) -> int:
    """The smallest even degree whose relaxation can hold a form of this order."""
    return max(4, order + 1) if order % 2 == 1 else order


def _check_degree(degree: int | None, order: int) -> int:
    smallest = smallest_degree(order)
    if degree is None:
        return smallest
    degree = check_integer("degree", degree, 2)
    if degree % 2 == 1 or degree < smallest:
        raise InputError(
            f"degree: got {degree}, wanted an even number >= {smallest} for a form of order {order}"
        )
    return degree


class _Run:
    """One certification: the clock, the best bounds so far, and what proposed them."""

    def __init__(
        self,
        tensor: SymmetricTensor,
        degree: int,
        solver: str,
        tolerance: float,
        max_iterations: int | None,
        max_seconds: float | None,
        max_bytes: int,
        rng: np.random.Generator,
    ) -> None:
        self.started = time.perf_counter()
        self.form = Form.of(tensor, max_bytes)
        self.degree, self.solver, self.tolerance = degree, solver, tolerance
        self.max_iterations, self.max_seconds, self.rng = max_iterations, max_seconds, rng
        self.max_bytes = max_bytes
        self.left = _ITERATIONS if max_iterations is None else max_iterations
        self.trouble, self.given = "", False
        self.nit = 0
        # |T(x)| <= |T|_F: what holds before anything has been solved.
        self.upper, self.proposer = self.form.norm + self.form.error, "norm"
        self.lower, self.size = -self.upper, 0
        self.maximizer = np.eye(tensor.dim)[0]
        self.pseudo_value: float | None = None

    def certificate(self, maximizer: np.ndarray | None) -> Certificate:
        form = self.form
        if not np.any(form.coefficients):
            self.upper, self.lower = form.error, -form.error
            return self._finish()
        self.given = maximizer is not None
        starts = None if maximizer is None else maximizer[None]
        points = self._search(starts)
        relaxation = Relaxation(form.dim, form.order, self.degree)
        self.size = relaxation.size
        target = form.target(relaxation)
        if self.solver in ("clarabel", "scs"):
            if self.left > 0 and not self._expired():
                self._reference(relaxation, target, self.solver)
            return self._finish()
        matrix = relaxation.matrix(relaxation.moments(target))
        if self.solver in ("auto", "face"):
            matrix = self._face(relaxation, target, points)
            if self._open() and maximizer is None:
                before = self.lower
                points = self._search(None)
                if self.lower > before:
                    matrix = self._face(relaxation, target, points)
        if self.solver in ("auto", "admm") and self._open():
            self._admm(relaxation, target, matrix)
        if self.solver == "auto" and self._worth_refining():
            matrix = self._reference(relaxation, target, "clarabel", accurate=True)
            if matrix is not None and not self._closed():
                # A little short of it, as rounding left the interior point: from there.
                self.left = _POLISH
                self._admm(relaxation, target, matrix)
        return self._finish()

    def _worth_refining(self) -> bool:
        """Whether ADMM was slow, as at degenerate maxima, where interior points are not."""
        if self.size > _SMALL_SIZE or self._expired() or self.max_iterations is not None:
            return False
        need = required_memory(self.form.dim, self.form.order, self.degree, "clarabel")
        return not (self._closed() or self._limited()) and need <= self.max_bytes

    def _closed(self) -> bool:
        return self._gap() <= self.tolerance or self._rounding()

    def _search(self, starts: np.ndarray | None) -> np.ndarray:
        points = maximisers(self.form.tensor, self.rng, starts, expired=self._expired)
        value = self.form.lower_bound(points[0])
        if value > self.lower:
            self.lower, self.maximizer = value, points[0]
        return points

    def _face(self, relaxation: Relaxation, target: np.ndarray, points: np.ndarray) -> np.ndarray:
        dual = face(
            relaxation,
            target,
            points,
            float(self.form.tensor.evaluate(points[:1])[0]),
            rng=self.rng,
            max_iterations=self.left,
            expired=self._expired,
        )
        self._propose(relaxation, target, dual, "face")
        return dual.matrix

    def _admm(self, relaxation: Relaxation, target: np.ndarray, start: np.ndarray) -> None:
        dual, value = admm(
            relaxation,
            target,
            start=start,
            max_iterations=self.left,
            tolerance=self.tolerance,
            scale=_SCALE * self.form.norm,
            expired=self._expired,
        )
        self._propose(relaxation, target, dual, "admm")
        if math.isfinite(value):
            self.pseudo_value = value

    def _reference(
        self, relaxation: Relaxation, target: np.ndarray, solver: str, *, accurate: bool = False
    ) -> np.ndarray | None:
        seconds = None
        if self.max_seconds is not None:
            seconds = max(self.max_seconds - (time.perf_counter() - self.started), 1e-3)
        if seconds is None or self.size <= _SMALL_SIZE or solver != "clarabel":
            run = partial(solve, max_seconds=seconds)
        else:
            run = partial(solve_hosted, max_seconds=seconds)
        found = run(
            relaxation, target, solver, max_iterations=self.max_iterations, accurate=accurate
        )
        late = found.status == "user_limit" and self._expired()
        if found.status != "optimal" and not (accurate or late):
            self.trouble = f"{solver} ended with status {found.status}."
        if found.dual is not None and found.moments is not None:
            self._propose(relaxation, target, found.dual, solver)
            value = Moments(relaxation, target).feasible_value(found.moments)
            if self.pseudo_value is None or value > self.pseudo_value:
                self.pseudo_value = value
        return None if found.dual is None else found.dual.matrix

    def _open(self) -> bool:
        return not self._closed() and self.left > 0 and not self._expired()

    def _propose(
        self, relaxation: Relaxation, target: np.ndarray, dual: Dual, proposer: str
    ) -> None:
        self.nit += dual.nit
        if proposer in ("face", "admm"):
            self.left -= dual.nit
        bound = upper_bound(relaxation, target, dual.matrix, dual.largest) + self.form.error
        if bound < self.upper:
            self.upper, self.proposer = bound, proposer

    def _expired(self) -> bool:
        seconds = time.perf_counter() - self.started
        return self.max_seconds is not None and seconds >= self.max_seconds

    def _gap(self) -> float:
        largest = max(abs(self.upper), abs(self.lower), _SCALE * self.form.norm)
        return (self.upper - self.lower) / largest if largest > 0.0 else 0.0

    def _rounding(self) -> bool:
        """Whether the bounds are as near as the rounding of the tensor's own terms allows.

        Both carry that error, and a bound of the same size for what was computed from them.
        """
        return self.upper - self.lower <= 4.0 * self.form.error

    def _limited(self) -> bool:
        """Whether a pseudo-expectation keeps this degree from proving the lower bound."""
        if self.pseudo_value is None:
            return False
        value = self.pseudo_value - self.form.error
        # A pseudo-expectation is feasible to the accuracy of an eigensolver, not exactly.
        largest = max(abs(self.lower), _SCALE * self.form.norm)
        return value > self.lower + max(self.tolerance, 1e-7) * largest

    def _finish(self) -> Certificate:
        gap, form = self._gap(), self.form
        upper = form.in_units(self.upper, math.inf)
        lower = form.in_units(self.lower, -math.inf)
        pseudo = None
        if self.pseudo_value is not None:
            pseudo = form.in_units(self.pseudo_value, math.inf)
        if gap <= self.tolerance:
            status = CertificateStatus.CERTIFIED
            message = self._certified_message(gap, upper, lower)
        elif self._rounding():
            status = CertificateStatus.GAP
            message = (
                f"The bounds differ by a relative {gap:.1e}, which is the rounding of the tensor's "
                "own terms: they cancel. No solver and no degree does better."
            )
        elif self._limited():
            status = CertificateStatus.GAP
            message = (
                f"A pseudo-expectation reaches {pseudo:.8g}, so no bound of degree "
                f"{self.degree} is below it: either degree {self.degree} has a gap here (try "
                f"degree={self.degree + 2}), or the vector found is not the maximiser ("
                + ("leave maximizer= out)." if self.given else "try another rng).")
            )
        elif self.trouble:
            status = CertificateStatus.STOPPED
            message = (
                f"{self.trouble} The bounds hold at a relative gap of {gap:.1e}. "
                "Try solver='auto', or higher limits."
            )
        elif self.left <= 0 or self._expired():
            status = CertificateStatus.STOPPED
            what = "max_iterations" if self.left <= 0 else "max_seconds"
            message = (
                f"Stopped by {what} at a relative gap of {gap:.1e}; the bounds hold. "
                f"Raise {what} for better ones."
            )
        else:
            status = CertificateStatus.GAP
            message = (
                f"The solver ended with a relative gap of {gap:.1e}: either the vector found is "
                f"not the maximiser, or sums of squares of degree {self.degree} prove no better. "
                f"Try degree={self.degree + 2}, or another rng."
            )
        return Certificate(
            upper_bound=upper,
            lower_bound=lower,
            maximizer=self.maximizer,
            pseudo_value=pseudo,
            gap=gap,
            status=status,
            message=message,
            seconds=time.perf_counter() - self.started,
            solver=self.proposer,
            nit=self.nit,
            order=form.order,
            dim=form.dim,
            degree=self.degree,
            size=self.size,
        )

    def _certified_message(self, gap: float, upper: float, lower: float) -> str:
        norm = self.form.norm
        if norm == 0.0:
            return "The form is zero."
        if max(abs(self.upper), abs(self.lower)) <= self.tolerance * norm:
            return (
                f"The maximum is zero to within {self.upper / norm:.1e} of the tensor's norm: "
                f"T(x) <= {upper:.2g} for every unit x."
            )
        message = f"The maximum is known to a relative {gap:.1e}."
        if self.form.order % 2 == 0:
            side = "positive at the maximizer" if lower > 0.0 else "negative for every x"
            if lower > 0.0 or upper < 0.0:
                message += f" The form is {side}."
        return message
