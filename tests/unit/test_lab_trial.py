"""One trial: what its streams depend on, and how its outcome follows from the decomposition."""

import dataclasses

import pytest

from tdlab.lab.spec.file import parse_spec
from tdlab.lab.trial.run import Task, run_trial
from tdlab.lab.workers.worker import guarded_trial

SPEC = """
[problem]
activation = "x**3"
ensemble = "isotropic"
dims = [5]
ranks = [6]
null = true
[[method]]
name = "lm"
"""


@pytest.fixture
def tasks():
    """(planted, null) trials 0."""
    planted, null = parse_spec(SPEC).cells
    return Task(planted, 0), Task(null, 0)


def changed(task, *, method=None, problem=None, **cell):
    """The task with its cell changed: fields of its method, options of its problem, its own."""
    if method:
        cell["method"] = dataclasses.replace(task.cell.method, **method)
    if problem:
        options = tuple(sorted({**dict(task.cell.problem.options), **problem}.items()))
        cell["problem"] = dataclasses.replace(task.cell.problem, options=options)
    return dataclasses.replace(task, cell=dataclasses.replace(task.cell, **cell))


def test_a_trial_repeats_bit_for_bit(tasks):
    for task in tasks:
        assert run_trial(task) == run_trial(task)


def test_a_planted_trial_is_recovered_and_a_null_one_measured(tasks):
    planted, null = map(run_trial, tasks)
    assert (planted.outcome, planted.recovered, planted.reason) == ("recovered", 1.0, "")
    assert planted.risk_ratio < 1e-10
    assert (null.outcome, null.recovered) == ("measured", None)
    assert null.risk_ratio > 0.01


def test_indices_seeds_and_methods_have_streams_of_their_own(tasks):
    null = tasks[1]
    tasks = (
        null,
        dataclasses.replace(null, index=1),
        changed(null, seed=1),
        changed(null, method={"version": 99}),
    )
    assert len({run_trial(task).residual for task in tasks}) == len(tasks)


def test_failure_says_why(tasks):
    short = changed(tasks[0], rank=12, method={"options": (("iterations", 1), ("restarts", 1))})
    result = run_trial(short)
    assert result.outcome == "failed" and result.reason.startswith("stagnated: ")
    assert 0.0 <= result.recovered < 1.0


def test_outside_the_range_is_unsupported_without_numbers(tasks):
    result = run_trial(changed(tasks[0], method={"name": "jennrich", "options": ()}))
    assert result.outcome == "unsupported" and "rank <= 5" in result.reason
    assert (result.recovered, result.residual, result.risk_ratio) == (None, None, None)


def test_past_its_time_a_trial_is_a_timeout_without_numbers(tasks):
    result = run_trial(changed(tasks[1], time_limit=1e-9))
    assert (result.outcome, result.residual, result.risk_ratio) == ("timeout", None, None)


def test_exceptions_and_exhausted_memory_become_outcomes(tasks):
    wrong = guarded_trial(changed(tasks[0], problem={"ensemble": "unheard-of"}))
    assert wrong.outcome == "error" and wrong.reason.startswith("tdlab.errors.InputError: ")
    # More than any machine has, asked for at once: nothing is filled before it fails.
    large = guarded_trial(changed(tasks[0], problem={"ensemble": "sphere"}, dim=10**15, rank=10))
    assert large.outcome == "memory"
