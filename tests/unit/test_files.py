"""A tensor in a file, of every format, is the array that was written."""

import itertools
import sys

import numpy as np
import pytest

import tdlab
from tdlab import InputError
from tdlab.tensors.files import read_array


def symmetric(dim, order, seed=0):
    array = np.random.default_rng(seed).standard_normal((dim,) * order)
    return array[tuple(np.sort(np.indices(array.shape), axis=0))]


def write(path, lines, separator=","):
    path.write_text("\n".join(separator.join(map(str, line)) for line in lines) + "\n")
    return path


def coordinates(array, first, every):
    """Lines of indices and a value: of all entries, or one of each class of permutations."""
    for index in itertools.product(range(len(array)), repeat=array.ndim):
        if every or list(index) == sorted(index):
            yield [i + first for i in index] + [repr(float(array[index]))]


@pytest.mark.parametrize(("dim", "order"), [(2, 2), (3, 2), (5, 2), (3, 3), (4, 3), (3, 4)])
@pytest.mark.parametrize("separator", [",", ";", "\t", " "])
def test_full_arrays_are_read_line_by_line(dim, order, separator, tmp_path):
    array = symmetric(dim, order)
    path = tmp_path / "T.csv"
    np.savetxt(path, array.reshape(-1, dim), delimiter=separator, header="made by a test")
    np.testing.assert_array_equal(read_array(path), array)


@pytest.mark.parametrize(("dim", "order"), [(2, 2), (3, 2), (4, 3), (2, 3), (3, 4), (2, 5)])
@pytest.mark.parametrize("every", [True, False])
@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("header", [True, False])
def test_coordinates_give_the_same_array(dim, order, every, first, header, tmp_path):
    array = symmetric(dim, order)
    lines = list(coordinates(array, first, every))
    np.random.default_rng(0).shuffle(lines)
    if header:
        lines.insert(0, [*"ijklm"[:order], "value"])
    np.testing.assert_array_equal(read_array(write(tmp_path / "T.csv", lines)), array)


def test_what_no_line_gives_is_zero_and_what_lines_contradict_is_not_symmetric(tmp_path):
    path = write(tmp_path / "T.csv", [[1, 1, 2, 0.5], [4, 4, 4, 2.0]])
    array = read_array(path)
    assert array.shape == (4, 4, 4) and array.sum() == 2.0 + 3 * 0.5 and array[1, 0, 0] == 0.5
    contradicting = write(tmp_path / "C.csv", [["i", "j", "value"], [0, 1, 1.0], [1, 0, 2.0]])
    with pytest.raises(InputError, match=r"tdlab\.symmetrize"):
        tdlab.DenseTensor(read_array(contradicting))


def test_a_table_with_names_is_a_matrix(tmp_path):
    matrix = symmetric(3, 2)
    named = write(tmp_path / "named.csv", [["a", "b", "c"], *matrix.tolist()])
    np.testing.assert_array_equal(read_array(named), matrix)
    frame = [["", "a", "b", "c"], *([name, *row] for name, row in zip("012", matrix, strict=True))]
    np.testing.assert_array_equal(read_array(write(tmp_path / "frame.csv", frame)), matrix)
    adjacency = np.ones((3, 3), dtype=int) - np.eye(3, dtype=int)
    path = write(tmp_path / "adjacency.csv", [["a", "b", "c"], *adjacency.tolist()])
    np.testing.assert_array_equal(read_array(path), adjacency)


BAD = {
    "empty": ("", "without a number"),
    "only names": ("a,b,c\n", "without a number"),
    "a word": ("1,2\n3,x\n", "got 'x' in line 2 .*, wanted a number"),
    "ragged": ("1,2\n2,3\n4\n", "got 1 numbers in line 3 .*, wanted 2"),
    "no form": ("1.5,2,3\n1,2.5,4\n", "got .* 2 lines of 3 numbers, wanted"),
    "huge": ("0,1,2,1.0\n99999,0,0,2.0\n", "order 3 and dimension 100000, wanted at most"),
    "half an index": ("i,j,value\n0.5,1,2\n", "wanted different indices"),
    "twice": ("i,j,value\n0,1,2\n0,1,3\n", "wanted different indices"),
    "no text": (b"\xff\xfe\x00\x01", "cannot be read"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_text_is_refused_in_one_line(case, tmp_path):
    content, message = BAD[case]
    path = tmp_path / "bad.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message) as caught:
        read_array(path)
    assert "\n" not in str(caught.value)


def test_torch_files_need_torch_in_one_line(monkeypatch, tmp_path):
    (tmp_path / "T.pt").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match="without torch, wanted torch installed") as caught:
        read_array(tmp_path / "T.pt")
    assert "\n" not in str(caught.value)


@pytest.mark.torch
def test_torch_files_are_read(tmp_path):
    torch = pytest.importorskip("torch")
    array = symmetric(3, 3)
    path = tmp_path / "T.pt"
    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        held = torch.tensor(array, dtype=dtype)
        torch.save(held, path)
        np.testing.assert_array_equal(read_array(path), held.double().numpy())
    torch.save({"T": torch.tensor(array), "other": torch.ones(2)}, path)
    np.testing.assert_array_equal(read_array(path, "T"), array)
    with pytest.raises(InputError, match="wanted one of them"):
        read_array(path)
    torch.save(torch.tensor(array).to_sparse(), path)
    np.testing.assert_array_equal(read_array(path), array)
    torch.save({"T": print}, path)
    with pytest.raises(InputError, match=r"cannot be read|no real array"):
        read_array(path)
    path.write_bytes(b"not a tensor")
    with pytest.raises(InputError, match="cannot be read"):
        read_array(path)
