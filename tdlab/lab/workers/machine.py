"""The machine and the software: what a run records of them, and what the pool plans with."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from tdlab.lab.workers.cgroup import headroom
from tdlab.lab.workers.processor import blas, kernel

_PACKAGES = ("tdlab", "numpy", "scipy", "numba", "tensorly", "cvxpy")
_NETWORK_FILE_SYSTEMS = (
    "nfs", "cifs", "smb", "afs", "9p", "lustre", "gpfs", "beegfs", "ceph", "glusterfs", "panfs",
    "fuse.sshfs", "fuse.s3fs", "fuse.rclone", "ncpfs", "ocfs2", "gfs2", "virtiofs",
)  # fmt: skip
_MIB = 2**20
_DEFAULT_MEMORY = 4 * 2**30


def cpu_count() -> int:
    """Processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_memory() -> int:
    """Bytes that can be allocated without swapping, within the control groups' limits."""
    free = _DEFAULT_MEMORY
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                free = int(line.split()[1]) * 1024
    except OSError:
        pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
        free = pages * size // 2
    return int(max(min(free, headroom()), _MIB))


def worker_memory(workers: int) -> int:
    """Private memory that each of several workers may hold, at least 512 MiB."""
    return max(int(0.85 * available_memory()) // workers, 512 * _MIB)


def on_network(path: Path) -> bool:
    """Whether a path lies on a network file system, where SQLite's WAL does not work.

    Known from the longest mount point above the path; False where mounts cannot be read.
    """
    kind, longest = "", -1
    real = os.path.realpath(path)
    try:
        mounts = Path("/proc/mounts").read_text(errors="replace").splitlines()
    except OSError:
        return False
    for line in mounts:
        point, file_system = line.split()[1:3]
        point = point.replace("\\040", " ")
        above = point == "/" or real == point or real.startswith(point.rstrip("/") + "/")
        if above and len(point) >= longest:
            kind, longest = file_system, len(point)
    return kind.startswith(_NETWORK_FILE_SYSTEMS)


def versions() -> dict[str, str]:
    """Python and the packages whose versions can change a result."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "missing"
    return found


@cache
def cpu_model() -> str:
    """The processor's name."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def git_commit() -> str | None:
    """Commit of the checkout that tdlab runs from, with "+" if files differ; None if installed."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return None
    git = ["git", "-C", str(root)]
    try:
        commit = subprocess.run(
            [*git, "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=True
        ).stdout.strip()
        changed = subprocess.run(
            [*git, "status", "--porcelain"], capture_output=True, text=True, timeout=5, check=True
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
    return commit + "+" * bool(changed)


def suppliers() -> dict[str, dict[str, str]]:
    """Distributions, with their versions, of the plug-ins: {"methods": {name: "package 1.2"}, ...}.

    All that are installed: a learner may call a method of another package by its name.
    """
    from tdlab.algorithms.registry import registry as methods
    from tdlab.learning.registry import registry as learners

    return {f"{each.kind}s": each.suppliers() for each in (methods, learners)}


def supplier(record: Mapping[str, Any], method: str, learner: bool) -> str:
    """ "package 1.2" that supplied a method or learner in a run of that provenance, or ""."""
    found = record.get("plugins", {}).get("learners" if learner else "methods", {})
    return found.get(method, "")


def provenance() -> dict[str, Any]:
    """What a run records of where it ran."""
    return {
        "versions": versions(),
        "plugins": suppliers(),
        "blas": blas(),
        "kernel": kernel(),
        "cpu": cpu_model(),
        "cpus": cpu_count(),
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "host": platform.node(),
        "commit": git_commit(),
    }
