"""Checks of a machine: what a scan needs, tried for real."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tdlab.errors import InputError
from tdlab.lab.spec.file import parse_spec
from tdlab.lab.sweep import run
from tdlab.lab.workers import machine
from tdlab.lab.workers.processor import kernel

_EXTRAS = {
    "distributed": "distributed", "parquet": "pyarrow", "nn": "torch",
    "peers": "pyttb", "test": "pytest",
}  # fmt: skip
_SCAN = """
name = "doctor"
trials = 2
time_limit = 60
[problem]
activation = "He3"
ensemble = "sphere"
dims = [6]
ranks = [4]
[[method]]
name = "jennrich"
"""


@dataclass(frozen=True)
class Check:
    """One line of the report.

    Attributes
    ----------
    name, text : str
    ok : bool
    """

    name: str
    text: str
    ok: bool = True


def checks(folder: Path) -> Iterator[Check]:
    """Look at the machine, and run a tiny scan through real workers."""
    versions = machine.versions()
    missing = [name for name, version in versions.items() if version == "missing"]
    yield Check("packages", ", ".join(f"{k} {v}" for k, v in versions.items()), not missing)
    extras = [extra for extra, module in _EXTRAS.items() if find_spec(module)]
    yield Check("extras", f"installed: {', '.join(extras) or 'none'}")
    yield from _plugin_checks()
    yield Check("kernel", f"{kernel()}: results repeat bit for bit on this kind of processor")
    memory = machine.available_memory() / 2**30
    yield Check("processors", str(machine.cpu_count()))
    yield Check("memory", f"{memory:.1f} GiB free", memory > 0.5)
    writable = os.access(folder, os.W_OK)
    network = machine.on_network(folder)
    mode = "network file system: stores without WAL, slower" if network else "local: stores in WAL"
    yield Check("folder", mode if writable else "not writable: use --store elsewhere", writable)
    yield _trial_check()


def _plugin_checks() -> Iterator[Check]:
    """What other packages add, and what is wrong with it: that package's affair, and to be seen."""
    from tdlab.algorithms.registry import registry as methods
    from tdlab.learning.registry import registry as learners

    for registry in (methods, learners):
        faults = registry.faults()
        for fault in faults:
            yield Check("plug-in", fault, False)
        good = [
            plugin
            for plugin in registry.plugins()
            if not any(str(plugin) in fault for fault in faults)
        ]
        if good:
            yield Check("plug-ins", f"{registry.kind}s: {', '.join(map(str, good))}")


def _trial_check() -> Check:
    with tempfile.TemporaryDirectory() as scratch:
        try:
            with run(
                parse_spec(_SCAN, file="doctor"), Path(scratch, "doctor.db"), workers=1
            ) as store:
                rows = list(store.rows())
        except InputError as error:
            return Check("trials", str(error), False)
    outcomes = [row[7] for row in rows]
    reasons = "; ".join({row[8] for row in rows if row[8]})
    good = outcomes == ["recovered"] * 2
    return Check("trials", "a worker recovers a planted tensor" if good else reasons, good)
