"""Memory that the control groups of this process leave: a batch job's or container's limit.

A process is in one group of each hierarchy and bound by it and by all groups above. Version 2 has
one hierarchy, version 1 one for memory (Linux kernel documentation, admin-guide/cgroup-v2 and
cgroup-v1/memory). In a container the path of ``/proc/self/cgroup`` may not exist under the mount,
whose root is then the container's own group: it is asked as the topmost ancestor.
"""

from __future__ import annotations

import math
from pathlib import Path

_VERSION_2 = ("memory.max", "memory.current", "inactive_file")
_VERSION_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def headroom(
    groups: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")
) -> float:
    """Bytes that this process's control groups leave to allocate; infinite without any limit.

    Parameters
    ----------
    groups : Path
        The groups of a process, a line ``number:controllers:path`` a hierarchy.
    root : Path
        Where control groups are mounted.
    """
    try:
        lines = groups.read_text().splitlines()
    except OSError:
        return math.inf
    least = math.inf
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            mount, names = root, _VERSION_2
        elif "memory" in controllers.split(","):
            mount, names = root / "memory", _VERSION_1
        else:
            continue
        own = mount / path.strip("/")
        above = (folder for folder in own.parents if folder.is_relative_to(mount))
        least = min(least, *(_left(folder, *names) for folder in (own, *above)))
    return least


def _left(folder: Path, limit: str, usage: str, cached: str) -> float:
    """What one group leaves. Files it has cached and does not use give way to allocations."""
    try:
        most, used = (int((folder / name).read_text()) for name in (limit, usage))
        facts = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # no such group, or its limit is "max"
        return math.inf
    return most - used + int(facts.get(cached, 0))
