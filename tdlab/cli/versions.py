"""Trials of older versions of a method: hidden unless asked for, and said to be."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from tdlab.lab.store.reader import Store


def all_versions_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--all-versions``, which hands on ``versions``: "newest" or "all"."""
    return click.option(
        "--all-versions", "versions", flag_value="all", default="newest",
        help="Show trials of older versions of a method too.",
    )(command)  # fmt: skip


def say_hidden(store: Store, name: str = "") -> None:
    """One line on standard error, where a store has trials that are not shown."""
    hidden = store.hidden()
    if hidden:
        click.echo(f"{name}{hidden}", err=True)
