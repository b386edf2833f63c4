"""One undisturbed scan for every test that compares with it, whichever process runs the test."""

import fcntl

import pytest

from tests.lab_tools import SMALL, tdlab


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """(path of the specification, path of its store) of one worker's run, to be left as it is."""
    # Under pytest-xdist the parent of a worker's folder is that of the whole run.
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if base.name.startswith("popen-") else base) / "undisturbed"
    folder.mkdir(exist_ok=True)
    spec, store = folder / "small.toml", folder / "small.db"
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not spec.exists():
            spec.with_suffix(".new").write_text(SMALL)
            done = tdlab(
                "run", spec.with_suffix(".new"), "--store", store, "--workers", 1, cwd=folder
            )
            assert done.returncode == 0, done.stderr
            spec.with_suffix(".new").rename(spec)
    return spec, store
