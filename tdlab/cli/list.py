"""`tdlab list`: what there is to use."""

from __future__ import annotations

from dataclasses import MISSING, fields

import click


def _methods() -> str:
    from tdlab.algorithms.registry import methods

    blocks = []
    for record in methods():
        options = ", ".join(f"{name} = {value!r}" for name, value in record.options.items())
        blocks.append(
            f"{record.name}\n"
            f"  orders     {', '.join(map(str, record.orders))}\n"
            f"  guarantee  {record.guarantee}\n"
            f"  cost       {record.cost}\n"
            f"  options    {options or 'none'}\n"
            f"  source     {record.source}"
        )
    return "\n".join(blocks)


def _learners() -> str:
    from tdlab.learning import learners

    blocks = []
    for record in learners():
        options = ", ".join(
            name if value is MISSING else f"{name} = {value!r}"
            for name, value in record.options.items()
        )
        blocks.append(
            f"{record.name}\n"
            f"  kind       {'proper' if record.proper else 'improper'}\n"
            f"  samples    {record.samples}\n"
            f"  guarantee  {record.guarantee}\n"
            f"  cost       {record.cost}\n"
            f"  options    {options or 'none'}\n"
            f"  source     {record.source}"
        )
    return "\n".join(blocks)


def _ensembles() -> str:
    from tdlab.cli.tables import text_table
    from tdlab.networks import ensembles

    rows = [[law.name, law.sizes, law.properties] for law in ensembles()]
    return text_table(["ensemble", "ranks", "properties"], rows)


def _problems() -> str:
    from tdlab.problems.registry import registry

    blocks = []
    for name, cls in registry.whole():
        options = ", ".join(
            one.name if one.default is MISSING else f"{one.name} = {one.default!r}"
            for one in fields(cls)
        )
        said = (cls.__doc__ or "").strip().splitlines()
        blocks.append(f"{name}\n  what       {said[0] if said else ''}\n  options    {options}")
    return "\n".join(blocks)


def _experiments() -> str:
    from tdlab.cli.tables import text_table
    from tdlab.lab.spec.bundled import experiments
    from tdlab.lab.spec.file import read_spec

    specs = {name: read_spec(path) for name, path in experiments().items()}
    rows = [
        [
            name,
            len(spec.cells),
            len(spec.cells) * spec.trials,
            len(spec.targets),
            spec.description,
        ]
        for name, spec in specs.items()
    ]
    return text_table(["experiment", "cells", "trials", "adaptive", "description"], rows)


_LISTS = {
    "methods": _methods,
    "learners": _learners,
    "problems": _problems,
    "ensembles": _ensembles,
    "experiments": _experiments,
}


@click.command("list", short_help="List methods, learners, problems, ensembles or experiments.")
@click.argument("what", type=click.Choice(list(_LISTS)))
def command(what: str) -> None:
    """List the methods, learners, problems, ensembles or bundled experiments."""
    click.echo(_LISTS[what]())
