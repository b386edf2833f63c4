"""The experiments that come with tdlab: in an installed package, or in a source checkout."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from tdlab.errors import InputError

_PACKAGE = Path(__file__).resolve().parents[2]
# A built wheel carries the experiments inside the package; a checkout has them beside it.
_FOLDERS = (_PACKAGE / "_experiments", _PACKAGE.parent / "experiments")


def experiments() -> dict[str, Path]:
    """Names and files of the bundled experiments, sorted by name.

    >>> "quickstart" in experiments()
    True
    """
    for folder in _FOLDERS:
        if folder.is_dir():
            return {path.stem: path for path in sorted(folder.glob("*.toml"))}
    return {}


def find_spec(spec: str | Path) -> Path:
    """The file of a path or a bundled name; a file wins over a bundled name."""
    path = Path(spec)
    if path.is_file():
        return path
    known = experiments()
    if isinstance(spec, str) and spec in known:
        return known[spec]
    if path.is_dir():
        raise InputError(f"{path}: got a directory, wanted a TOML file or a bundled experiment")
    near = get_close_matches(str(spec), known, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    names = ", ".join(known) or "none found"
    raise InputError(
        f"{spec}: got neither a file nor a bundled experiment, wanted a path or one of "
        f"{names}{hint}"
    )
