"""`tdlab compare`: methods side by side on the same instances."""

from __future__ import annotations

from pathlib import Path

import click

from tdlab.cli.versions import all_versions_option, say_hidden


@click.command("compare", short_help="Run a scan and set its methods side by side.")
@click.argument("spec")
@click.option("--store", type=click.Path(path_type=Path), help="Default: NAME.db here.")
@click.option(
    "--workers", type=click.IntRange(min=1), default=1, show_default=True,
    help="More than one makes the times noisy.",
)  # fmt: skip
@click.option(
    "--against", multiple=True, metavar="METHOD",
    help="Reference of the time ratios, may repeat; default: the peers in the scan.",
)  # fmt: skip
@all_versions_option
def command(
    spec: str, store: Path | None, workers: int, against: tuple[str, ...], versions: str
) -> None:
    """Run what is missing of SPEC and compare its methods at every point.

    Recovered trials with a 95% interval; median time where a method recovers; the ratio of the
    fastest reference's time to it on the instances both recover, with the interval of its median
    (under six pairs the range, without brackets).
    """
    from tdlab.cli.progress import make_progress
    from tdlab.cli.tables import slim_table
    from tdlab.errors import InputError, check_choice
    from tdlab.lab.results.compare import compare
    from tdlab.lab.spec.bundled import find_spec
    from tdlab.lab.spec.file import read_spec
    from tdlab.lab.spec.shard import refuse_lone_shard
    from tdlab.lab.store.reader import open_store
    from tdlab.lab.sweep import run

    scan = read_spec(find_spec(spec))
    if scan.targets:
        raise InputError(
            f"{spec}: got adaptive ranks, wanted `ranks`: methods are compared at the same ones"
        )
    methods = dict.fromkeys(cell.method for cell in scan.cells)
    known = list(dict.fromkeys([*(m.label for m in methods), *(m.name for m in methods)]))
    for name in against:
        check_choice("against", name, known)
    path = store if store is not None else Path(f"{scan.slug}.db")
    if path.exists():
        with open_store(path) as reader:
            refuse_lone_shard(reader)  # before its missing trials, all other shards, are run
    with run(scan, path, workers=workers, progress=make_progress()):
        pass
    with open_store(path, versions) as result:
        say_hidden(result)
        rows = compare(result, against)
    header = [
        "problem", "d", "r", "n", "method", "recovered", "share 95%", "censored", "seconds",
        "faster by", "median 95%", "pairs", "residual",
    ]  # fmt: skip
    table = []
    for row in rows:
        paired = row.pairs > 0
        table.append(
            [
                row.problem, row.dim, row.rank, row.n or "", row.method,
                f"{row.recovered}/{row.trials}",
                f"[{row.low:.2f}, {row.high:.2f}]", row.censored,
                f"{row.seconds:.4f}" if row.recovered else "",
                f"{row.ratio:.1f}x" if paired else "",
                _spread(row.ratio_low, row.ratio_high, row.pairs), row.pairs,
                f"{row.residual:.1e}",
            ]
        )  # fmt: skip
    click.echo(slim_table(header, table, ["n"]))


def _spread(low: float, high: float, pairs: int) -> str:
    """The interval of the median; under six pairs there is none at 95%, and the range stands in."""
    if pairs == 0:
        return ""
    return f"[{low:.1f}, {high:.1f}]" if pairs >= 6 else f"{low:.1f} to {high:.1f}"
