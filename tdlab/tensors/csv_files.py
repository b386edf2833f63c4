"""Symmetric arrays from text: full ones line by line, or coordinates with values.

Full         d^(k-1) lines of d numbers, the last index along the line: d lines of d numbers are a
             matrix, d^2 lines a tensor of order 3, as ``numpy.savetxt(file, T.reshape(-1, d))``
Coordinates  lines i, j, ..., value. Indices start at 0 if one of them is 0, else at 1. An entry
             stands also for those of its permutations that no line gives; what is left is 0
Which        a header whose last name is "value" means coordinates. Else numbers that make a full
             symmetric array are one; else lines that start with indices are coordinates
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tdlab.errors import InputError

_VALUES = {"value", "values", "val", "v", "entry", "weight", "coefficient"}
_MAX_ENTRIES = 2**25
_SYMMETRIC = 1e-5


def read_csv(path: Path) -> np.ndarray:
    """The array in a text file, separated by commas, semicolons, tabs or blanks.

    Lines that start with # are left out, and so are a first line of names and, where its name is
    empty, a first column.

    Raises
    ------
    InputError
        For anything but numbers after the header, or lines that are of neither form.
    """
    header, table = _table(path)
    if header and not header[0] and table.shape[1] > 1:
        header, table = header[1:], table[:, 1:]  # the index column of a data frame
    lines, columns = table.shape
    order = _order_of(lines, columns)
    full = None if order is None else table.reshape((columns,) * order)
    listed = _indices(table)
    if header and header[-1].lower() in _VALUES:
        if listed is None:
            raise InputError(
                f"file: got {path} with a column of values, wanted different indices (integers "
                "from 0 or 1) in the columns before it"
            )
        return _filled(path, listed, table[:, -1])
    if full is not None and (listed is None or not _without_gaps(listed) or _looks_symmetric(full)):
        return full
    if listed is not None:
        return _filled(path, listed, table[:, -1])
    raise InputError(
        f"file: got {path} with {lines} lines of {columns} numbers, wanted d^(k-1) lines of d "
        "numbers, or lines of k indices and a value"
    )


def _table(path: Path) -> tuple[list[str], np.ndarray]:
    """Names of the columns, if the first line has such, and the numbers."""
    text = path.read_text(encoding="utf-8-sig")
    lines = [(n, line.strip()) for n, line in enumerate(text.splitlines(), 1)]
    lines = [(n, line) for n, line in lines if line and not line.startswith("#")]
    if not lines:
        raise InputError(f"file: got {path} without a number, wanted lines of numbers")
    mark = next((mark for mark in ",;\t" if mark in lines[0][1]), None)
    rows: list[list[float]] = []
    header: list[str] = []
    for position, (number, line) in enumerate(lines):
        fields = [field.strip().strip('"') for field in line.split(mark)]
        try:
            row = [float(field) for field in fields]
        except ValueError:
            if position == 0:
                header = fields
                continue
            bad = next(field for field in fields if not _is_number(field))
            raise InputError(
                f"file: got {bad!r} in line {number} of {path}, wanted a number"
            ) from None
        if rows and len(row) != len(rows[0]):
            raise InputError(
                f"file: got {len(row)} numbers in line {number} of {path}, wanted {len(rows[0])} "
                "as before"
            )
        rows.append(row)
    if not rows:
        raise InputError(f"file: got {path} without a number, wanted lines of numbers")
    return header, np.array(rows)


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _order_of(lines: int, columns: int) -> int | None:
    """k where the lines are columns^(k-1); None where they are no such power."""
    order, power = 2, columns
    while power < lines and columns > 1:
        order, power = order + 1, power * columns
    return order if power == lines else None


def _indices(table: np.ndarray) -> np.ndarray | None:
    """(m, k) indices from 0, if the leading columns, two or more, are such; else None."""
    leading = table[:, :-1]
    if leading.shape[1] < 2 or not np.isfinite(leading).all():
        return None
    if leading.min() < 0 or (leading != np.round(leading)).any() or leading.max() > 2**31:
        return None
    indices = leading.astype(np.int64)
    indices -= min(int(indices.min()), 1)
    return indices if len(np.unique(indices, axis=0)) == len(indices) else None


def _without_gaps(indices: np.ndarray) -> bool:
    """Whether every index up to the largest is used."""
    return len(np.unique(indices)) == indices.max() + 1


def _looks_symmetric(array: np.ndarray) -> bool:
    size = np.abs(array).max() * _SYMMETRIC
    swaps = (np.swapaxes(array, m, m + 1) for m in range(array.ndim - 1))
    return all(np.abs(array - swapped).max() <= size for swapped in swaps)


def _filled(path: Path, indices: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The full array: given entries as they are, others from a permutation of theirs, or 0."""
    order, dim = indices.shape[1], int(indices.max()) + 1
    if order * np.log2(max(dim, 2)) > np.log2(_MAX_ENTRIES):
        raise InputError(
            f"file: got {path} of order {order} and dimension {dim}, wanted at most "
            f"{_MAX_ENTRIES} entries in all"
        )
    shape = (dim,) * order
    representatives = np.zeros(shape)
    representatives[tuple(np.sort(indices, axis=1).T)] = values
    array = representatives[tuple(np.sort(np.indices(shape), axis=0))]
    array[tuple(indices.T)] = values
    return array
