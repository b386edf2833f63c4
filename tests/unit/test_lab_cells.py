"""What a cell is: its digests and streams stay what they were, whatever it is called."""

from dataclasses import replace

import pytest

from tdlab.lab.spec.bundled import experiments
from tdlab.lab.spec.file import read_spec
from tdlab.lab.spec.identity import stream

# First digits of the digests of the first and the last cell of the quick profile, with version 1 of
# their methods: a method may rise, and nothing else may move.
PINNED = {
    "accuracy": ("267e722ab88ce3f9", "8a7106349c0a489b"),
    "cubic-samples": ("f6aadac8617b7318", "d5114456a8514072"),
    "degrees": ("11a69033b6e7061b", "6e60abd73f0eb058"),
    "hardness-large": ("e9180215edc9385e", "af4cbcba275bddbb"),
    "low-degree": ("9347cf1cb942aced", "cfa8d389c876d5f3"),
    "quickstart": ("455eb479eac4cb30", "6ebab785d5743b8e"),
    "structured": ("b8162e9b68a95afe", "2d80e87c364ba7af"),
    "weakest-direction": ("2ffa2074a9abf57d", "5d59ecedd0782604"),
    "width": ("502c6b88abe8324e", "c92e61513a7b75f0"),
}


@pytest.mark.parametrize("name", PINNED)
def test_cells_of_experiments_keep_their_digests(name):
    spec = read_spec(experiments()[name])
    cells = [*spec.cells, *(target.cell for target in spec.targets)]
    for cell, pinned in zip((cells[0], cells[-1]), PINNED[name], strict=True):
        first = replace(cell, method=replace(cell.method, version=1))
        assert first.digest.startswith(pinned)


def test_a_kind_names_a_cell_and_not_the_stream_of_its_instances():
    cells = read_spec(experiments()["low-degree"]).cells
    assert cells[0].instance_digest.startswith("ce9df126dfe069fc")
    assert cells[-1].instance_digest.startswith("d7b03a30f58c9921")


def test_streams_of_a_cell_keep_their_bits():
    cell = read_spec(experiments()["quickstart"]).cells[0]
    cell = replace(cell, method=replace(cell.method, version=1))
    assert cell.instance_digest.startswith("5add3e015e8d94d5")
    instance = stream(cell.seed, (cell.instance_digest,), 3)
    assert instance.integers(2**63, size=2).tolist() == [2094542600109736153, 8462347581992849533]
    method = stream(cell.seed, (cell.instance_digest, cell.method_digest), 3)
    assert method.integers(2**63, size=2).tolist() == [7522675588536544032, 672104428855833116]
