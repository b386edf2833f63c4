"""The low-degree threshold: how well spectral estimators find one slightly larger component.

T = (1 + boost) a_1^(x)3 + sum over j > 1 of a_j^(x)3, a_j iid on the hypercube {+-1/sqrt(d)}^d.
Low-degree polynomials estimate a_1 for r << d^(3/2) and not for r >> d^(3/2) (Wein 2022, arXiv
2211.05274). Prints the mean squared correlation of estimates with a_1, with its 95% interval over
draws, against r / d^(3/2):

    contraction  the candidate of largest T(x, x, x) among those of 8 random contractions (the
                 spectral method of Hopkins et al. 2016, arXiv 1512.02337, as published)
    power        of 8 d random starts and 40 power steps, the fixed point of largest T(x, x, x)

    python benchmarks/low_degree.py --dims 10 20 --draws 20
"""

from __future__ import annotations

import argparse

import numpy as np

import tdlab
from tdlab.algorithms._candidates import power_steps, random_units
from tdlab.algorithms.base import Budget
from tdlab.algorithms.hsss import HSSS


def estimates(tensor: tdlab.FactoredTensor, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """One unit vector an estimator."""
    spectral = HSSS(form="published").candidates(tensor, 8, rng=rng, budget=Budget())
    starts = random_units(8 * tensor.dim, tensor.dim, rng)
    fixed = power_steps(tensor.mttkrp, starts, 40, Budget())
    return {
        "contraction": spectral[np.argmax(tensor.evaluate(spectral))],
        "power": fixed[np.argmax(tensor.evaluate(fixed))],
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dims", type=int, nargs="+", default=[10, 20, 30])
    parser.add_argument("--shares", type=float, nargs="+", default=[0.1, 0.2, 0.4, 0.8, 1.6, 3.2])
    parser.add_argument("--boost", type=float, default=0.2)
    parser.add_argument("--draws", type=int, default=20)
    options = parser.parse_args()
    print(
        f"boost {options.boost:g}, {options.draws} draws; mean squared correlation with a_1 [95%]"
    )
    for dim in options.dims:
        for share in options.shares:
            rank = max(round(share * dim**1.5), 2)
            found: dict[str, list[float]] = {}
            for draw in range(options.draws):
                rng = np.random.default_rng([dim, rank, draw])
                rows = rng.choice([-1.0, 1.0], (rank, dim)) / np.sqrt(dim)
                weights = np.ones(rank)
                weights[0] += options.boost
                tensor = tdlab.FactoredTensor(rows, weights)
                for name, vector in estimates(tensor, rng).items():
                    found.setdefault(name, []).append(float(vector @ rows[0]) ** 2)
            shown = []
            for name, values in found.items():
                error = 1.96 * np.std(values, ddof=1) / np.sqrt(len(values))
                shown.append(f"{name} {np.mean(values):.2f} +- {error:.2f}")
            print(f"d = {dim:3d}  r = {rank:4d}  r/d^1.5 = {share:.1f}   " + "   ".join(shown))


if __name__ == "__main__":
    main()
