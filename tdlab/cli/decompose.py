"""`tdlab decompose`: a tensor of one's own."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import numpy as np


@click.command("decompose", short_help="Decompose a symmetric tensor from a file.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--rank", type=click.IntRange(min=1), help="Number of terms; default: estimated.")
@click.option("--method", default="auto", show_default=True, help="A method's name, or all.")
@click.option("--noise", type=float, help="|noise| / |tensor|; default: estimated.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--seeds", type=click.IntRange(min=1), default=2, show_default=True,
    help="Runs of each method, to see whether they agree.",
)  # fmt: skip
@click.option(
    "--max-seconds", type=click.FloatRange(min=0.0), default=60.0, show_default=True,
    help="Stops a run, and the estimate of the rank.",
)  # fmt: skip
@click.option("--name", help="Array of a .npz, .mat or .pt file that holds several.")
@click.option("--symmetrize", is_flag=True, help="Average over permutations of the indices first.")
@click.option("--output", type=click.Path(path_type=Path), help="Save the best as .npz.")
def command(
    file: Path,
    rank: int | None,
    method: str,
    noise: float | None,
    seed: int,
    seeds: int,
    max_seconds: float,
    name: str | None,
    symmetrize: bool,
    output: Path | None,
) -> None:
    """Decompose the symmetric array in FILE (.npy, .npz, .mat, .pt or .csv).

    Every run is shown with its residual and the share of the best run's components that it finds
    (cosine .99); below, the residual of a Gaussian tensor of equal norm and rank after a search of
    its own (homotopy, 400 steps). A fit that is no better than that has found nothing. The exit
    status is 2 where no method takes the tensor.
    """
    from tdlab import estimate_rank
    from tdlab.algorithms import Status, decompose, methods
    from tdlab.algorithms.registry import get_method
    from tdlab.cli.tables import text_table
    from tdlab.errors import InputError
    from tdlab.metrics import match
    from tdlab.tensors import DenseTensor, gaussian_tensor
    from tdlab.tensors import symmetrize as averaged
    from tdlab.tensors.files import read_array

    if output is not None and (output.is_dir() or not output.absolute().parent.is_dir()):
        raise InputError(f"output: got {output}, wanted a file in a folder that exists")
    tensor = (averaged if symmetrize else DenseTensor)(read_array(file, name))
    click.echo(f"{file}: order {tensor.order}, dimension {tensor.dim}, norm {tensor.norm():.6g}")
    entries = math.comb(tensor.dim + tensor.order - 1, tensor.order)
    if rank is not None and rank > entries:
        raise InputError(f"rank: got {rank}, wanted at most the {entries} distinct entries")
    if rank is None:
        told = estimate_rank(tensor, noise=noise, rng=seed, max_seconds=max_seconds)
        if told.rank is None:
            raise InputError(f"rank: got none, wanted --rank. {told.message}")
        rank = told.rank
        click.echo(f"rank {rank}, estimated: {told.message}")
    names = [method]
    if method == "all":
        names = [
            record.name
            for record in methods(tensor.order)
            if (limit := record.limit(tensor.dim, tensor.order)) is None or rank <= limit
        ]
    runs = []
    for one in names:
        for turn in range(seed, seed + seeds):
            result = decompose(tensor, rank, one, rng=turn, noise=noise, max_seconds=max_seconds)
            runs.append((turn, result))
    best = min(
        (result for _, result in runs), key=lambda found: (not found.success, found.residual)
    )
    rows: list[list[Any]] = []
    for turn, result in runs:
        agreement = ""
        if len(best.components) and len(result.components):
            agreement = f"{match(result.components, best.components, tensor.order).recovered:.0%}"
        rows.append(
            [
                result.method, turn, f"{result.residual:.2e}", f"{result.noise:.2g}",
                f"{result.seconds:.3f}", agreement, str(result.status),
            ]
        )  # fmt: skip
    click.echo(
        text_table(
            ["method", "seed", "residual", "noise", "seconds", "agrees", "status"],
            rows,
        )
    )
    if all(result.status is Status.UNSUPPORTED for _, result in runs):
        raise InputError(f"method: got '{method}', wanted one that takes this. {best.message}")
    search = get_method("homotopy", {"steps": 400}) if tensor.order > 2 else best.method
    null = decompose(
        gaussian_tensor(tensor.dim, tensor.order, rng=seed),
        rank,
        search,
        rng=seed,
        noise=0.0,
        max_seconds=max_seconds,
    )
    cut = " (stopped by --max-seconds)" if null.status is Status.TIME_LIMIT else ""
    click.echo(f"Gaussian tensor of equal norm and rank: residual {null.residual:.2e}{cut}")
    click.echo(f"best: {best.method}, unique: {best.unique}. {best.message}")
    if output is not None:
        _save(output, best)
        click.echo(f"components and weights: {output}")


def _save(output: Path, best: Any) -> None:
    import numpy as np

    from tdlab.errors import InputError

    values: dict[str, np.ndarray] = {
        "components": best.components,
        "weights": best.weights,
        "order": np.array(best.order),
        "residual": np.array(best.residual),
        "noise": np.array(best.noise),
        "success": np.array(best.success),
    }
    try:
        # A file object, so that the name stays what was asked for.
        with output.open("wb") as file:
            np.savez(file, **values)  # type: ignore[arg-type]
    except OSError as error:
        raise InputError(
            f"output: got {output} ({error.strerror}), wanted a file to write"
        ) from None
