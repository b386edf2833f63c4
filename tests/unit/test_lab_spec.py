"""A specification is a valid scan, or one line that says where and why not."""

import dataclasses
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tdlab.errors import InputError
from tdlab.lab.spec.bundled import experiments, find_spec
from tdlab.lab.spec.file import parse_spec, read_spec, slug

GOOD = """
name = "a scan"
seed = 3
trials = 5
time_limit = 10
[[problem]]
activation = "x**3"
ensemble = "sphere"
dims = [5, 6]
ranks = [2, 4]
null = true
[[method]]
name = "jennrich"
[[method]]
name = "lm"
restarts = 2
"""

# (what replaces what, words the line must hold)
BAD = {
    "unknown top key": ("seed = 3", "sede = 3", ["key", "sede", "did you mean 'seed'"]),
    "unknown problem key": ("null = true", "nul = true", ["problem[1]", "nul", "null"]),
    "unknown method": ('"jennrich"', '"jenrich"', ["method[1]", "jenrich", "jennrich"]),
    "unknown option": ("restarts = 2", "restart = 2", ["method[2]", "restart", "restarts"]),
    "option type": ("restarts = 2", 'restarts = "2"', ["restarts", "'2'", "int"]),
    "unknown activation": ('"x**3"', '"tanh(x)"', ["activation", "tanh(x)", "polynomial"]),
    "code as activation": ('"x**3"', '"__import__(\'os\')"', ["activation", "polynomial"]),
    "activation degree": ('"x**3"', '"x**21"', ["activation", "21", "20"]),
    "linear activation": ('"x**3"', '"x"', ["order", "got 1", ">= 2"]),
    "activation type": ('"x**3"', "3", ["activation", "got 3"]),
    "unknown ensemble": ('"sphere"', '"shpere"', ["ensemble", "shpere", "sphere"]),
    "ensemble type": ('"sphere"', "7", ["ensemble", "got 7"]),
    "trials type": ("trials = 5", 'trials = "5"', ["trials", "'5'", "integer"]),
    "trials bool": ("trials = 5", "trials = true", ["trials", "True", "integer"]),
    "no trials": ("trials = 5", "trials = 0", ["trials", "got 0", ">= 1"]),
    "too many trials": ("trials = 5", "trials = 10000000000", ["at most"]),
    "negative seed": ("seed = 3", "seed = -3", ["seed", "-3"]),
    "nan": ("time_limit = 10", "time_limit = nan", ["time_limit", "nan", "finite"]),
    "inf option": ("restarts = 2", "restarts = inf", ["restarts", "inf", "finite"]),
    "no time": ("time_limit = 10", "time_limit = 0", ["time_limit", "got 0"]),
    "dim 1": ("dims = [5, 6]", "dims = [1]", ["dims", "got 1", ">= 2"]),
    "dim text": ("dims = [5, 6]", 'dims = "5"', ["dims", "'5'", "list"]),
    "rank 0": ("ranks = [2, 4]", "ranks = [0]", ["ranks", "got 0", ">= 1"]),
    "no ranks": ("ranks = [2, 4]", "ranks = []", ["ranks", "[]"]),
    "range unit": (
        "[2, 4]", '{from = 1, to = 2, steps = 2, unit = "e"}', ["unit", "'e'", "d^1.5"]
    ),
    "range key": ("[2, 4]", "{from = 1, to = 2, stesp = 2}", ["stesp", "steps"]),
    "range backwards": ("[2, 4]", "{from = 2, to = 1, steps = 2}", ["ranks.to", "got 1"]),
    "range below 1": ("[2, 4]", "{from = 0, to = 1, steps = 2}", ["rank 0", ">= 1"]),
    "isotropic": ('"sphere"', '"isotropic"', ["problem[1]", "rank", "isotropic", "dim=5"]),
    "samples": ("null = true", "samples = 100", ["samples", "100", "exact"]),
    "noise": ("null = true", "noise = 0.5", ["noise", "0.5"]),
    "order": ("null = true", "order = 4", ["order", "got 4"]),
    "empty name": ('"a scan"', '" "', ["name"]),
    "not TOML": ("seed = 3", "seed = ", ["TOML", "line 3"]),
    "all unsupported": ('"x**3"', '"He9"', ["every cell", "jennrich", "lm", "9"]),
    "no method": (
        '[[method]]\nname = "jennrich"\n[[method]]\nname = "lm"\nrestarts = 2', "", ["method"]
    ),
    "same method twice": ('"lm"\nrestarts = 2', '"jennrich"', ["method[2]", "twice"]),
}  # fmt: skip


def test_cells_are_the_product_and_null_twins():
    spec = parse_spec(GOOD)
    assert len(spec.cells) == 2 * 2 * 2 * 2
    assert {(cell.problem.label, cell.problem.null) for cell in spec.cells} == {
        ("x**3/sphere", False),
        ("x**3/sphere", True),
    }
    assert spec.slug == "a-scan"


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_with_file_got_and_wanted(case):
    old, new, words = BAD[case]
    assert old in GOOD
    with pytest.raises(InputError) as caught:
        parse_spec(GOOD.replace(old, new), file="scan.toml")
    line = str(caught.value)
    assert line.startswith("scan.toml: ") and "\n" not in line
    for word in words:
        assert word in line, line


def test_ranks_in_units():
    ranks = "{from = 0.5, to = 1.5, steps = 3, unit = 'd^1.5'}"
    spec = parse_spec(GOOD.replace("[2, 4]", ranks).replace("[5, 6]", "[16]"))
    assert sorted({cell.rank for cell in spec.cells}) == [32, 64, 96]


def test_a_spec_that_jennrich_cannot_reach_anywhere_is_refused():
    alone = GOOD.replace('[[method]]\nname = "lm"\nrestarts = 2', "")
    assert parse_spec(alone)
    with pytest.raises(InputError, match="every cell"):
        parse_spec(alone.replace("ranks = [2, 4]", "ranks = [7]"))


def test_identity_ignores_labels_and_the_way_a_formula_is_written():
    written = parse_spec(GOOD.replace('"x**3"', '"He3"'))
    other = parse_spec(GOOD.replace('"x**3"', '"x^3 - 3x"\nlabel = "mine"'))
    assert [c.digest for c in written.cells] == [c.digest for c in other.cells]
    named = GOOD.replace('name = "lm"', 'name = "lm"\nlabel = "ours/null"\nid = "b"').replace(
        'ensemble = "sphere"', 'ensemble = "sphere"\nlabel = "theirs/null"\nid = "a"'
    )
    bare, cells = parse_spec(GOOD).cells, parse_spec(named).cells
    assert [c.digest for c in bare] == [c.digest for c in cells]
    assert {c.method.label for c in cells} == {"jennrich", "ours/null"}
    assert {c.problem.label for c in cells} == {"theirs/null"}
    assert [c.curve for c in bare] == [c.curve for c in cells]


def test_equal_labels_of_different_things_are_told_apart_by_what_differs():
    twice = GOOD.replace('name = "lm"\nrestarts = 2', 'name = "lm"\nrestarts = 2\nlabel = "mine"')
    twice += '\n[[method]]\nname = "lm"\nrestarts = 3\nlabel = "mine"\n'
    assert {cell.method.label for cell in parse_spec(twice).cells} == {
        "jennrich", "mine(restarts=2)", "mine(restarts=3)",
    }  # fmt: skip
    other = twice.replace('name = "jennrich"', 'name = "jennrich"\nlabel = "mine"')
    labels = {cell.method.label for cell in parse_spec(other).cells}
    assert labels == {"mine(jennrich)", "mine(lm, restarts=2)", "mine(lm, restarts=3)"}
    problem = GOOD[GOOD.index("[[problem]]") : GOOD.index("[[method]]")]
    both = GOOD.replace(problem, problem * 2)
    noisy = both.replace('ensemble = "sphere"', 'ensemble = "sphere"\nsigns = "random"', 1)
    labels = {cell.problem.label for cell in parse_spec(noisy).cells}
    assert labels == {"x**3/sphere(signs=random)", "x**3/sphere"}
    one = both.replace('ensemble = "sphere"', 'ensemble = "sphere"\nlabel = "a"', 1)
    with pytest.raises(InputError, match="got problem 'a' again as 'x\\*\\*3/sphere'"):
        parse_spec(one)
    with pytest.raises(InputError, match="label: got '', wanted non-empty text"):
        parse_spec(GOOD.replace('name = "lm"', 'name = "lm"\nlabel = ""'))


def test_one_method_is_one_method_under_any_label():
    again = '\n[[method]]\nname = "lm"\nrestarts = 2\nlabel = "other"\n'
    with pytest.raises(InputError, match="got 'lm' with the same options twice"):
        parse_spec(GOOD + again)
    shared = '\n[[method]]\nname = "als"\nid = "same"\n'
    with pytest.raises(InputError, match="got id 'same' twice"):
        parse_spec(GOOD.replace('name = "lm"', 'name = "lm"\nid = "same"') + shared)
    with pytest.raises(InputError, match="got id 'lm', the name of a method"):
        parse_spec(GOOD + shared.replace("same", "lm"))


@pytest.mark.parametrize(
    "change", [("seed = 3", "seed = 4"), ("time_limit = 10", "time_limit = 11")]
)
def test_identity_holds_all_that_decides_an_outcome(change):
    before = {cell.digest for cell in parse_spec(GOOD).cells}
    assert before.isdisjoint(cell.digest for cell in parse_spec(GOOD.replace(*change)).cells)


def test_more_trials_or_cells_keep_identities():
    before = {cell.digest for cell in parse_spec(GOOD).cells}
    edited = GOOD.replace("trials = 5", "trials = 50").replace("[5, 6]", "[5, 6, 7]")
    assert before < {cell.digest for cell in parse_spec(edited).cells}


def test_methods_meet_the_same_instances():
    cells = parse_spec(GOOD).cells
    jennrich, lm = cells[0], cells[1]
    assert jennrich.method != lm.method
    assert jennrich.instance_digest == lm.instance_digest
    assert jennrich.method_digest != lm.method_digest
    null = next(cell for cell in cells if cell.problem.null)
    assert null.instance_digest != jennrich.instance_digest


def test_cells_are_frozen_and_hashable():
    cell = parse_spec(GOOD).cells[0]
    assert cell in {cell}
    with pytest.raises(dataclasses.FrozenInstanceError):
        cell.rank = 3


@pytest.mark.parametrize("name", ["x³ scan", "…", "a/b\\c", "-rf", ". ."])
def test_slugs_are_plain_file_names(name):
    assert set(slug(name)) <= set(string.ascii_letters + string.digits + "._-")
    assert slug(name)[0] not in "-."


@pytest.mark.parametrize("name", experiments())
def test_bundled_experiments_are_valid(name):
    assert read_spec(find_spec(name)).cells


def test_unknown_experiment_suggests_a_name():
    with pytest.raises(InputError, match="did you mean 'quickstart'"):
        find_spec("quikstart")


VALUES = st.one_of(
    st.integers(), st.floats(), st.booleans(), st.text(max_size=8),
    st.lists(st.integers(-3, 40), max_size=3), st.dictionaries(st.text(max_size=4), st.integers()),
)  # fmt: skip


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_mutated_specs_are_valid_or_one_line(data):
    lines = GOOD.strip().splitlines()
    for _ in range(data.draw(st.integers(1, 3))):
        where = data.draw(st.integers(0, len(lines) - 1))
        kind = data.draw(st.sampled_from(["drop", "double", "value", "characters"]))
        key = lines[where].partition("=")[0].strip()
        if kind == "drop":
            lines[where] = ""
        elif kind == "double":
            lines.insert(where, lines[where])
        elif kind == "value" and key.isidentifier():
            lines[where] = f"{key} = {_toml(data.draw(VALUES))}"
        else:
            at = data.draw(st.integers(0, len(lines[where])))
            lines[where] = lines[where][:at] + data.draw(st.text(max_size=2)) + lines[where][at:]
    try:
        spec = parse_spec("\n".join(lines), file="scan.toml")
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert spec.cells


def _toml(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, str):
        return "'" + "".join(c for c in value if c.isprintable() and c != "'") + "'"
    return repr(value)
