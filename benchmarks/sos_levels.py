"""What each level of the hierarchy buys, where it has gaps, and what each solver costs.

    OPENBLAS_NUM_THREADS=1 python benchmarks/sos_levels.py [levels] [gaps] [solvers]

levels: upper bounds over the largest value found, for network tensors over the rank and Gaussian
forms. gaps: graph quartics sum over edges x_i^2 x_j^2, maximum (1 - 1/omega)/2 (Motzkin and Straus
1965), at degrees 4 and 6. solvers: processor seconds and peak memory against the dimension, each
run in a process of its own that counts the interpreter too; what takes over 120 s is left out.
"""

import multiprocessing
import resource
import sys
import time

import numpy as np

import tdlab

GRAPHS = {
    "C5": (5, [(i, (i + 1) % 5) for i in range(5)], 2),
    "W5": (6, [(i, (i + 1) % 5) for i in range(5)] + [(i, 5) for i in range(5)], 3),
    "complement of C7": (
        7,
        [(i, j) for i in range(7) for j in range(i) if (i - j) % 7 not in (1, 6)],
        3,
    ),
    "Paley 13": (
        13,
        [(i, j) for i in range(13) for j in range(i) if (i - j) % 13 in (1, 3, 4, 9, 10, 12)],
        3,
    ),
}
SOLVERS = {
    "auto": (6, 8, 10, 12, 16, 20, 30),
    "admm": (6, 8, 10, 12, 16, 20),
    "scs": (6, 8, 10, 12, 16, 20),
    "clarabel": (6, 8, 10, 12),
}


def graph_quartic(dim, edges):
    array = np.zeros((dim,) * 4)
    for i, j in edges:
        for place in {(i, i, j, j), (i, j, i, j), (i, j, j, i), (j, j, i, i), (j, i, j, i)}:
            array[place] += 1.0 / 6.0
        array[j, i, i, j] += 1.0 / 6.0
    return tdlab.DenseTensor(array)


def levels():
    print("tensor                     Frobenius  flattening  trace out  degree 4   status")
    cases = {f"Gaussian cubic, d = {d}": tdlab.gaussian_tensor(d, rng=0) for d in (10, 20, 30)}
    for rank in (10, 40, 90, 150):
        net = tdlab.sample_network(20, rank, "He3", "sphere", rng=rank)
        cases[f"network, d = 20, r = {rank}"] = net.hermite_tensor(3)
    cases["Gaussian quartic, d = 12"] = tdlab.gaussian_tensor(12, 4, rng=0)
    for name, tensor in cases.items():
        proof = tdlab.sos.certify(tensor, 4, rng=0)
        bounds = (
            tensor.norm(),
            tdlab.sos.flattening_bound(tensor),
            tdlab.sos.traceless_bound(tensor),
            proof.upper_bound,
        )
        shares = "  ".join(f"{bound / proof.lower_bound:9.4f}" for bound in bounds)
        print(f"{name:26s} {shares}   {proof.status}", flush=True)


def gaps():
    print("\nform               maximum   degree 4 over it     s   degree 6 over it     s")
    for name, (dim, edges, clique) in GRAPHS.items():
        tensor, maximum = graph_quartic(dim, edges), (1.0 - 1.0 / clique) / 2.0
        parts = []
        for degree in (4, 6):
            start = time.process_time()
            proof = tdlab.sos.certify(tensor, degree, rng=0)
            seconds = time.process_time() - start
            parts.append(f"{proof.upper_bound / maximum - 1.0:16.4%} {seconds:7.2f}")
        print(f"{name:18s} {maximum:8.5f} {'  '.join(parts)}", flush=True)


def one(solver, dim, pipe):
    tdlab.sos.certify(tdlab.gaussian_tensor(4, rng=0), 4, solver=solver, rng=0)
    tensor = tdlab.gaussian_tensor(dim, rng=0)
    start = time.process_time()
    proof = tdlab.sos.certify(tensor, 4, solver=solver, rng=0)
    seconds = time.process_time() - start
    pipe.send((seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, proof.gap))


def solvers():
    print("\nsolver       d   cpu s  peak MiB      gap")
    context = multiprocessing.get_context("spawn")
    for solver, dims in SOLVERS.items():
        for dim in dims:
            ours, theirs = context.Pipe(duplex=False)
            worker = context.Process(target=one, args=(solver, dim, theirs))
            worker.start()
            if not ours.poll(120):
                worker.kill()
                print(f"{solver:9s} {dim:4d}  over 120 s", flush=True)
                break
            seconds, peak, gap = ours.recv()
            worker.join()
            print(f"{solver:9s} {dim:4d} {seconds:7.2f} {peak:9.0f} {gap:9.1e}", flush=True)


def main():
    wanted = sys.argv[1:] or ["levels", "gaps", "solvers"]
    for name, part in {"levels": levels, "gaps": gaps, "solvers": solvers}.items():
        if name in wanted:
            part()


if __name__ == "__main__":
    main()
