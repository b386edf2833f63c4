"""MTTKRP of a dense symmetric order-3 tensor against TensorLy's, one thread, in the same run.

    OPENBLAS_NUM_THREADS=1 python benchmarks/mttkrp.py

Prints the best time of each, their ratio, and the rate on the flops of the packed product
(d^2 (d+1) r) as a fraction of a 1024 x 1024 matrix product in the same run.
"""

import time

import numpy as np
from tensorly.cp_tensor import unfolding_dot_khatri_rao

import tdlab


def best_seconds(function, at_least=0.2):
    """The best of as many calls as fit in the time, after one that warms up."""
    function()
    best, start = np.inf, time.perf_counter()
    while time.perf_counter() - start < at_least:
        begin = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - begin)
    return best


def main():
    rng = np.random.default_rng(0)
    square = rng.standard_normal((1024, 1024))
    product_rate = 2 * 1024**3 / best_seconds(lambda: square @ square)
    print(f"matrix product: {product_rate / 1e9:.0f} Gflop/s")
    print("   d     r   tdlab ms  tensorly ms  ratio  of dgemm")
    for dim in (30, 100, 200):
        tensor = tdlab.gaussian_tensor(dim, rng=0)
        array = np.array(tensor.dense())
        for rank in (30, 100, 300, 1000):
            rows = rng.standard_normal((rank, dim))
            columns = np.ascontiguousarray(rows.T)
            cp = (None, [columns] * 3)
            ours = best_seconds(lambda t=tensor, w=rows: t.mttkrp(w))
            theirs = best_seconds(lambda a=array, cp=cp: unfolding_dot_khatri_rao(a, cp, 0))
            share = dim**2 * (dim + 1) * rank / ours / product_rate
            print(
                f"{dim:4d} {rank:5d} {1e3 * ours:10.3f} {1e3 * theirs:12.3f} "
                f"{theirs / ours:6.2f} {share:9.2f}"
            )


if __name__ == "__main__":
    main()
