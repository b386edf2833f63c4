"""The code's own rules: imports, lint, types, start-up time, no stray hosts."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tdlab.cli.verbs import VERBS

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "tdlab"
MATHEMATICS = [
    "tensors",
    "networks",
    "problems",
    "algorithms",
    "sos",
    "dictionary",
    "learning",
    "probes",
]
MATHEMATICS += ["metrics", "theory"]
LABORATORY = ["lab", "stats", "view", "cli"]


def imports(path):
    """Absolute names of the modules that a file imports, lazy imports too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = ".".join(path.relative_to(ROOT).with_suffix("").parts[: -node.level or None])
            base = f"{package}.{node.module or ''}".strip(".") if node.level else node.module
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def files(*parts):
    for part in parts:
        yield from (PACKAGE / part).rglob("*.py")
        if (PACKAGE / f"{part}.py").exists():
            yield PACKAGE / f"{part}.py"


def offenders(parts, forbidden):
    return [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files(*parts)
        for name in imports(path)
        if any(name == f or name.startswith(f + ".") for f in forbidden)
    ]


def test_mathematics_never_imports_the_lab():
    assert offenders(MATHEMATICS, [f"tdlab.{part}" for part in LABORATORY]) == []


def test_the_lab_never_imports_a_concrete_algorithm():
    rooms = ["methods", "peers", "descent", "parts", "settling"]
    assert all((PACKAGE / "algorithms" / room / "__init__.py").exists() for room in rooms)
    assert offenders(LABORATORY, [f"tdlab.algorithms.{room}" for room in rooms]) == []


# Rooms from the ground up: none imports, when it is loaded, one that stands after it.
ROOMS = [
    ["lab.spec", "lab.trial", "lab.workers", "lab.store", "lab.results", "lab"],
    ["algorithms.descent", "algorithms.parts", "algorithms.methods", "algorithms.ranks"],
]
ROOMS[1] += ["algorithms.settling"]


def loaded(path):
    """Absolute names of what a file imports when it is loaded itself."""
    pending = list(ast.parse(path.read_text()).body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.dump(node.test):
            pending += node.body + node.orelse
        elif isinstance(node, ast.Try | ast.With | ast.ClassDef):
            pending += node.body


def arrows():
    """Module -> the modules of ours that it loads."""
    paths = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in PACKAGE.rglob("*.py")
    }
    found = {}
    for module, path in paths.items():
        found[module] = set()
        for name in loaded(path):
            while name and name not in paths:
                name = name.rpartition(".")[0]
            found[module] |= {name} - {"", "tdlab", module}
    return found


def room_of(module, rooms):
    """The deepest of the rooms that a module stands in."""
    inside = [room for room in rooms if f"{module}.".startswith(f"tdlab.{room}.")]
    return max(inside, key=len, default=None)


@pytest.mark.parametrize("rooms", ROOMS, ids=["lab", "algorithms"])
def test_no_arrow_between_rooms_goes_up(rooms):
    upwards = [
        f"{module} loads {name}"
        for module, names in arrows().items()
        for name in names
        if (own := room_of(module, rooms)) is not None
        and (other := room_of(name, rooms)) is not None
        and rooms.index(own) < rooms.index(other)
    ]
    assert upwards == []
    assert all(any(room_of(module, rooms) == room for module in arrows()) for room in rooms)


def test_no_file_loads_one_that_loads_it():
    # What loads nothing that is left is taken away, until nothing is left.
    left = arrows()
    while ends := [module for module, names in left.items() if not names & left.keys()]:
        left = {module: names for module, names in left.items() if module not in ends}
    assert left == {}


def test_no_file_is_longer_than_four_hundred_lines():
    long = {
        str(path.relative_to(ROOT)): lines
        for path in PACKAGE.rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > 400
    }
    assert long == {}


def test_kernels_import_nothing_of_ours():
    ours = [
        name for path in files("_kernels") for name in imports(path) if name.startswith("tdlab")
    ]
    assert [name for name in ours if not name.startswith("tdlab._kernels")] == []


def test_only_the_view_draws_and_only_the_command_line_parses():
    others = [*MATHEMATICS, "lab", "stats", "_kernels"]
    assert offenders([*others, "cli"], ["matplotlib"]) == []
    assert offenders([*others, "view"], ["click", "tdlab.cli"]) == []


# Types of the installed dependencies, whichever environment runs the tests.
PYRIGHT = ["pyright", "--pythonpath", sys.executable]


@pytest.mark.parametrize(
    "command",
    [["ruff", "check", "."], ["ruff", "format", "--check", "."], PYRIGHT],
    ids=["lint", "format", "types"],
)
def test_ruff_and_pyright_have_nothing_to_say(command):
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


HEAVY = {"scipy", "numba", "pandas", "matplotlib", "tensorly", "cvxpy", "rich"}
START = """
import runpy, sys
sys.argv = ["tdlab", *{arguments}]
try:
    if {arguments}:
        runpy.run_module("tdlab", run_name="__main__")
    else:
        import tdlab
except SystemExit as stop:
    assert not stop.code
loaded = sorted({heavy} & set(sys.modules))
sys.exit(f"loaded {{loaded}}" if loaded else 0)
"""


@pytest.mark.parametrize("arguments", [[], ["--help"], *([verb, "--help"] for verb in VERBS)])
def test_starting_up_loads_nothing_heavy(arguments):
    # The time itself is for a benchmark; what makes it long is loading these.
    code = START.format(arguments=arguments, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert ("Usage: tdlab" in done.stdout) == bool(arguments)


def test_every_package_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    declared = project["tool"]["setuptools"]["packages"]
    found = [".".join(path.parent.relative_to(ROOT).parts) for path in PACKAGE.rglob("__init__.py")]
    assert declared == sorted([*found, "tdlab._experiments"])


def test_the_two_versions_agree():
    import tdlab

    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    cited = (ROOT / "CITATION.cff").read_text()
    assert tdlab.__version__ == declared and f"version: {declared}" in cited
