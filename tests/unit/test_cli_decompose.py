"""`tdlab decompose`: a tensor from a file, and files that are none."""

import numpy as np
import pytest
import scipy.sparse

import tdlab as td
from tests.lab_tools import refused, tdlab


def planted_array(dim, rank):
    rows = np.random.default_rng(0).standard_normal((rank, dim))
    return td.FactoredTensor(rows / np.linalg.norm(rows, axis=1)[:, None]).dense()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files of one planted tensor in each format, and files that must be refused."""
    from scipy.io import savemat

    folder = tmp_path_factory.mktemp("decompose")
    truth = td.sample_network(8, 10, "He3", "sphere", rng=0).weights
    array = td.FactoredTensor(truth).dense()
    np.save(folder / "truth", truth)
    np.save(folder / "T.npy", array)
    np.savez(folder / "one.npz", T=array)
    np.savez(folder / "two.npz", T=array, other=np.ones(3))
    savemat(folder / "T.mat", {"T": array})
    noise = td.gaussian_tensor(8, norm=0.05 * np.linalg.norm(array), rng=1).dense()
    np.save(folder / "noisy.npy", array + noise)
    np.save(folder / "null.npy", td.gaussian_tensor(6, rng=0).dense())
    crooked = np.array(array)
    crooked[0, 1, 2] += 0.5
    np.save(folder / "crooked.npy", crooked)
    np.save(folder / "nan.npy", np.full((3, 3, 3), np.nan))
    np.save(folder / "text.npy", np.full((3, 3, 3), "a"))
    np.save(folder / "pickled.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(folder / "flat.npy", np.ones((3, 4)))
    savemat(folder / "struct.mat", {"T": {"a": array}})
    savemat(folder / "sparse.mat", {"T": scipy.sparse.eye_array(3).tocsc()})
    (folder / "broken.npy").write_bytes(b"not an array")
    (folder / "broken.npz").write_bytes(b"PK\x03\x04 no")
    (folder / "broken.mat").write_bytes(b"MATLAB 5.0 and then nothing")
    (folder / "T.csv").write_text("1,2\n")
    (folder / "T.txt").write_text("1\n")
    return folder


@pytest.mark.parametrize("file", ["T.npy", "one.npz", "T.mat"])
def test_each_format_is_decomposed_and_saved(folder, tmp_path, file):
    output = tmp_path / "found.npz"
    shown = tdlab("decompose", folder / file, "--rank", 10, "--output", output)
    assert shown.returncode == 0, shown.stderr
    for words in ("order 3, dimension 8", "residual", "100%", "converged", "Gaussian tensor"):
        assert words in shown.stdout
    found = np.load(output)
    truth = np.load(folder / "truth.npy")
    assert td.match(found["components"], truth).recovered == 1.0
    np.testing.assert_allclose(found["weights"], 1.0, atol=1e-6)
    assert found["order"] == 3 and found["success"] and found["noise"] == 0.0


def test_an_array_of_several_is_picked_by_name(folder):
    shown = tdlab("decompose", folder / "two.npz", "--name", "T", "--rank", 10)
    assert shown.returncode == 0 and "converged" in shown.stdout
    shown = tdlab("decompose", folder / "two.npz")
    assert refused(shown) and "T, other" in shown.stderr


def test_the_rank_and_the_noise_are_estimated(folder):
    shown = tdlab("decompose", folder / "T.npy", "--seeds", 1)
    assert shown.returncode == 0 and "rank 10, estimated" in shown.stdout
    shown = tdlab("decompose", folder / "noisy.npy", "--rank", 10)
    assert shown.returncode == 0 and "converged" in shown.stdout
    row = next(line for line in shown.stdout.splitlines() if line.startswith("auto"))
    assert float(row.split()[3]) == pytest.approx(0.05, rel=0.3)


def test_all_methods_stand_side_by_side(folder):
    shown = tdlab(
        "decompose", folder / "T.npy", "--rank", 8, "--method", "all", "--max-seconds", 0.3,
        "--seeds", 1,
    )  # fmt: skip
    assert shown.returncode == 0, shown.stderr
    for name in ("auto", "jennrich", "lm", "tensorly-als"):
        assert f"\n{name} " in shown.stdout


def test_noise_is_told_from_structure(folder):
    shown = tdlab("decompose", folder / "null.npy", "--rank", 3, "--max-seconds", 2)
    assert shown.returncode == 0 and "converged" not in shown.stdout


def test_where_no_rank_is_told_the_table_and_approximations_are_shown(folder, tmp_path):
    output = tmp_path / "best.npz"
    shown = tdlab("decompose", folder / "null.npy", "--output", output, "--max-seconds", 5)
    assert shown.returncode == 0, shown.stderr
    for words in ("rank  residual  agreement", "no rank told", "best approximations"):
        assert words in shown.stdout
    assert "rank 1: residual" in shown.stderr
    lines = [line for line in shown.stdout.splitlines() if str(tmp_path) not in line]
    assert max(len(line) for line in lines[1:]) <= 100
    assert np.load(output)["components"].shape[1] == 6


def test_the_same_seed_shows_the_same(folder, tmp_path):
    saved = []
    for turn in range(2):
        output = tmp_path / f"{turn}.npz"
        tdlab("decompose", folder / "T.npy", "--rank", 10, "--seed", 5, "--output", output)
        saved.append(np.load(output)["components"])
    np.testing.assert_array_equal(*saved)


def test_a_crooked_tensor_is_refused_with_its_distance(folder):
    shown = tdlab("decompose", folder / "crooked.npy", "--rank", 2)
    assert refused(shown)
    assert "tdlab.symmetrize" in shown.stderr and "relative distance" in shown.stderr


@pytest.mark.parametrize("scale", [1e-300, 1e150])
def test_entries_of_any_size_are_taken(scale, tmp_path):
    array = scale * planted_array(6, 3)
    np.save(tmp_path / "T.npy", array)
    shown = tdlab("decompose", tmp_path / "T.npy", "--seeds", 1)
    assert shown.returncode == 0 and "converged" in shown.stdout, shown.stderr


def test_single_precision_and_symmetrize_and_text(tmp_path):
    array = planted_array(5, 3)
    np.save(tmp_path / "single.npy", array.astype(np.float32))
    shown = tdlab("decompose", tmp_path / "single.npy", "--rank", 3, "--seeds", 1)
    assert shown.returncode == 0 and "converged" in shown.stdout, shown.stderr
    crooked = array.copy()
    crooked[0, 1, 2] += 0.6
    crooked[2, 1, 0] -= 0.6
    np.savetxt(tmp_path / "crooked.csv", crooked.reshape(-1, 5), delimiter=",")
    assert refused(tdlab("decompose", tmp_path / "crooked.csv", "--rank", 3))
    shown = tdlab("decompose", tmp_path / "crooked.csv", "--rank", 3, "--seeds", 1, "--symmetrize")
    assert shown.returncode == 0 and "converged" in shown.stdout, shown.stderr


def test_a_matrix_is_decomposed_and_its_uniqueness_said(tmp_path):
    rows = np.random.default_rng(0).standard_normal((6, 3))
    np.savetxt(tmp_path / "M.csv", rows @ rows.T, delimiter=",")
    shown = tdlab("decompose", tmp_path / "M.csv")
    assert shown.returncode == 0, shown.stderr
    assert "order 2, dimension 6" in shown.stdout and "rank 3, estimated" in shown.stdout
    assert "unique: no" in shown.stdout and "orthogonal components" in shown.stdout


BAD = {
    "no such file": ["none.npy"],
    "a folder": ["."],
    "another format": ["T.txt"],
    "text of no form": ["T.csv"],
    "broken npy": ["broken.npy"],
    "broken npz": ["broken.npz"],
    "broken mat": ["broken.mat"],
    "pickled": ["pickled.npy"],
    "not a cube": ["flat.npy"],
    "not finite": ["nan.npy"],
    "not numbers": ["text.npy"],
    "no such name": ["one.npz", "--name", "U"],
    "rank 0": ["T.npy", "--rank", "0"],
    "no such method": ["T.npy", "--rank", "2", "--method", "none"],
    "output in no folder": ["T.npy", "--rank", "2", "--output", "none/out.npz"],
    "output is a folder": ["T.npy", "--rank", "10", "--output", "."],
    "noise": ["T.npy", "--rank", "2", "--noise", "-1"],
    "more terms than entries": ["T.npy", "--rank", "100000000"],
    "no method takes it": ["T.npy", "--rank", "50", "--method", "jennrich"],
    "a structure": ["struct.mat"],
    "a sparse matrix": ["sparse.mat"],
    "no time": ["null.npy", "--max-seconds", "0"],
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_status_2(case, folder):
    before = sorted(folder.iterdir())
    finished = tdlab("decompose", *BAD[case], cwd=folder)
    assert refused(finished), (finished.returncode, finished.stderr)
    assert sorted(folder.iterdir()) == before
