"""The group of all verbs; each is the module of its name beside this one, loaded when called."""

from __future__ import annotations

from importlib import import_module

import click

import tdlab

VERBS = (
    "run",
    "decompose",
    "compare",
    "status",
    "plot",
    "export",
    "merge",
    "diff",
    "calibrate",
    "replay",
    "reproduce",
    "list",
    "doctor",
)


class _Verbs(click.Group):
    """A group whose commands are the modules beside this one."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*VERBS]  # the verb `list` is this module's `list` once it is loaded

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        return import_module(f"tdlab.cli.{cmd_name}").command

    def invoke(self, ctx: click.Context) -> None:
        try:
            super().invoke(ctx)
        except KeyboardInterrupt as error:
            # click would write a line of its own, to a terminal that may be gone, and drop ours.
            raise click.Abort(str(error)) from None


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(tdlab.__version__, prog_name="tdlab")
def tdlab_command() -> None:
    """A lab for the hardness of tensor decomposition and of recovering two-layer networks.

    Begin with `tdlab run quickstart`, then `tdlab plot quickstart.db`.
    """
