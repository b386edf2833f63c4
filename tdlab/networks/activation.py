"""Polynomial activations and their exact Gaussian calculus.

sigma(z) = sum_m c_m z^m is kept by its monomial coefficients. For z ~ N(0, 1), with He_k the
probabilists' Hermite polynomials, D_k(rho) = E sigma^(k)(rho z) is the k-th Hermite coefficient of
z -> sigma(rho z) times k!/rho^k; everything else follows from it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import hermite_e

from tdlab.errors import InputError, check_array

MAX_DEGREE = 20

_WANTED = "a polynomial such as 'x**3', 'x^3 - 3x', '0.5*He3 + x' or a list of coefficients"
_TERM = re.compile(
    r"""\s*(?P<sign>[+-])?\s*
    (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)?\s*
    (?P<star>\*)?\s*
    (?:(?P<x>x)\s*(?:(?:\*\*|\^)\s*(?P<power>\d{1,6}))? | He_?(?P<hermite>\d{1,6}))?""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Activation:
    """A polynomial activation, by its monomial coefficients (c_0, c_1, ..., c_degree).

    Examples
    --------
    >>> from tdlab import Activation
    >>> Activation.parse("He3") == Activation.parse("x^3 - 3x")
    True
    >>> Activation.parse("x**3").hermite_coefficients()
    array([0., 3., 0., 1.])
    >>> print(Activation((0.0, -3.0, 0.0, 1.0)))
    x^3 - 3x
    """

    coefficients: tuple[float, ...]

    def __post_init__(self) -> None:
        values = check_array("activation", self.coefficients, ("degree + 1",))
        values = np.trim_zeros(values, trim="b")
        if len(values) > MAX_DEGREE + 1:
            raise InputError(
                f"activation: got degree {len(values) - 1}, wanted at most {MAX_DEGREE}"
            )
        if len(values) < 2:
            raise InputError("activation: got a constant, wanted a polynomial of degree >= 1")
        object.__setattr__(self, "coefficients", tuple(float(c) for c in values))

    @classmethod
    def parse(cls, text: str | Activation | tuple[float, ...] | list[float]) -> Activation:
        """Read an activation from a formula or from coefficients c_0, c_1, ...

        A formula is a sum of terms: a number, ``x``, ``x**m`` or ``x^m``, or a probabilists'
        Hermite polynomial ``Hem``, each with an optional numerical factor.
        """
        if isinstance(text, Activation):
            return text
        if not isinstance(text, str):
            return cls(tuple(check_array("activation", text, ("degree + 1",))))
        total = np.zeros(MAX_DEGREE + 1)
        position = 0
        while position < len(text.rstrip()) or position == 0:
            term = _TERM.match(text, position)
            groups = term.groupdict() if term else {}
            basis = groups.get("x") or groups.get("hermite")
            well_formed = (
                bool(groups.get("number") or basis)
                and bool(groups.get("sign")) >= (position > 0)
                and (not groups.get("star") or bool(groups.get("number") and basis))
            )
            if not term or not well_formed:
                rest = text[position:].strip() or text
                raise InputError(f"activation: got {text!r} (at {rest[:20]!r}), wanted {_WANTED}")
            factor = float(groups["number"] or 1.0) * (-1.0 if groups["sign"] == "-" else 1.0)
            power = int(groups["hermite"] or groups["power"] or (1 if groups["x"] else 0))
            if power > MAX_DEGREE:
                raise InputError(f"activation: got degree {power}, wanted at most {MAX_DEGREE}")
            if groups["hermite"]:
                total[: power + 1] += factor * hermite_e.herme2poly([0.0] * power + [1.0])
            else:
                total[power] += factor
            position = term.end()
        if not np.isfinite(total).all():
            raise InputError(f"activation: got {text!r}, wanted finite coefficients")
        return cls(tuple(total))

    @property
    def degree(self) -> int:
        """Largest power with a nonzero coefficient."""
        return len(self.coefficients) - 1

    def __call__(self, z: np.ndarray) -> np.ndarray:
        """Evaluate elementwise (Horner)."""
        return np.polynomial.polynomial.polyval(z, self.coefficients)

    def mean_derivative(self, order: int, scale: np.ndarray | float) -> np.ndarray:
        """D_k(rho) = E sigma^(k)(rho z), z ~ N(0, 1), elementwise in rho = ``scale``.

        From E z^(2j) = (2j-1)!!: D_k(rho) = sum over m >= k with m - k even of
        c_m m!/(m-k)! rho^(m-k) (m-k-1)!!.
        """
        scale = np.asarray(scale, dtype=np.float64)
        total = np.zeros_like(scale)
        for m in range(order, self.degree + 1, 2):
            double_factorial = math.prod(range(m - order - 1, 0, -2))
            total = total + (
                self.coefficients[m] * math.perm(m, order) * double_factorial * scale ** (m - order)
            )
        return total

    def hermite_coefficients(self) -> np.ndarray:
        """Coefficients h_k of sigma = sum_k h_k He_k, shape (degree + 1,)."""
        return hermite_e.poly2herme(self.coefficients)

    def __str__(self) -> str:
        terms = []
        for power in range(self.degree, -1, -1):
            value = self.coefficients[power]
            if value == 0.0:
                continue
            x = "" if power == 0 else "x" if power == 1 else f"x^{power}"
            size = "" if abs(value) == 1.0 and x else f"{abs(value):.17g}"
            sign = "-" if value < 0 else "+"
            terms.append(f"{sign} {size}{x}")
        return " ".join(terms).removeprefix("+ ").replace("- ", "-", 1 if terms[0][0] == "-" else 0)
