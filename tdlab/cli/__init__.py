"""The command line: one file a verb; each parses and prints, nothing else.

Verbs load when they are called, so that ``--help`` costs a fraction of a second. Exit status: 0
done, 1 a replayed trial differs, 2 bad input (one line on standard error), 130 interrupted with the
store intact.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

import click

import tdlab

_VERBS = (
    "run",
    "decompose",
    "compare",
    "status",
    "plot",
    "export",
    "merge",
    "diff",
    "replay",
    "list",
    "doctor",
)


class _Verbs(click.Group):
    """A group whose commands are the modules beside this one."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*_VERBS]  # the verb `list` is this module's `list` once it is loaded

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _VERBS:
            return None
        return import_module(f"tdlab.cli.{cmd_name}").command


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(tdlab.__version__, prog_name="tdlab")
def tdlab_command() -> None:
    """A lab for the hardness of tensor decomposition and of recovering two-layer networks.

    Begin with `tdlab run quickstart`, then `tdlab plot quickstart.db`.
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit."""
    sys.exit(invoke(arguments))


def invoke(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit status."""
    from tdlab.errors import InputError

    try:
        # Unless standalone, click returns the status of --help and --version.
        status = tdlab_command.main(arguments, prog_name="tdlab", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.ClickException as error:
        return _refuse(error.format_message())
    except InputError as error:
        return _refuse(str(error))
    except (BrokenPipeError, SystemExit):
        # The reader of our output has gone, which is its right (click makes a SystemExit of it).
        # Python would complain again when it flushes at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _refuse(f"output: {error.strerror or error}")
    except (KeyboardInterrupt, click.Abort) as error:
        click.echo(f"tdlab: {str(error) or 'interrupted'}", err=True)
        return 130
    return status or 0


def _refuse(message: str) -> int:
    """One line on standard error, whatever the message holds."""
    line = " ".join(message.split())
    click.echo(f"tdlab: {line}", err=True)
    return 2
