"""Text tables that more than one verb prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tdlab.lab.store.reader import CellCounts


def duration(seconds: float) -> str:
    """Seconds for a person.

    >>> duration(5.2), duration(125), duration(7300)
    ('5 s', '2 min 5 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def short_commit(commit: str | None) -> str:
    """A commit in parentheses, with the plus of changed files; empty for an installed tdlab.

    >>> short_commit("0123456789abcdef+"), short_commit(None)
    (' (0123456789+)', '')
    """
    return f" ({commit[:10]}{'+' * commit.endswith('+')})" if commit else ""


def text_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Columns as wide as their widest entry, numbers to the right.

    >>> print(text_table(["name", "rank"], [["lm", 12], ["jennrich", 5]]))
    name      rank
    lm          12
    jennrich     5
    """
    lines = [list(header), *([str(entry) for entry in row] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    right = [any(isinstance(row[i], int | float) for row in rows) for i in range(len(header))]
    return "\n".join(
        "  ".join(
            entry.rjust(width) if to_right else entry.ljust(width)
            for entry, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )


def slim_table(header: Sequence[str], rows: Sequence[Sequence[Any]], maybe: Sequence[str]) -> str:
    """The table without those of the columns ``maybe`` that hold nothing but blanks and zeros.

    >>> print(slim_table(["d", "n", "r"], [[5, "", 2], [5, "", 3]], ["n"]))
    d  r
    5  2
    5  3
    """
    empty = [
        column
        for column, name in enumerate(header)
        if name in maybe and not any(row[column] for row in rows)
    ]
    lines = [[entry for i, entry in enumerate(line) if i not in empty] for line in (header, *rows)]
    return text_table(lines[0], lines[1:])


def exponent_table(counts: Sequence[CellCounts]) -> str:
    """Exponents and local slopes by problem and method; empty where no curve has two dims."""
    from tdlab.lab.results.summary import exponent_rows

    rows: list[list[Any]] = []
    notes: list[str] = []
    for row in exponent_rows(counts):
        fit, drift = "", ""
        if row["exponent"] is not None:
            fit = f"{row['exponent']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
        if row["drift_exponent"] is not None:
            drift = f"{row['drift_exponent']:.2f} [{row['drift_low']:.2f}, {row['drift_high']:.2f}]"
        if fit or row["slopes"]:
            rows.append([row["problem"], row["method"], row["n"] or "", fit, drift, row["slopes"]])
        if "schedule" in row["message"]:
            notes.append(f"{row['problem']}, {row['method']}: {row['message']}")
    if not rows and not notes:
        return ""
    header = ["problem", "method", "n", "r* = c d^a", "with drift", "local slopes (error)"]
    table = slim_table(header, rows, ["n", "with drift"]) if rows else ""
    return "\n".join(part for part in (table, *notes) if part)


def threshold_table(counts: Sequence[CellCounts]) -> str:
    """Thresholds by problem, method and dimension, and what went wrong."""
    from tdlab.lab.results.summary import threshold_rows

    def number(value: float | None) -> str:
        return "" if value is None else f"{value:.1f}"

    rows = []
    for row in threshold_rows(counts):
        low, high = number(row["low"]), number(row["high"])
        interval = f"[{low or '0'}, {high or 'inf'}]" if low or high else ""
        status = ", ".join([row["status"], *row["flags"].split()])
        rows.append(
            [
                row["problem"], row["method"], row["dim"], row["n"] or "", number(row["r_star"]),
                interval, status, row["trials"], row["timeouts"], row["errors"],
            ]
        )  # fmt: skip
    if not rows:
        return "No recovery trials: nothing has a threshold."
    header = [
        "problem", "method", "d", "n", "r*", "95% interval", "status", "trials", "timeouts",
        "errors",
    ]  # fmt: skip
    return slim_table(header, rows, ["n", "timeouts", "errors"])
