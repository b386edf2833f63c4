"""Matrix-free methods on a factored tensor of dimension 1000 and 10,000 components, one thread.

    OPENBLAS_NUM_THREADS=1 python benchmarks/large_factored.py [METHOD] [DIM] [RANK]

Neither d^3 nor d^2 x d^2 numbers fit here: the run shows that none are formed. It prints seconds
and the peak memory of the process; a few starts and steps suffice, as nothing is to be recovered.
A method joins by a line in OPTIONS.
"""

import resource
import sys
import time

import tdlab

OPTIONS = {
    "homotopy": {"steps": 3},
    "hsss": {"contractions": 1, "lanczos": 2, "rounds": 1},
    "power": {"starts": 128, "iterations": 5, "rounds": 2, "refine": False},
}


def main():
    method = sys.argv[1] if len(sys.argv) > 1 else "power"
    dim, rank = (int(a) for a in sys.argv[2:4]) if len(sys.argv) > 3 else (1000, 10_000)
    rows = tdlab.sample_network(dim, rank, "He3", "sphere", rng=0).weights
    tensor = tdlab.FactoredTensor(rows)
    start = time.perf_counter()
    result = tdlab.decompose(tensor, rank, method, rng=0, noise=0.0, **OPTIONS[method])
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{method}  d = {dim}  r = {rank}  {seconds:.1f} s  peak {peak:.2f} GiB")
    print(result)


if __name__ == "__main__":
    main()
