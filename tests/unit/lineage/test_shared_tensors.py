"""Tensors in common to the bit: who connects whom."""

from collections.abc import Callable

import numpy as np
import pytest

from graph_schema.fingerprint import Fingerprint
from lineage.inference import infer
from lineage.shared_tensors import shared_tensors
from tests.unit.lineage.networks import Weights, network, trained

Take = Callable[[dict[str, np.ndarray]], Fingerprint]


def partly(weights: Weights, seed: int, *, frozen: str, step: float) -> Weights:
    moved = trained(weights, seed, step=step)
    return {name: weights[name] if frozen in name else values for name, values in moved.items()}


def test_heads_constants_and_what_differs_do_not_count(taken: Take) -> None:
    root = network(0)
    child = partly(root, 1, frozen="layers.0.", step=0.01)
    child["lm_head.weight"] = root["lm_head.weight"]
    frozen = [name for name, values in root.items() if "layers.0." in name and values.ndim == 2]
    family = [taken(root), taken(child), taken(network(1))]
    assert shared_tensors(family, [(0, 1), (1, 0), (0, 2)]) == [len(frozen), len(frozen), 0]
    assert shared_tensors([], []) == []


@pytest.mark.parametrize("seed", range(4))
def test_what_kept_its_parent_s_layer_hangs_from_it_though_a_sibling_is_nearer(taken: Take, seed: int) -> None:
    root = network(seed)
    one = partly(root, seed + 1, frozen="embed", step=0.001)
    # The second went most of the way of the first, and left a layer as it was.
    two = {name: (values + 9 * one[name]) / 10 for name, values in trained(root, seed + 2, step=0.005).items()}
    two |= {name: values for name, values in root.items() if "layers.2." in name}
    weights = {"root": root, "one": one, "two": two, "far": trained(root, seed + 3, step=0.01)}
    named = {taken(values).version: name for name, values in weights.items()}
    found = infer([taken(values) for values in weights.values()], least_confidence=0.0)
    pairs = {frozenset((named[item.child], named[item.parents[0].id])) for item in found.derivations}
    assert frozenset(("root", "two")) in pairs
