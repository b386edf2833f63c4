"""`tdlab calibrate`: do the intervals cover?"""

from __future__ import annotations

import math

import click


@click.command("calibrate", short_help="Simulate scans of known thresholds: coverage, trials.")
@click.option("--scans", type=click.IntRange(min=1), default=2000, show_default=True,
              help="Simulated scans of each truth.")  # fmt: skip
@click.option("--truth", "truths", multiple=True, metavar="NAME", help="Only this one; repeatable.")
@click.option("--half-width", type=click.FloatRange(0.005, 0.5), default=0.05, show_default=True,
              help="Of ln r*, at which a scan stops.")  # fmt: skip
@click.option("--budget", type=click.IntRange(min=30), default=2000, show_default=True,
              help="Trials of a scan at the most.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True,
              help="Processes; they change no number.")  # fmt: skip
def command(
    scans: int, truths: tuple[str, ...], half_width: float, budget: int, seed: int, workers: int
) -> None:
    """Simulate adaptive scans on curves whose threshold is known.

    Prints how often the 95% interval holds it, what the scans cost beside a grid of known range
    that is as precise (ranks from r*/2 to 2 r*), and how often intervals of exponents hold.
    """
    from tdlab.cli.tables import text_table
    from tdlab.stats.calibrate import calibrate
    from tdlab.stats.search.rule import Rule

    rule = Rule(half_width=half_width, budget_trials=budget)
    found = calibrate(scans, truths or None, rule, seed, workers)
    header = [
        "truth", "scans", "coverage %", "two-sided %", "quantised %", "at budget %", "half-width",
        "trials", "trials / grid's", "cost / grid's",
    ]  # fmt: skip
    rows = [
        [
            row.truth + ("" if row.promised else " *"), row.scans,
            f"{100 * row.coverage:.1f} ({100 * row.error:.1f})", round(100 * row.bounded),
            round(100 * row.quantised), round(100 * row.budget),
            f"{row.half_width:.3f}", round(row.trials),
            f"{row.trials / row.grid_trials:.2f}", f"{row.cost / row.grid_cost:.2f}",
        ]
        for row in found.rows
    ]  # fmt: skip
    click.echo(text_table(header, rows))
    click.echo("\n* no promise is made there. In parentheses: standard errors.")
    if found.exponents:
        header = [
            "dimensions", "span", "b", "fits", "coverage %", "half-width",
            "coverage % with b/d", "half-width with b/d",
        ]  # fmt: skip
        lines = [
            [
                row.dims, f"{row.span:.0f}", f"{row.drift:g}", row.fits,
                f"{100 * row.coverage:.1f} ({100 * row.error:.1f})", f"{row.half_width:.3f}",
                f"{100 * row.drift_coverage:.1f}" if math.isfinite(row.drift_coverage) else "-",
                f"{row.drift_half_width:.3f}" if math.isfinite(row.drift_coverage) else "-",
            ]
            for row in found.exponents
        ]  # fmt: skip
        click.echo("\nexponents of r* = d^1.5 (1 + b/d), fitted without and with a term b/d")
        click.echo(text_table(header, lines))
