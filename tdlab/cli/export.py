"""`tdlab export`: the trials of a store as a table."""

from __future__ import annotations

from pathlib import Path

import click

from tdlab.cli.versions import all_versions_option, say_hidden


@click.command("export", short_help="Write the trials of a store as CSV or Parquet.")
@click.argument("store", type=click.Path(path_type=Path))
@click.option(
    "--format", "kind", type=click.Choice(["csv", "parquet"]), default="csv", show_default=True
)
@click.option(
    "--table", type=click.Choice(["trials", "runs"]), default="trials", show_default=True,
    help="runs: when, on what machine, with which versions.",
)  # fmt: skip
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="Default: standard output."
)
@all_versions_option
def command(store: Path, kind: str, table: str, output: Path | None, versions: str) -> None:
    """Write the trials of STORE, sorted by cell and index, or its runs.

    Whatever specification and version do not fix (times, processes) has the prefix meta_.
    """
    import sys

    from tdlab.cli.signals import tidily
    from tdlab.errors import InputError
    from tdlab.lab.store.export import write_csv, write_file
    from tdlab.lab.store.reader import open_store

    if kind == "parquet" and output is None:
        raise InputError("--output: got nothing, wanted a file for the format parquet")
    with open_store(store, versions) as reader:
        if table == "trials":
            say_hidden(reader)
        if output is None:
            write_csv(reader, sys.stdout, table)
        else:
            with tidily():
                write_file(reader, output, kind, table)
