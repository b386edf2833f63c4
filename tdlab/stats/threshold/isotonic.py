"""What counts say of the crossing of 1/2 when the curve is only known to fall.

``sure``     ranks surely above, and surely below, one half: tests that hold at any sample size
``guard``    likelihood-ratio interval for the crossing of a falling curve, ending at tested ranks
``ends``     the first and the last level of the falling fit
``level``    the pooled level, and whether it clearly falls
``rise``     the last sure up-crossing, for curves that do not only fall

Sources: Ayer et al. (1955), the pool-adjacent-violators algorithm (PAVA); Banerjee and Wellner
(2001), the limit law of the likelihood ratio; Ville (1939), the bound for betting scores.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr, betainc, betaln, ndtri, xlogy

# 95% point of the limit law of the isotonic likelihood ratio (Banerjee and Wellner 2001, table 1).
# Its tail is close to that of a multiple of chi-square with one degree of freedom.
GUARD = 2.286
# Twice the log-likelihood ratio of four failures before four successes is 11.1; that of a falling
# curve exceeds 10 in under 2% of scans.
RISE = 10.0


@dataclass(frozen=True)
class Sure:
    """How far from either end the curve is surely on its side of one half.

    Attributes
    ----------
    above : int
        The first ``above`` ranks lie below the crossing.
    below : int
        The ranks from position ``below`` on lie beyond the crossing.
    """

    above: int
    below: int


def sure(successes: np.ndarray, trials: np.ndarray, level: float) -> Sure:
    """Ranks surely on one side of the crossing, each side with error (1 - level)/2 at most.

    H_j: P <= 1/2 from rank j on. Betting on every P in (1/2, 1) alike multiplies the stake by
    e = 2^(n+1) int_{1/2}^1 p^s (1-p)^(n-s) dp on the pooled counts of ranks j..m, under H_j a
    supermartingale in m: it ever reaches 1/alpha with probability <= alpha. The H_j are rejected
    in the order j = 0, 1, ... until one is not, so no correction for their number is needed.
    """
    below = len(trials) - _rejected_prefix((trials - successes)[::-1], trials[::-1], level)
    # Pooled counts may hide one rank that is by itself above one half: nothing is said against it.
    contrary = np.flatnonzero(bdtr(trials - successes, trials, 0.5) <= (1 - level) / 2)
    if len(contrary):
        below = max(below, int(contrary[-1]) + 1)
    return Sure(above=_rejected_prefix(successes, trials, level), below=below)


def enough(level: float) -> int:
    """Fewest trials, all alike, that are sure: e = 2^(n+1) (1 - 2^-(n+1)) / (n+1) >= 1/alpha.

    >>> enough(0.95)
    8
    """
    trials = 1
    while (2.0 ** (trials + 1) - 1) / (trials + 1) < 2 / (1 - level):
        trials += 1
    return trials


def _rejected_prefix(successes: np.ndarray, trials: np.ndarray, level: float) -> int:
    best = _score(*_windows(successes, trials)).max(axis=1, initial=-np.inf)
    rejected = best >= np.log(2 / (1 - level))
    return len(trials) if rejected.all() else int(np.argmin(rejected))


def _windows(successes: np.ndarray, trials: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pooled counts of ranks j..m at [j, m], nothing for m < j."""
    pooled = []
    for counts in (successes, trials):
        total = np.concatenate([[0], np.cumsum(counts)])
        pooled.append(np.triu(total[None, 1:] - total[:-1, None]))
    return pooled[0], pooled[1]


def _score(successes: np.ndarray, trials: np.ndarray) -> np.ndarray:
    """Log of the betting score for P > 1/2."""
    failures = trials - successes
    # int_{1/2}^1 p^s (1-p)^f dp = B(s+1, f+1) I_{1/2}(f+1, s+1)
    share = betainc(failures + 1.0, successes + 1.0, 0.5)
    with np.errstate(divide="ignore"):
        return (trials + 1) * np.log(2.0) + betaln(successes + 1.0, failures + 1.0) + np.log(share)


def rise(successes: np.ndarray, trials: np.ndarray, level: float) -> tuple[int, bool]:
    """Position from which the curve is to be read, and whether it rises through 1/2 somewhere.

    It is read from past the last sure up-crossing, else from 0. An up-crossing before position a
    needs a window that ends there surely below 1/2 and one that starts there surely above. A
    falling curve shows that with probability (1 - level)^2 or so.

    That it rises is said at fewer trials: where the best window on either side of a position lie on
    either side of 1/2 and twice the log-likelihood of two levels exceeds that of one by `RISE`.
    """
    bar = np.log(2 / (1 - level))
    if len(trials) < 2:
        return 0, False
    up = _score(*_windows(successes, trials))
    down = _score(*_windows((trials - successes)[::-1], trials[::-1]))[::-1, ::-1]
    ends, starts = up.argmax(axis=1), down.argmax(axis=1)
    above, below = up.max(axis=1), down.max(axis=1)
    crossings = np.flatnonzero((below[:-1] >= bar) & (above[1:] >= bar)) + 1
    if len(crossings):
        return int(crossings[-1]), True
    wins, tosses = (np.concatenate([[0], np.cumsum(counts)]) for counts in (successes, trials))
    split = np.arange(1, len(trials))
    first, last = starts[:-1], ends[1:] + 1
    s1, n1 = wins[split] - wins[first], tosses[split] - tosses[first]
    s2, n2 = wins[last] - wins[split], tosses[last] - tosses[split]
    # The best window of a rank that leans the other way is empty: neither side holds there.
    gain = _fitted(s1, n1) + _fitted(s2, n2) - _fitted(s1 + s2, n1 + n2)
    return 0, bool(((2 * s1 < n1) & (2 * s2 > n2) & (2 * gain >= RISE)).any())


def _fitted(successes: np.ndarray, trials: np.ndarray) -> np.ndarray:
    """Log-likelihood of counts under their own share."""
    share = successes / np.maximum(trials, 1)
    return xlogy(successes, share) + xlogy(trials - successes, 1 - share)


def level(successes: np.ndarray, trials: np.ndarray) -> tuple[float, bool]:
    """Pooled share of successes, and whether counts clearly fall (isotonic against constant)."""
    share = successes.sum() / trials.sum()
    constant = float((xlogy(successes, share) + xlogy(trials - successes, 1 - share)).sum())
    # Twice the log-likelihood ratio has mean 1 + 1/2 + ... + 1/m less 1 under a constant.
    return float(share), 2 * (_clipped_fits(successes, trials)[1] - constant) > 5.0


def ends(successes: np.ndarray, trials: np.ndarray) -> tuple[float, float]:
    """First and last level of the falling fit; the first is the plateau."""
    blocks: list[list[int]] = []
    for pair in zip(successes.tolist(), trials.tolist(), strict=True):
        _push(blocks, pair)
    return blocks[0][0] / blocks[0][1], blocks[-1][0] / blocks[-1][1]


def guard(successes: np.ndarray, trials: np.ndarray, level: float) -> tuple[int, int]:
    """First and last position j such that a crossing between ranks j-1 and j is likely enough.

    Given the gap, the best falling curve is the falling fit of each side clipped at 1/2.
    """
    bar = GUARD * (float(ndtri((1 + level) / 2)) / 1.959964) ** 2
    left, free = _clipped_fits(successes, trials)
    right = _clipped_fits((trials - successes)[::-1], trials[::-1])[0][::-1]
    likely = np.flatnonzero(2 * (free - left - right) <= bar)
    # The best gap of all has ratio 0 up to the clipping, so that some gap is always likely.
    return int(likely[0]), int(likely[-1])


def falling_fit(successes: np.ndarray, trials: np.ndarray) -> float:
    """Log-likelihood of the best falling curve."""
    blocks: list[list[int]] = []
    for pair in zip(successes.tolist(), trials.tolist(), strict=True):
        _push(blocks, pair)
    return _likelihood(blocks, 0.0)


def _clipped_fits(successes: np.ndarray, trials: np.ndarray) -> tuple[np.ndarray, float]:
    """Log-likelihood of each prefix 0..K under its falling fit clipped at >= 1/2; free total."""
    blocks: list[list[int]] = []
    clipped = [0.0]
    for pair in zip(successes.tolist(), trials.tolist(), strict=True):
        _push(blocks, pair)
        clipped.append(_likelihood(blocks, 0.5))
    return np.array(clipped), _likelihood(blocks, 0.0)


def _push(blocks: list[list[int]], counts: tuple[int, int]) -> None:
    """One step of PAVA: append a rank, merge while the level before it is no higher."""
    blocks.append([*counts, 1])
    while len(blocks) > 1 and blocks[-2][0] * blocks[-1][1] <= blocks[-1][0] * blocks[-2][1]:
        success, trial, size = blocks.pop()
        blocks[-1] = [blocks[-1][0] + success, blocks[-1][1] + trial, blocks[-1][2] + size]


def _likelihood(blocks: list[list[int]], floor: float) -> float:
    success, trial, _ = np.array(blocks, dtype=float).T
    level = np.maximum(success / trial, floor)
    return float((xlogy(success, level) + xlogy(trial - success, 1 - level)).sum())
