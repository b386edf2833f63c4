"""A student: a two-layer network fitted to the samples by descent on its empirical risk.

Solves     min (1/n) sum_i (y_i - f(x_i))^2 over networks of s = ceil(width rank) units whose
           activation is known, with free or unit rows and fixed, signed or free outputs
Method     Levenberg-Marquardt, L-BFGS or Adam from random starts of the size that y asks for; the
           start of lowest empirical risk is kept, until one fits exactly
Guarantee  none. Proper only below the identifiable rank: s >= r_id units fit with wrong weights
Cost       4 n s d flops a conjugate-gradient step, 6 n s d a gradient
Sources    Levenberg (1944); Marquardt (1963); Liu and Nocedal (1989); Kingma and Ba (2015),
           arXiv 1412.6980
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.polynomial import polynomial

from tdlab.algorithms.base import Budget, Status
from tdlab.errors import InputError, check_choice, check_integer, check_real
from tdlab.learning import student_adam as _student_adam
from tdlab.learning import student_lbfgs as _student_lbfgs
from tdlab.learning import student_lm as _student_lm
from tdlab.learning.base import Fit, Learner
from tdlab.learning.student_risk import Point, Risk, Search
from tdlab.networks import Activation, TwoLayerNetwork
from tdlab.theory import r_id

OPTIMISERS = {"lm": 200, "lbfgs": 5000, "adam": 1000}
NORMS = ("free", "unit")
OUTPUTS = ("fixed", "signed", "free")
# Samples that give the size of a start.
_SIZING = 500
_BATCH, _RATE = 64, 0.03


@dataclass(frozen=True)
class Student(Learner):
    """A network of ``width * rank`` units, fitted to the samples.

    It has no bias, as teachers have none: y is not centred. Test data are never seen, and of
    several starts the empirical risk decides.

    Parameters
    ----------
    rank : int
        Units of the teacher.
    activation : str
    width : float
        Units of the student over ``rank``, rounded up.
    optimiser : {"lm", "lbfgs", "adam"}
    norms : {"free", "unit"}
        "unit" keeps every row at norm 1, as it is in teachers that `sample_network` draws.
    outputs : {"fixed", "signed", "free"}
        "fixed" are all 1; "free" ones are fitted; "signed" are +-1, their signs those of a fit with
        free outputs, which the descent then continues from.
    weight_decay : float
        Penalty on the squared weights (not on unit rows, nor on fixed outputs), 0 or more.
    restarts : int
        Random starts, the most that are tried.
    iterations : int or None
        Of a start: steps ("lm": 200), evaluations ("lbfgs": 5000), passes over the samples
        ("adam": 1000).
    batch : int or None
        Samples a step of "adam" (64); no option of the others.
    rate : float or None
        First learning rate of "adam" (0.03), which falls to 0; no option of the others.
    tolerance : float
        Training residual, root mean square over the spread of y, that counts as an exact fit.
    """

    rank: int
    activation: str
    width: float = 1.0
    optimiser: str = "lm"
    norms: str = "free"
    outputs: str = "fixed"
    weight_decay: float = 0.0
    restarts: int = 5
    iterations: int | None = None
    batch: int | None = None
    rate: float | None = None
    tolerance: float = 1e-10

    name = "student"
    proper = True
    version = 2
    samples = "about 2 s d where it succeeds at all; none is enough to know that it will"
    guarantee = "none; below r_id an exact fit of enough samples finds generic weights, not all"
    cost = "4 n s d a conjugate-gradient step (lm), 6 n s d a gradient"
    source = (
        "Levenberg (1944); Marquardt (1963); Liu and Nocedal (1989); Kingma and Ba (2015), "
        "arXiv 1412.6980"
    )

    def __post_init__(self) -> None:
        what = f"learner '{self.name}', option"
        check_integer(f"{what} 'rank'", self.rank, 1)
        Activation.parse(self.activation)
        if check_real(f"{what} 'width'", self.width, 0.0) == 0.0:
            raise InputError(f"{what} 'width': got 0, wanted a number > 0")
        check_choice(f"{what} 'optimiser'", self.optimiser, OPTIMISERS)
        check_choice(f"{what} 'norms'", self.norms, NORMS)
        check_choice(f"{what} 'outputs'", self.outputs, OUTPUTS)
        decay = check_real(f"{what} 'weight_decay'", self.weight_decay, 0.0)
        if decay > 0.0 and self.norms == "unit" and self.outputs != "free":
            raise InputError(
                f"{what} 'weight_decay': got {decay:g} where norms are 'unit' and outputs "
                f"{self.outputs!r}, wanted 0: nothing could decay"
            )
        check_integer(f"{what} 'restarts'", self.restarts, 1)
        if self.iterations is not None:
            check_integer(f"{what} 'iterations'", self.iterations, 1)
        for option, value in (("batch", self.batch), ("rate", self.rate)):
            if value is not None and self.optimiser != "adam":
                raise InputError(
                    f"{what} '{option}': got {value} for optimiser {self.optimiser!r}, wanted "
                    "optimiser 'adam'"
                )
        if self.batch is not None:
            check_integer(f"{what} 'batch'", self.batch, 1)
        if self.rate is not None and check_real(f"{what} 'rate'", self.rate, 0.0) == 0.0:
            raise InputError(f"{what} 'rate': got 0, wanted a number > 0")
        check_real(f"{what} 'tolerance'", self.tolerance, 0.0)

    @property
    def units(self) -> int:
        """s; 1.1 * 30 is a little above 33."""
        return max(math.ceil(self.width * self.rank - 1e-9), 1)

    def _fit(self, X: np.ndarray, y: np.ndarray, rng: np.random.Generator, budget: Budget) -> Fit:
        X = np.ascontiguousarray(X)
        activation = Activation.parse(self.activation)
        unit = self.norms == "unit"
        risk = Risk(
            X,
            y,
            np.array(activation.coefficients),
            free=self.outputs == "free",
            unit=unit,
            decay=self.weight_decay,
        )
        spread = float(np.var(y)) or float(np.mean(y**2)) or 1.0
        search = Search(
            risk,
            budget,
            scale=spread,
            exact=self.tolerance**2,
            iterations=self.iterations or OPTIMISERS[self.optimiser],
        )
        starts = 0
        for _ in range(self.restarts):
            starts += 1
            point = random_start(risk, self.units, rng)
            if self.outputs == "signed":
                point = self._signed(search, point, rng)
            self._descend(search, point, rng)
            if search.share <= search.exact or budget.expired:
                break
        assert search.best is not None
        network = TwoLayerNetwork(search.best.rows, search.best.outputs, activation)
        status = Status.TIME_LIMIT if budget.expired else search.status
        return self._done(
            network,
            X.shape[1],
            self._message(search, starts, X.shape),
            status=status,
            nit=len(search.history),
            history=tuple(search.history),
            chosen=(("units", self.units), ("starts", starts)),
        )

    def _descend(self, search: Search, point: Point, rng: np.random.Generator) -> None:
        if self.optimiser == "lm":
            _student_lm.descend(search, point)
        elif self.optimiser == "lbfgs":
            _student_lbfgs.descend(search, point)
        else:
            batch = min(self.batch or _BATCH, search.risk.n)
            _student_adam.descend(search, point, batch, self.rate or _RATE, rng)

    def _signed(self, search: Search, point: Point, rng: np.random.Generator) -> Point:
        """Fit free outputs, keep their signs, and give their sizes to free rows.

        a sigma(<w, x>) is +-sigma(<|a|^{1/k} w, x>) for the monomial of degree k; for others it is
        a start.
        """
        free = replace(search, risk=replace(search.risk, free=True), best=None, value=np.inf)
        self._descend(free, point, rng)
        assert free.best is not None
        found = free.best
        signs = np.where(found.outputs < 0.0, -1.0, 1.0)
        if search.risk.unit:
            return Point(found.rows, signs)
        degree = len(search.risk.coefficients) - 1
        return Point(np.abs(found.outputs)[:, None] ** (1.0 / degree) * found.rows, signs)

    def _message(self, search: Search, starts: int, shape: tuple[int, int]) -> str:
        n, dim = shape
        activation = Activation.parse(self.activation)
        degree = activation.degree
        ends = "exact" if search.share <= search.exact else f"{search.share:.2g} of Var(y)"
        told = [
            f"Best of {starts} starts of {self.optimiser} on {n} samples: training risk {ends}."
        ]
        if search.status is Status.CONVERGED and search.share > search.exact:
            told.append("A minimum with a residual: noise, weight decay, or a wrong valley.")
        elif search.status is Status.STAGNATED:
            told.append("It was still falling, or had stalled: more restarts or iterations may do.")
        bound, parameters = r_id(dim, degree), self.units * dim
        if degree > 1 and self.units >= bound:
            told.append(
                f"Improper in effect: {self.units} units reach r_id = {bound:.4g}, where networks "
                "with other weights fit as well."
            )
        elif n <= parameters:
            told.append(
                f"{n} samples do not determine {parameters} weights: an exact fit says nothing."
            )
        elif self.units > self.rank and self.outputs != "free" and activation.coefficients[0]:
            told.append(
                f"{self.units} units for a teacher of {self.rank}: spare ones cannot vanish, as "
                "the activation does not at 0 and outputs are not free."
            )
        elif self.units > self.rank:
            told.append(
                f"{self.units} units for a teacher of {self.rank}: spare ones vanish or double."
            )
        return " ".join(told)


def random_start(risk: Risk, units: int, rng: np.random.Generator) -> Point:
    """Gaussian rows of one common size at which the mean square of f is that of y.

    Unit rows are uniform on the sphere.
    """
    rows = rng.standard_normal((units, risk.X.shape[1]))
    point = Point(Point(rows, np.ones(units)).units, np.ones(units))
    if risk.unit:
        return point
    # The mean square of f grows with the size of its rows: bisect its logarithm.
    X, goal = risk.X[:_SIZING], float(np.mean(risk.y**2))
    z, low, high = X @ (rows / math.sqrt(X.shape[1])).T, -7.0, 7.0
    for _ in range(30):
        middle = (low + high) / 2.0
        f = polynomial.polyval(math.exp(middle) * z, risk.coefficients).sum(axis=1)
        low, high = (middle, high) if np.mean(f**2) < goal else (low, middle)
    return Point(math.exp(low) * rows / math.sqrt(X.shape[1]), point.outputs)
