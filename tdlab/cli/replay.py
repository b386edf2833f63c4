"""`tdlab replay`: one stored trial again, in the foreground."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from tdlab.lab.trial.run import TrialResult

_SHOWN = 12


@click.command("replay", short_help="Run one stored trial again and say whether it agrees.")
@click.argument("store", type=click.Path(path_type=Path))
@click.argument("trial")
def command(store: Path, trial: str) -> None:
    """Run TRIAL of STORE in the foreground: its traceback or history, and whether it agrees.

    TRIAL is CELL:INDEX, as the columns cell and index of an export; some first digits of CELL are
    enough. Exit status 1 if it differs from the store; on another kind of processor than the
    store's a difference is named and is no fault, as rounding may decide. The method is asked to
    stop at the time limit but not killed; a crash ends this command with a traceback.
    """
    import faulthandler

    from tdlab.lab.replay import find_trial, replay
    from tdlab.lab.store.counts import titled
    from tdlab.lab.workers.processor import TOLERANCE

    found = find_trial(store, trial)
    cell = found.cell
    problem = titled(cell.problem.label, cell.problem.null)
    click.echo(
        f"trial    {found.name}  {problem}  {cell.method.label}  dim {cell.dim}  "
        f"rank {cell.rank}  limit {cell.time_limit:g} s"
    )
    ran = f", tdlab {found.tdlab}" if found.tdlab else ""
    ran += f", {cell.method.name} of {found.supplier}" if found.supplier else ""
    stored = "not run yet" if found.result is None else _text(found.result)
    click.echo(f"stored   {stored}{ran}")
    faulthandler.enable()
    done = replay(found)
    if done.traceback:
        click.echo(done.traceback.rstrip())
    if done.made is not None:
        click.echo(f"method   {done.made.status}: {done.made.message}")
        click.echo(f"history  {_history(done.made.history)}")
    click.echo(f"now      {_text(done.result)}")
    if done.another and found.result is not None:
        click.echo(f"another processor: {found.result.kernel} there, {done.result.kernel} here")
        if done.agrees:
            click.echo(f"agrees   in outcome, and in numbers to {TOLERANCE}")
        else:
            click.echo(f"there    {_differences(found.result, done.result)}")
    elif done.agrees:
        click.echo("agrees   bit for bit")
    elif found.result is not None:
        click.echo(f"differs  {_differences(found.result, done.result)}")
        if done.comment:
            click.echo(f"note     {done.comment}")
        raise click.exceptions.Exit(1)


def _text(result: TrialResult) -> str:
    parts = [result.outcome]
    for name in ("recovered", "residual", "risk_ratio"):
        value = getattr(result, name)
        if value is not None:
            parts.append(f"{name} {value!r}")
    seconds = f"{result.method_seconds:.3g} s" if result.method_seconds is not None else ""
    return "  ".join(part for part in (*parts, seconds, result.reason) if part)


def _differences(old: TrialResult, new: TrialResult) -> str:
    names = ("outcome", "reason", "recovered", "residual", "risk_ratio")
    changed = [name for name in names if getattr(old, name) != getattr(new, name)]
    return "; ".join(
        f"{name}: {getattr(old, name)!r} -> {getattr(new, name)!r}" for name in changed
    )


def _history(values: tuple[float, ...]) -> str:
    """Relative residuals, the middle left out where there are many."""
    if not values:
        return "none: the method reports none"
    texts = [f"{value:.3e}" for value in values]
    if len(texts) > _SHOWN:
        half = _SHOWN // 2
        texts = [*texts[:half], f"... {len(texts) - _SHOWN} more ...", *texts[-half:]]
    return " ".join(texts)
