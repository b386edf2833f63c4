"""`tdlab status`: how far a scan is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tdlab.cli.versions import all_versions_option

if TYPE_CHECKING:
    from tdlab.lab.spec.curves import Curve


@click.command("status", short_help="Show how far a scan is.")
@click.argument("store", type=click.Path(path_type=Path))
@all_versions_option
def command(store: Path, versions: str) -> None:
    """Show how far STORE is, its outcomes and its thresholds.

    Works read-only, also while a run writes the store.
    """
    from tdlab.cli.tables import (
        duration,
        exponent_table,
        short_commit,
        text_table,
        threshold_table,
    )
    from tdlab.lab.spec.shard import lone_shard
    from tdlab.lab.store.reader import open_store
    from tdlab.lab.trial.run import OUTCOMES

    with open_store(store, versions) as reader:
        counts, runs, kernels = reader.counts(), reader.runs(), reader.kernels()
        curves = reader.curves()
        hidden = reader.hidden()
    done = sum(cell.done for cell in counts)
    left = sum(max(cell.target - cell.done, 0) for cell in counts)
    seconds = sum(cell.done * cell.seconds for cell in counts)
    click.echo(
        f"{store}: {len(counts)} cells, {done} trials, {left} left, {duration(seconds)} of trials"
    )
    if hidden:
        click.echo(hidden)
    shard = lone_shard(runs, counts)
    if runs:
        last = runs[-1]
        record = last["provenance"]
        ended = last["ended"] or "running, or killed"
        click.echo(
            f"{len(runs)} runs; the last: {last['name']}, {ended}, {last['workers']} workers, "
            f"spec {last['spec_digest'][:12]}"
        )
        for each in record.get("hosts") or [record]:
            software = each["versions"]
            commit = short_commit(each["commit"])
            click.echo(
                f"on {each['host']}, {each.get('cpu', each['machine'])}: tdlab {software['tdlab']}"
                f"{commit}, python {software['python']}, numpy {software['numpy']}"
            )
    for line in _plugins(runs, curves):
        click.echo(line)
    for text, number in kernels.items():
        click.echo(f"kernel {text}: {number} trials")
    if len(kernels) > 1:
        click.echo(
            f"{len(kernels)} kinds of processor: trials repeat bit for bit on their own only"
        )
    groups: dict[tuple[str, bool, str], list[int]] = {}
    names: dict[tuple[str, bool, str], tuple[str, str]] = {}
    for cell in counts:
        key = (cell.what.problem_id, cell.null, cell.what.series)
        names.setdefault(key, (cell.title, cell.method))
        sums = groups.setdefault(key, [0] * (len(OUTCOMES) + 1))
        for position, outcome in enumerate(OUTCOMES):
            sums[position] += cell.outcomes[outcome]
        sums[-1] += max(cell.target - cell.done, 0)
    shown = [i for i in range(len(OUTCOMES) + 1) if any(sums[i] for sums in groups.values())]
    ends = [*OUTCOMES, "left"]
    click.echo()
    click.echo(
        text_table(
            ["problem", "method", *(ends[i] for i in shown)],
            [[*names[key], *(sums[i] for i in shown)] for key, sums in groups.items()],
        )
    )
    click.echo()
    if shard:
        click.echo(f"Shard {shard}: thresholds and exponents need all of them (`tdlab merge`).")
        return
    click.echo(threshold_table(counts))
    exponents = exponent_table(counts)
    if exponents:
        click.echo(f"\n{exponents}")


def _plugins(runs: list[dict[str, Any]], curves: Mapping[str, Curve]) -> Iterator[str]:
    """Which packages, in which versions, supplied methods and learners of the store."""
    from tdlab.lab.workers.machine import supplier

    methods = [curve.method for curve in curves.values()]
    used = {(method["name"], method.get("learner", False)) for method in methods}
    records = [
        host for run in runs for host in (run["provenance"], *run["provenance"].get("hosts", []))
    ]
    for method, learner in sorted(used):
        found = dict.fromkeys(supplier(record, method, learner) for record in records)
        if any(found):
            names = ", ".join(name or "no plug-in" for name in found)
            yield f"plug-in {method}: {names}"
