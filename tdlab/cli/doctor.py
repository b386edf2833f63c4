"""`tdlab doctor`: is this machine ready?"""

from __future__ import annotations

from pathlib import Path

import click


@click.command("doctor", short_help="Check this machine and installation.")
def command() -> None:
    """Check versions, processors, memory, the store's file system and one real trial."""
    from tdlab.errors import InputError
    from tdlab.lab.doctor import checks

    problems = 0
    for check in checks(Path.cwd()):
        click.echo(f"{'ok     ' if check.ok else 'PROBLEM'}  {check.name:<12}  {check.text}")
        problems += not check.ok
    if problems:
        raise InputError(f"doctor: got {problems} problems, wanted none")
