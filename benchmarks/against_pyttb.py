"""`auto` and `homotopy` against pyttb's CP-ALS on the same order-3 instances, one thread, one run.

    pip install 'tdlab[peers]'
    OPENBLAS_NUM_THREADS=1 python benchmarks/against_pyttb.py

Both are given the dense array. A pair counts where both recover every component (cosine .99, up to
sign for pyttb). pyttb starts from random factors, and from leading eigenvectors where there are
enough of them (rank <= dim; a second random start beyond); the faster that recovers stands for it.
"""

import contextlib
import io
import time

import numpy as np
import pyttb

import tdlab

CELLS = ((20, 20), (20, 40), (20, 54), (30, 60), (30, 90), (40, 120))
INSTANCES = 4


def pyttb_seconds(array, truth, seed):
    """Time of the faster start that recovers; infinity if neither does."""
    best = np.inf
    second = "nvecs" if len(truth) <= len(array) else "random"
    for number, init in enumerate(("random", second)):
        np.random.seed(2 * seed + number)  # noqa: NPY002 (pyttb draws from the global state)
        with contextlib.redirect_stdout(io.StringIO()):
            start = time.perf_counter()
            model, *_ = pyttb.cp_als(
                pyttb.tensor(array), len(truth), init=init, stoptol=1e-9, maxiters=1500, printitn=0
            )
            seconds = time.perf_counter() - start
        rows = np.asarray(model.factor_matrices[0]).T
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        if tdlab.match(rows, truth, order=4).recovered == 1.0:
            best = min(best, seconds)
    return best


def main():
    print("   d    r  method    pairs  pyttb / ours: median (smallest, largest)")
    for dim, rank in CELLS:
        ratios = {"auto": [], "homotopy": []}
        for seed in range(INSTANCES):
            draw = 10000 * dim + 10 * rank + seed
            net = tdlab.sample_network(dim, rank, "He3", "sphere", rng=draw)
            array = np.array(net.hermite_tensor(3).dense())
            tensor = tdlab.DenseTensor(array)
            theirs = pyttb_seconds(array, net.weights, seed)
            for method, found in ratios.items():
                result = tdlab.decompose(tensor, rank, method, rng=seed, noise=0.0)
                recovered = tdlab.match(result.components, net.weights).recovered
                if recovered == 1.0 and np.isfinite(theirs):
                    found.append(theirs / result.seconds)
        for method, found in ratios.items():
            text = (
                ""
                if not found
                else (f"{np.median(found):.1f}x ({min(found):.1f}, {max(found):.1f})")
            )
            print(f"{dim:4d} {rank:4d}  {method:8s} {len(found):6d}  {text}", flush=True)


if __name__ == "__main__":
    main()
