"""`tdlab reproduce`: an experiment, its figures, and whether its claim holds."""

from __future__ import annotations

from pathlib import Path

import click


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

    A check holds where every 95% interval that it selects lies on the stated side, fails where one
    lies wholly on the other side, and is undecided otherwise. The exit status is 0 whatever the
    verdict: it is a result.
    """
    from tdlab.cli.plot import draw
    from tdlab.cli.progress import make_progress
    from tdlab.errors import InputError
    from tdlab.lab.bundled import find_spec
    from tdlab.lab.claims import judge
    from tdlab.lab.spec import read_spec
    from tdlab.lab.sweep import Interrupted, run

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
    for verdict in judge(scan.claim, result):
        click.echo(f"{verdict.status:<12} {verdict.check.text}")
        if verdict.worst is not None:
            where, value, low, high = verdict.worst
            many = f", of {len(verdict.intervals)}" if len(verdict.intervals) > 1 else ""
            click.echo(f"             {value:.3g} [{low:.3g}, {high:.3g}]  {where}{many}")
    for drawn in draw(result, folder):
        if drawn.suffix == ".png":
            click.echo(f"figure       {drawn}")
