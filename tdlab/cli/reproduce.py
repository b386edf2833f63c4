"""`tdlab reproduce`: an experiment, its figures, and whether its claim holds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from tdlab.lab.verdicts import Verdict

# More intervals than this are counted, and the deciding one shown.
_SHOWN = 8
_INDENT = " " * 13


@click.command("reproduce", short_help="Run an experiment and judge its claim.")
@click.argument("name")
@click.option(
    "--profile", default="quick", show_default=True,
    help="quick, or another of the experiment's own, such as full.",
)  # fmt: skip
@click.option("--store", type=click.Path(path_type=Path), help="Default: NAME-PROFILE.db here.")
@click.option(
    "--output", type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the figures; default: NAME-PROFILE-figures here.",
)  # fmt: skip
@click.option("--workers", type=click.IntRange(min=1), help="Default: one a processor.")
def command(
    name: str, profile: str, store: Path | None, output: Path | None, workers: int | None
) -> None:
    """Run the trials of experiment NAME that its store lacks, draw it, and judge its claim.

    A check holds where all k intervals that it selects lie on the stated side at 95%, fails where
    one lies wholly on the other side at level 1 - .05/k or all of them do at 95%, and is undecided
    otherwise. Up to 8 intervals are shown, the deciding one first. The exit status is 0 whatever
    the verdict: it is a result.
    """
    from tdlab.cli.plot import draw
    from tdlab.cli.progress import make_progress
    from tdlab.errors import InputError
    from tdlab.lab.bundled import find_spec
    from tdlab.lab.spec import read_spec
    from tdlab.lab.sweep import Interrupted, run
    from tdlab.lab.verdicts import judge, windows

    scan = read_spec(find_spec(name), profile)
    if scan.claim is None:
        raise InputError(f"{name}: got a specification without a table [claim], wanted one")
    path = store if store is not None else Path(f"{scan.slug}-{profile}.db")
    folder = output if output is not None else Path(f"{scan.slug}-{profile}-figures")
    progress = make_progress()
    try:
        result = run(scan, path, workers=workers, progress=progress)
    except Interrupted:
        raise KeyboardInterrupt(
            f"interrupted; {path} keeps the {progress.done} trials of this run, and the same "
            "command resumes"
        ) from None
    click.echo(f"claim        {scan.claim.statement}")
    click.echo(f"source       {scan.claim.source}")
    click.echo(f"expectation  {scan.claim.expectation}")
    if scan.claim.window:
        for line in windows(result.counts()):
            click.echo(f"window       {line}")
    verdicts = judge(scan.claim, result)
    for verdict in verdicts:
        for line in _lines(verdict):
            click.echo(line)
    count = sum(len(verdict.intervals) for verdict in verdicts)
    beyond = sum(verdict.beyond for verdict in verdicts)
    click.echo(
        f"chance       of {count} intervals at 95%, {beyond} beyond a bound; were all checks true, "
        f"chance would put up to {count / 20:.2g} there on average"
    )
    for drawn in draw(result, folder):
        if drawn.suffix == ".png":
            click.echo(f"figure       {drawn}")


def _lines(verdict: Verdict) -> Iterator[str]:
    """A check, its intervals, what it could not judge, and what many intervals do by chance."""
    yield f"{verdict.status:<12} {verdict.check.text}"
    intervals = verdict.intervals
    shown = intervals if len(intervals) <= _SHOWN else intervals[:1]
    for one in shown:
        many = f", of {len(intervals)}" if len(intervals) > len(shown) else ""
        # A bound on one side has no value.
        value = "" if math.isnan(one.value) else f"{one.value:.3g} "
        yield f"{_INDENT}{value}[{one.low:.3g}, {one.high:.3g}]  {one.where}{many}"
    if verdict.lacking:
        more = "more " if intervals else ""
        yield f"{_INDENT}{len(verdict.lacking)} {more}without an interval: {verdict.reasons}"
    if verdict.beyond and len(intervals) + len(verdict.lacking) > 1:
        yield (
            f"{_INDENT}beyond a bound: {verdict.beyond} at 95%, {len(verdict.surely)} at "
            f"{100 * verdict.level:.4g}%"
        )
