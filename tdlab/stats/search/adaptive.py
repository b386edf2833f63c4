"""Where to put the next trials, so that few of them locate the rank of even odds.

Search   three trials a level, from a low rank up by factors of two until two levels in a row have
         under half; from an extrapolated rank by smaller steps, until levels on either side differ
Rounds   a posterior of r* from what is known: trials spread evenly over its uncertainty and the
         width of the transition, every tenth far below, where lapses show
Stop     when the reported interval is narrow enough, or is one gap between neighbouring ranks;
         when the curve surely does not cross within the ranks there are; at the budget

Round k is decided by the rounds up to k - 3, whatever else has ended: three rounds are under way at
a time, which keeps many workers busy, and what is run depends neither on their number nor on the
order in which trials end. A round holds no more than what the interval's width says is missing.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tdlab.stats.search.places import Places, gap_about
from tdlab.stats.search.price import Prices, Purse
from tdlab.stats.search.round import Round
from tdlab.stats.search.rule import LEVEL_TRIALS, Rule
from tdlab.stats.threshold import isotonic, posterior
from tdlab.stats.threshold.estimate import estimate, reading
from tdlab.stats.threshold.record import Threshold
from tdlab.stats.threshold.starts import Anchor, Start

LAG = 3
# Three rounds are under way when the last one is decided: what they hold may prove too much.
_GROWTH = 0.125
_FIRST_RANK = 4
# A uniform law of half-width sqrt(3) s has standard deviation s.
_SPREAD = 1.73
# So many exceptions in a row, and none of the trials to come will tell more.
_MUTE = 20
_LEVEL, _Z = 0.95, 1.96
_GAPS = frozenset({"quantised", "jump", "shape"})


@dataclass
class Search:
    """The trials of one threshold, round by round.

    Deterministic: what `advance` returns is fixed by the outcomes alone, not by when they came.

    Parameters
    ----------
    ranks : sequence of int
        Candidates, ascending.
    rule : Rule
    start : Start, optional
        Begin there, and not at rank 4.

    Examples
    --------
    >>> search = Search(range(1, 40), Rule(half_width=0.1))
    >>> while trials := search.advance():
    ...     for rank, index in trials:
    ...         search.record(rank, index, rank <= 17)
    >>> search.reason, 16 < search.threshold().estimate < 19, search.planned < 100
    ('precise', True, True)
    """

    ranks: Sequence[int]
    rule: Rule
    start: Start | None = None
    reason: str = ""
    _rounds: list[Round] = field(default_factory=list)
    _search_rounds: int | None = None
    _place: dict[tuple[int, int], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._rank = np.array(self.ranks, dtype=np.int64)
        self._x = np.log(self._rank)
        self._position = {rank: i for i, rank in enumerate(self._rank.tolist())}
        self._levels: list[tuple[int, float]] = []
        self._next_index = np.zeros(len(self._rank), dtype=np.int64)
        self._places = Places(self._x)
        self._anchor: Anchor | None = None

    @property
    def done(self) -> bool:
        """Whether no further trial will be asked for."""
        return bool(self.reason)

    @property
    def planned(self) -> int:
        """Trials asked for so far."""
        return int(self._next_index.sum())

    @property
    def settled(self) -> bool:
        """Whether `anchor` is final."""
        return self.done or (
            self._search_rounds is not None and len(self._rounds) > self._search_rounds
        )

    @property
    def anchor(self) -> Anchor | None:
        """Where the search saw r*, if it did."""
        return self._anchor

    def advance(self) -> list[tuple[int, int]]:
        """Trials (rank, index) that may run now and were not asked for before."""
        fresh: list[tuple[int, int]] = []
        while not self.done and self._closed() >= self._known():
            plan = self._search_plan()
            if plan is None and not self.done:
                plan = self._round_plan()
            if plan is None:
                break
            fresh += self._open(plan)
        return fresh

    def record(self, rank: int, index: int, success: bool | None, seconds: float = 0.0) -> None:
        """Take the outcome of a trial; None where it tells nothing (an exception, say)."""
        found = self._rounds[self._place.pop((rank, index))]
        position = self._position[rank]
        found.open -= 1
        found.ended[int(bool(success)), position] += 1
        found.seconds[int(bool(success)), position] += seconds
        if success is not None:
            found.trials[position] += 1
            found.successes[position] += success

    def threshold(self) -> Threshold:
        """What all outcomes so far say of r*."""
        successes, trials = self._seen(len(self._rounds))
        return estimate(self._rank, successes, trials)

    def counts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ranks, successes and trials of all outcomes so far."""
        successes, trials = self._seen(len(self._rounds))
        tried = trials > 0
        return self._rank[tried], successes[tried], trials[tried]

    def _open(self, plan: np.ndarray) -> list[tuple[int, int]]:
        none = np.zeros_like(plan)
        ended = np.zeros((2, len(plan)), dtype=np.int64)
        self._rounds.append(
            Round(plan, none, none.copy(), ended, ended.astype(float), int(plan.sum()))
        )
        fresh = []
        for position in np.flatnonzero(plan):
            rank, first = int(self._rank[position]), int(self._next_index[position])
            fresh += [(rank, first + i) for i in range(int(plan[position]))]
        self._place.update(dict.fromkeys(fresh, len(self._rounds) - 1))
        self._next_index += plan
        return fresh

    def _closed(self) -> int:
        """Rounds 0, 1, ... that have ended, up to the first that has not."""
        return next((i for i, each in enumerate(self._rounds) if each.open), len(self._rounds))

    def _known(self) -> int:
        """Rounds that decide the next one: all while searching, later all but the last two."""
        if self._search_rounds is None:
            return len(self._rounds)
        return max(len(self._rounds) - LAG + 1, self._search_rounds)

    def _seen(self, rounds: int) -> tuple[np.ndarray, np.ndarray]:
        successes, trials = np.zeros_like(self._rank), np.zeros_like(self._rank)
        for each in self._rounds[:rounds]:
            successes += each.successes
            trials += each.trials
        return successes, trials

    def _purse(self, known: int) -> Purse:
        """What the first ``known`` rounds leave of the time, and what failures cost by them.

        Trials under way, and those to come, may all fail, which takes longest.
        """
        if math.isinf(self.rule.budget_seconds):
            return Purse(math.inf, np.zeros(len(self._rank)))
        closed, flying = self._rounds[:known], self._rounds[known:]
        seconds = sum((each.seconds for each in closed), np.zeros((2, len(self._rank))))
        ended = sum((each.ended for each in closed), np.zeros((2, len(self._rank)), np.int64))
        prices = Prices(self._x, ended, seconds).of_failures()
        promised = sum(float(prices @ each.planned) for each in flying)
        return Purse(self.rule.budget_seconds - float(seconds.sum()) - promised, prices)

    # The search: one level a round, each decided by all before it.

    def _search_plan(self) -> np.ndarray | None:
        if self._search_rounds is not None:
            return None
        if self._levels:
            ended = self._rounds[-1]
            position = self._levels[-1][0]
            ended_here = int(ended.trials[position])
            share = int(ended.successes[position]) / ended_here if ended_here else 0.5
            self._levels[-1] = (position, share)
            if len(self._levels) == 2 and not any(each.trials.any() for each in self._rounds):
                self.reason = "no trial tells success from failure"
                return None
        position = self._next_level()
        if position is None or (self._levels and not self._affords_a_level(position)):
            self._search_rounds = len(self._rounds)
            return None
        self._levels.append((position, 0.0))
        plan = np.zeros_like(self._rank)
        plan[position] = min(LEVEL_TRIALS, self.rule.budget_trials)
        return plan

    def _affords_a_level(self, position: int) -> bool:
        """Whether the budgets hold another level."""
        purse = self._purse(len(self._rounds))
        return self.planned + LEVEL_TRIALS <= self.rule.budget_trials and all(
            purse.pay(position) for _ in range(LEVEL_TRIALS)
        )

    def _next_level(self) -> int | None:
        """Candidate of the next level; None when the search is over."""
        step = math.log(2.0) if self.start is None else self.start.step
        first = math.log(_FIRST_RANK) if self.start is None else self.start.location - step / 2
        if not self._levels:
            return self._places.nearest(first)
        # Trials above r* are the dear ones: one level where all fail is believed, and from an
        # extrapolated rank any level under half, since the rounds look again. Else it takes two: a
        # chance failure would cost more. Where nothing has succeeded yet it takes four, up to
        # rank 32: some methods fail at small ranks and not at larger ones.
        shares = [share for _, share in sorted(self._levels)]
        patience = 1 if self.start is not None or shares[-1] == 0 else 2
        if self.start is None and max(shares) <= 0.5:
            patience = 4
        over = len(shares) >= patience and max(shares[-patience:]) <= 0.5
        top, bottom = max(self._levels)[0], min(self._levels)[0]
        if not over and top < len(self._rank) - 1:
            # Upwards, unless the first levels failed and the way was down.
            return max(self._places.nearest(self._x[top] + step), top + 1)
        if max(shares) <= 0.5:
            return (
                min(self._places.nearest(self._x[bottom] - step), bottom - 1)
                if bottom > 0
                else None
            )
        return self._halved()

    def _halved(self) -> int | None:
        """The middle of the levels about a jump from all to none; None if that is no jump, or near.

        A step is found by halving, three trials each; a wide transition soon shows a level that is
        neither, and has lost nothing: its trials lie there.
        """
        levels = sorted(self._levels)
        last = max(i for i, (_, share) in enumerate(levels) if share > 0.5)
        if last + 1 == len(levels) or any(0 < share < 1 for _, share in levels):
            return None
        low, high = levels[last][0], levels[last + 1][0]
        if self._x[high] - self._x[low] <= 2 * self.rule.half_width or high - low < 2:
            return None
        middle = self._places.nearest((self._x[low] + self._x[high]) / 2)
        return min(max(middle, low + 1), high - 1)

    # The rounds.

    def _round_plan(self) -> np.ndarray | None:
        """Trials of the next round, perhaps none; None when the search for r* is over."""
        known = self._known()
        in_flight = sum(int(each.planned.sum()) for each in self._rounds[known:])
        wanted = self._wanted(known, in_flight)
        if wanted is None:
            return None
        purse = self._purse(known)
        plan = np.zeros_like(self._rank)
        for position in wanted:
            if not purse.pay(position):
                break
            plan[position] += 1
        if purse.empty and not plan.any() and not in_flight:
            self.reason = "budget"
            return None
        return plan

    def _wanted(self, known: int, in_flight: int) -> list[int] | None:
        """Candidates of the next trials, one each, as far as time allows; None at the end."""
        successes, trials = self._seen(known)
        size = min(
            max(self.rule.batch, math.ceil(_GROWTH * self.planned)),
            self.rule.budget_trials - self.planned,
        )
        if size <= 0:
            self.reason = "budget"
            return None
        if self._mute(known) >= _MUTE:
            self.reason = "no trial tells success from failure"
            return None
        tried = trials > 0
        if not tried.any():
            return self._places.spread(
                size, self._x[self._levels[0][0]], self._x[self._levels[-1][0]]
            )
        start, _ = isotonic.rise(successes[tried], trials[tried], _LEVEL)
        if start:
            # What lies below a sure rise says nothing of where the curve falls.
            risen = np.arange(len(trials)) >= np.flatnonzero(tried)[start]
            successes, trials = successes * risen, trials * risen
            tried = trials > 0
        first, last = isotonic.ends(successes[tried], trials[tried])
        if last >= 0.5:
            return self._beyond(size, in_flight, successes, trials)
        if first < 0.5:
            peak = int(np.argmax(2 * successes - trials))
            if 2 * successes[peak] > trials[peak]:
                # Pooled with the ranks below it is under one half: perhaps it rises to it.
                return [peak] * min(size, self.rule.batch)
            return self._below(size, in_flight, successes, trials)
        return self._about(size, in_flight, successes, trials)

    def _mute(self, known: int) -> int:
        """Trials of the last rounds, back to the last one that told anything."""
        told = itertools.takewhile(lambda each: not each.trials.any(), self._rounds[:known][::-1])
        return sum(int(each.planned.sum()) for each in told)

    def _end(self, reason: str, in_flight: int) -> list[int] | None:
        """End once the rounds under way agree: what is seen may be luck. Until then begin none."""
        if in_flight:
            return []
        self.reason = reason
        return None

    def _beyond(
        self, size: int, in_flight: int, successes: np.ndarray, trials: np.ndarray
    ) -> list[int] | None:
        """No rank yet under one half: further up, until the last candidate is surely above."""
        top = int(np.flatnonzero(trials)[-1])
        found = estimate(self._rank, successes, trials)
        if found.estimate is None and found.lower == self._rank[-1]:
            return self._end("all ranks recovered", in_flight)
        return [self._places.nearest(self._x[top] + math.log(2.0))] * size

    def _below(
        self, size: int, in_flight: int, successes: np.ndarray, trials: np.ndarray
    ) -> list[int] | None:
        """No rank yet above one half: further down, until the first are surely under it."""
        bottom = int(np.flatnonzero(trials)[0])
        if bottom > 0:
            low = self._x[bottom] - math.log(4.0)
            return self._places.spread(size, low, self._x[bottom] - math.log(2.0))
        tried = trials > 0
        if isotonic.sure(successes[tried], trials[tried], _LEVEL).below == 0:
            return self._end("under one half at all ranks", in_flight)
        return self._places.spread(size, self._x[0], self._x[0] + math.log(2.0))

    def _about(
        self, size: int, in_flight: int, successes: np.ndarray, trials: np.ndarray
    ) -> list[int] | None:
        """The crossing is between tested ranks: narrow it down."""
        tried = trials > 0
        x = self._x[tried]
        fit = posterior.global_fit(x, successes[tried], trials[tried])
        if not self.settled:
            self._anchor = Anchor(fit.location, fit.spread)
        half = _Z * fit.spread
        gap = gap_about(x, fit.location)
        if half <= self.rule.half_width or fit.width < gap:
            found = reading(self._rank[tried], successes[tried], trials[tried], _LEVEL, fit)
            if found.estimate is not None and found.lower and found.upper:
                half = math.log(found.upper / found.lower) / 2
                if half <= self.rule.half_width or self._neighbours(found):
                    return self._end("precise", in_flight)
            elif not in_flight:
                # One side is not surely on its side of one half, whatever a smooth curve says.
                far = 4.0 * fit.width + 2.0 * fit.spread
                x = fit.location + (far if found.lower else -far)
                return self._places.spread(min(size, self.rule.batch), x, x)
        reach = math.hypot(min(fit.width, 1.2 * self.rule.half_width), fit.spread)
        # The variance falls as one over the trials near r*: how many more make it small enough?
        core = int(trials[np.abs(self._x - fit.location) <= 2.0 * reach].sum())
        missing = core * ((half / self.rule.half_width) ** 2 - 1.0) - in_flight
        if missing > 0 or not in_flight:
            size = min(size, max(math.ceil(missing), self.rule.batch // 2, 1))
        else:
            size = 0
        return self._places.spread(
            size,
            fit.location - _SPREAD * reach,
            fit.location + _SPREAD * reach,
            fit.location - 4.0 * fit.width - 2.0 * fit.spread,
        )

    def _neighbours(self, found: Threshold) -> bool:
        """Whether an interval is as few gaps between candidates as trials can make it.

        One where it ends at them, two where a jump on either side of a candidate is as likely.
        """
        if found.lower is None or found.upper is None or not _GAPS.intersection(found.flags):
            return False
        first = int(np.searchsorted(self._rank, found.lower + 1e-6, side="right")) - 1
        last = int(np.searchsorted(self._rank, found.upper - 1e-6, side="left"))
        return last - first <= (1 if "quantised" in found.flags else 2)
