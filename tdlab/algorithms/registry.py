"""The methods by name: built-in ones, and those that other packages register.

A package adds a method with an entry point in the group ``tdlab.methods``: its name is the
method's, its value ``module:Class``. Built-ins win over plug-ins of the same name, and a plug-in
that cannot be used disturbs no other method (`tdlab.plugins`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tdlab.algorithms.base import Method
from tdlab.options import checked_options
from tdlab.plugins import Registry, class_fault

_BUILT_IN = {
    "als": "tdlab.algorithms.methods.als:SymmetricALS",
    "auto": "tdlab.algorithms.auto:Auto",
    "ding": "tdlab.algorithms.methods.ding:Ding",
    "eigen": "tdlab.algorithms.methods.eigen:Eigen",
    "foobi": "tdlab.algorithms.methods.foobi:FOOBI",
    "hankel": "tdlab.algorithms.methods.hankel:Hankel",
    "homotopy": "tdlab.algorithms.methods.homotopy:Homotopy",
    "hss19": "tdlab.algorithms.methods.hss19:HSS19",
    "hsss": "tdlab.algorithms.methods.hsss:HSSS",
    "jennrich": "tdlab.algorithms.methods.jennrich:Jennrich",
    "koszul-young": "tdlab.algorithms.methods.koszul_young:KoszulYoung",
    "largest": "tdlab.algorithms.methods.largest:Largest",
    "lbfgs": "tdlab.algorithms.methods.lbfgs:LBFGS",
    "lm": "tdlab.algorithms.methods.lm:LevenbergMarquardt",
    "pipe": "tdlab.algorithms.methods.pipe:Pipe",
    "power": "tdlab.algorithms.methods.power:Power",
    "pyttb-als": "tdlab.algorithms.peers.pyttb_als:PyttbALS",
    "rtpm": "tdlab.algorithms.methods.rtpm:RTPM",
    "schramm-steurer": "tdlab.algorithms.methods.schramm_steurer:SchrammSteurer",
    "sos": "tdlab.algorithms.methods.sos:SOS",
    "spm": "tdlab.algorithms.methods.spm:SPM",
    "tensorly-als": "tdlab.algorithms.peers.tensorly_als:TensorlyALS",
    "tensorly-power": "tdlab.algorithms.peers.tensorly_power:TensorlyPower",
}

_ATTRIBUTES = (
    "orders", "version", "guarantee", "cost", "source", "reach", "limit", "run",
)  # fmt: skip


def _fault(found: Any) -> str:
    wrong = class_fault(found, _ATTRIBUTES)
    orders = getattr(found, "orders", ())
    if not wrong and not (
        isinstance(orders, tuple | list) and orders and all(isinstance(k, int) for k in orders)
    ):
        return f"a dataclass of orders {orders!r}, wanted a tuple of integers"
    return wrong


registry = Registry("method", _BUILT_IN, _fault)


@dataclass(frozen=True)
class MethodRecord:
    """What a user can know of a method without running it.

    Attributes
    ----------
    name : str
    orders : tuple of int
    version : int
        Raised when results change; part of a cell's identity.
    guarantee, cost, source : str
    options : dict
        Names and defaults.
    """

    name: str
    orders: tuple[int, ...]
    version: int
    guarantee: str
    cost: str
    source: str
    options: dict[str, Any]

    def reach(self, dim: int, order: int = 3) -> int | None:
        """Largest rank at which success is guaranteed or was measured; None if not known."""
        return get_method(self.name).reach(dim, order)

    def limit(self, dim: int, order: int = 3) -> int | None:
        """Largest rank that the method accepts at all; None if any."""
        return get_method(self.name).limit(dim, order)


def method_names() -> list[str]:
    """Names of all methods, sorted."""
    return registry.names()


def methods(order: int | None = None) -> list[MethodRecord]:
    """Records of the methods, of those for one tensor order if given.

    Examples
    --------
    >>> import tdlab
    >>> next(m.reach(dim=20) for m in tdlab.methods(order=3) if m.name == "jennrich")
    20
    """
    found = []
    for name, cls in registry.whole():
        if order is None or order in cls.orders:
            found.append(
                MethodRecord(
                    name=name,
                    orders=tuple(cls.orders),
                    version=cls.version,
                    guarantee=cls.guarantee,
                    cost=cls.cost,
                    source=cls.source,
                    options={f.name: f.default for f in dataclasses.fields(cls)},
                )
            )
    return found


def get_method(name: str, options: Mapping[str, Any] | None = None) -> Method:
    """The method of that name with the given options; `InputError` for what it does not know."""
    cls = registry.load(name)
    return cls(**checked_options(f"method '{name}'", cls, options or {}))
