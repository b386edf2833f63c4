"""A plug-in that cannot be used is named, and disturbs nothing but itself."""

import csv
import json
import os

import pytest

from tests.lab_tools import refused, tdlab

SPEC = """
name = "small"
trials = 1
[problem]
activation = "He3"
ensemble = "sphere"
dims = [4]
ranks = [2]
[[method]]
name = "jennrich"
"""
GOOD = """
from dataclasses import dataclass
from tdlab.algorithms.methods.jennrich import Jennrich

@dataclass(frozen=True)
class Mine(Jennrich):
    pass

class Plain:
    pass

@dataclass(frozen=True)
class Bare:
    restarts: int = 1

@dataclass(frozen=True)
class Unknown(Jennrich):
    option: "NoSuchType" = None

number = 3
"""
BROKEN = "raise RuntimeError('no licence\\nfound')"
QUITS = "import sys; sys.exit(3)"


def package(folder, name, points, group="tdlab.methods", **modules):
    """A package as pip leaves it: modules, and a dist-info beside them."""
    info = folder / f"{name}-1.5.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n" + "\n".join(points) + "\n")
    for module, text in modules.items():
        (folder / f"{module}.py").write_text(text)


def environment(folder):
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path}


@pytest.fixture(scope="module")
def env(tmp_path_factory):
    """An environment in which one good plug-in is installed beside several broken ones."""
    folder = tmp_path_factory.mktemp("site")
    package(folder, "good-pack", ["mine = good_mod:Mine"], good_mod=GOOD)
    package(
        folder, "sad-pack", ["sad = sad_mod:Method", "quits = quits_mod:Method", "gone = none:X"],
        sad_mod=BROKEN, quits_mod=QUITS,
    )  # fmt: skip
    points = ["plain = good_mod:Plain", "bare = good_mod:Bare", "unknown = good_mod:Unknown"]
    package(folder, "odd-pack", [*points, "number = good_mod:number", "lm = good_mod:Mine"])
    package(folder, "first-pack", ["twice = good_mod:Mine"])
    package(folder, "second-pack", ["twice = good_mod:Mine"])
    package(folder, "learn-pack", ["mine-too = good_mod:Mine"], "tdlab.learners")
    return environment(folder)


WORDS = {
    "sad": ["sad-pack 1.5", "'sad = sad_mod:Method'", "RuntimeError: no licence found"],
    "quits": ["sad-pack 1.5", "SystemExit: 3"],
    "gone": ["sad-pack 1.5", "ModuleNotFoundError"],
    "plain": ["odd-pack 1.5", "a class, wanted a dataclass"],
    "bare": ["odd-pack 1.5", "without orders, version"],
    "unknown": ["odd-pack 1.5", "NoSuchType"],
    "number": ["odd-pack 1.5", "which is int, wanted a dataclass"],
    "twice": ["first-pack 1.5", "second-pack 1.5", "uninstall"],
}


def test_lists_go_on_with_a_warning_line_for_each(env, tmp_path):
    shown = tdlab("list", "methods", env=env, cwd=tmp_path)
    assert shown.returncode == 0
    names = [line for line in shown.stdout.splitlines() if line and not line.startswith(" ")]
    assert {"mine", "jennrich", "lm"} <= set(names) and not set(WORDS) & set(names)
    warned = shown.stderr.splitlines()
    assert all(line.startswith("tdlab: warning: ") for line in warned)
    for words in WORDS.values():
        assert sum(all(word in line for word in words) for line in warned) == 1, words
    assert any("lm" in line and "tdlab has that name" in line for line in warned)
    shown = tdlab("list", "learners", env=env, cwd=tmp_path)
    assert shown.returncode == 0 and "learn-pack 1.5" in shown.stderr


@pytest.mark.parametrize("name", ["sad", "twice"])
def test_asking_for_a_broken_one_says_why(env, tmp_path, name):
    (tmp_path / "bad.toml").write_text(SPEC.replace("jennrich", name))
    shown = tdlab("run", "bad.toml", env=env, cwd=tmp_path)
    assert refused(shown) and all(word in shown.stderr for word in WORDS[name]), shown.stderr


def test_a_scan_of_other_methods_runs_as_if_they_were_not_there(env, tmp_path):
    text = SPEC + '[[method]]\nname = "mine"\n[[method]]\nname = "lm"\n'
    (tmp_path / "small.toml").write_text(text)
    for words in (["run", "small.toml", "--workers", 1], ["status", "small.db"]):
        shown = tdlab(*words, env=env, cwd=tmp_path)
        assert shown.returncode == 0 and "warning" not in shown.stderr, shown.stderr
    assert "mine" in shown.stdout


def test_a_run_records_which_package_supplied_a_method(env, tmp_path):
    (tmp_path / "small.toml").write_text(SPEC.replace("jennrich", "mine"))
    assert tdlab("run", "small.toml", "--workers", 1, env=env, cwd=tmp_path).returncode == 0
    (row,) = csv.DictReader(
        tdlab("export", "small.db", "--table", "runs", cwd=tmp_path).stdout.splitlines()
    )
    plugins = json.loads(row["plugins"])
    assert plugins["methods"]["mine"] == "good-pack 1.5" and "lm" not in plugins["methods"]
    assert plugins["learners"] == {"mine-too": "learn-pack 1.5"}
    assert "plug-in mine: good-pack 1.5" in tdlab("status", "small.db", cwd=tmp_path).stdout
    trial = tdlab("export", "small.db", cwd=tmp_path).stdout.splitlines()[1].split(",")[0] + ":0"
    shown = tdlab("replay", "small.db", trial, env=env, cwd=tmp_path)
    assert shown.returncode == 0 and "mine of good-pack 1.5" in shown.stdout
    # Another version of the package, which finds something else, is named as what may explain it.
    newer = tmp_path / "newer"
    module = GOOD.replace(
        "    pass", "    draws: int = 5\n    def limit(self, dim, order): return 1", 1
    )
    package(newer, "good-pack", ["mine = good_mod:Mine"], good_mod=module)
    for path in newer.rglob("METADATA"):
        path.write_text(path.read_text().replace("1.5", "1.6"))
    shown = tdlab("replay", "small.db", trial, env=environment(newer), cwd=tmp_path)
    assert shown.returncode == 1
    assert "mine came from good-pack 1.5 then, and from good-pack 1.6 now" in shown.stdout


def test_doctor_lists_them_and_ends_otherwise(env, tmp_path):
    shown = tdlab("doctor", env=env, cwd=tmp_path)
    assert shown.returncode == 2
    problems = [line for line in shown.stdout.splitlines() if line.startswith("PROBLEM")]
    for words in WORDS.values():
        assert any(all(word in line for word in words) for line in problems), words
    assert "recovers a planted tensor" in shown.stdout, "the rest is well"
    assert "good-pack 1.5" in shown.stdout and len(problems) == len(WORDS) + 2


def test_metadata_that_cannot_be_read_is_named(tmp_path):
    # numba reads the entry points of all packages too, and no trial starts beside such a one.
    package(tmp_path, "torn-pack", ["no equals sign"])
    for words, status in ((["list", "methods"], 0), (["doctor"], 2)):
        shown = tdlab(*words, env=environment(tmp_path), cwd=tmp_path)
        assert shown.returncode == status
        assert "entry points of torn-pack 1.5, which cannot be read" in shown.stdout + shown.stderr
