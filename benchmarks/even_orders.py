"""Even orders, robust spectral decomposition and dictionaries: the measured figures, one thread.

    OPENBLAS_NUM_THREADS=1 python benchmarks/even_orders.py [--curve] [--peer]

Prints for each line what was recovered and the seconds; ``--curve`` adds the correlation against
the size of an arbitrary error, ``--peer`` scikit-learn's DictionaryLearning (10 iterations of
coordinate descent, alpha .5, untuned) on the same data.
"""

import sys
import time

import numpy as np

import tdlab
from tdlab.dictionary import learn_dictionary, sparse_coefficients
from tdlab.tensors.errors4 import orthonormal_with_error


def planted(dim, rank, order, seed):
    rows = np.random.default_rng(1000 + seed).standard_normal((rank, dim))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return tdlab.FactoredTensor(rows, order=order), rows


def decompositions():
    print("method    order   d    r  trials  all recovered  median s  slowest s")
    cases = [("spm", 4, 20, 180, 3), ("spm", 4, 40, 533, 3), ("spm", 4, 50, 833, 2)]
    cases += [(m, *c) for c in ((4, 10, 43, 10), (5, 8, 49, 10)) for m in ("homotopy", "lm")]
    cases += [("homotopy", 4, 10, 53, 10), ("homotopy", 5, 8, 64, 10), ("auto", 4, 20, 150, 3)]
    for method, order, dim, rank, trials in cases:
        full, seconds = 0, []
        for seed in range(trials):
            tensor, rows = planted(dim, rank, order, seed)
            result = tdlab.decompose(tensor, rank, method, rng=seed)
            full += tdlab.match(result.components, rows, order=order).recovered == 1.0
            seconds.append(result.seconds)
        print(
            f"{method:9} {order:5d} {dim:3d} {rank:4d} {trials:7d} {full:14d} "
            f"{np.median(seconds):9.2f} {max(seconds):10.2f}",
            flush=True,
        )


def errors():
    print("\nSchramm-Steurer, hard error .5: share of components at cosine .99, and seconds")
    print("  n  trials  default  s       two rounds  without truncations  default without")
    sizes, seconds = (20, 30, 40, 50, 60), []
    for dim in sizes:
        trials, shares, spent = 5 if dim < 40 else 2, [], []
        for seed in range(trials):
            tensor, rows = orthonormal_with_error(dim, 0.5, rng=700 + seed)
            two = {"rounds": 2, "contractions": 2}
            runs = [{}, two, {**two, "truncate": False}, {"truncate": False}]
            results = [tdlab.decompose(tensor, dim, "schramm-steurer", rng=seed, **o) for o in runs]
            shares.append([tdlab.match(r.components, rows, order=4).recovered for r in results])
            spent.append(results[0].seconds)
        seconds.append(min(spent))
        mean = np.mean(shares, axis=0)
        print(
            f"{dim:3d} {trials:7d} {mean[0]:8.3f}  {np.median(spent):6.3f} {mean[1]:10.3f} "
            f"{mean[2]:20.3f} {mean[3]:16.3f}",
            flush=True,
        )
    slope = np.polyfit(np.log(sizes), np.log(seconds), 1)[0]
    print(f"slope of log seconds against log n over {sizes}: {slope:.2f}")


def curve():
    print("\nmean |cosine| against the size of an arbitrary error, n = 20, 10 tensors a point")
    print("kind       error  mean   95% interval     share at .99")
    for kind in ("random", "symmetric"):
        for error in (0.1, 0.3, 0.5, 0.7, 0.9):
            means, shares = [], []
            for seed in range(10):
                tensor, rows = orthonormal_with_error(20, error, kind, rng=seed)
                result = tdlab.decompose(tensor, 20, "schramm-steurer", rng=seed + 50)
                found = tdlab.match(result.components, rows, order=4)
                means.append(found.cosines.mean())
                shares.append(found.recovered)
            # Student's t with 9 degrees of freedom.
            half = 2.262 * np.std(means, ddof=1) / np.sqrt(10)
            mean = np.mean(means)
            print(
                f"{kind:9} {error:6.1f}  {mean:.4f} [{mean - half:.4f}, {mean + half:.4f}]"
                f" {np.mean(shares):10.2f}",
                flush=True,
            )


def dictionaries(peer):
    print("\ndictionary, n = 20, N = 20000: share of atoms at .99, worst cosine, seconds")
    cases = [("gaussian", p) for p in (0.05, 0.1, 0.3, 0.6)]
    cases += [("rademacher", p) for p in (0.1, 1 / 3, 0.6)]
    cases += [("fixed-size", p) for p in (0.1, 0.3, 0.6, 1.0)]
    for kind, density in cases:
        atoms = np.linalg.qr(np.random.default_rng(0).standard_normal((20, 20)))[0]
        samples = atoms @ sparse_coefficients(20, 20_000, density, kind, rng=1)
        result = learn_dictionary(samples, rng=2)
        found = tdlab.match(result.atoms.T, atoms.T, order=4)
        line = f"{found.recovered:5.2f} {found.worst:.6f} {result.seconds:6.2f}  {result.status}"
        if peer and density in (0.1, 0.3):
            line += "   scikit-learn: " + peer_line(samples, atoms)
        print(f"{kind:11} {density:5.2f}  {line}", flush=True)


def peer_line(samples, atoms):
    from sklearn.decomposition import DictionaryLearning

    start = time.perf_counter()
    peer = DictionaryLearning(
        20,
        alpha=0.5,
        max_iter=10,
        fit_algorithm="cd",
        transform_algorithm="lasso_cd",
        random_state=0,
    ).fit(samples.T)
    seconds = time.perf_counter() - start
    found = tdlab.match(peer.components_, atoms.T, order=4)
    return f"{found.recovered:5.2f} {found.worst:.6f} {seconds:6.2f}"


def main():
    decompositions()
    errors()
    if "--curve" in sys.argv:
        curve()
    dictionaries("--peer" in sys.argv)


if __name__ == "__main__":
    main()
