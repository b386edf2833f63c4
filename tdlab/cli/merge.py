"""`tdlab merge`: the union of stores."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("merge", short_help="Join stores, the shards of a scan for one.")
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("stores", type=click.Path(path_type=Path), nargs=-1, required=True)
def command(out: Path, stores: tuple[Path, ...]) -> None:
    """Write the union of STORES to OUT; a store that OUT is already takes part.

    Trials that several stores have must agree: then one is kept, else nothing is written and the
    trial is named. Those that another processor ran too may round differently: what differs is
    counted, and the first store's stay. OUT is replaced when the union is whole.
    """
    from tdlab.cli.signals import tidily
    from tdlab.lab.store.merge import Elsewhere, merge

    with tidily():
        result = merge(out, stores)
    with result:
        counts, runs = result.counts(), result.runs()
    done = sum(cell.done for cell in counts)
    left = sum(max(cell.target - cell.done, 0) for cell in counts)
    click.echo(f"{out}: {len(counts)} cells, {done} trials, {left} left")
    elsewhere = Elsewhere(**runs[-1]["provenance"]["elsewhere"]) if runs else Elsewhere()
    if elsewhere.trials:
        click.echo(f"{elsewhere}.")
