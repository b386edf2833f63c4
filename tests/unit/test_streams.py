"""Equal seeds and equal Generators: a teacher and what is started from them share nothing."""

import ast
import dataclasses
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from scipy.special import betaincinv

import tdlab
from tdlab import InputError
from tdlab.algorithms.base import Budget
from tdlab.algorithms.registry import get_method, method_names
from tdlab.algorithms.uniqueness import confidence
from tdlab.dictionary import learn_dictionary, sparse_coefficients
from tdlab.learning.registry import learner, told_options
from tdlab.networks import ensembles, gaussian_polynomial
from tdlab.streams import Part, own_stream
from tdlab.tensors.errors4 import orthonormal_with_error

# (dim, rank): a start at each that was the teacher is what this file is about.
SIZES = ((20, 60), (40, 200), (100, 500))
GIVEN = {
    "int": lambda: 0,
    "SeedSequence": lambda: np.random.SeedSequence(0),
    "BitGenerator": lambda: np.random.PCG64(0),
    "Generator": lambda: np.random.default_rng(0),
    "Generator of another kind": lambda: np.random.Generator(np.random.MT19937(0)),
}
DRAWS = ("standard_normal", "random", "uniform", "choice", "integers", "permutation", "normal")


class Started(Exception):
    """Raised at the first draw of a part, with it."""


class Recorder(np.random.Generator):
    """A Generator that shows what is drawn from it."""

    seen: ClassVar[list[np.ndarray]] = []
    stops: ClassVar[bool] = False

    def _show(self, made):
        self.seen.append(np.atleast_1d(np.array(made, dtype=float)))
        # A seed of another library's stream, or a vector of a few numbers, is no start yet.
        if self.stops and self.seen[-1].size > 1:
            raise Started
        return made


def _recorded(name):
    own = getattr(np.random.Generator, name)
    return lambda self, *args, **options: self._show(own(self, *args, **options))


for _name in DRAWS:
    setattr(Recorder, _name, _recorded(_name))


@pytest.fixture
def recorder(monkeypatch):
    """Every stream that a part makes of what it is given records its draws."""
    monkeypatch.setattr(Recorder, "seen", [])
    monkeypatch.setattr(Recorder, "stops", False)
    monkeypatch.setattr(np.random, "default_rng", lambda seed=None: Recorder(np.random.PCG64(seed)))
    return Recorder


def first_start(recorder, run):
    """All that ``run`` draws up to its first array, that included."""
    recorder.seen.clear()
    recorder.stops = True
    try:
        run()
    except Started:
        pass
    finally:
        recorder.stops = False
    return list(recorder.seen)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def chance(pairs, dim, level=1e-9):
    """Cosine that the largest of so many independent pairs exceeds with this probability."""
    # cos^2 of a uniform direction is Beta(1/2, (d-1)/2).
    return float(np.sqrt(1.0 - betaincinv((dim - 1) / 2, 0.5, level / pairs)))


def shared(first, second):
    """Why two lists of draws are not independent, in a sentence; empty if nothing shows."""
    flat = [np.concatenate([np.ravel(each) for each in draws]) for draws in (first, second)]
    same = np.intersect1d(*flat)
    # Signs and counts repeat by chance, numbers of 53 bits do not.
    if (np.abs(same) % 0.5 != 0).any():
        return f"{len(same)} equal numbers"
    size = min(map(len, flat))
    parts = [each[:size] - each[:size].mean() for each in flat]
    spread = np.linalg.norm(parts[0]) * np.linalg.norm(parts[1])
    if spread and abs(parts[0] @ parts[1]) > 6.0 * spread / np.sqrt(size):
        return f"correlation {parts[0] @ parts[1] / spread:.3f} of {size} numbers"
    return ""


def alike(rows, start):
    """The same for the rows of a teacher and of a start."""
    if start.ndim != 2 or start.shape[1] != rows.shape[1] or not start.any(axis=1).all():
        return ""
    dim, cosines = rows.shape[1], unit(rows) @ unit(start).T
    bound = chance(cosines.size, dim)
    if np.abs(cosines).max() > bound:
        return f"cosine {np.abs(cosines).max():.3f} > {bound:.3f}"
    paired = np.diagonal(cosines)
    if abs(paired.mean()) > 6.0 / np.sqrt(dim * len(paired)):
        return f"mean cosine {paired.mean():.3f}"
    return ""


def size_for(method, dim, rank):
    """The order and the largest size up to (dim, rank) that the method is asked for here."""
    order = 3 if 3 in method.orders else method.orders[0]
    if order > 3 or method.name in ("sos", "ding", "koszul-young"):
        dim = 8 if method.name == "sos" else 12
        rank = 2 * dim
    # Some take no tensor of a large dimension at all.
    while (limit := method.limit(dim, order)) == 0:
        dim -= 1
    return order, dim, rank if limit is None else min(rank, limit)


def asked(method, dim, rank, given):
    """A teacher that the method takes, drawn from what is given: tensor, its rows, rank."""
    if "flattening4" in getattr(method, "accepts", ()):
        tensor, rows = orthonormal_with_error(min(dim, 12), 0.2, rng=given)
        return tensor, rows, len(rows)
    order, dim, rank = size_for(method, dim, rank)
    law = "isotropic" if rank >= 1.5 * dim else "sphere"
    rows = tdlab.sample_network(dim, rank, f"He{order}", law, rng=given).weights
    return tdlab.FactoredTensor(rows, order=order), rows, rank


# Draw nothing, or only seeds of another library's global stream.
WITHOUT_START = {"largest", "foobi", "eigen"}


@pytest.mark.parametrize("kind", ["int", "Generator"])
@pytest.mark.parametrize("name", method_names())
def test_no_method_starts_from_its_teacher(recorder, name, kind):
    method, made = get_method(name), GIVEN[kind]
    for dim, rank in SIZES:
        recorder.seen.clear()
        tensor, rows, terms = asked(method, dim, rank, made())
        drawn = list(recorder.seen)
        runs = [partial(tdlab.decompose, tensor, terms, method, noise=0.0)]
        if kind == "Generator":
            runs.append(partial(method.run, tensor, terms, budget=Budget()))
        for run in runs:
            start = first_start(recorder, partial(run, rng=made()))
            assert start or name in WITHOUT_START
            if start:
                assert shared(drawn, start) == "" and alike(rows, start[-1]) == ""
        if size_for(method, dim, rank)[1] < dim:
            break


@pytest.mark.parametrize("kind", ["int", "Generator"])
@pytest.mark.parametrize("law", [law.name for law in ensembles()])
def test_no_ensemble_is_a_start(recorder, law, kind):
    dim, rank = (40, 200) if law not in ("simplices", "low-coherence") else (20, 42)
    drawings = [
        lambda: tdlab.sample_network(dim, rank, "x**3", law, signs="random", rng=GIVEN[kind]()),
        lambda: next(e for e in ensembles() if e.name == law).draw(dim, rank, GIVEN[kind]()),
    ]
    for drawing in drawings:
        recorder.seen.clear()
        made = drawing()
        rows, drawn = getattr(made, "weights", made), list(recorder.seen)
        tensor = tdlab.FactoredTensor(rows)
        for name in ("homotopy", "lm", "als", "power"):
            run = partial(tdlab.decompose, tensor, rank, name, rng=GIVEN[kind]())
            start = first_start(recorder, run)
            assert shared(drawn, start) == "" and alike(rows, start[-1]) == ""


def parts(given):
    """Every public part that draws, on something small, started from ``given()``."""
    net = tdlab.sample_network(5, 6, "He3", "sphere", rng=7)
    X, y = net.sample(120, rng=8)
    polynomial = gaussian_polynomial(5, net.hermite_energies(), rng=9)
    cubic = net.hermite_tensor(3)
    samples = sparse_coefficients(4, 400, 0.2, rng=3)
    noisy = dataclasses.replace(tdlab.decompose(cubic, 6, rng=1), noise=0.01)
    found = {
        "sample_network": lambda: tdlab.sample_network(5, 8, signs="random", rng=given()),
        "gaussian_tensor": lambda: tdlab.gaussian_tensor(5, rng=given()),
        "gaussian_polynomial": lambda: gaussian_polynomial(5, [0.0, 1.0, 1.0, 1.0], rng=given()),
        "orthonormal_with_error": lambda: orthonormal_with_error(5, 0.1, "random", rng=given()),
        "sparse_coefficients": lambda: sparse_coefficients(4, 30, 0.3, rng=given()),
        "network.sample": lambda: net.sample(30, 0.1, rng=given()),
        "polynomial.sample": lambda: polynomial.sample(30, 0.1, rng=given()),
        "score": lambda: tdlab.metrics.score(net, Zero(), n=50, rng=given()),
        "decompose": lambda: tdlab.decompose(cubic, 6, rng=given()),
        "decompose, no rank": lambda: tdlab.decompose(cubic, rng=given()),
        "estimate_rank": lambda: tdlab.estimate_rank(cubic, rng=given()),
        "confidence": lambda: confidence(noisy, tensor=cubic, rng=given()),
        "certify": lambda: tdlab.sos.certify(cubic, 4, rng=given()),
        "learn_dictionary": lambda: learn_dictionary(samples, rng=given()),
    }
    for law in ensembles():
        rank = 12 if law.name == "simplices" else 10
        found[f"ensemble {law.name}"] = lambda law=law, rank=rank: law.draw(5, rank, given())
    for record in tdlab.learners():
        told = told_options(record.name, rank=6, activation="He3", teacher=net)
        made = learner(record.name, **told)
        found[f"learner {record.name}"] = lambda made=made: made.fit(X, y, rng=given())
    return found


class Zero:
    def predict(self, X):
        return np.zeros(len(X))


@pytest.mark.parametrize("name", list(parts(lambda: 0)))
def test_a_part_takes_no_more_of_a_generator_than_its_words(name):
    given, twin = (np.random.default_rng(5) for _ in range(2))
    untouched = twin.bit_generator.state
    parts(lambda: given)[name]()
    twin.bytes(16)
    assert given.bit_generator.state in (twin.bit_generator.state, untouched)


@pytest.mark.parametrize("name", method_names())
def test_a_method_takes_no_more_of_a_generator_than_its_words(name):
    method = get_method(name)
    given, twin = (np.random.default_rng(5) for _ in range(2))
    untouched = twin.bit_generator.state
    tensor, _, terms = asked(method, 6, 5, 1)
    method.run(tensor, terms, rng=given, budget=Budget(max_seconds=1.0))
    twin.bytes(16)
    assert given.bit_generator.state in (twin.bit_generator.state, untouched)


TEACHERS = {
    "network": lambda given: tdlab.sample_network(10, 14, "He3", rng=given),
    "polynomial": lambda given: gaussian_polynomial(10, [0.0, 1.0, 0.0, 6.0], rng=given),
}


@pytest.mark.parametrize("kind", ["int", "Generator"])
@pytest.mark.parametrize("teacher", list(TEACHERS))
@pytest.mark.parametrize("name", [record.name for record in tdlab.learners()])
def test_no_learner_starts_from_its_teacher_or_samples(recorder, name, teacher, kind):
    made = GIVEN[kind]
    target = TEACHERS[teacher](made())
    X, y = target.sample(300, 0.1, rng=made())
    drawn = list(recorder.seen)
    control = tdlab.sample_network(10, 14, "He3", rng=1)
    if isinstance(target, tdlab.TwoLayerNetwork):
        control = target
    told = told_options(name, rank=14, activation="He3", teacher=control)
    start = first_start(recorder, lambda: learner(name, **told).fit(X, y, rng=made()))
    if start:
        assert shared(drawn, start) == "" and shared([X], start) == ""
        if control is target:
            assert alike(control.weights, start[-1]) == ""


@pytest.mark.parametrize("kind", list(GIVEN))
def test_no_two_parts_share_a_stream(kind):
    drawn = {part: own_stream(GIVEN[kind](), part).standard_normal(5000) for part in Part}
    drawn["raw"] = np.random.default_rng(0).standard_normal(5000)
    drawn["children"] = np.random.default_rng(0).spawn(4)[3].standard_normal(5000)
    table = np.corrcoef(list(drawn.values()))
    np.fill_diagonal(table, 0.0)
    assert np.abs(table).max() < 6.0 / np.sqrt(5000)
    assert len(np.unique(np.concatenate(list(drawn.values())))) == 5000 * len(drawn)


def test_a_leak_would_show(recorder):
    # As it was: the teacher and the start are the first rows of one stream.
    law = next(e for e in ensembles() if e.name == "isotropic").law
    for dim, rank in SIZES:
        recorder.seen.clear()
        rows = law(dim, rank, np.random.default_rng(0))
        drawn = list(recorder.seen)
        start = np.random.default_rng(0).standard_normal((rank, dim))
        assert "equal numbers" in shared(drawn, [start])
        assert "cosine 0.9" in alike(rows, start)
        # Of other numbers, made of the same bits.
        uniform = np.random.default_rng(0).random((rank, dim))
        assert shared([np.random.default_rng(0).random((rank, dim))], [uniform - 0.5]) != ""


def test_seeds_give_the_same_stream_again_and_generators_move_on():
    sequence = np.random.SeedSequence(3).spawn(2)[1]
    for seed in (4, np.int64(4), sequence, [4, 5], (4, 5)):
        first, again = (own_stream(seed, Part.NETWORK).random() for _ in range(2))
        assert first == again
    assert sequence.n_children_spawned == 0
    moving = np.random.default_rng(4)
    first, second = (own_stream(moving, Part.NETWORK).random() for _ in range(2))
    assert first != second
    bits = np.random.PCG64(4)
    assert own_stream(bits, Part.NETWORK).random() == first
    assert own_stream(bits, Part.NETWORK).random() == second
    assert own_stream(None, Part.NETWORK).random() != own_stream(None, Part.NETWORK).random()


def test_children_of_a_sequence_differ_from_it_and_from_each_other():
    root = np.random.SeedSequence(0)
    seeds = [root, *root.spawn(3), 1, [0, 1]]
    assert len({own_stream(seed, Part.NETWORK).random() for seed in seeds}) == len(seeds)


@pytest.mark.parametrize("seed", [-1, 1.5, "0", [1, -2], np.ones(2), object()])
def test_what_is_no_seed_is_refused_in_one_line(seed):
    with pytest.raises(InputError, match="rng: got"):
        own_stream(seed, Part.NETWORK)
    with pytest.raises(InputError, match="rng: got"):
        tdlab.sample_network(4, 6, rng=seed)


def test_the_keys_of_the_parts_differ():
    assert len({part.key for part in Part}) == len(Part)


# Simulated scans and proportions meet no tensor; the lab's streams are digests.
OTHER_MAKERS = {"streams.py", "lab/spec/identity.py", "lab/results/chances.py"}
OTHER_MAKERS |= {"stats/bounded_mean.py", "stats/calibrate.py"}
MAKERS = {"default_rng", "SeedSequence", "Generator", "RandomState", "PCG64", "MT19937", "seed"}


def test_no_other_file_makes_a_stream():
    package = Path(tdlab.__file__).parent
    found = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if called.startswith("np.random.") and called.rsplit(".", 1)[1] in MAKERS:
                found.add(str(path.relative_to(package)))
    # The peers' own libraries take a seed, drawn from the method's stream.
    assert found - OTHER_MAKERS <= {
        "algorithms/peers/tensorly_als.py",
        "algorithms/peers/tensorly_power.py",
    }
    assert "streams.py" in found
