"""`tdlab run`: run what is missing of a scan."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from tdlab.lab.spec.file import ScanSpec
    from tdlab.lab.spec.shard import Shard

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


class _Duration(click.ParamType):
    """Seconds, or a number with s, m, h or d."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d)?", str(value).strip())
        if not match:
            self.fail(f"got {value!r}, wanted a duration such as 90s, 30m or 2h", param, ctx)
        return float(match[1]) * _UNITS[match[2] or ""]


@click.command("run", short_help="Run what is missing of a scan.")
@click.argument("spec")
@click.option(
    "--store", type=click.Path(path_type=Path),
    help="Default: NAME.db here, or NAME.shard-I-of-N.db.",
)  # fmt: skip
@click.option("--workers", type=click.IntRange(min=1), help="Default: one a processor.")
@click.option(
    "--time-limit", type=_Duration(), help="Begin no trial after that, such as 30m or 2h."
)
@click.option(
    "--shard", "shard_text", metavar="I/N",
    help="Only part I of N, 1 <= I <= N; `tdlab merge` joins the stores.",
)  # fmt: skip
@click.option("--device", default="cpu", help="cpu (default), or a device of torch such as cuda.")
@click.option(
    "--executor", type=click.Choice(["local", "dask"]), default="local", show_default=True,
    help="Where trials run.",
)  # fmt: skip
@click.option("--scheduler", metavar="ADDRESS", help="Of a Dask cluster, such as tcp://host:8786.")
@click.option(
    "--log", type=click.Path(path_type=Path, dir_okay=False),
    help="Append progress and errors to a file, with times.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Print cells, trials, memory and predicted hours.")
def command(
    spec: str,
    store: Path | None,
    workers: int | None,
    time_limit: float | None,
    shard_text: str | None,
    device: str,
    executor: str,
    scheduler: str | None,
    log: Path | None,
    dry_run: bool,
) -> None:
    """Run the trials of SPEC that its store does not have yet.

    SPEC is a TOML file or the name of a bundled experiment (`tdlab list experiments`). Running it
    again resumes; an edited SPEC adds cells and reuses trials.
    """
    from tdlab.cli.progress import make_progress
    from tdlab.cli.tables import threshold_table
    from tdlab.errors import InputError
    from tdlab.lab.spec.bundled import find_spec
    from tdlab.lab.spec.file import read_spec
    from tdlab.lab.spec.shard import Shard, lone_shard
    from tdlab.lab.sweep import Interrupted, default_store, run
    from tdlab.lab.workers.cluster import connected, slots
    from tdlab.lab.workers.machine import cpu_count

    scan = read_spec(find_spec(spec))
    if (executor == "dask") != (scheduler is not None):
        got = "no --scheduler" if scheduler is None else "--scheduler"
        raise InputError(f"executor: got {executor!r} with {got}, wanted 'dask' with its address")
    shard = Shard.parse(shard_text) if shard_text is not None else None
    path = store if store is not None else default_store(scan, shard)
    if dry_run:
        if scheduler is not None:
            with connected(scheduler) as client:
                workers = max(slots(client), 1)
        _predict(scan, path, workers or cpu_count(), shard)
        return
    if log is not None and log.resolve() == path.resolve():
        raise InputError(f"log {log}: got the store itself, wanted another file")
    progress = make_progress(log)
    try:
        result = run(
            scan,
            path,
            workers=workers,
            max_seconds=time_limit,
            device=device,
            shard=shard,
            scheduler=scheduler,
            progress=progress,
        )
    except Interrupted:
        raise KeyboardInterrupt(
            f"interrupted; {path} keeps the {progress.done} trials of this run, and the same "
            "command resumes"
        ) from None
    counts = result.counts()
    lone = lone_shard(result.runs(), counts)
    left = sum(max(cell.target - cell.done, 0) for cell in counts)
    if lone is None:
        click.echo(threshold_table(counts))
    else:
        done = sum(cell.done for cell in counts)
        click.echo(f"Shard {lone}: {done} trials; thresholds need all of them.")
    if left:
        click.echo(f"Time limit reached: {left} trials left; the same command resumes.")
    if lone is None:
        file = shlex.quote(str(path))
        click.echo(
            f"Next: tdlab plot {file}, tdlab status {file}, tdlab export {file} --format csv"
        )
    else:
        # Where the other parts are is known of default names alone.
        parts = f"{scan.slug}.shard-*.db" if store is None else f"{shlex.quote(str(path))} ..."
        click.echo(f"Next: tdlab merge {default_store(scan)} {parts}")


def _predict(scan: ScanSpec, path: Path, workers: int, shard: Shard | None) -> None:
    from tdlab.lab.predict import predict

    cost = predict(scan, path, workers, shard)
    click.echo(f"scan       {scan.name}")
    click.echo(f"store      {path}{'' if path.exists() else ' (new)'}")
    if cost.cells:
        click.echo(
            f"cells      {cost.cells}, {cost.unsupported} of them outside their method's range"
        )
        click.echo(f"trials     {cost.trials}, {cost.missing} of them missing")
    if cost.thresholds:
        click.echo(f"adaptive   {cost.thresholds} thresholds, {cost.least} to {cost.most} trials")
    click.echo(f"memory     {cost.memory_bytes / 2**30:.1f} GiB for {workers} workers")
    hours = f"{cost.hours:.3g}"
    if cost.thresholds:
        hours += f" to {cost.most_hours:.3g}"
    click.echo(
        f"predicted  {hours} hours from {cost.measured} measured trials; "
        f"at most {cost.at_most_hours:.3g}"
    )
