"""Students from samples: optimisers against each other and torch, and how many samples are enough.

    OPENBLAS_NUM_THREADS=1 python benchmarks/student.py [--trials 5] [--part speed|samples]

speed: x^3, isotropic teachers at d = 20, r = 30, n = 3 r d; processor seconds until the training
residual is 3e-5 of the spread, restarts included, and the population risk there. With torch: those
of one pass over the samples by its Adam (float64, one thread, batches of 64) against ours.
samples: the share of iid teachers whose weights are all recovered at cosine .99, by n/(r d).
"""

import argparse
import time

import numpy as np

import tdlab
from tdlab import _kernels
from tdlab._kernels import student as kernels

OPTIMISERS = ("lm", "lbfgs", "adam")
RATIOS = (1.1, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)


def fitted(net, n, seed, max_seconds=None, **options):
    """A student of the teacher's rank; teacher, samples and starts have streams of their own."""
    X, y = net.sample(n, rng=[seed, 1])
    learner = tdlab.learner("student", rank=net.rank, activation=str(net.activation), **options)
    return learner.fit(X, y, rng=[seed, 2], max_seconds=max_seconds)


def speed(trials):
    _kernels.warm_up()
    print("d = 20, r = 30, n = 1800\noptimiser  median s  slowest  starts  recovered  worst risk")
    medians = {}
    for optimiser in OPTIMISERS:
        seconds, starts, found, risks = [], [], [], []
        for seed in range(trials):
            net = tdlab.sample_network(20, 30, "x**3", rng=seed)
            begin = time.process_time()
            fit = fitted(net, 1800, seed, optimiser=optimiser, tolerance=3e-5, restarts=10)
            seconds.append(time.process_time() - begin)
            starts.append(dict(fit.chosen)["starts"])
            found.append(tdlab.match(fit.network.weights, net.weights).recovered == 1.0)
            risks.append(net.risk(fit.network) / net.variance())
        medians[optimiser] = np.median(seconds)
        print(
            f"{optimiser:9s} {medians[optimiser]:9.3f} {max(seconds):8.3f} {np.mean(starts):7.1f}"
            f" {sum(found):6d}/{trials:<3d} {max(risks):10.1e}",
            flush=True,
        )
    ratios = (f"{name} {medians[name] / medians['lm']:.2f}" for name in ("lbfgs", "adam"))
    print("times over lm's:", ", ".join(ratios))


def torch_pass(X, y, rows, batch):
    """Seconds of one pass of torch's Adam, the best of five."""
    import torch

    torch.set_num_threads(1)
    inputs, labels = torch.tensor(X), torch.tensor(y)
    weights = torch.nn.Parameter(torch.tensor(rows))
    adam = torch.optim.Adam([weights], lr=0.03)
    best = np.inf
    for _ in range(5):
        begin = time.process_time()
        order = torch.randperm(len(y))
        for first in range(0, len(y), batch):
            part = order[first : first + batch]
            adam.zero_grad()
            f = ((inputs[part] @ weights.T) ** 3).sum(dim=1)
            ((f - labels[part]) ** 2).mean().backward()
            adam.step()
        best = min(best, time.process_time() - begin)
    return best


def our_pass(X, y, rows, batch):
    """The same by the kernel."""
    _kernels.warm_up()
    rng, cubic = np.random.default_rng(0), np.array([0.0, 0.0, 0.0, 1.0])
    moments, output_moments = np.zeros((2, *rows.shape)), np.zeros((2, len(rows)))
    rows, outputs = rows.copy(), np.ones(len(rows))
    best, steps = np.inf, -(-len(y) // batch)
    for k in range(20):
        begin = time.process_time()
        order = rng.permutation(len(y))
        kernels.adam_epoch(
            X[order], y[order], batch, rows, outputs, moments, output_moments, cubic,
            np.full(steps, 0.03), k * steps, 0.0, False, False,
        )  # fmt: skip
        best = min(best, time.process_time() - begin)
    return best


def against_torch():
    try:
        import torch
    except ImportError:
        print("torch is not installed")
        return
    print(f"\none pass of Adam, batches of 64, against torch {torch.__version__}")
    print("   d    r      n  torch/ours")
    for dim, rank in ((20, 30), (50, 200)):
        net = tdlab.sample_network(dim, rank, "x**3", rng=0)
        X, y = net.sample(3 * rank * dim, rng=1)
        rows = 0.3 * np.random.default_rng(2).standard_normal((rank, dim)) / np.sqrt(dim)
        ratio = torch_pass(X, y, rows, 64) / our_pass(X, y, rows, 64)
        print(f"{dim:4d} {rank:4d} {len(y):6d} {ratio:11.1f}", flush=True)


def samples(trials):
    print("\nshare recovered by n/(r d), lm, at most 10 starts and 60 s, iid teachers")
    print("   d    r  norms  " + "".join(f"{ratio:6.2f}" for ratio in RATIOS))
    for dim, rank in ((10, 10), (20, 20), (20, 30)):
        for norms in ("free", "unit"):
            line = f"{dim:4d} {rank:4d}  {norms:5s}  "
            for ratio in RATIOS:
                found = []
                for seed in range(trials):
                    net = tdlab.sample_network(dim, rank, "x**3", "sphere", rng=seed)
                    fit = fitted(net, int(ratio * rank * dim), seed, 60.0, norms=norms, restarts=10)
                    found.append(tdlab.match(fit.network.weights, net.weights).recovered == 1.0)
                line += f"{np.mean(found):6.2f}"
            print(line, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=5)
    parser.add_argument("--part", choices=["speed", "samples"])
    options = parser.parse_args()
    if options.part != "samples":
        speed(options.trials)
        against_torch()
    if options.part != "speed":
        samples(options.trials)


if __name__ == "__main__":
    main()
