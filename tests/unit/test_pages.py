"""The pages say what the code accepts, and lead where they say."""

import ast
import dataclasses
import importlib
import re
import shlex
from dataclasses import MISSING
from pathlib import Path

import click
import pytest

import tdlab
from tdlab.algorithms import registry as methods_registry
from tdlab.cli.verbs import tdlab_command
from tdlab.lab.spec import axes, claims
from tdlab.lab.spec.bundled import experiments
from tdlab.lab.spec.file import parse_spec
from tdlab.learning import registry as learners_registry
from tdlab.networks import ensembles
from tdlab.networks.sampling import SIGNS
from tdlab.problems.registry import problem_class
from tdlab.problems.registry import registry as problems_registry

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
SPECIFICATION = (ROOT / "docs/specification.md").read_text()

# Lists of keys in tdlab/lab, and the section of the page whose table has a row for each key.
SECTIONS = {
    "file._SPEC_KEYS": "The file",
    "file._PROFILE_KEYS": "`[profile.NAME]`",
    "tables._PROBLEM_KEYS": "`[problem]`",
    "tables._TERM_KEYS": "`[method]`",
    "tables._CALLED_KEYS": "`[method]`",
    "axes._RANGE_KEYS": "Ranges of ranks and samples",
    "axes._VALUE_KEYS": "Ranges of ranks and samples",
    "adaptive._KEYS": "`[adaptive]`",
    "claims._CLAIM_KEYS": "`[claim]`",
    "claims._CHECK_KEYS": "`[[claim.check]]`",
    "quantities.QUANTITIES": "Quantities",
    "quantities.WHERE_KEYS": "`where`",
}
EXPECTED = {"`[method]`": {"name"}}


def section(title):
    """The text of one section, without those below it."""
    found = re.split(r"^#+ (.+)\n", SPECIFICATION, flags=re.MULTILINE)
    return dict(zip(found[1::2], found[2::2], strict=True))[title]


def rows(title):
    """First cells of the table of a section, and the rest of each row."""
    lines = re.findall(r"^\| `([^`]+)` \|(.*)\|$", section(title), flags=re.MULTILINE)
    assert len(lines) == len(dict(lines)), title
    return dict(lines)


def key_lists():
    """Every list of keys in tdlab/lab, from the text: no list can be forgotten here."""
    for path in sorted((ROOT / "tdlab/lab").rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            named = (
                node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
            )
            if isinstance(named, ast.Name):
                name = named.id
                if name.endswith("_KEYS") or name == "QUANTITIES":
                    yield f"{path.stem}.{name}"


def keys_of(place):
    module, _, name = place.partition(".")
    return getattr(importlib.import_module(f"tdlab.lab.spec.{module}"), name)


def test_every_list_of_keys_has_its_section():
    assert sorted(key_lists()) == sorted(SECTIONS)


@pytest.mark.parametrize("title", sorted(set(SECTIONS.values())))
def test_the_tables_have_a_row_for_every_key_and_for_no_other(title):
    known = set(EXPECTED.get(title, ()))
    for place, where in SECTIONS.items():
        if where == title:
            known |= set(keys_of(place))
    if title == "`[problem]`":
        for kind in problems_registry.built_in:
            known |= {one.name for one in dataclasses.fields(problem_class(kind))}
    assert set(rows(title)) == known


@pytest.mark.parametrize(
    "title, words",
    [
        ("`[problem]`", SIGNS),
        ("Ranges of ranks and samples", [*axes.RANK_UNITS, "r*d", "C(d+k,k)", *axes._SCALES]),
        ("`[[claim.check]]`", claims.UNITS),
    ],
)
def test_the_page_names_every_word_that_a_key_takes(title, words):
    for word in words:
        assert f'`"{word}"`' in section(title), word


def toml(value):
    return str(value).lower() if isinstance(value, bool) else repr(value).replace("'", '"')


@pytest.mark.parametrize(
    "title, records, built_in",
    [
        ("Options of decomposition methods", tdlab.methods(), methods_registry._BUILT_IN),
        ("Options of learners", tdlab.learners(), learners_registry._BUILT_IN),
    ],
    ids=["methods", "learners"],
)
def test_the_page_has_every_option_and_its_default(title, records, built_in):
    table = rows(title)
    assert sorted(table) == sorted(built_in)
    for record in records:
        if record.name not in built_in:
            continue
        told = {"rank", "activation", "teacher"} if title.endswith("learners") else set()
        wanted = {
            f"{name} = {toml(value)}" if value is not None else name
            for name, value in record.options.items()
            if name not in told
        }
        assert all(value is not MISSING or name in told for name, value in record.options.items())
        # Words in quotation marks are values, not options.
        written = {word for word in re.findall(r"`([^`]+)`", table[record.name]) if word[0] != '"'}
        assert written == wanted, record.name


@pytest.mark.parametrize(
    "page, names",
    [
        ("methods", methods_registry._BUILT_IN),
        ("samples", learners_registry._BUILT_IN),
    ],
)
def test_every_method_and_learner_has_a_row(page, names):
    first = re.findall(r"^\| (`[^|]+) \|", (ROOT / f"docs/{page}.md").read_text(), re.MULTILINE)
    assert set(names) <= {name for cell in first for name in re.findall(r"`([^`]+)`", cell)}


def test_the_ensembles_of_the_docstring_are_those_there_are():
    named = set(re.findall(r'``"([a-z-]+)"``', tdlab.sample_network.__doc__ or ""))
    assert named == {law.name for law in ensembles()}


def blocks(page, language=""):
    """Fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


SCANS = [
    pytest.param(text, id=f"{page.stem}-{i}")
    for page in PAGES
    for i, text in enumerate(blocks(page, "toml"))
    if "[[method]]" in text
]


@pytest.mark.parametrize("text", SCANS)
def test_specifications_on_the_pages_are_valid(text):
    spec = parse_spec(text)
    assert spec.cells or spec.targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_and_named_files_are_there(page):
    text = page.read_text()
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        if anchor:
            titles = re.findall(r"^#+ (.+)$", target.read_text(), flags=re.MULTILINE)
            plain = [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]
            assert anchor in plain, link
    for file in re.findall(r"\b(?:tests|benchmarks|docs|tdlab|experiments)/[\w/.-]+\w", text):
        assert (ROOT / file).exists(), file


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_names_on_the_pages_exist(page):
    missing = []
    for name in set(re.findall(r"\btdlab(?:\.[A-Za-z]\w*)+", page.read_text())):
        found, place = tdlab, "tdlab"
        for part in name.split(".")[1:]:
            place = f"{place}.{part}"
            if not hasattr(found, part):
                try:
                    importlib.import_module(place)
                except ModuleNotFoundError:
                    missing.append(name)
                    break
            found = getattr(found, part)
    assert not missing


def commands(page):
    """Command lines of tdlab, in fenced, indented or inline code."""
    text = page.read_text()
    code = [line for block in blocks(page, r"\w*") for line in block.splitlines()]
    code += re.findall(r"^    (\S.*)$", text, flags=re.MULTILINE)
    code += re.findall(r"`([^`\n]+)`", text)
    for line in code:
        for part in line.split("&&"):
            found = re.match(r"\s*(?:exec |nohup |\.venv/bin/)*tdlab (\w[^#]*)", part)
            if found and "..." not in found[1]:
                yield found[1]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_on_the_pages_exist(page):
    for line in commands(page):
        verb, *words = shlex.split(line)
        command = tdlab_command.get_command(click.Context(tdlab_command), verb)
        assert command is not None, line
        options = {name for parameter in command.params for name in parameter.opts}
        asked = {word.strip("[]").partition("=")[0] for word in words if "--" in word}
        assert asked <= options, line
        names = [word for word in words if re.fullmatch(r"[a-z][a-z0-9-]*", word)]
        if verb in ("reproduce", "compare") or (verb == "run" and names[:1] == words[:1]):
            assert not words or words[0].isupper() or words[0] in experiments(), line
