"""What a certificate says: a bound above, a point below, the gap, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np


class CertificateStatus(StrEnum):
    """How a certificate ended."""

    CERTIFIED = "certified"
    GAP = "gap"
    STOPPED = "stopped"


@dataclass(frozen=True, eq=False)
class Certificate:
    """Bounds on max T(x, ..., x) over unit x.

    Attributes
    ----------
    upper_bound : float
        No unit x has T(x, ..., x) above it; covers rounding, holds however the solver ended.
    lower_bound : float
        At most T at the normalised maximiser; covers rounding.
    maximizer : (d,) array
        The best unit vector found.
    pseudo_value : float or None
        Value of a pseudo-expectation, to the solver's accuracy: the relaxation's own optimum lies
        between it and ``upper_bound``, so no proof of this degree gets below it. None where the
        gap closed without one.
    gap : float
        (upper_bound - lower_bound) / max(|upper_bound|, |lower_bound|, |T|_F / 100): a maximum of
        zero, as of forms -T with T nonnegative, has no scale of its own. 0 for the zero tensor.
    status : CertificateStatus
        "certified": the gap is at most ``tolerance``, so the maximum is known to that accuracy. A
        lower bound above zero then refutes that T is nowhere positive, an upper bound that is zero
        to that accuracy affirms it.
        "gap": the solver ended and the bounds differ. "stopped": out of iterations or time.
    message : str
        Why it ended, and what to try next.
    seconds : float
        Wall-clock time, without compilation.
    solver : str
        What proposed the upper bound: "face", "admm", "clarabel", "scs", or "norm" (Frobenius).
    nit : int
        Its iterations.
    order, dim, degree, size : int
        Of the form and its relaxation; ``size`` is the side of the moment matrix.
    """

    upper_bound: float
    lower_bound: float
    maximizer: np.ndarray
    pseudo_value: float | None
    gap: float
    status: CertificateStatus
    message: str
    seconds: float
    solver: str
    nit: int
    order: int
    dim: int
    degree: int
    size: int

    def __repr__(self) -> str:
        lines = [
            f"     status: {self.status}",
            f"    message: {self.message}",
            f"upper_bound: {self.upper_bound!r}",
            f"lower_bound: {self.lower_bound!r}",
            f"        gap: {self.gap:.1e}",
            f"     solver: {self.solver}, degree {self.degree}, matrix of side {self.size}",
            f"        nit: {self.nit}    seconds: {self.seconds:.3f}",
        ]
        return "\n".join(lines)
