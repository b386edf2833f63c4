"""`tdlab decompose`: a tensor of one's own."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import numpy as np

    from tdlab import RankEstimate
    from tdlab.algorithms import Decomposition


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

    Without --rank a table of fits of growing rank comes first, with progress on standard error, and
    the rank that it tells; where it tells none, the best approximations at ranks that most runs
    agree on. Then every run of the decomposition is shown with its residual, its seconds and the
    share of the best run's components that it finds (cosine .99); below, the residual of a Gaussian
    tensor of equal norm and rank after a search of its own (homotopy, 400 steps). A fit that is no
    better than that has found nothing. The exit status is 2 where no method takes the tensor.
    """
    from tdlab import estimate_rank
    from tdlab.algorithms import Status, decompose
    from tdlab.algorithms.registry import get_method, methods
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
        told = estimate_rank(
            tensor,
            noise=noise,
            rng=seed,
            max_seconds=max_seconds,
            progress=lambda sentence: click.echo(sentence, err=True),
        )
        if not told.rows:
            raise InputError(f"max-seconds: got {max_seconds:g}, wanted more. {told.message}")
        _show_table(told)
        if told.rank is None:
            best = _show_approximations(told)
            if output is not None:
                _save(output, best)
                click.echo(f"components and weights of rank {best.rank}: {output}")
            return
        rank = told.rank
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
    _say(f"best: {best.method}, unique: {best.unique}. {best.message}")
    if output is not None:
        _save(output, best)
        click.echo(f"components and weights: {output}")


def _show_table(told: RankEstimate) -> None:
    """The table of ranks, what its columns are, and what it tells."""
    from tdlab.cli.tables import text_table

    def share(value: float | None) -> str:
        return "" if value is None else f"{value:.0%}"

    def number(value: float | None) -> str:
        return "" if value is None else f"{value:.3g}"

    rows = [
        [
            row.rank, f"{row.residual:.2e}", share(row.agreement), number(row.null),
            number(row.gain), number(row.largest),
        ]
        for row in told.rows
    ]  # fmt: skip
    click.echo(text_table(["rank", "residual", "agreement", "null", "gain", "largest term"], rows))
    _say(
        "agreement: share of independent runs that end in the best fit. null: residual of a "
        "Gaussian tensor of equal norm. gain: what one term more takes of the remainder, over the "
        "most that it takes of noise. largest term: over the tensor's norm; far above 1, terms "
        "cancel."
    )
    if told.rank is None:
        _say(f"no rank told: {told.message}")
    else:
        _say(f"rank {told.rank}, estimated ({told.evidence}): {told.message}")


def _show_approximations(told: RankEstimate) -> Decomposition:
    """Best approximations that most runs find and whose terms do not cancel; the last of them."""
    from tdlab.cli.tables import text_table

    agreed = [row.rank for row in told.rows if row.agreement > 0.5 and row.largest <= 3.0]
    shown = agreed[-3:] or [told.rows[0].rank]
    rows = []
    for rank in shown:
        fit = told.fits[rank]
        largest = sorted(fit.weights.tolist(), key=abs, reverse=True)
        words = " ".join(f"{weight:.3g}" for weight in largest[:8])
        rows.append([rank, f"{fit.residual:.2e}", words + " ..." * (len(largest) > 8)])
    click.echo("best approximations, at the last ranks that most runs agree on without cancelling:")
    click.echo(text_table(["rank", "residual", "coefficients, the largest first"], rows))
    return told.fits[shown[-1]]


def _say(sentences: str) -> None:
    import textwrap

    click.echo(textwrap.fill(sentences, 100, break_long_words=False, break_on_hyphens=False))


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
