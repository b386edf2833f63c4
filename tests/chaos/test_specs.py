"""Whatever the file says, `tdlab run` runs it or refuses it in one line, without fail or hang.

180 specifications in the default run, 1000 with ``pytest -m chaos``.
"""

import contextlib
import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tdlab.cli import invoke
from tdlab.errors import InputError
from tdlab.lab.spec.bundled import experiments
from tdlab.lab.spec.file import parse_spec
from tdlab.lab.store.reader import open_store
from tests.lab_tools import SMALL

# A scan of more cells is not run here: writing them takes longer than this test may.
_CELLS = 300
TEXTS = [SMALL, *(path.read_text() for path in experiments().values())]

numbers = st.one_of(
    st.integers(-3, 60),
    st.integers(),
    st.floats(),
    st.sampled_from([0, -1, 2**63, 2**64, 10**400, 0.1, 1e308, -0.0]),
)
words = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["x**3", "He3", "He2 + x", "sphere", "isotropic", "lm", "jennrich", "linear", "exact", "d",
         "r_id", "x**x", "__import__('os')", "He3" * 50, "(" * 200, "\u0000", "../../x", "nan"]
    ),
)  # fmt: skip
KEYS = [
    "name", "description", "seed", "trials", "time_limit", "problem", "method", "adaptive", "claim",
    "profile", "label", "id", "activation", "ensemble", "order", "dims", "ranks", "samples",
    "noise", "null", "dense", "signs", "boost", "width", "terms", "from", "to", "steps", "unit",
    "restarts", "iterations",
]  # fmt: skip
values = st.recursive(
    st.one_of(numbers, words, st.booleans()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.sampled_from(KEYS), st.text(max_size=3)), inner, max_size=4),
    ),
    max_leaves=8,
)


def toml(value):
    """A value as TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return (
            "{" + ", ".join(f"{toml(str(key))} = {toml(each)}" for key, each in value.items()) + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str):
        kept = (c if c not in '"\\' and c.isprintable() else f"\\U{ord(c):08x}" for c in value)
        return '"' + "".join(kept) + '"'
    return repr(value)


@st.composite
def random_specs(draw):
    """A file of the right shape whose values are anything."""
    problem = {"activation": "He3", "ensemble": "sphere", "dims": [5], "ranks": [2, 3]}
    method = {"name": "jennrich"}
    table = {"trials": 1, "problem": problem, "method": method}
    for _ in range(draw(st.integers(1, 4))):
        where = draw(st.sampled_from([table, problem, method]))
        where[draw(st.sampled_from(KEYS))] = draw(values)
    return "\n".join(f"{key} = {toml(value)}" for key, value in table.items())


@st.composite
def mutated_specs(draw):
    """A valid file with lines dropped, doubled, exchanged or given other values and characters."""
    lines = draw(st.sampled_from(TEXTS)).strip().splitlines()
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        kind = draw(st.sampled_from(["drop", "double", "exchange", "value", "text", "cut"]))
        if kind == "drop" and len(lines) > 1:
            del lines[at]
        elif kind == "double":
            lines.insert(at, lines[at])
        elif kind == "exchange":
            other = draw(st.integers(0, len(lines) - 1))
            lines[at], lines[other] = lines[other], lines[at]
        elif kind == "value":
            key = lines[at].partition("=")[0].strip()
            lines[at] = f"{key} = {toml(draw(values))}"
        elif kind == "text":
            place = draw(st.integers(0, len(lines[at])))
            lines[at] = lines[at][:place] + draw(st.text(max_size=3)) + lines[at][place:]
        else:
            lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
    return "\n".join(lines)


def check(text):
    """Refused in one line with status 2, or a scan that begins and leaves a whole store."""
    try:
        cells = len(parse_spec(text).cells)
    except InputError as error:
        assert "\n" not in str(error)
        cells = 0
    if cells > _CELLS:
        return
    with tempfile.TemporaryDirectory() as folder:
        path, store = Path(folder, "scan.toml"), Path(folder, "scan.db")
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        said, shown = io.StringIO(), io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(shown):
            status = invoke(
                ["run", str(path), "--store", str(store), "--workers", "1", "--time-limit", "0s"]
            )
        if status == 2:
            assert len(said.getvalue().strip().splitlines()) == 1
            assert said.getvalue().startswith("tdlab: ") and not store.exists()
        else:
            assert status == 0
            with open_store(store) as reader:
                assert reader.runs()[0]["ended"] in ("time-limit", "done")


QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


@settings(deadline=None, max_examples=150, suppress_health_check=QUIET, derandomize=True)
@given(random_specs())
def test_random_specs(text):
    check(text)


@settings(deadline=None, max_examples=30, suppress_health_check=QUIET, derandomize=True)
@given(mutated_specs())
def test_mutated_specs(text):
    check(text)


@pytest.mark.chaos
@pytest.mark.timeout(1800)
@settings(deadline=None, max_examples=300, suppress_health_check=QUIET, database=None)
@given(st.one_of(random_specs(), mutated_specs()))
def test_a_thousand_specs(text):
    check(text)
