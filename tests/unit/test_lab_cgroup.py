"""The memory that control groups leave, from files as the kernel writes them."""

import math
from pathlib import Path

import pytest

from tdlab.lab.workers.cgroup import headroom
from tdlab.lab.workers.machine import available_memory

GIB = 2**30
NAMES = {
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    2: ("memory.max", "memory.current", "inactive_file"),
}
# As Slurm lays its jobs out: version 2 beside systemd's slices, version 1 by user.
JOB = {
    1: "4:memory:/slurm/uid_1000/job_7/step_batch/task_0",
    2: "0::/system.slice/slurmstepd.scope/job_7/step_batch/user/task_0",
}


def group(folder, version, limit, used, cached=0):
    """One control group with a limit; the files of its page cache are unused."""
    folder.mkdir(parents=True, exist_ok=True)
    most, current, inactive = NAMES[version]
    (folder / most).write_text(f"{limit}\n")
    (folder / current).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon {used - cached}\n{inactive} {cached}\n")


@pytest.fixture
def machine(tmp_path):
    (tmp_path / "groups").write_text("9:name=systemd:/x\n3:cpuset:/y\n")
    return tmp_path / "groups", tmp_path / "mount"


def place(machine, version):
    """Put the process in a job of a batch system; the folders from its group to the mount."""
    groups, root = machine
    groups.write_text(groups.read_text() + JOB[version] + "\n")
    mount = root / "memory" if version == 1 else root
    own = mount / Path(JOB[version].partition(":/")[2])
    unlimited = 2**63 - 4096 if version == 1 else "max"
    path = [own, *[above for above in own.parents if above.is_relative_to(mount)]]
    for folder in path:
        group(folder, version, unlimited, 90 * GIB)
    return path


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_the_limit_of_any_group_above_counts(machine, version, level):
    path = place(machine, version)
    assert headroom(*machine) > 2**60
    group(path[level], version, 8 * GIB, 3 * GIB)
    assert headroom(*machine) == 5 * GIB
    group(path[level + 1], version, 10 * GIB, 9 * GIB)
    assert headroom(*machine) == GIB


@pytest.mark.parametrize("version", [1, 2])
def test_unused_cached_files_give_way(machine, version):
    path = place(machine, version)
    group(path[1], version, 8 * GIB, 8 * GIB, cached=6 * GIB)
    assert headroom(*machine) == 6 * GIB


@pytest.mark.parametrize("line", ["0::/", "0::/docker/0123", "0::/../../elsewhere"])
def test_the_root_of_a_container_is_its_own_group(machine, line):
    machine[0].write_text(line)
    group(machine[1], 2, 2 * GIB, GIB)
    assert headroom(*machine) == GIB


def test_without_groups_there_is_no_limit(machine):
    assert headroom(*machine) == math.inf
    assert headroom(machine[1], machine[1]) == math.inf
    assert 2**20 <= available_memory() < 2**50
