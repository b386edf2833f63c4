"""Tensors answer, and nobody asks: no `isinstance` of a concrete tensor outside `tdlab/tensors`."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "tdlab"


def concrete_tensors():
    """Names of the classes of `tdlab/tensors` that are tensors and say what these are made of."""
    import tdlab.tensors as tensors

    every = [getattr(tensors, name) for name in tensors.__all__]
    kinds = [one for one in every if isinstance(one, type) and issubclass(one, tensors.Tensor)]
    return {one.__name__ for one in kinds} - {"Tensor", "SymmetricTensor"}


def asked_what_they_are(source, concrete):
    """Lines that ask of a value whether it is one of these classes."""

    def names(node):
        return {
            getattr(one, "id", getattr(one, "attr", None))
            for one in ast.walk(node)
            if isinstance(one, ast.Name | ast.Attribute)
        }

    for node in ast.walk(ast.parse(source)):
        asked = set()
        if isinstance(node, ast.Call) and names(node.func) & {"isinstance", "issubclass"}:
            asked = names(node.args[1])
        elif isinstance(node, ast.Compare) and "type" in names(node.left):
            asked = set().union(*(names(one) for one in node.comparators))
        elif isinstance(node, ast.MatchClass):
            asked = names(node.cls)
        if asked & concrete:
            yield node.lineno if hasattr(node, "lineno") else 0


def test_nobody_asks_what_a_tensor_is_made_of():
    concrete = concrete_tensors()
    assert {"FactoredTensor", "DenseTensor", "SumTensor", "Flattening4"} <= concrete
    found = {
        str(path.relative_to(ROOT)): list(asked_what_they_are(path.read_text(), concrete))
        for path in PACKAGE.rglob("*.py")
        if path.parent.name != "tensors"
    }
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "line",
    [
        "isinstance(x, FactoredTensor)",
        "isinstance(x, tdlab.DenseTensor | tensors.FactoredTensor)",
        "[y for y in z if not isinstance(y, (np.ndarray, HermiteMomentTensor))]",
        "type(x) is DenseTensor",
        "match x:\n    case Flattening4():\n        pass",
    ],
)
def test_asking_what_a_tensor_is_made_of_is_seen(line):
    assert list(asked_what_they_are(line, concrete_tensors()))
    assert not list(asked_what_they_are("isinstance(x, SymmetricTensor)", concrete_tensors()))
