"""The command line: one file a verb; each parses and prints, nothing else.

Nothing but the standard library loads before `main` listens to stop signals, and verbs load when
they are called, so that ``--help`` costs a fraction of a second. Exit status: 0 done, 1 a replayed
trial differs, 2 bad input (one line on standard error), 130 interrupted with the store intact.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable

from tdlab.cli import signals


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit."""
    signals.listen()
    _open_streams()
    status = invoke(arguments)
    signals.ignore()
    _settle_streams()
    sys.exit(status)


def invoke(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit status."""
    import warnings

    import click

    from tdlab.cli.verbs import tdlab_command
    from tdlab.errors import InputError

    warnings.showwarning = _warner(warnings.showwarning)
    try:
        # Unless standalone, click returns the status of --help and --version.
        status = tdlab_command.main(arguments, prog_name="tdlab", standalone_mode=False)
        sys.stdout.flush()
        return status or 0
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
    except click.Abort as error:
        _tell(str(error) or "interrupted")
        return signals.INTERRUPTED
    return 0


def _open_streams() -> None:
    """Whatever streams a batch system or a daemon left us, they can be written to.

    Names of files may hold what the terminal's encoding lacks: that is shown escaped.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - for the rest of the process
        else:
            stream.reconfigure(errors="backslashreplace")


def _settle_streams() -> None:
    """Drop what nobody can take any more: a flush that fails at the exit changes the status."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _refuse(message: str) -> int:
    _tell(message)
    return 2


def _warner(others: Callable[..., object]) -> Callable[..., None]:
    """Ours on one line, without the place in the code; the others as they were shown."""

    def show(message: Warning | str, *about: object, **more: object) -> None:
        if type(message).__module__.startswith("tdlab."):
            _tell(f"warning: {message}")
        else:
            others(message, *about, **more)

    return show


def _tell(message: str) -> None:
    """One line on standard error, whatever the message holds; the status stands without it."""
    import click

    line = " ".join(message.split())
    with contextlib.suppress(OSError):
        click.echo(f"tdlab: {line}", err=True)
