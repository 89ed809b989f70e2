"""Adapters: the permutation moments are exact, and what was trained on a network fits that network alone."""

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray

from graph_schema.fingerprint import Fingerprint
from graph_schema.labels import Relation
from lineage.adapters import LEAST_FIT, _mantel, adapter_fit, is_merged, repeated
from lineage.calibration import default_calibration
from lineage.inference import infer
from tests.unit.lineage.numpy_training import Adam, Weights, version

Task = Callable[[NDArray[np.float64]], NDArray[np.float64]]

INPUTS, HIDDEN, OUTPUTS, RANK = 12, 96, 6, 4
ROLE = "layers.0.mlp.up.weight"
DOWN, UP = "layers.0.mlp.up.lora_A.weight", "layers.0.mlp.up.lora_B.weight"


def forward(weights: Weights, middle: NDArray[np.float64], x: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    first = np.tanh(x @ weights["in"].T)
    second = np.tanh(first @ middle.T)
    return [first, second, second @ weights["out"].T]


def first_task(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """What networks are trained to imitate: a fixed random function."""
    return np.sin(x @ np.random.default_rng(99).standard_normal((OUTPUTS, INPUTS)).T)


def other_task(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Another one."""
    return np.cos(x @ np.random.default_rng(7).standard_normal((OUTPUTS, INPUTS)).T)


def trained(seed: int) -> Weights:
    """A network of three matrices."""
    generator = np.random.default_rng(seed)
    weights = {
        "in": generator.standard_normal((HIDDEN, INPUTS)) / np.sqrt(INPUTS),
        ROLE: generator.standard_normal((HIDDEN, HIDDEN)) / np.sqrt(HIDDEN),
        "out": generator.standard_normal((OUTPUTS, HIDDEN)) / np.sqrt(HIDDEN),
    }
    adam = Adam(rate=0.01, decay=0.1)
    for _ in range(1500):
        x = generator.standard_normal((64, INPUTS))
        first, second, y = forward(weights, weights[ROLE], x)
        error = (y - first_task(x)) / len(x)
        behind = (error @ weights["out"]) * (1 - second**2)
        before = (behind @ weights[ROLE]) * (1 - first**2)
        adam.step(weights, {"out": error.T @ second, ROLE: behind.T @ first, "in": before.T @ x})
    return weights


def adapted(base: Weights, seed: int, task: Task = other_task) -> Weights:
    """A LoRA on the middle matrix."""
    generator = np.random.default_rng(seed)
    factors = {DOWN: generator.standard_normal((RANK, HIDDEN)) / np.sqrt(HIDDEN), UP: np.zeros((HIDDEN, RANK))}
    adam = Adam(rate=0.01)
    for _ in range(500):
        x = generator.standard_normal((64, INPUTS))
        first, second, y = forward(base, base[ROLE] + factors[UP] @ factors[DOWN], x)
        error = (y - task(x)) / len(x)
        step = ((error @ base["out"]) * (1 - second**2)).T @ first
        adam.step(factors, {UP: step @ factors[DOWN].T, DOWN: factors[UP].T @ step})
    return factors


@pytest.fixture(scope="module")
def networks() -> list[Weights]:
    return [trained(seed) for seed in range(4)]


@pytest.fixture(scope="module")
def adapter(networks: list[Weights]) -> Weights:
    return adapted(networks[0], 50)


def models(networks: list[Weights]) -> list[Fingerprint]:
    return [version(f"model{place}", {ROLE: item[ROLE]}) for place, item in enumerate(networks)]


def test_the_moments_of_permutations_are_exact() -> None:
    generator = np.random.default_rng(3)
    sides = []
    for _ in range(3):
        pair = [generator.standard_normal((5, 5)) for _ in range(2)]
        pair = [matrix + matrix.T for matrix in pair]
        for matrix in pair:
            np.fill_diagonal(matrix, 0.0)
        sides.append((pair[0], pair[1]))
    sums = []
    for order in permutations(range(5)):
        at = np.ix_(order, order)
        sums.append(sum(float(np.vdot(one, two[at])) for one, two in sides))
    excess, variance = _mantel(sides)
    assert excess == pytest.approx(sums[0] - np.mean(sums))
    assert variance == pytest.approx(np.var(sums))


def test_an_adapter_fits_the_network_it_was_trained_on(networks: list[Weights], adapter: Weights) -> None:
    item = version("adapter", adapter, kind="adapter")
    own, *strangers = (adapter_fit(item, model).z for model in models(networks))
    assert own > LEAST_FIT
    assert max(strangers) < 4


def test_units_in_another_order_fit_no_more(networks: list[Weights], adapter: Weights) -> None:
    order = np.random.default_rng(1).permutation(HIDDEN)
    moved = version("moved", {ROLE: networks[0][ROLE][np.ix_(order, order)]})
    assert abs(adapter_fit(version("adapter", adapter, kind="adapter"), moved).z) < 4


def test_its_family_is_named_and_a_stranger_is_not(networks: list[Weights], adapter: Weights) -> None:
    item = version("adapter", adapter, kind="adapter")
    found = infer([item, *models(networks)])
    (edge,) = found.derivations
    assert (edge.child, edge.parents[0].id, edge.relation) == ("adapter", "model0", Relation.ADAPTED_FROM)
    alone = infer([item, *models(networks)[1:]])
    assert alone.derivations == ()
    assert [(doubt.version, doubt.likeliest) for doubt in alone.abstentions] == [("adapter", None)]


def test_an_adapter_without_any_model_of_its_shape_says_so(adapter: Weights) -> None:
    found = infer([version("adapter", adapter, kind="adapter"), version("other", {ROLE: np.eye(20)})])
    assert found.derivations == ()
    assert "no model of the lake has the matrices" in found.abstentions[0].reason


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_a_merged_adapter_is_recognised(networks: list[Weights], adapter: Weights, scale: float) -> None:
    item = version("adapter", adapter, kind="adapter", scale=scale)
    product = adapter[UP] @ adapter[DOWN]
    base, other = models(networks)[:2]
    merged = version("merged", {ROLE: networks[0][ROLE] + scale * product})
    assert is_merged(item, base, merged)
    assert not is_merged(item, merged, base)
    assert not is_merged(item, other, merged)
    found = infer([item, base, merged])
    assert {(edge.child, edge.parents[0].id) for edge in found.derivations if edge.child == "adapter"} == {
        ("adapter", "model0")
    }


def test_an_adapter_that_takes_back_what_a_member_learned_was_trained_on_it(
    networks: list[Weights], adapter: Weights
) -> None:
    before = adapted(networks[0], 60)
    child = networks[0] | {ROLE: networks[0][ROLE] + before[UP] @ before[DOWN]}
    base, member = version("base", {ROLE: networks[0][ROLE]}), version("member", {ROLE: child[ROLE]})
    on_base = version("adapter", adapter, kind="adapter")
    on_member = version("adapter", adapted(child, 51, first_task), kind="adapter")
    assert repeated(on_base, base, member) > 0.1
    assert repeated(on_member, base, member) < -0.1
    assert repeated(on_base, member, base) == pytest.approx(-repeated(on_base, base, member))
    # The shipped numbers change with the lakes they are fitted on.
    plain = replace(default_calibration(), adapter_root=1.5, adapter_taken_back=5.5, adapter_paths=0.1)
    for item, expected in ((on_base, "base"), (on_member, "member")):
        found = infer([item, base, member], least_confidence=0.0, calibration=plain)
        assert [edge.parents[0].id for edge in found.derivations if edge.child == "adapter"] == [expected]


def test_an_adapter_that_learned_nothing_fits_nothing(networks: list[Weights], adapter: Weights) -> None:
    untrained = version("adapter", {role: np.zeros_like(values) for role, values in adapter.items()}, kind="adapter")
    assert adapter_fit(untrained, models(networks)[0]).z == 0.0
    assert not is_merged(untrained, *models(networks)[:2])
