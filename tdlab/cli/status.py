"""`tdlab status`: how far a scan is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click


@click.command("status", short_help="Show how far a scan is.")
@click.argument("store", type=click.Path(path_type=Path))
def command(store: Path) -> None:
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
    from tdlab.lab.shard import lone_shard
    from tdlab.lab.store import open_store
    from tdlab.lab.trial import OUTCOMES

    with open_store(store) as reader:
        counts, runs, kernels = reader.counts(), reader.runs(), reader.kernels()
        curves = reader.curves()
    done = sum(cell.done for cell in counts)
    left = sum(max(cell.target - cell.done, 0) for cell in counts)
    seconds = sum(cell.done * cell.seconds for cell in counts)
    click.echo(
        f"{store}: {len(counts)} cells, {done} trials, {left} left, {duration(seconds)} of trials"
    )
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
            versions = each["versions"]
            commit = short_commit(each["commit"])
            click.echo(
                f"on {each['host']}, {each.get('cpu', each['machine'])}: tdlab {versions['tdlab']}"
                f"{commit}, python {versions['python']}, numpy {versions['numpy']}"
            )
    for line in _plugins(runs, curves):
        click.echo(line)
    for text, number in kernels.items():
        click.echo(f"kernel {text}: {number} trials")
    if len(kernels) > 1:
        click.echo(
            f"{len(kernels)} kinds of processor: trials repeat bit for bit on their own only"
        )
    groups: dict[tuple[str, str], list[int]] = {}
    for cell in counts:
        sums = groups.setdefault((cell.problem, cell.method), [0] * (len(OUTCOMES) + 1))
        for position, outcome in enumerate(OUTCOMES):
            sums[position] += cell.outcomes[outcome]
        sums[-1] += max(cell.target - cell.done, 0)
    shown = [i for i in range(len(OUTCOMES) + 1) if any(sums[i] for sums in groups.values())]
    names = [*OUTCOMES, "left"]
    click.echo()
    click.echo(
        text_table(
            ["problem", "method", *(names[i] for i in shown)],
            [[*key, *(sums[i] for i in shown)] for key, sums in groups.items()],
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


def _plugins(runs: list[dict[str, Any]], curves: Mapping[str, dict[str, Any]]) -> Iterator[str]:
    """Which packages, in which versions, supplied methods and learners of the store."""
    from tdlab.lab.machine import supplier

    used = {
        (each["method"]["name"], each["method"].get("learner", False)) for each in curves.values()
    }
    records = [
        host for run in runs for host in (run["provenance"], *run["provenance"].get("hosts", []))
    ]
    for method, learner in sorted(used):
        found = dict.fromkeys(supplier(record, method, learner) for record in records)
        if any(found):
            names = ", ".join(name or "no plug-in" for name in found)
            yield f"plug-in {method}: {names}"
