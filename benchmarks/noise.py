"""Decomposition under noise: far beyond the dimension, and the limits of algebraic methods.

    OPENBLAS_NUM_THREADS=1 python benchmarks/noise.py [--trials 10]

Components are iid on the sphere with unit coefficients; noise is a Gaussian symmetric tensor of a
Frobenius norm relative to theirs. First: the share of components recovered at d = 40, r = 100.
Then: the largest level of a grid at which a method recovers 97% of the components, all trials
together, at cosine .99, and at .9.
"""

import argparse

import numpy as np

import tdlab

LEVELS = (1e-6, 1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 1.0)
SIZES = ((20, 5), (20, 10), (20, 16), (20, 20), (20, 25), (20, 40))
METHODS = ("jennrich", "rtpm", "koszul-young", "pipe", "auto")


def instance(dim, rank, level, seed):
    """A noisy tensor and its components."""
    truth = tdlab.sample_network(dim, rank, "He3", "sphere", rng=[dim, rank, seed]).weights
    clean = tdlab.FactoredTensor(truth)
    noise = tdlab.gaussian_tensor(dim, norm=level * clean.norm(), rng=[seed, dim, rank])
    return tdlab.DenseTensor(clean.dense() + noise.dense()), truth


def relative(level):
    """`noise` is relative to the tensor with its noise."""
    return level / np.sqrt(1.0 + level**2)


def overcomplete(trials):
    print("d = 40, r = 100, method auto\nnoise  stated  cosine  recovered  worst  success  seconds")
    for level, threshold in ((0.1, 0.99), (0.3, 0.9)):
        for stated in (True, False):
            found, worst, success, seconds = [], [], [], []
            for seed in range(trials):
                tensor, truth = instance(40, 100, level, seed)
                noise = relative(level) if stated else None
                result = tdlab.decompose(tensor, 100, rng=seed, noise=noise)
                match = tdlab.match(result.components, truth, threshold=threshold)
                found.append(match.recovered)
                worst.append(match.worst)
                success.append(result.success)
                seconds.append(result.seconds)
            print(
                f"{level:5.0%}  {'yes' if stated else 'no':6s}  {threshold:6.2f}"
                f"  {np.mean(found):9.4f}  {min(worst):5.3f}  {sum(success):4d}/{trials:<3d}"
                f"  {np.median(seconds):6.2f}",
                flush=True,
            )


def limits(trials):
    print(
        f"\nlargest noise of {LEVELS[0]:g} to {LEVELS[-1]:g} with 97% recovered at cosine .99 | .9"
    )
    print("   d    r  " + "".join(f"{name:>18s}" for name in METHODS))
    for dim, rank in SIZES:
        line = f"{dim:4d} {rank:4d}  "
        for method in METHODS:
            limit = next(m for m in tdlab.methods(3) if m.name == method).limit(dim)
            if limit is None or rank <= limit:
                strict, loose = (limit_of(method, dim, rank, t, trials) for t in (0.99, 0.9))
                line += f"{strict:>9s} | {loose:<6s}"
            else:
                line += 18 * " "
        print(line, flush=True)


def limit_of(method, dim, rank, threshold, trials):
    last = "-"
    for level in LEVELS:
        found = []
        for seed in range(trials):
            tensor, truth = instance(dim, rank, level, seed)
            # The searches need to know when to stop; the algebraic methods use no noise level.
            result = tdlab.decompose(
                tensor, rank, method, rng=seed, noise=relative(level), max_seconds=20
            )
            found.append(tdlab.match(result.components, truth, threshold=threshold).recovered)
        if np.mean(found) < 0.97:
            break
        last = f"{level:g}"
    return last


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=10)
    trials = parser.parse_args().trials
    overcomplete(trials)
    limits(trials)


if __name__ == "__main__":
    main()
