"""Arrays from files: .npy, .npz, .mat (to version 7), .pt and .csv, never a pickle."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from tdlab.errors import InputError


def read_array(path: Path | str, name: str | None = None) -> np.ndarray:
    """The array in a .npy, .npz, .mat, .pt or .csv file; ``name`` picks one of several.

    A .pt file holds a torch tensor or a dictionary of them; it needs torch. For .csv see
    `tdlab.tensors.csv_files`.

    Raises
    ------
    InputError
        If there is no such file, it cannot be read, or it does not hold one array.
    """
    path = Path(path)
    reader = _readers().get(path.suffix.lower())
    if reader is None:
        *most, last = _readers()
        raise InputError(f"file: got {path}, wanted one that ends in {', '.join(most)} or {last}")
    if not path.is_file():
        raise InputError(f"file: got {path}, wanted a file that exists")
    try:
        arrays = reader(path)
    except InputError:
        raise
    except Exception as error:  # Each format has its own ways to be broken.
        reason = " ".join(str(error).split())[:200]
        if "pickle" in reason or "weights_only" in reason:
            reason = "it holds Python objects, or is no array file; wanted an array of numbers"
        raise InputError(f"file: got {path}, which cannot be read: {reason}") from None
    if name is None:
        if len(arrays) != 1:
            raise InputError(
                f"name: got none for {path} with arrays {', '.join(sorted(arrays)) or '(none)'}, "
                "wanted one of them"
            )
        name = next(iter(arrays))
    if name not in arrays:
        raise InputError(f"name: got {name!r}, wanted one of {', '.join(sorted(arrays))}")
    return _plain(arrays[name], path, name)


def _readers() -> dict[str, Callable[[Path], dict[str, Any]]]:
    return {
        ".npy": _read_npy,
        ".npz": _read_npz,
        ".mat": _read_mat,
        ".pt": _read_pt,
        ".csv": _read_csv,
    }


def _plain(value: Any, path: Path, name: str) -> np.ndarray:
    """A dense array, or a line that says what was there instead."""
    if hasattr(value, "toarray"):
        raise InputError(f"file: got a sparse array {name!r} in {path}, wanted a full one")
    if getattr(value, "dtype", np.dtype(object)).kind not in "fiu":
        raise InputError(f"file: got {name!r} in {path}, which is no real array, wanted one")
    return value


def _read_npy(path: Path) -> dict[str, Any]:
    return {path.stem: np.load(path, allow_pickle=False)}


def _read_npz(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as archive:
        return {key: archive[key] for key in archive.files}


def _read_mat(path: Path) -> dict[str, Any]:
    from scipy.io import loadmat

    try:
        held = loadmat(path)
    except NotImplementedError:
        raise InputError(
            f"file: got {path} in MATLAB's format 7.3, wanted an older one: save(..., '-v7')"
        ) from None
    return {key: value for key, value in held.items() if not key.startswith("__")}


def _read_pt(path: Path) -> dict[str, Any]:
    try:
        torch: Any = import_module("torch")
    except ImportError:
        raise InputError(
            f"file: got {path} without torch, wanted torch installed: pip install 'tdlab[nn]'"
        ) from None
    held = torch.load(path, map_location="cpu", weights_only=True)
    tensors = held if isinstance(held, dict) else {path.stem: held}
    return {str(key): _of_torch(torch, value) for key, value in tensors.items()}


def _of_torch(torch: Any, value: Any) -> Any:
    """A NumPy array of the same type, of single precision where NumPy has none; else as it is."""
    if not isinstance(value, torch.Tensor):
        return value
    value = value.detach().to_dense() if value.layout is not torch.strided else value.detach()
    return (value.float() if value.dtype is torch.bfloat16 else value).numpy()


def _read_csv(path: Path) -> dict[str, Any]:
    from tdlab.tensors.csv_files import read_csv

    return {path.stem: read_csv(path)}
