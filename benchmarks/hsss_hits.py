"""Raw hits of the contracted-square spectral method, as published and preconditioned.

    OPENBLAS_NUM_THREADS=1 python benchmarks/hsss_hits.py [--dim 60] [--rank 185] [--draws 60]

A hit is a candidate, before any refinement, of cosine .9 or more with a true component. Components
are iid on the sphere with unit coefficients; a line is one tensor.
"""

import argparse

import numpy as np

import tdlab
from tdlab.algorithms.base import Budget
from tdlab.algorithms.methods.hsss import HSSS
from tdlab.stats import interval


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dim", type=int, default=60)
    parser.add_argument("--rank", type=int, default=185)
    parser.add_argument("--draws", type=int, default=60)
    parser.add_argument("--tensors", type=int, default=5)
    args = parser.parse_args()
    print(f"d = {args.dim}, r = {args.rank}, {args.draws} contractions a tensor")
    for form in ("published", "preconditioned"):
        total = 0
        for seed in range(args.tensors):
            truth = tdlab.sample_network(args.dim, args.rank, "He3", "sphere", rng=seed).weights
            found = HSSS(form=form).candidates(
                tdlab.FactoredTensor(truth),
                args.draws,
                rng=np.random.default_rng([seed, 1]),
                budget=Budget(),
            )
            cosines = np.abs(found @ truth.T)
            hits = cosines.max(axis=1) >= 0.9
            total += int(hits.sum())
            different = len(set(cosines.argmax(axis=1)[hits]))
            print(
                f"{form:15s} tensor {seed}: hit rate {hits.mean():.2f}, median cosine "
                f"{np.median(cosines.max(axis=1)):.3f}, {different} different components",
                flush=True,
            )
        low, high = interval(total, args.draws * args.tensors)
        share = total / args.draws / args.tensors
        print(f"{form:15s} together: {share:.3f}, 95% interval {low:.3f} to {high:.3f}")


if __name__ == "__main__":
    main()
