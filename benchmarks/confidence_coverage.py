"""How often the bounds of `Decomposition.confidence` hold: the table of docs/calibration.md.

    OPENBLAS_NUM_THREADS=1 python benchmarks/confidence_coverage.py [--cosines 20000] [--seed 0]

A draw is a tensor: r components iid on the sphere, the same in all draws of a line, and Gaussian
noise of a relative size; a line has enough of them for so many cosines. Least squares is started
at the truth (Gauss-Newton steps of its own), so that a line is of the bounds and not of a search.
The bounds are then those of the library. "chi-square" is what they would be if the estimated noise
were taken for the noise itself. Standard errors are between draws, since the components of one
tensor have errors in common.
"""

import argparse
import dataclasses
import math

import numpy as np
from scipy.stats import chi2, f

import tdlab
from tdlab.algorithms.uniqueness import jacobian_gram, squared_angles

# Dimension, rank, relative noise.
CASES = ((10, 8, 0.05), (10, 21, 0.001), (10, 21, 0.003), (15, 44, 0.001))
LEVEL = 0.95


def least_squares(array, rows, steps=5):
    """Rows that fit an order-3 array, from ones nearby."""
    for _ in range(steps):
        rest = array - np.einsum("ia,ib,ic->abc", rows, rows, rows, optimize=True)
        gradient = 3.0 * np.einsum("abc,ia,ib->ic", rest, rows, rows, optimize=True)
        gram = jacobian_gram(rows, np.ones(len(rows)), 3)
        rows = rows + np.linalg.solve(gram, gradient.ravel()).reshape(rows.shape)
    return rows, array - np.einsum("ia,ib,ic->abc", rows, rows, rows, optimize=True)


def held(dim, rank, noise, draws, seed):
    """Per draw: the share of bounds that hold by F and by chi-square, and if all do jointly."""
    rng = np.random.default_rng([seed, dim, rank, round(1000 * noise)])
    truth = tdlab.sample_network(dim, rank, "He3", "sphere", rng=rng).weights
    clean = tdlab.FactoredTensor(truth).dense()
    size = noise * np.linalg.norm(clean)
    like = tdlab.decompose(tdlab.FactoredTensor(np.eye(dim)), dim, "jennrich", rng=0)
    freedom = math.comb(dim + 2, 3) - rank * dim
    shares = np.empty((draws, 3))
    for draw in range(draws):
        array = clean + tdlab.gaussian_tensor(dim, norm=size, rng=rng).dense()
        rows, rest = least_squares(array, truth)
        norms = np.linalg.norm(rows, axis=1)
        result = dataclasses.replace(
            like,
            components=rows / norms[:, None],
            weights=norms**3,
            residual=float(np.linalg.norm(rest) / np.linalg.norm(array)),
            rank=rank,
            noise=noise,
        )
        cosines = (result.components * truth).sum(axis=1)
        angles = squared_angles(result, freedom)
        assert angles is not None, "a singular Jacobian: choose another seed"
        mean, degrees = angles

        def bound(factor, mean=mean):
            return np.cos(np.minimum(np.sqrt(mean * factor), np.pi))

        single = 1.0 - (1.0 - LEVEL) / rank
        shares[draw] = (
            np.mean(cosines >= bound(f.ppf(LEVEL, degrees, freedom))),
            np.mean(cosines >= bound(chi2.ppf(LEVEL, degrees) / degrees)),
            np.all(cosines >= bound(f.ppf(single, degrees, freedom))),
        )
        if draw < 3:
            np.testing.assert_array_equal(
                result.confidence(LEVEL), bound(f.ppf(LEVEL, degrees, freedom))
            )
    return shares, freedom


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cosines", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    print("  d   r  noise  degrees   draws  each: F, %     chi-square, %  all together, %")
    for dim, rank, noise in CASES:
        draws = -(-args.cosines // rank)
        shares, freedom = held(dim, rank, noise, draws, args.seed)
        error = 100 * shares.std(axis=0) / math.sqrt(len(shares))
        mean = 100 * shares.mean(axis=0)
        print(
            f"{dim:3d} {rank:3d}  {noise:5.3f}  {freedom:7d}  {len(shares):6d}  "
            + "    ".join(f"{m:5.1f} ({e:.1f})" for m, e in zip(mean, error, strict=True)),
            flush=True,
        )


if __name__ == "__main__":
    main()
