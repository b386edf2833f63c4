"""What the tests of the lab share: small scans, hostile methods, and the command line."""

import os
import resource
import subprocess
import sys

SMALL = """
name = "small"
trials = 6
time_limit = 30
[[problem]]
activation = "x**3"
ensemble = "isotropic"
dims = [5]
ranks = [6, 8, 12]
null = true
[[problem]]
activation = "He3"
ensemble = "sphere"
dims = [5, 6]
ranks = {from = 0.5, to = 1.5, steps = 3, unit = "d"}
[[method]]
name = "jennrich"
[[method]]
name = "lm"
restarts = 1
iterations = 20
[[method]]
name = "als"
restarts = 1
iterations = 20
"""

# A package of methods that do what methods must not do.
HOSTILE = """
import ctypes, os, stat, sys, time
from dataclasses import dataclass
import numpy as np
from tdlab.algorithms.base import Status, finish
from tdlab.algorithms.methods.jennrich import Jennrich

class Base:
    orders = (3,)
    version = 1
    guarantee = cost = source = "none"
    def reach(self, dim, order): return None
    def limit(self, dim, order): return None
    def run(self, tensor, rank, *, rng, budget):
        if tensor.dim == 4:  # the warm-up
            return Jennrich().run(tensor, rank, rng=rng, budget=budget)
        return self.misbehave(tensor, rank, rng, budget)

@dataclass(frozen=True)
class Loops(Base):
    name = "loops"
    def misbehave(self, *_):
        while True:
            pass

@dataclass(frozen=True)
class Sleeps(Base):
    name = "sleeps-in-warm-up"
    def run(self, *_, **__): time.sleep(1e6)

@dataclass(frozen=True)
class Segfaults(Base):
    name = "segfaults"
    def misbehave(self, *_): ctypes.string_at(0)

@dataclass(frozen=True)
class SegfaultsEarly(Base):
    name = "segfaults-in-warm-up"
    def run(self, *_, **__): ctypes.string_at(0)

@dataclass(frozen=True)
class Allocates(Base):
    name = "allocates"
    def misbehave(self, *_):
        held = []
        while True:
            held.append(np.ones(2**24))

@dataclass(frozen=True)
class Forks(Base):
    name = "forks"
    def misbehave(self, tensor, rank, rng, budget):
        os.fork()
        return Jennrich().run(tensor, rank, rng=rng, budget=budget)

@dataclass(frozen=True)
class LeavesChildren(Base):
    name = "leaves-children"
    def misbehave(self, *_):
        if os.fork() == 0:
            # What a trial forks and forgets, told from others by its name.
            os.execv("/bin/sleep", ["left-behind-by-a-trial", "1000"])
        ctypes.string_at(0)

@dataclass(frozen=True)
class Prints(Base):
    name = "prints"
    def misbehave(self, tensor, rank, rng, budget):
        print("x" * 10**7)
        os.write(2, b"y" * 10**7)
        return Jennrich().run(tensor, rank, rng=rng, budget=budget)

@dataclass(frozen=True)
class Raises(Base):
    name = "raises"
    def misbehave(self, *_): raise KeyError("first line\\nsecond line")

@dataclass(frozen=True)
class Exits(Base):
    name = "exits"
    def misbehave(self, *_): os._exit(3)

@dataclass(frozen=True)
class Quits(Base):
    name = "quits"
    def misbehave(self, *_): sys.exit(0)

@dataclass(frozen=True)
class Scribbles(Base):
    name = "scribbles"
    def misbehave(self, tensor, rank, rng, budget):
        for number in range(3, 64):  # files that are not its own, its worker's socket among them
            try:
                if stat.S_ISSOCK(os.fstat(number).st_mode):
                    os.write(number, b"\\0\\0\\x7f\\xffthe first bytes of a long message")
            except OSError:
                pass
        return Jennrich().run(tensor, rank, rng=rng, budget=budget)

@dataclass(frozen=True)
class NotANumber(Base):
    name = "nan"
    def misbehave(self, tensor, rank, rng, budget):
        rows = np.full((rank, tensor.dim), np.nan)
        return finish(self, tensor, rank, budget, components=rows, status=Status.STAGNATED)
"""
_POINTS = {
    "loops": "Loops", "sleeps-in-warm-up": "Sleeps", "segfaults": "Segfaults",
    "segfaults-in-warm-up": "SegfaultsEarly", "allocates": "Allocates", "forks": "Forks",
    "prints": "Prints", "leaves-children": "LeavesChildren", "raises": "Raises", "exits": "Exits",
    "nan": "NotANumber", "quits": "Quits", "scribbles": "Scribbles",
}  # fmt: skip


def install_hostile(folder):
    """Put the hostile package where Python finds it; the environment that finds it."""
    info = folder / "hostile-0.dist-info"
    info.mkdir(parents=True)
    (folder / "hostile.py").write_text(HOSTILE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hostile\nVersion: 0\n")
    lines = [f"{name} = hostile:{cls}" for name, cls in _POINTS.items()]
    (info / "entry_points.txt").write_text("\n".join(["[tdlab.methods]", *lines]) + "\n")
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]),
    }


def tdlab_command(*arguments):
    """The command line as a list, for `subprocess`."""
    return [sys.executable, "-m", "tdlab", *map(str, arguments)]


def tdlab(*arguments, cwd=None, env=None, timeout=120, memory=None):
    """Run the command line to its end, under a hard limit of private memory if given."""

    def limit():
        if memory is not None:
            resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))

    return subprocess.run(
        tdlab_command(*arguments),
        capture_output=True,
        text=True,
        cwd=cwd,
        env=env,
        timeout=timeout,
        preexec_fn=limit,
    )


def table(store):
    """The trials of a store without what a run adds, as a list of tuples."""
    from tdlab.lab.store.reader import COLUMNS, open_store

    kept = sum(not name.startswith("meta_") for name in COLUMNS)
    with open_store(store) as reader:
        return [row[:kept] for row in reader.rows()]


def refused(finished):
    """Whether the command ended as bad input must: status 2, one line, no traceback."""
    lines = finished.stderr.strip().splitlines()
    return finished.returncode == 2 and len(lines) == 1 and "Traceback" not in finished.stderr
