"""Shards are disjoint and make up the scan; merging is a union that never loses or mixes trials."""

import shutil
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tdlab.errors import InputError
from tdlab.lab.spec.file import parse_spec
from tdlab.lab.spec.shard import Shard, lone_shard
from tdlab.lab.store.merge import merge
from tdlab.lab.store.reader import open_store
from tdlab.lab.store.writer import StoreWriter
from tdlab.lab.trial.run import TrialResult
from tests.lab_tools import SMALL, refused, table, tdlab

SPEC = parse_spec(SMALL)
OTHER = parse_spec(SMALL.replace("ranks = [6, 8, 12]", "ranks = [6, 10]").replace("= 6\n", "= 9\n"))


def result(cell, index):
    """A made-up outcome that depends on the trial alone."""
    number = int(cell.digest[:8], 16) / 16**8 + index
    if index % 3 == 2:
        return TrialResult("failed", f"stuck at {index}", 0.25, number, number / 3)
    return TrialResult("recovered", "", 1.0, number, number / 3, pid=index)


def fill(path, spec=SPEC, shard=None, change=lambda cell, index, result: result, indices=None):
    """A store with made-up results of a shard, or of some indices."""
    with StoreWriter(path) as writer:
        ids = writer.begin(spec, 1, shard=shard)
        flags = writer.stored(ids, spec.trials)
        if shard:
            shard.skip_others(spec.cells, flags)
        writer.commit(
            ((cell_id, index), change(cell, index, result(cell, index)))
            for cell_id, cell, flag in zip(ids, spec.cells, flags, strict=True)
            for index in range(spec.trials)
            if not flag[index] and (indices is None or index in indices)
        )
        writer.finish("done")
    return path


@settings(max_examples=60, deadline=None)
@given(parts=st.integers(1, 30), trials=st.integers(1, 40))
def test_shards_are_disjoint_and_make_up_the_scan(parts, trials):
    cells = SPEC.cells[:7]
    times_taken = [[0] * trials for _ in cells]
    for part in range(1, parts + 1):
        flags = [bytearray(trials) for _ in cells]
        shard = Shard(part, parts)
        shard.skip_others(cells, flags)
        for cell, flag, taken in zip(cells, flags, times_taken, strict=True):
            assert flag.count(0) == shard.size(cell, trials)
            assert abs(flag.count(0) - trials / parts) < 1
            for index in range(trials):
                taken[index] += not flag[index]
    assert times_taken == [[1] * trials for _ in cells]


def test_a_trial_stays_in_its_shard_when_the_scan_grows():
    shard = Shard(2, 5)
    wider = {cell.digest: cell for cell in OTHER.cells}
    shared = [cell for cell in SPEC.cells if cell.digest in wider]
    assert len(shared) > 5
    for cell in shared:
        assert shard.first(cell) == shard.first(wider[cell.digest])


@pytest.mark.parametrize("text", ["0/4", "5/4", "1/0", "1", "a/b", "-1/4", "1/4/2", "1.5/3", ""])
def test_bad_shards_are_refused(text):
    with pytest.raises(InputError, match=r"^shard: got .*wanted I/N"):
        Shard.parse(text)


def test_merged_shards_are_the_undivided_store(tmp_path):
    whole = fill(tmp_path / "whole.db")
    shards = [fill(tmp_path / f"{part}.db", shard=Shard(part, 4)) for part in (3, 1, 4, 2)]
    merged = merge(tmp_path / "merged.db", shards)
    assert table(merged.path) == table(whole)
    # Targets are those of the scan, so that nothing is left and nothing is missing.
    assert [replace(cell, id=0) for cell in merged.counts()] == [
        replace(cell, id=0) for cell in open_store(whole).counts()
    ]
    assert [run["ended"] for run in merged.runs()] == ["done"] * 4 + ["merged"]
    assert merged.runs()[-1]["provenance"]["merged"] == ["3.db", "1.db", "4.db", "2.db"]
    # Every trial names the run that made it.
    by_run = merged.trials().groupby("meta_run").size()
    assert list(by_run.index) == [1, 2, 3, 4]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "1.db", "2.db", "3.db", "4.db", "merged.db", "whole.db",
    ]  # fmt: skip


def test_a_merged_store_resumes_as_any_other(tmp_path):
    shards = [fill(tmp_path / f"{part}.db", shard=Shard(part, 3)) for part in (1, 3)]
    merged = merge(tmp_path / "merged.db", shards)
    assert sum(cell.target for cell in merged.counts()) == len(SPEC.cells) * SPEC.trials
    fill(merged.path)
    assert table(merged.path) == table(fill(tmp_path / "whole.db"))


def test_merging_again_changes_nothing_and_brings_in_what_is_new(tmp_path):
    first = fill(tmp_path / "1.db", shard=Shard(1, 2))
    second = fill(tmp_path / "2.db", shard=Shard(2, 2), indices=range(3))
    out = merge(tmp_path / "out.db", [first, second]).path
    before = table(out)
    # OUT takes part, named or not; runs that are there already are not doubled.
    merge(out, [first, second, second, out])
    assert table(out) == before
    assert [run["ended"] for run in open_store(out).runs()] == ["done", "done", "merged", "merged"]
    fill(second, shard=Shard(2, 2))
    merge(out, [second])
    assert table(out) == table(fill(tmp_path / "whole.db"))


def test_different_specifications_merge_cell_by_cell(tmp_path):
    one, two = fill(tmp_path / "one.db"), fill(tmp_path / "two.db", OTHER)
    merged = merge(tmp_path / "both.db", [one, two])
    assert table(merged.path) == sorted({*table(one), *table(two)}, key=lambda r: (r[0], r[6]))
    targets = {cell.cell: cell.target for cell in merged.counts()}
    shared = {cell.digest for cell in SPEC.cells} & {cell.digest for cell in OTHER.cells}
    for spec in (SPEC, OTHER):
        for cell in spec.cells:
            assert targets[cell.digest[:16]] == (9 if cell.digest in shared else spec.trials)
    ranks = [cell.rank for cell in merged.counts() if cell.problem == "x**3/isotropic"]
    assert set(ranks) == {6, 8, 10, 12}


def test_curves_of_equal_labels_stay_apart(tmp_path):
    slower = parse_spec(SMALL.replace("time_limit = 30", "time_limit = 31"))
    merged = merge(tmp_path / "out.db", [fill(tmp_path / "a.db"), fill(tmp_path / "b.db", slower)])
    labels = {}
    for cell in merged.counts():
        labels.setdefault((cell.problem, cell.null, cell.method), set()).add(cell.curve)
    assert all(len(curves) == 1 for curves in labels.values())
    for limit in (30, 31):
        assert sum(f"time_limit={limit}" in method for *_, method in labels) == len(labels) / 2


def test_a_conflict_names_the_trial_and_leaves_what_was_there(tmp_path):
    one = fill(tmp_path / "one.db")
    guilty = SPEC.cells[4]

    def lie(cell, index, found):
        return replace(found, residual=0.125) if (cell, index) == (guilty, 2) else found

    two = fill(tmp_path / "two.db", change=lie)
    out = shutil.copy(one, tmp_path / "out.db")
    before = out.read_bytes()
    for target, stores in ((tmp_path / "new.db", [one, two]), (out, [two])):
        with pytest.raises(InputError) as caught:
            merge(target, stores)
        message = str(caught.value)
        assert message.startswith(f"trial {guilty.digest[:16]}:2 ({guilty.method.label}, dim")
        assert "residual 0.125" in message and str(two) in message and "\n" not in message
    assert not (tmp_path / "new.db").exists() and out.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 3


def test_times_and_reasons_of_equal_results_may_differ(tmp_path):
    one = fill(tmp_path / "one.db")
    two = fill(tmp_path / "two.db", change=lambda c, i, r: replace(r, seconds=9.0, reason="else"))
    merged = merge(tmp_path / "out.db", [one, two])
    assert table(merged.path) == table(one)
    assert set(merged.trials()["meta_seconds"]) == {0.0}


def test_an_output_that_is_being_read_is_not_replaced(tmp_path):
    # Its reader keeps the log of the old file beside it, which must not meet the new one.
    out = fill(tmp_path / "out.db", indices=range(2))
    with StoreWriter(out), open_store(out) as reader:
        assert reader.counts()
        with pytest.raises(InputError, match="in use"):
            merge(out, [fill(tmp_path / "other.db")])
    with StoreWriter(out) as writer:
        writer.finish("done")
        reader = open_store(out)
        reader.counts()
    before = table(out)
    with pytest.raises(InputError, match="is being read"):
        merge(out, [tmp_path / "other.db"])
    assert table(out) == before
    reader.close()
    merge(out, [tmp_path / "other.db"])
    assert len(table(out)) == len(SPEC.cells) * SPEC.trials


@pytest.mark.parametrize("parts", [[1], [3, 4], [2, 3, 5, 8]])
def test_what_is_left_counts_cells_of_which_a_shard_has_no_trial(parts, tmp_path):
    spec = replace(SPEC, trials=2)
    older = replace(OTHER, trials=2)
    stores = []
    for part in parts:
        path = tmp_path / f"{part}.db"
        # Cells of an earlier specification are not asked for any more.
        fill(path, older, shard=Shard(part, 8))
        stores.append(fill(path, spec, shard=Shard(part, 8)))
    own = {cell.digest for cell in spec.cells}
    with merge(tmp_path / "all.db", stores) as joined:
        counts = joined.counts()
        digests = [digest for digest, _ in joined.identities().values()]
    done = sum(cell.done for cell, digest in zip(counts, digests, strict=True) if digest in own)
    assert done == sum(Shard(part, 8).size(cell, 2) for part in parts for cell in spec.cells)
    assert sum(max(cell.target - cell.done, 0) for cell in counts) == 2 * len(spec.cells) - done


def test_shards_run_one_after_the_other_into_one_store_make_it_whole(tmp_path):
    for part in (1, 2):
        path = fill(tmp_path / "one.db", shard=Shard(part, 2))
        with open_store(path) as store:
            left = None if part == 2 else "1/2"
            assert lone_shard(store.runs(), store.counts()) == left


def test_the_command_line_runs_shards_and_merges_them(tmp_path):
    spec = tmp_path / "small.toml"
    spec.write_text(SMALL.replace("trials = 6", "trials = 2"))
    for part in (1, 2):
        done = tdlab("run", spec, "--shard", f"{part}/2", "--workers", 1, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "tdlab merge small.db small.shard-*.db" in done.stdout
        assert "36 trials to run\n" in done.stderr  # those of the other part are not "stored"
    stores = [f"small.shard-{part}-of-2.db" for part in (1, 2)]
    shown = tdlab("status", stores[0], cwd=tmp_path)
    assert "Shard 1/2" in shown.stdout and ", 0 left" in shown.stdout
    done = tdlab("merge", "small.db", *stores, cwd=tmp_path)
    assert done.returncode == 0 and "36 cells, 72 trials, 0 left" in done.stdout
    done = tdlab("run", spec, "--store", tmp_path / "whole.db", "--workers", 1)
    assert done.returncode == 0
    assert table(tmp_path / "small.db") == table(tmp_path / "whole.db")
    dry = tdlab("run", spec, "--shard", "2/4", "--dry-run", cwd=tmp_path)
    assert "trials     " in dry.stdout and " (new)" in dry.stdout
    for arguments in (
        ["merge", "small.db", "none.db"],
        ["merge", "new.db", "small.toml"],
        ["merge", "new.db"],
        ["merge", "none/new.db", *stores],
        ["merge", "small.toml", *stores],
        ["compare", spec, "--store", stores[1]],
        ["run", spec, "--shard", "3/2"],
    ):
        assert refused(tdlab(*arguments, cwd=tmp_path)), arguments
