"""How little a wrong weight may cost: the least eigenvalue of J^T J, J = d(sum w^(x)3)/dW.

Locally, after matching, risk ratio >= lambda_min |dW|^2 / |T|^2. Prints medians over draws with
their range, for iid and isotropic unit rows against x = r / r_id.

    python benchmarks/weakest_direction.py --dim 20 --draws 5
"""

from __future__ import annotations

import argparse

import numpy as np

import tdlab


def least_eigenvalue(rows: np.ndarray) -> float:
    """lambda_min of the (r d, r d) matrix with blocks 3 (G_ij^2 I + 2 G_ij w_j w_i^T)."""
    r, d = rows.shape
    gram = rows @ rows.T
    blocks = np.einsum("ij,kl->ikjl", gram**2, np.eye(d))
    # <w_i^2 v, w_j^2 u> symmetrised: (G^2 <u, v> + 2 G <w_i, u> <w_j, v>)/3, times 9.
    blocks += 2.0 * np.einsum("ij,jk,il->ikjl", gram, rows, rows)
    return float(np.linalg.eigvalsh(3.0 * blocks.reshape(r * d, r * d))[0])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dim", type=int, default=20)
    parser.add_argument("--draws", type=int, default=5)
    options = parser.parse_args()
    bound = tdlab.theory.r_id(options.dim)
    print(f"d = {options.dim}, lambda_min(J^T J): median [range] of {options.draws} draws")
    for share in (0.3, 0.5, 0.7, 0.9, 1.0):
        rank = max(round(share * bound), options.dim + 1)
        shown = []
        for ensemble in ("sphere", "isotropic"):
            values = [
                least_eigenvalue(
                    tdlab.sample_network(options.dim, rank, "He3", ensemble, rng=seed).weights
                )
                for seed in range(options.draws)
            ]
            values = [max(value, 0.0) for value in values]
            shown.append(
                f"{ensemble} {np.median(values):.3g} [{min(values):.3g}, {max(values):.3g}]"
            )
        print(f"x = {share:.1f}  r = {rank:4d}  " + "   ".join(shown))


if __name__ == "__main__":
    main()
