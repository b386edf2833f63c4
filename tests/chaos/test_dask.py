"""A Dask cluster gives the bits of one machine, keeps its limits, and loses nothing when killed.

Runs with the extra ``distributed``: ``pytest -m distributed``.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tdlab.lab.store.reader import open_store
from tests import kernels
from tests.chaos.test_hostile import EXPECTED, hostile_spec
from tests.lab_tools import SMALL, install_hostile, refused, table, tdlab, tdlab_command

pytest.importorskip("distributed")
pytestmark = pytest.mark.distributed

LONG = SMALL.replace("trials = 6", "trials = 30")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def process(command, folder, env=None):
    """A process of a session of its own, killed with all its children at the end."""
    with (folder / f"{time.monotonic_ns()}.log").open("w") as log:
        running = subprocess.Popen(
            command, cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield running
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()


@contextmanager
def scheduler(folder):
    port = free_port()
    command = [sys.executable, "-m", "dask", "scheduler", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--no-dashboard", "--no-show"]
    with process(command, folder) as running:
        yield f"tcp://127.0.0.1:{port}", running


def worker(address, folder, *options, env=None):
    command = [sys.executable, "-m", "dask", "worker", address, "--no-dashboard", "--nthreads", "1"]
    command += ["--local-directory", str(folder), *options]
    return process(command, folder, env)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dask")
    (folder / "small.toml").write_text(SMALL)
    (folder / "long.toml").write_text(LONG)
    return folder


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    return install_hostile(tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="module")
def cluster(folder, environment):
    """Address of a real scheduler with two real workers, which know the hostile methods."""
    with two_workers(folder, environment) as (address, _):
        yield address


@contextmanager
def two_workers(folder, environment):
    """(address of a scheduler, its two workers)."""
    options = ["--memory-limit", "1GiB", "--no-nanny"]
    with ExitStack() as stack:
        address, _ = stack.enter_context(scheduler(folder))
        yield (
            address,
            [
                stack.enter_context(worker(address, folder, *options, env=environment))
                for _ in range(2)
            ],
        )


@pytest.fixture(scope="module")
def expected(folder):
    """Tables of undisturbed local runs: of the small scan, and of the long one."""
    tables = []
    for name in ("small", "long"):
        done = tdlab("run", f"{name}.toml", "--store", f"{name}.db", "--workers", 1, cwd=folder)
        assert done.returncode == 0, done.stderr
        tables.append(table(folder / f"{name}.db"))
    return tables


def dask(spec, store, address, *options, **more):
    return tdlab(
        "run", spec, "--store", store, "--executor", "dask", "--scheduler", address, *options,
        **more,
    )  # fmt: skip


def start(spec, store, address, env=None):
    command = ["run", spec, "--store", store, "--executor", "dask", "--scheduler", address]
    return subprocess.Popen(
        tdlab_command(*command),
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition, seconds=120):
    """Wait until something is true; fail if it never is."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.05)


def rows(store):
    return len(table(store)) if store.exists() else 0


def descendants(pid):
    """Process ids below a process."""
    found, level = [], [pid]
    while level:
        level = [
            int(child)
            for parent in level
            for task in Path(f"/proc/{parent}/task").glob("*/children")
            for child in _words(task)
        ]
        found += level
    return found


def _words(path):
    try:
        return path.read_text().split()
    except OSError:
        return []  # ended meanwhile


def test_a_real_cluster_gives_the_same_bits(cluster, folder, expected, tmp_path):
    store = tmp_path / "there.db"
    done = dask(folder / "small.toml", store, cluster)
    assert done.returncode == 0, done.stderr
    assert table(store) == expected[0]
    dry = dask(folder / "small.toml", store, cluster, "--dry-run")
    assert dry.returncode == 0 and "for 2 workers" in dry.stdout


LOCAL_CLUSTER = """
import sys, tdlab
from distributed import LocalCluster
from tdlab.lab.store.reader import open_store

if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=2, processes=True, dashboard_address=None,
                      host="127.0.0.1") as cluster:
        store = tdlab.run("small.toml", sys.argv[1], scheduler=cluster.scheduler_address)
        run, = store.runs()
        assert run["workers"] == 4 and run["ended"] == "done", run
        (host,) = run["provenance"]["hosts"]
        assert host["versions"] == run["provenance"]["versions"], host
"""


def test_a_local_cluster_of_processes_gives_the_same_bits(folder, expected, tmp_path):
    (folder / "script.py").write_text(LOCAL_CLUSTER)
    store = tmp_path / "local.db"
    done = subprocess.run(
        [sys.executable, "script.py", store],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert table(store) == expected[0]


@pytest.mark.parametrize("method", ["loops", "allocates", "segfaults", "forks", "raises"])
def test_limits_hold_on_the_cluster_as_here(cluster, environment, tmp_path, method):
    spec = tmp_path / "hostile.toml"
    spec.write_text(hostile_spec([method], 2, 1 if method == "loops" else 60))
    store = tmp_path / "hostile.db"
    done = dask(spec, store, cluster, env=environment)
    assert done.returncode == 0, done.stderr
    outcome, words = EXPECTED[method]
    for row in table(store):
        if row[5] == method:
            assert row[7] == outcome and words in row[8]
        else:
            assert row[7] == "recovered"


def test_killing_workers_in_the_middle_of_trials_loses_nothing(folder, expected, tmp_path):
    with ExitStack() as stack:
        address, _ = stack.enter_context(scheduler(tmp_path))
        # One under a nanny that starts it again, one without.
        nanny = stack.enter_context(worker(address, tmp_path))
        alone = stack.enter_context(worker(address, tmp_path, "--no-nanny"))
        running = start(folder / "long.toml", tmp_path / "s.db", address)
        stack.callback(running.kill)
        seen = 0
        for kill in range(4):
            wait_for(lambda seen=seen: rows(tmp_path / "s.db") > seen + 20 or running.poll() == 0)
            seen = rows(tmp_path / "s.db")
            if kill % 2:
                # Whatever runs below the nanny: the Dask worker and our child.
                for pid in descendants(nanny.pid):
                    with suppress(ProcessLookupError):  # a child dies with its Dask worker
                        os.kill(pid, signal.SIGKILL)
            else:
                os.killpg(alone.pid, signal.SIGKILL)
                alone = stack.enter_context(worker(address, tmp_path, "--no-nanny"))
        _, errors = running.communicate(timeout=250)
        assert running.returncode == 0, errors
    assert table(tmp_path / "s.db") == expected[1]


def test_a_stopped_or_killed_coordinator_leaves_an_idle_cluster(environment, tmp_path):
    # Trials that would run for an hour: they must not go on without a coordinator.
    spec = tmp_path / "hour.toml"
    spec.write_text(hostile_spec(["loops"], 2, 3600))
    with two_workers(tmp_path, environment) as (address, workers):
        for number, status in ((signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)):
            running = start(spec, tmp_path / "s.db", address, environment)
            try:
                wait_for(lambda: busy(workers) == 2)
                running.send_signal(number)
                _, errors = running.communicate(timeout=60)
                assert running.returncode == status, errors
                wait_for(lambda: busy(workers) == 0)
            finally:
                running.kill()
                running.communicate()


def busy(workers):
    """Processes below Dask workers that burn their processor."""
    pids = [pid for each in workers for pid in descendants(each.pid)]
    before = {pid: ticks(pid) for pid in pids}
    time.sleep(1)
    return sum(ticks(pid) - before[pid] >= 10 for pid in pids)


def ticks(pid):
    """Processor time of a process in hundredths of a second, 0 if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def test_a_lost_scheduler_is_one_line_and_the_store_resumes_here(folder, expected, tmp_path):
    with ExitStack() as stack:
        address, leader = stack.enter_context(scheduler(tmp_path))
        stack.enter_context(worker(address, tmp_path, "--no-nanny"))
        running = start(folder / "long.toml", tmp_path / "s.db", address)
        stack.callback(running.kill)
        wait_for(lambda: rows(tmp_path / "s.db") > 20)
        os.killpg(leader.pid, signal.SIGKILL)
        _, errors = running.communicate(timeout=100)
        assert running.returncode == 2, errors
        assert "Traceback" not in errors
        assert f"scheduler {address}: connection lost" in errors.splitlines()[-1]
    kept = table(tmp_path / "s.db")
    assert len(kept) > 20 and set(kept) <= set(expected[1])
    done = tdlab("run", folder / "long.toml", "--store", tmp_path / "s.db", "--workers", 1)
    assert done.returncode == 0 and table(tmp_path / "s.db") == expected[1]


def test_loops_do_not_report_what_a_broken_connection_left_behind(cluster, caplog):
    """Whether a fetch is under way when the scheduler dies, is chance; here it always is."""
    import logging

    from distributed.comm import CommClosedError

    from tdlab.lab.workers.cluster import connected

    with connected(cluster):
        for name in ("tornado.application", "asyncio"):
            for error in (CommClosedError("in gather"), ValueError(f"ours, {name}")):
                logging.getLogger(name).error("in callback", exc_info=error)
    reported = [record.exc_info[1] for record in caplog.records if record.exc_info]
    assert [str(error) for error in reported] == ["ours, tornado.application", "ours, asyncio"]


def test_another_version_on_the_workers_is_refused(cluster):
    from distributed import Client

    from tdlab.errors import InputError
    from tdlab.lab.workers.hosted import HostedSettings, run_hosted

    with Client(cluster, set_as_default=False) as client:
        future = client.submit(run_hosted, None, HostedSettings("0.0.1", ()), pure=False)
        with pytest.raises(InputError, match=r"^workers: got tdlab .*wanted 0.0.1 as here"):
            future.result(timeout=60)


def test_workers_without_tdlab_are_refused(folder, tmp_path):
    from distributed import Client

    (tmp_path / "bare").mkdir()
    # Where Python starts with this, tdlab is not installed.
    (tmp_path / "bare" / "sitecustomize.py").write_text("import sys\nsys.modules['tdlab'] = None\n")
    bare = {**os.environ, "PYTHONPATH": str(tmp_path / "bare")}
    with (
        scheduler(folder) as (address, _),
        worker(address, folder, "--no-nanny", env=bare),
        Client(address, set_as_default=False) as client,
    ):
        client.wait_for_workers(1, timeout=60)
        done = dask(folder / "small.toml", tmp_path / "no.db", address)
    assert refused(done), done.stderr
    assert "wanted tdlab" in done.stderr and not (tmp_path / "no.db").exists()


def test_bad_schedulers_are_one_line_and_status_2(folder, tmp_path):
    spec = folder / "small.toml"
    assert refused(dask(spec, tmp_path / "no.db", f"tcp://127.0.0.1:{free_port()}"))
    for address in ("nonsense", "http://127.0.0.1:80", "tls://127.0.0.1:80", ""):
        assert refused(dask(spec, tmp_path / "no.db", address))
    assert refused(dask(spec, tmp_path / "no.db", "tcp://127.0.0.1:80", "--workers", 3))
    assert refused(tdlab("run", spec, "--executor", "dask"))
    assert refused(tdlab("run", spec, "--scheduler", "tcp://127.0.0.1:80"))
    assert list(tmp_path.iterdir()) == []


def test_workers_of_another_kind_are_told_from_a_fault(folder):
    found = kernels.others(1)
    if not found:
        pytest.skip("this BLAS has one kernel here")
    env = kernels.environment(found[0])
    with scheduler(folder) as (address, _), worker(address, folder, "--no-nanny", env=env):
        done = dask(folder / "small.toml", folder / "kind.db", address)
        assert done.returncode == 0, done.stderr
    assert tdlab("run", "small.toml", "--store", "here.db", cwd=folder).returncode == 0
    with open_store(folder / "kind.db") as there, open_store(folder / "here.db") as here:
        (kind,) = there.kernels()
        assert kind.startswith(kernels.runs_as(found[0])) and kind not in here.kernels()
    # Exact fits are far from the line: what is recovered here is recovered there.
    own, other = ([row[7] == "recovered" for row in table(one.path)] for one in (here, there))
    assert sum(a == b for a, b in zip(own, other, strict=True)) >= 0.95 * len(own) > 100
    shown = tdlab("diff", folder / "here.db", folder / "kind.db").stdout
    assert "Another processor: " in shown and "different:" not in shown
