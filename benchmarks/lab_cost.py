"""What the lab itself costs: a trial, a second worker, a large store.

    OPENBLAS_NUM_THREADS=1 python benchmarks/lab_cost.py trial [--trials 100000]
    OPENBLAS_NUM_THREADS=1 python benchmarks/lab_cost.py cores [--pairs 3]
    OPENBLAS_NUM_THREADS=1 python benchmarks/lab_cost.py store [--trials 1000000]

trial: one worker, trials that end at once; milliseconds a trial from the first to the last commit,
less what the trials themselves took, and the peak memory of the coordinator.
cores: the same scan on one worker and on two, in turns; the ratio of the times from the first to
the last commit, of each pair, with what a second process of plain arithmetic gains in the same
minute: on a busy or throttled machine neither can reach two. There the share of the time that
workers are inside trials tells what the lab leaves of a core; it does not depend on the load.
store: a store of made-up results; seconds, seconds of processor and peak memory of status, plot,
export to CSV and, with pyarrow, to Parquet, each in a process of its own.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from multiprocessing import Process
from pathlib import Path

import numpy as np

import tdlab
from tdlab.lab.spec.file import parse_spec
from tdlab.lab.store.writer import StoreWriter
from tdlab.lab.trial.run import TrialResult

# Outside the range of its method a trial is an instance and an answer; one cell must be inside.
QUICK = """
name = "quick"
trials = {trials}
[problem]
activation = "He3"
ensemble = "sphere"
dims = [4]
ranks = [2, 5, 6, 7, 8]
[[method]]
name = "jennrich"
"""
BUSY = """
name = "busy"
trials = {trials}
[problem]
activation = "He3"
ensemble = "sphere"
dims = [10]
ranks = [16, 18, 20]
[[method]]
name = "lm"
restarts = 2
iterations = 60
"""
LARGE = """
name = "large"
trials = {trials}
[[problem]]
activation = "He3"
ensemble = "sphere"
dims = [8, 12, 16, 20, 24]
ranks = {{from = 0.1, to = 2.0, steps = 20, unit = "d"}}
null = true
[[method]]
name = "lm"
[[method]]
name = "homotopy"
"""


def main() -> None:
    """Run one of the measurements."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["trial", "cores", "store"])
    parser.add_argument("--trials", type=int)
    parser.add_argument("--pairs", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.what == "trial":
            cost_of_a_trial(Path(folder), arguments.trials or 100_000)
        elif arguments.what == "cores":
            gain_of_a_second_core(Path(folder), arguments.trials or 100, arguments.pairs)
        else:
            large_store(Path(folder), arguments.trials or 1_000_000)


def cost_of_a_trial(folder: Path, trials: int) -> None:
    """Print milliseconds a trial that are the lab's."""
    spec = parse_spec(QUICK.format(trials=trials // 5))
    before = own_seconds()
    store = tdlab.run(spec, folder / "quick.db", workers=1)
    busy = own_seconds() - before
    wall, inside, count = span(store)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{count} trials: {1e3 * wall / count:.3f} ms a trial, of which the trial itself "
        f"{1e3 * inside / count:.3f}, the lab {1e3 * (wall - inside) / count:.3f}; "
        f"coordinator {1e3 * busy / count:.3f} ms of processor a trial, {peak:.0f} MiB"
    )


def gain_of_a_second_core(folder: Path, trials: int, pairs: int) -> None:
    """Print the speed of two workers over one."""
    spec = parse_spec(BUSY.format(trials=trials))
    for pair in range(pairs):
        bare = arithmetic(1) / arithmetic(2) * 2
        times, shares, busy, count = [], [], 0.0, 1
        for workers in (1, 2):
            before = own_seconds()
            store = tdlab.run(spec, folder / f"{pair}-{workers}.db", workers=workers)
            busy += own_seconds() - before
            wall, inside, count = span(store)
            times.append(wall)
            shares.append(inside / (workers * wall))
        print(
            f"pair {pair + 1}: {count} trials, {times[0]:.1f} s on one worker, {times[1]:.1f} s on "
            f"two: {times[0] / times[1]:.3f} times; plain arithmetic {bare:.3f} times; "
            f"workers inside trials {shares[0]:.1%} and {shares[1]:.1%} of the time; "
            f"coordinator {1e3 * busy / (2 * count):.2f} ms of processor a trial"
        )


def own_seconds() -> float:
    """Seconds of processor that this process has used, without those of its workers."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def arithmetic(processes: int) -> float:
    """Seconds for as many processes to do the same work each, started together."""
    started = time.perf_counter()
    running = [Process(target=_spin) for _ in range(processes)]
    for each in running:
        each.start()
    for each in running:
        each.join()
    return time.perf_counter() - started


def _spin() -> None:
    total = 0
    for number in range(20_000_000):
        total += number


def span(store: tdlab.lab.Store) -> tuple[float, float, int]:
    """(seconds from the first to the last commit, seconds inside these trials, their number)."""
    frame = store.trials()
    first = frame["meta_finished"].min()
    later = frame[frame["meta_finished"] > first]
    wall = float(later["meta_finished"].max() - first)
    return wall, float(later["meta_seconds"].sum()), len(later)


def large_store(folder: Path, trials: int) -> None:
    """Print what reading commands cost on a store of many trials."""
    path = folder / "large.db"
    fill(path, trials)
    print(f"store: {trials} trials, {path.stat().st_size / 2**20:.0f} MiB")
    commands = {
        "status": ["status", path],
        "plot": ["plot", path, "--output", folder / "figures"],
        "export csv": ["export", path],
    }
    try:
        import pyarrow  # noqa: F401 - whether it is installed
    except ImportError:
        pass
    else:
        commands["export parquet"] = [
            "export", path, "--format", "parquet", "--output", folder / "out.parquet",
        ]  # fmt: skip
    for name, command in commands.items():
        seconds, busy, peak = measured([sys.executable, "-m", "tdlab", *map(str, command)])
        print(f"{name:15} {seconds:6.1f} s, {busy:5.1f} s of processor, {peak:5.0f} MiB")


def fill(path: Path, trials: int) -> None:
    """A store whose cells recover with a probability that falls with the rank."""
    rng = np.random.default_rng(0)
    cells = len(parse_spec(LARGE.format(trials=1)).cells)
    spec = parse_spec(LARGE.format(trials=-(-trials // cells)))
    with StoreWriter(path) as writer:
        for cell_id, cell in zip(writer.begin(spec, 2), spec.cells, strict=True):
            odds = 1 / (1 + np.exp(8 * (cell.rank / cell.dim - 1)))
            results = []
            for index in range(spec.trials):
                residual, risk, seconds = rng.random(3).tolist()
                if cell.problem.null:
                    found = TrialResult("measured", "", None, residual, risk, seconds, seconds, 1)
                elif rng.random() < odds:
                    found = TrialResult("recovered", "", 1.0, 1e-8, risk, seconds, seconds, 1)
                else:
                    reason = f"stagnated: stuck near {residual:.2f}"
                    found = TrialResult("failed", reason, 0.5, residual, risk, seconds, seconds, 1)
                results.append(((cell_id, index), found))
            writer.commit(results)
        writer.finish("done")


def measured(command: list[str]) -> tuple[float, float, float]:
    """(seconds, processor seconds, peak MiB) of a command whose output goes nowhere."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        sys.exit(f"{' '.join(command)}: status {status}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()
