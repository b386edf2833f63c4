"""Certificates of Gaussian cubics: time, gap, peak memory; ratios to CVXPY in the same run.

    OPENBLAS_NUM_THREADS=1 python benchmarks/certify.py --dims 12 20 30 40 50 --peers

Every dimension runs in a process of its own, whose peak resident memory counts everything in it,
the interpreter and its libraries too. Seconds are end to end, search for the maximiser included,
compilation excluded; the median over --trials tensors. On a busy machine processor seconds (cpu)
are the fairer figure.
"""

import argparse
import multiprocessing
import resource
import statistics
import time

import tdlab


def one_size(dim, degree, trials):
    tdlab.sos.certify(tdlab.gaussian_tensor(4, rng=0), degree, rng=0)
    seconds, cpu, gaps, steps = [], [], [], []
    for seed in range(trials):
        tensor = tdlab.gaussian_tensor(dim, rng=seed)
        start, work = time.perf_counter(), time.process_time()
        certificate = tdlab.sos.certify(tensor, degree, rng=0)
        seconds.append(time.perf_counter() - start)
        cpu.append(time.process_time() - work)
        gaps.append(certificate.gap)
        steps.append(certificate.nit)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{dim:4d} {degree:6d} {certificate.size:6d} {statistics.median(seconds):8.3f} "
        f"{max(seconds):8.3f} {statistics.median(cpu):8.3f} {max(gaps):9.1e} {max(steps):5d} "
        f"{peak:9.0f}",
        flush=True,
    )


def peers(dim, trials):
    print(f"\nd = {dim}, degree 4, same tensors: processor seconds, gap of each bound, ratio")
    seconds = {name: [] for name in ("auto", "scs", "clarabel")}
    gaps = {name: [] for name in seconds}
    for name in seconds:
        tdlab.sos.certify(tdlab.gaussian_tensor(4, rng=0), 4, solver=name, rng=0)
    for seed in range(trials):
        tensor = tdlab.gaussian_tensor(dim, rng=seed)
        for name in seconds:
            start = time.process_time()
            certificate = tdlab.sos.certify(tensor, 4, solver=name, rng=0)
            seconds[name].append(time.process_time() - start)
            gaps[name].append(certificate.gap)
    base = statistics.median(seconds["auto"])
    for name, values in seconds.items():
        median = statistics.median(values)
        print(f"{name:9s} {median:8.3f} {max(gaps[name]):9.1e} {median / base:7.1f}x", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dims", type=int, nargs="*", default=[12, 20, 30, 40, 50])
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--peers", action="store_true")
    arguments = parser.parse_args()
    print("   d degree   side   median      max      cpu   max gap steps  peak MiB")
    context = multiprocessing.get_context("spawn")
    for dim, degree in [*((d, 4) for d in arguments.dims), (10, 6)]:
        worker = context.Process(target=one_size, args=(dim, degree, arguments.trials))
        worker.start()
        worker.join()
    if arguments.peers:
        peers(12, arguments.trials)


if __name__ == "__main__":
    main()
