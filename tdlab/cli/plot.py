"""`tdlab plot`: the figures of a store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tdlab.cli.versions import all_versions_option, say_hidden

if TYPE_CHECKING:
    from tdlab.lab.store.reader import Store


@click.command("plot", short_help="Draw the figures of a store.")
@click.argument("store", type=click.Path(path_type=Path))
@click.option(
    "--output", type=click.Path(path_type=Path, file_okay=False),
    help="Folder; default: NAME-figures here.",
)  # fmt: skip
@all_versions_option
def command(store: Path, output: Path | None, versions: str) -> None:
    """Draw the figures of STORE as PNG, SVG and PDF, each with its data as CSV."""
    from tdlab.lab.store.reader import open_store

    folder = output if output is not None else Path(f"{store.stem}-figures")
    with open_store(store, versions) as reader:
        say_hidden(reader)
        for path in draw(reader, folder):
            click.echo(path)


def draw(reader: Store, folder: Path) -> list[Path]:
    """The figures of a store in a folder, which is made where it is missing."""
    from tdlab.errors import InputError
    from tdlab.view.figures.every import plot_store

    try:
        folder.mkdir(parents=True, exist_ok=True)
        return plot_store(reader, folder)
    except OSError as error:
        raise InputError(f"output {folder}: cannot be written: {error.strerror}") from None
