"""The lab: specifications, cells, trials, workers and the store.

It knows algorithms by name only; names load on first use.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tdlab.lab.spec.file import ScanSpec, parse_spec, read_spec
    from tdlab.lab.store.merge import merge
    from tdlab.lab.store.reader import Store, open_store
    from tdlab.lab.sweep import run

_HOMES = {
    "ScanSpec": "tdlab.lab.spec.file",
    "Store": "tdlab.lab.store.reader",
    "merge": "tdlab.lab.store.merge",
    "open_store": "tdlab.lab.store.reader",
    "parse_spec": "tdlab.lab.spec.file",
    "read_spec": "tdlab.lab.spec.file",
    "run": "tdlab.lab.sweep",
}

__all__ = ["ScanSpec", "Store", "merge", "open_store", "parse_spec", "read_spec", "run"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'tdlab.lab' has no attribute {name!r}")
    value = getattr(_import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
