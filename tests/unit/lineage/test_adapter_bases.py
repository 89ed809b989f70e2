"""Which member of a family an adapter was trained on: the paths of its gradients, what it takes back, and the root."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from graph_schema.fingerprint import Fingerprint
from graph_schema.labels import Relation
from lineage.adapter_bases import TRIED, Edge, base_candidates, tried
from lineage.calibration import default_calibration
from lineage.gradient_paths import gradient_paths
from tests.unit.lineage.numpy_training import Adam, Weights, version

WIDTH, NEURONS, RANK, HEADS = 24, 96, 4, 4
UP, DOWN = "layers.0.mlp.up.weight", "layers.0.mlp.down.weight"
QUERY, KEY = "layers.0.attention.query.weight", "layers.0.attention.key.weight"
VALUE, OUTPUT = "layers.0.attention.value.weight", "layers.0.attention.output.weight"


def model(name: str, weights: Weights) -> Fingerprint:
    return replace(version(name, weights), architecture="bert")


def lora(name: str, role: str, b: NDArray[np.float64], seed: int = 0) -> Fingerprint:
    a = np.random.default_rng(seed).standard_normal((b.shape[1], WIDTH))
    stem = role.removesuffix(".weight")
    return version(name, {f"{stem}.lora_A.weight": a, f"{stem}.lora_B.weight": b}, kind="adapter")


def relatives(seed: int, shapes: dict[str, tuple[int, int]], step: float = 0.5) -> list[Weights]:
    """A root, and three that moved from it at random."""
    generator = np.random.default_rng(seed)
    root = {role: generator.standard_normal(shape) for role, shape in shapes.items()}
    return [root] + [
        {role: values + step * generator.standard_normal(values.shape) for role, values in root.items()}
        for _ in range(3)
    ]


@settings(max_examples=20)
@given(st.integers(0, 1000), st.integers(0, 3))
def test_errors_of_neurons_come_back_through_the_map_down(seed: int, base: int) -> None:
    family = relatives(seed, {UP: (NEURONS, WIDTH), DOWN: (WIDTH, NEURONS)})
    errors = np.random.default_rng((seed, 1)).standard_normal((WIDTH, 12))
    adapter = lora("adapter", UP, family[base][DOWN].T @ errors)
    members = [model(str(place), weights) for place, weights in enumerate(family)]
    found = gradient_paths(adapter, members)
    assert int(np.argmax(found)) == base
    order = np.random.default_rng(seed).permutation(NEURONS)
    moved = [
        model(str(place), {UP: weights[UP][order], DOWN: weights[DOWN][:, order]})
        for place, weights in enumerate(family)
    ]
    again = gradient_paths(lora("adapter", UP, (family[base][DOWN].T @ errors)[order]), moved)
    np.testing.assert_allclose(again, found, atol=1e-3)


@settings(max_examples=20)
@given(st.integers(0, 1000), st.integers(0, 3), st.sampled_from([QUERY, VALUE]))
def test_heads_are_told_by_the_family_and_errors_come_back_within_them(seed: int, base: int, role: str) -> None:
    family = relatives(seed, dict.fromkeys((QUERY, KEY, VALUE, OUTPUT), (NEURONS, WIDTH)))
    for weights in family:
        weights[OUTPUT] = weights[OUTPUT].T.copy()
    behind = family[base][KEY] if role == QUERY else family[base][OUTPUT].T
    generator = np.random.default_rng((seed, 1))
    b = np.vstack([head @ generator.standard_normal((WIDTH, 12)) for head in np.split(behind, HEADS)])
    members = [model(str(place), weights) for place, weights in enumerate(family)]
    assert int(np.argmax(gradient_paths(lora("adapter", role, b), members))) == base


@pytest.mark.parametrize("base", range(4))
def test_members_may_be_sampled_more_and_less(base: int) -> None:
    family = relatives(5, {UP: (NEURONS, WIDTH), DOWN: (WIDTH, NEURONS)})
    errors = np.random.default_rng(1).standard_normal((WIDTH, 12))
    members = [model(str(place), weights) for place, weights in enumerate(family)]
    priority = np.random.default_rng(2).permutation(NEURONS)
    for place, kept in ((1, NEURONS // 2), (3, NEURONS - 8)):
        columns = np.sort(priority[:kept])
        tensors = tuple(
            replace(item, columns=columns, block=item.block[:, columns]) if item.role == DOWN else item
            for item in members[place].tensors
        )
        members[place] = replace(members[place], tensors=tensors)
    assert int(np.argmax(gradient_paths(lora("adapter", UP, family[base][DOWN].T @ errors), members))) == base


def test_nothing_is_told_by_one_member_by_residual_outputs_or_by_an_unknown_architecture() -> None:
    family = relatives(3, {UP: (NEURONS, WIDTH), DOWN: (WIDTH, NEURONS)})
    members = [model(str(place), weights) for place, weights in enumerate(family)]
    b = np.random.default_rng(1).standard_normal((NEURONS, RANK))
    assert not gradient_paths(lora("adapter", UP, b), members[:1]).any()
    a = {"layers.0.mlp.down.lora_A.weight": b.T, "layers.0.mlp.down.lora_B.weight": b[:WIDTH]}
    assert not gradient_paths(version("adapter", a, kind="adapter"), members).any()
    unknown = [replace(item, architecture="") for item in members]
    assert not gradient_paths(lora("adapter", UP, b), unknown).any()


def run(weights: Weights, seed: int, steps: int, *, low_rank: bool = False) -> Weights:
    """Training of both maps on a task of the seed's; or of a LoRA on the first alone, whose factors are returned."""
    generator, adam = np.random.default_rng(seed), Adam(rate=0.003)
    task = generator.standard_normal((WIDTH, WIDTH))
    weights = dict(weights)
    factors = {"a": generator.standard_normal((RANK, WIDTH)) / np.sqrt(WIDTH), "b": np.zeros((NEURONS, RANK))}
    for _ in range(steps):
        x = generator.standard_normal((64, WIDTH))
        up = weights[UP] + (factors["b"] @ factors["a"] if low_rank else 0.0)
        hidden = np.maximum(x @ up.T, 0.0)
        error = (hidden @ weights[DOWN].T - np.sin(x @ task.T)) / len(x)
        behind = (error @ weights[DOWN]) * (hidden > 0)
        step = behind.T @ x
        if low_rank:
            adam.step(factors, {"b": step @ factors["a"].T, "a": factors["b"].T @ step})
        else:
            adam.step(weights, {UP: step, DOWN: error.T @ hidden})
    return factors if low_rank else weights


def test_the_base_of_a_really_trained_adapter_is_the_likeliest() -> None:
    generator = np.random.default_rng(0)
    drawn = {
        UP: generator.standard_normal((NEURONS, WIDTH)) / np.sqrt(WIDTH),
        DOWN: generator.standard_normal((WIDTH, NEURONS)) / np.sqrt(NEURONS),
    }
    root = run(drawn, 1, 1500)
    family = {"root": root} | {f"child{seed}": run(root, seed, 400) for seed in (2, 3, 4)}
    members = [model(name, weights) for name, weights in family.items()]
    edges: list[Edge] = [("root", item.version, Relation.FINE_TUNED_FROM) for item in members[1:]]
    right = []
    for place, base in enumerate(family):
        factors = run(family[base], 10 + place, 300, low_rank=True)
        stem = UP.removesuffix(".weight")
        tensors = {f"{stem}.lora_A.weight": factors["a"], f"{stem}.lora_B.weight": factors["b"]}
        found = base_candidates(version("adapter", tensors, kind="adapter"), members, edges)
        chances = found.probabilities(default_calibration())
        assert chances.sum() == pytest.approx(1.0)
        right.append(found.versions[int(np.argmax(chances))] == base)
    assert sum(right) >= 3


def test_the_root_comes_first_copies_are_not_tried_and_families_may_be_large() -> None:
    group = [model(f"{number:03}", {UP: np.eye(WIDTH)}) for number in range(60)]
    edges: list[Edge] = [("059", f"{number:03}", Relation.FINE_TUNED_FROM) for number in range(58)]
    edges.append(("059", "058", Relation.QUANTIZED_FROM))
    found = [item.version for item in tried(group, edges)]
    assert found[0] == "059"
    assert "058" not in found
    assert len(found) == TRIED
    assert [item.version for item in tried(group[::-1], edges)] == found
