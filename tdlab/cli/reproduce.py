"""`tdlab reproduce`: an experiment, its figures, and whether its claim holds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from tdlab.lab.results.verdicts import Verdict
    from tdlab.lab.spec.claims import Claim
    from tdlab.lab.spec.selection import Planned

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
@click.option(
    "--seed", type=click.IntRange(min=0),
    help="In place of the file's own, on which its bounds were fixed.",
)  # fmt: skip
def command(
    name: str,
    profile: str,
    store: Path | None,
    output: Path | None,
    workers: int | None,
    seed: int | None,
) -> None:
    """Run the trials of experiment NAME that its store lacks, draw it, and judge its claim.

    First comes the chance that each check, if it is true, holds with these trials. A check holds
    where all k intervals that it selects lie on the stated side, fails where one lies wholly on the
    other (Bonferroni over k) or all do, and is undecided otherwise; all checks are one family at
    95% (Holm). Up to 8 intervals are shown, the deciding one first. The verdict on the statement
    is the last line: agrees, disagrees, not visible at these sizes, not tested here, or undecided.
    The exit status is 0 whatever the verdict: it is a result.
    """
    from tdlab.cli.plot import draw
    from tdlab.cli.progress import make_progress
    from tdlab.errors import InputError
    from tdlab.lab.results.verdicts import conclude, judge, visible, windows
    from tdlab.lab.spec.bundled import find_spec
    from tdlab.lab.spec.file import read_spec
    from tdlab.lab.spec.selection import planned
    from tdlab.lab.sweep import Interrupted, run

    scan = read_spec(find_spec(name), profile, seed)
    if scan.claim is None:
        raise InputError(f"{name}: got a specification without a table [claim], wanted one")
    own = scan.seed == scan.own_seed
    stem = f"{scan.slug}-{profile}" + ("" if own else f"-seed{scan.seed}")
    path = store if store is not None else Path(f"{stem}.db")
    folder = output if output is not None else Path(f"{stem}-figures")
    click.echo(f"claim        {scan.claim.statement}")
    click.echo(f"source       {scan.claim.source}")
    click.echo(f"expectation  {scan.claim.expectation}")
    fixed = "on which the bounds were fixed" if own else "held out"
    click.echo(f"seed         {scan.seed}, {fixed}")
    points = planned(scan)
    shown = visible(scan.claim, points)
    if not shown:
        wanted = ", ".join(f"{key} = {value}" for key, value in scan.claim.visible or ())
        click.echo(f"sizes        none with {wanted}: the statement cannot show at these")
    for line in _chances(scan.claim, points):
        click.echo(line)
    progress = make_progress()
    try:
        result = run(scan, path, workers=workers, progress=progress)
    except Interrupted:
        raise KeyboardInterrupt(
            f"interrupted; {path} keeps the {progress.done} trials of this run, and the same "
            "command resumes"
        ) from None
    if scan.claim.window:
        for line in windows(result.counts()):
            click.echo(f"window       {line}")
    verdicts = judge(scan.claim, result)
    for verdict in verdicts:
        for line in _lines(verdict):
            click.echo(line)
    conclusion = conclude(shown, verdicts)
    click.echo(f"statement    {conclusion.statement}: {conclusion.reason}")
    for drawn in draw(result, folder):
        if drawn.suffix == ".png":
            click.echo(f"figure       {drawn}")


def _chances(claim: Claim, points: list[Planned]) -> Iterator[str]:
    """What a true check holds with at these trials, before they are run."""
    from tdlab.lab.results.chances import chance, truth_of
    from tdlab.lab.results.verdicts import ERROR
    from tdlab.lab.spec.choosing import choose

    here = [check for check in claim.checks if choose(check, points)]
    for check in here:
        found = chance(check, points, ERROR / len(here))
        if found is None:
            yield f"chance       not computed: {check.text}"
        else:
            yield f"chance {found:4.2f}  if true ({truth_of(check):.3g}): {check.text}"


def _lines(verdict: Verdict) -> Iterator[str]:
    """A check, its intervals, what it could not judge, and what many intervals do by chance."""
    yield f"{verdict.status:<12} {verdict.check.text} (of the {verdict.check.of})"
    intervals = verdict.intervals
    shown = intervals if len(intervals) <= _SHOWN else intervals[:1]
    for one in shown:
        many = f", of {len(intervals)}" if len(intervals) > len(shown) else ""
        # A bound on one side has no value.
        value = "" if math.isnan(one.value) else f"{one.value:.3g} "
        level = f" at {100 * verdict.level:.4g}%" if one is shown[0] else ""
        yield f"{_INDENT}{value}[{one.low:.3g}, {one.high:.3g}]{level}  {one.where}{many}"
    if verdict.lacking:
        more = "more " if intervals else ""
        yield f"{_INDENT}{len(verdict.lacking)} {more}without an interval: {verdict.reasons}"
    if verdict.beyond and len(intervals) + len(verdict.lacking) > 1:
        yield (
            f"{_INDENT}beyond a bound: {verdict.beyond} at {100 * verdict.level:.4g}%, "
            f"{len(verdict.surely)} at {100 * verdict.wide:.4g}%"
        )
