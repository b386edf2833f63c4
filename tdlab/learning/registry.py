"""The learners by name: built-in ones, and those that other packages register.

A package adds a learner with an entry point in the group ``tdlab.learners``: its name is the
learner's, its value ``module:Class``. Built-ins win over plug-ins of the same name, and a plug-in
that cannot be used disturbs no other learner (`tdlab.plugins`).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from tdlab.learning.base import Learner
from tdlab.options import checked_options
from tdlab.plugins import Registry, class_fault

_BUILT_IN = {
    "ideal": "tdlab.learning.ideal:Ideal",
    "kernel-ridge": "tdlab.learning.kernel_ridge:KernelRidge",
    "linear": "tdlab.learning.linear:Linear",
    "moment-predictor": "tdlab.learning.moment_predictor:MomentPredictor",
    "moments-decompose": "tdlab.learning.moments_decompose:MomentsDecompose",
    "moved": "tdlab.learning.moved:Moved",
    "norm-trivial": "tdlab.learning.trivial:NormTrivial",
    "polynomial-regression": "tdlab.learning.polynomial_regression:PolynomialRegression",
    "student": "tdlab.learning.student:Student",
    "trivial": "tdlab.learning.trivial:Trivial",
}

_ATTRIBUTES = ("proper", "version", "samples", "guarantee", "cost", "source")


def _fault(found: Any) -> str:
    if isinstance(found, type) and not issubclass(found, Learner):
        return f"the class {found.__name__}, wanted one derived from tdlab.learning.base.Learner"
    return class_fault(found, _ATTRIBUTES)


registry = Registry("learner", _BUILT_IN, _fault)


@dataclass(frozen=True)
class LearnerRecord:
    """What a user can know of a learner without running it.

    Attributes
    ----------
    name : str
    proper : bool
        Whether it outputs a network like the teacher, or any function.
    version : int
        Raised when results change; part of a cell's identity.
    samples, guarantee, cost, source : str
    options : dict
        Names and defaults; `dataclasses.MISSING` where there is none.
    """

    name: str
    proper: bool
    version: int
    samples: str
    guarantee: str
    cost: str
    source: str
    options: dict[str, Any]

    @property
    def reach(self) -> str:
        """The samples it needs: what `tdlab.methods` calls reach."""
        return self.samples


def learner_names() -> list[str]:
    """Names of all learners, sorted."""
    return registry.names()


def learners() -> list[LearnerRecord]:
    """Records of the learners.

    Examples
    --------
    >>> import tdlab
    >>> [one.name for one in tdlab.learners() if one.proper][:1]
    ['ideal']
    """
    found = []
    for name, cls in registry.whole():
        found.append(
            LearnerRecord(
                name=name,
                proper=cls.proper,
                version=cls.version,
                samples=cls.samples,
                guarantee=cls.guarantee,
                cost=cls.cost,
                source=cls.source,
                options={f.name: f.default for f in dataclasses.fields(cls)},
            )
        )
    return found


def learner(name: str, **options: Any) -> Learner:
    """The learner of that name with the given options.

    Proper learners take ``rank=`` and ``activation=``: what they are told of the teacher.

    Raises
    ------
    InputError
        For a name, option or type that is not known.

    Examples
    --------
    >>> import tdlab
    >>> X, y = tdlab.sample_network(5, 8, rng=0).sample(200, rng=1)
    >>> fit = tdlab.learner("polynomial-regression", degree=3).fit(X, y, rng=0)
    >>> fit.network is None, fit.predict(X[:3]).shape
    (True, (3,))
    """
    cls = learner_class(name)
    return cls(**checked_options(f"learner '{name}'", cls, options))


def learner_class(name: str) -> Any:
    """The class of that name; `InputError` with the known ones otherwise."""
    return registry.load(name)


def told_options(name: str, **facts: Any) -> dict[str, Any]:
    """Those facts of the teacher (rank, activation, teacher) that the learner takes as options."""
    fields = {f.name for f in dataclasses.fields(learner_class(name))}
    return {key: value for key, value in facts.items() if key in fields}
