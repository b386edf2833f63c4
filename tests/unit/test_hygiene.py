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
    "learners",
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
    shared = {"base", "registry", "front", "__init__"}
    concrete = [
        f"tdlab.algorithms.{path.stem}"
        for path in (PACKAGE / "algorithms").glob("*.py")
        if path.stem not in shared
    ]
    assert len(concrete) >= 3
    assert offenders(LABORATORY, concrete) == []


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
