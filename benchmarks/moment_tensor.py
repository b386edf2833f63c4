"""The order-3 moment tensor of many samples against the plain Khatri-Rao product, in one run.

    OPENBLAS_NUM_THREADS=1 python benchmarks/moment_tensor.py [--samples N] [--dim D] [--repeats K]

Both accumulate sum_i y_i x_i (x) x_i (x) x_i in double precision over the same samples in memory;
the plain one as (X*y)' (X[:,:,None]*X[:,None,:]), in chunks of the rows that tdlab reads at a time
and in the chunks that suit it best; tdlab's time includes checks, traces, the estimate of the error
and the full array. They take turns on slabs of 25,000 samples, so that other work on the machine
slows both alike. Prints the ratio of each repeat, their median and range, the difference of the
results, the peak memory of the process (samples included), and the rate of MTTKRPs that stay on the
samples.
"""

import argparse
import resource
import time

import numpy as np

import tdlab
from tdlab.tensors.samples import chunk_slices

SLAB = 25_000


def plain(X, y, chunk, total):
    for first in range(0, len(y), chunk):
        x, weights = X[first : first + chunk], y[first : first + chunk, None]
        total += (x * weights).T @ (x[:, :, None] * x[:, None, :]).reshape(len(x), -1)


def seconds(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    n, dim = options.samples, options.dim
    net = tdlab.sample_network(dim, 2 * dim, "x**3", rng=0)
    X = np.random.default_rng(1).standard_normal((n, dim))
    y = net.predict(X)

    def scratch():
        return np.zeros((dim, dim * dim))

    same = next(chunk_slices(0, n, dim)).stop
    trials = {
        size: [seconds(plain, X[:SLAB], y[:SLAB], size, scratch()) for _ in range(3)]
        for size in (64, 128, 256, 512, 1024)
    }
    best = min(trials, key=lambda size: min(trials[size]))
    # What is compiled at its first use is compiled before the first clock.
    warm = tdlab.MomentAccumulator()
    warm.add(X[:2000], y[:2000])
    warm.shrunk()
    print(f"n = {n}  d = {dim}  chunks of {same} rows; the plain product likes {best} rows best")

    ratios, favoured = [], []
    for _ in range(options.repeats):
        sums, raw, again = tdlab.MomentAccumulator(), scratch(), scratch()
        ours = theirs = quick = 0.0
        for first in range(0, n, SLAB):
            part = X[first : first + SLAB], y[first : first + SLAB]
            ours += seconds(sums.add, *part)
            theirs += seconds(plain, *part, same, raw)
            quick += seconds(plain, *part, best, again)
        ours += seconds(sums.shrunk)
        ratios.append(theirs / ours)
        favoured.append(quick / ours)
        print(
            f"  tdlab {ours:.2f} s   plain {theirs:.2f} s: {ratios[-1]:.2f} times   "
            f"plain, best chunks {quick:.2f} s: {favoured[-1]:.2f} times"
        )
    for name, values in (("same chunks", ratios), ("its best chunks", favoured)):
        print(f"ratio, {name}: {np.median(values):.2f} ({min(values):.2f} to {max(values):.2f})")

    raw = raw.reshape(dim, dim, dim)
    trace = np.einsum("a,bc->abc", y @ X, np.eye(dim))
    raw = (raw - trace - trace.transpose(1, 0, 2) - trace.transpose(1, 2, 0)) / (6 * n)
    tensor = tdlab.HermiteMomentTensor(X, y).dense()
    print(f"relative difference: {np.linalg.norm(raw - tensor) / np.linalg.norm(raw):.1e}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory: {peak:.2f} GiB, of which samples {(X.nbytes + y.nbytes) / 2**30:.2f} GiB")

    implicit = tdlab.HermiteMomentTensor(X, y, max_bytes=0)
    spent = min(seconds(implicit.mttkrp, net.weights) for _ in range(3))
    rate = 4 * n * net.rank * dim / spent / 1e9
    print(f"MTTKRP of {net.rank} rows on the samples: {spent:.2f} s, {rate:.0f} Gflop/s")


if __name__ == "__main__":
    main()
