"""Adaptive thresholds: the same trials whatever runs them, in the order they end, or kills them."""

import heapq
import os
import signal
import subprocess
import sys
import time
from collections import deque

import numpy as np
import pytest

import tdlab
from tdlab.errors import InputError
from tdlab.lab.allocate import Allocation
from tdlab.lab.predict import predict
from tdlab.lab.spec.file import parse_spec
from tdlab.stats.search.adaptive import Search
from tdlab.stats.search.rule import Rule

SPEC = """
name = "adaptive"
time_limit = 60
[adaptive]
half_width = 0.5
[problem]
activation = "He3"
ensemble = "sphere"
dims = [5, 7]
[[method]]
name = "lm"
restarts = 1
iterations = 30
"""
MANY = (
    SPEC.replace("0.5", "0.08").replace("[5, 7]", "[10, 15, 20, 30]") + '[[method]]\nname = "power"'
)


def outcome(cell, index):
    """A coin of known bias for each trial, the same whenever it is tossed, and its cost."""
    rng = np.random.default_rng([cell.dim, cell.rank, index, len(cell.method.name)])
    r_star = 0.6 * cell.dim**1.4
    chance = 1 / (1 + (cell.rank / r_star) ** 12)
    if cell.method.name == "power":
        chance *= 0.85
    succeeded = rng.random() < chance
    return "recovered" if succeeded else "failed", rng.exponential() * (1 if succeeded else 2)


def simulate(spec, workers, seed=None):
    """Run an allocation on simulated workers; what was run, and the share of time they worked.

    With a seed trials take a random time that has nothing to do with their outcome.
    """
    allocation = Allocation(spec.targets, spec.rule)
    rng = np.random.default_rng(seed)
    queue, running, ran = deque(allocation.advance()), [], set()
    now = busy = 0.0
    while queue or running:
        while queue and len(running) < workers:
            cell, index = queue.popleft()
            result, seconds = outcome(cell, index)
            seconds = seconds if seed is None else rng.pareto(1.2)
            busy += seconds
            heapq.heappush(running, (now + seconds, cell.digest, index, cell, result))
        now, _, index, cell, result = heapq.heappop(running)
        ran.add((cell.method.name, cell.dim, cell.rank, index))
        allocation.record(cell, index, result, 1.0)
        queue.extend(allocation.advance())
    assert allocation.done
    return ran, busy / (now * workers)


def test_the_same_trials_for_any_number_of_workers_and_any_order():
    spec = parse_spec(MANY)
    ran, _ = simulate(spec, 1)
    assert len(ran) > 400
    for workers, seed in [(2, 0), (8, 1), (8, 2), (64, 3), (64, 4)]:
        assert simulate(spec, workers, seed)[0] == ran


def test_indices_are_prefixes():
    ran, _ = simulate(parse_spec(MANY), 8)
    highest = {}
    for *cell, index in ran:
        highest.setdefault(tuple(cell), []).append(index)
    assert all(sorted(found) == list(range(len(found))) for found in highest.values())


def test_workers_are_kept_busy():
    # Shares of simulated time, the same on every machine: four curves of five thresholds.
    text = SPEC.replace("0.5", "0.05").replace("[5, 7]", "[8, 10, 15, 20, 30]")
    for restarts in (2, 3, 4):
        text += f'[[method]]\nname = "lm"\nrestarts = {restarts}\n'
    spec = parse_spec(text)
    assert len(spec.targets) == 20
    assert simulate(spec, 8)[1] >= 0.9
    assert simulate(spec, 64)[1] >= 0.5


def test_what_cannot_be_told_is_not_tried_for_ever():
    spec = parse_spec(SPEC)
    allocation, asked = Allocation(spec.targets, spec.rule), 0
    while fresh := allocation.advance():
        asked += len(fresh)
        for cell, index in fresh:
            allocation.record(cell, index, "error", 1.0)
    assert allocation.done and asked == 12


def test_a_budget_of_time_ends_it():
    text = SPEC.replace("half_width = 0.5", "half_width = 0.01\nbudget_hours = 0.01")
    spec = parse_spec(text.replace("[5, 7]", "[20, 30]"))
    allocation, spent = Allocation(spec.targets, spec.rule), 0.0
    while fresh := allocation.advance():
        for cell, index in fresh:
            result, _ = outcome(cell, index)
            allocation.record(cell, index, result, 0.5)
            spent += 0.5
    assert allocation.done and 60 < spent <= 2 * 36.0


def searched(rule, outcome, seconds=1.0, ranks=range(1, 200)):
    """The search of one threshold, run to its end, and how many trials it took."""
    search, asked = Search(ranks, rule), 0
    while fresh := search.advance():
        asked += len(fresh)
        for rank, index in fresh:
            search.record(rank, index, outcome(rank), seconds)
    assert search.done
    return search, asked


@pytest.mark.parametrize("budget", [1, 2, 3, 5, 10])
def test_the_smallest_budgets_are_kept(budget):
    search, asked = searched(Rule(budget_trials=budget), lambda rank: rank < 17)
    assert (search.reason, asked) == ("budget", budget)


def test_a_search_keeps_to_a_budget_of_time():
    # Three trials take all there is: no level is begun that the budget does not hold.
    assert searched(Rule(budget_seconds=1800), lambda rank: rank < 17, seconds=600.0)[1] == 3
    assert searched(Rule(budget_seconds=1800), lambda rank: rank < 17, seconds=250.0)[1] <= 7


def tossed(rule, seed, failure_cost=1.0):
    """A search for r* = 40 on coins; times like rank^2, longer for failures; and what was spent."""
    rng, search, spent = np.random.default_rng(seed), Search(range(1, 400), rule), 0.0
    while fresh := search.advance():
        for rank, index in fresh:
            succeeds = bool(rng.random() < 1 / (1 + (rank / 40) ** 8))
            seconds = (rank / 40) ** 2 * (1.0 if succeeds else failure_cost) * rng.gamma(4, 0.25)
            search.record(rank, index, succeeds, seconds)
            spent += seconds
    return search, spent


@pytest.mark.parametrize("failure_cost", [1.0, 3.0, 30.0])
@pytest.mark.parametrize("budget", [20.0, 100.0, 400.0])
def test_trials_are_paid_for_at_measured_prices_of_rank_and_failure(failure_cost, budget):
    # The price of the trials before, which are at lower ranks and recover, would be overspent 2 to
    # 6 times. What remains: the first failure, whose price nobody has seen, and trials far up that
    # take a third of what there is, when their time turns out long.
    rule = Rule(half_width=0.005, budget_trials=5000, budget_seconds=budget * (1 + failure_cost))
    shares = [tossed(rule, s, failure_cost)[1] / rule.budget_seconds for s in range(15)]
    assert 0.7 < np.median(shares) < 1.1
    assert max(shares) < {20.0: 2.5, 100.0: 2.0, 400.0: 1.5}[budget]


def test_a_scan_that_ends_precise_is_as_precise_as_was_asked():
    # Of the trials under way when an interval is narrow enough some may widen it again.
    for seed in range(40):
        search, _ = tossed(Rule(half_width=0.1), seed)
        found = search.threshold()
        assert search.reason == "precise"
        gaps = {"quantised", "jump", "shape"} & set(found.flags)
        assert np.log(found.upper / found.lower) / 2 <= (0.2 if gaps else 0.1)


@pytest.mark.parametrize("chance", [0.65, 0.35])
def test_a_scan_that_ends_without_a_crossing_says_so(chance):
    # The same coin at every rank. Trials under way at the end may leave neither side sure.
    ended = {
        "all ranks recovered": {"all-recovered", "lower-bound"},
        "under one half at all ranks": {"lapse-limited", "indeterminate"},
    }
    reasons = set()
    for seed in range(25):
        rng = np.random.default_rng(seed)
        search, _ = searched(
            Rule(), lambda rank, rng=rng: rng.random() < chance, ranks=range(1, 40)
        )
        reasons.add(search.reason)
        if search.reason in ended:
            assert search.threshold().status.value in ended[search.reason]
    assert reasons & set(ended)


@pytest.mark.parametrize(
    ("ranks", "outcome"),
    [
        ([5], lambda rank: None),
        (range(1, 200), lambda rank: True if rank < 6 else None),
        (range(1, 200), lambda rank: None if rank > 16 else True),
    ],
)
def test_exceptions_beyond_some_rank_are_not_tried_for_ever(ranks, outcome):
    search, asked = searched(Rule(budget_trials=5000), outcome, ranks=ranks)
    assert search.reason == "no trial tells success from failure" and asked < 60


def table(store):
    frame = store.trials()
    return frame[[name for name in frame if not name.startswith("meta_")]]


def test_killed_and_resumed_it_gives_the_table_of_an_undisturbed_run(tmp_path):
    whole = tdlab.run(parse_spec(SPEC), tmp_path / "whole.db", workers=2)
    assert (whole.thresholds()["status"] == "bracketed").all()
    assert whole.counts()[0].target > 0
    assert all(cell.done == cell.target for cell in whole.counts())

    (tmp_path / "spec.toml").write_text(SPEC)
    path = tmp_path / "killed.db"
    command = [sys.executable, "-m", "tdlab", "run", "spec.toml", "--store", str(path)]
    for stored in (5, 25):
        run = subprocess.Popen([*command, "--workers", "1"], cwd=tmp_path, stderr=subprocess.PIPE)
        while run.poll() is None:
            if path.exists() and len(table(tdlab.open_store(path))) >= stored:
                os.kill(run.pid, signal.SIGKILL)
                break
            time.sleep(0.02)
        assert run.wait() == -signal.SIGKILL
        run.stderr.close()
    resumed = tdlab.run(parse_spec(SPEC), path, workers=2)
    assert table(resumed).equals(table(whole))
    assert resumed.thresholds().equals(whole.thresholds())


BAD = {
    "half-width": ("half_width = 0.5", "half_width = 2", ["half_width", "got 2"]),
    "batch": ("half_width = 0.5", "batch = 0", ["batch", "got 0", ">= 1"]),
    "budget": ("half_width = 0.5", "budget_trials = -1", ["budget_trials", "got -1"]),
    "hours": ("half_width = 0.5", "budget_hours = 0", ["budget_hours", "hours > 0"]),
    "key": ("half_width = 0.5", "halfwidth = 0.3", ["adaptive", "halfwidth", "half_width"]),
    "no table": ("[adaptive]\nhalf_width = 0.5", "adaptive = 3", ["adaptive", "[adaptive]"]),
    "trials too": ("time_limit", "trials = 5\ntime_limit", ["trials", "budget_trials"]),
    "a null": ("dims = [5, 7]", "dims = [5]\nnull = true", ["null", "`ranks`"]),
    "ranks": ("dims = [5, 7]", "dims = [5]\nranks = [3]", ["adaptive", "`ranks`"]),
    "samples": (
        "dims = [5, 7]",
        "dims = [5]\nsamples = {values = [2], unit = 'r*d'}",
        ["samples", "rank"],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_tables_are_refused_in_one_line(case):
    old, new, words = BAD[case]
    assert old in SPEC
    with pytest.raises(InputError) as caught:
        parse_spec(SPEC.replace(old, new))
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert "\n" not in str(caught.value)


def test_shards_and_comparisons_are_refused(tmp_path):
    with pytest.raises(InputError, match="shard: got 1/2 and adaptive ranks"):
        tdlab.run(parse_spec(SPEC), tmp_path / "none.db", shard="1/2")
    assert list(tmp_path.iterdir()) == []


def test_prediction_is_a_range(tmp_path):
    cost = predict(parse_spec(SPEC), tmp_path / "none.db", workers=1)
    assert (cost.cells, cost.thresholds, cost.most) == (0, 2, 1200)
    assert 0 < cost.least < cost.most and 0 < cost.hours < cost.most_hours < cost.at_most_hours


def test_a_grid_and_adaptive_ranks_in_one_scan(tmp_path):
    grid = SPEC.replace("[problem]", "[[problem]]").replace("time_limit", "trials = 2\ntime_limit")
    grid += '[[problem]]\nactivation = "He3"\nensemble = "sphere"\ndims = [6]\nranks = [3, 4]\n'
    store = tdlab.run(parse_spec(grid), tmp_path / "both.db", workers=2)
    thresholds = store.thresholds()
    assert thresholds["dim"].tolist() == [5, 6, 7]
    assert thresholds["trials"].tolist()[1] == 4
