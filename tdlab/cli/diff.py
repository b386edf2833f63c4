"""`tdlab diff`: two stores, or two versions, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tdlab.cli.versions import all_versions_option, say_hidden

if TYPE_CHECKING:
    from tdlab.lab.results.diff import Comparison, Difference, Reach

_NAMED = 5


@click.command("diff", short_help="Compare two stores, or two versions: reach and time.")
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@all_versions_option
def command(a: Path, b: Path, versions: str) -> None:
    """Compare stores A and B where both have a method, with equal options, on a problem and d.

    Reach is the rank of even odds with its 95% interval; where both met the same instances, also
    what only one of them recovers. Time is the median where the method recovers; where both do,
    A's time over B's. The same store twice: its cells of earlier versions against the present.
    """
    from tdlab.cli.tables import slim_table
    from tdlab.lab.results.diff import diff
    from tdlab.lab.store.reader import open_store

    found = diff(a, b, versions)
    for side, path in (("A", a), ("B", b)):
        with open_store(path, versions) as store:
            if not a.samefile(b):
                say_hidden(store, f"{side}: ")
            click.echo(f"{side}  {path}  {_origin(store.runs())}")
    click.echo()
    rows = [
        [
            row.problem, row.method, row.dim, row.n or "", *_reach(row.a), *_reach(row.b),
            row.pairs, row.only_a, row.only_b, _version(row), row.verdict,
        ]
        for row in found.differences
    ]  # fmt: skip
    header = [
        "problem", "method", "d", "n", "r* A", "95%", "r* B", "95%", "pairs", "only A", "only B",
        "version", "verdict",
    ]  # fmt: skip
    click.echo(slim_table(header, rows, ["n", "version"]))
    click.echo()
    rows = [
        [
            row.problem, row.method, row.dim, row.n or "", *_time(row.a), *_time(row.b), row.both,
            f"{row.faster:.2f}x" if row.both else "",
            _spread(row.faster_low, row.faster_high, row.both),
        ]
        for row in found.differences
    ]  # fmt: skip
    header = [
        "problem", "method", "d", "n", "seconds A", "95%", "seconds B", "95%", "pairs",
        "B faster by", "95%",
    ]  # fmt: skip
    click.echo(slim_table(header, rows, ["n"]))
    _say_rest(found)


def _version(row: Difference) -> str:
    same = row.version_a == row.version_b
    return "" if same else f"{row.version_a} in A, {row.version_b} in B"


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:_NAMED]) + (f", ... ({len(names)})" if len(names) > _NAMED else "")


def _say_rest(found: Comparison) -> None:
    from tdlab.lab.workers.processor import TOLERANCE

    click.echo()
    if found.same_trials:
        equal = found.same_trials - found.elsewhere - len(found.changed)
        line = f"Same cells: {found.same_trials} trials in both"
        if found.same_trials > found.elsewhere:
            line += f", {equal} agree"
        if found.changed:
            line += f"; different: {_some(found.changed)} (`tdlab replay`)"
        click.echo(line)
    if found.elsewhere:
        outcomes, numbers = found.other_outcomes, found.other_numbers
        close = found.elsewhere - len(outcomes) - len(numbers)
        line = (
            f"Another processor: {found.elsewhere} of them ran on two kinds, {close} agree to "
            f"{TOLERANCE}"
        )
        if numbers:
            line += f"; in their outcome only: {_some(numbers)}"
        if outcomes:
            line += f"; ended otherwise: {_some(outcomes)}"
        click.echo(line)
    for side, names in (("A", found.only_in_a), ("B", found.only_in_b)):
        curves: dict[tuple[str, str], list[str]] = {}
        for problem, method, dim in names:
            curves.setdefault((problem, method), []).append(str(dim))
        for (problem, method), dims in curves.items():
            click.echo(f"Only in {side}: {problem}, {method}, d = {', '.join(dims)}")


def _origin(runs: list[dict[str, Any]]) -> str:
    """What made a store: different machines and libraries explain different times."""
    from tdlab.cli.tables import short_commit

    if not runs:
        return "no runs"
    record = runs[-1]["provenance"]
    commit = short_commit(record["commit"])
    return f"tdlab {record['versions']['tdlab']}{commit}, {record['blas']}, {record['host']}"


def _reach(side: Reach) -> list[str]:
    point = side.status if side.r_star is None else f"{side.r_star:.1f}"
    if side.low is None and side.high is None:
        return [point, ""]
    low = "0" if side.low is None else f"{side.low:.1f}"
    high = "inf" if side.high is None else f"{side.high:.1f}"
    return [point, f"[{low}, {high}]"]


def _time(side: Reach) -> list[str]:
    if side.seconds != side.seconds:
        return ["", ""]
    spread = _spread(side.seconds_low, side.seconds_high, side.recovered)
    return [f"{side.seconds:.3g}", spread]


def _spread(low: float, high: float, count: int) -> str:
    """An interval needs six values at 95%; below that the range, without brackets."""
    if not count:
        return ""
    return f"[{low:.3g}, {high:.3g}]" if count >= 6 else f"{low:.3g} to {high:.3g}"
