"""Which end of an edit a neighbour hangs from."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_schema.fingerprint import Fingerprint
from graph_schema.labels import Relation
from lineage.edited_ends import at_the_right_ends, carried
from lineage.inference import infer
from lineage.link_weights import WeighedLink
from lineage.spanning_tree import orient
from tests.unit.lineage.networks import mixed, network, trained

Take = Callable[[dict[str, np.ndarray]], Fingerprint]

EDITED = "model.layers.1.mlp.down_proj.weight"


def edited(weights: dict[str, np.ndarray], seed: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    left, right = (generator.standard_normal(size) for size in weights[EDITED].shape)
    return {**weights, EDITED: (weights[EDITED] + 0.05 * np.outer(left, right)).astype(np.float32)}


@pytest.mark.parametrize("seed", range(4))
def test_what_was_trained_hangs_from_the_end_whose_edit_it_has(taken: Take, seed: int) -> None:
    root = network(seed)
    source = trained(root, 10 + seed)
    weights = {"root": root, "source": source, "edited": edited(source, seed)}
    weights["before"], weights["after"] = trained(source, 20 + seed), trained(weights["edited"], 30 + seed)
    named = {taken(values).version: name for name, values in weights.items()}
    found = infer([taken(values) for values in weights.values()], least_confidence=0.0)
    parents = {named[item.child]: (named[item.parents[0].id], item.relation) for item in found.derivations}
    tuned = Relation.FINE_TUNED_FROM
    assert parents["edited"] == ("source", Relation.EDITED_FROM)
    assert parents["before"] == ("source", tuned)
    assert parents["after"] == ("edited", tuned)
    assert parents["source"] == ("root", tuned)


def test_what_was_edited_from_a_merge_hangs_from_it_and_is_no_hub(taken: Take) -> None:
    root = network(0)
    one = trained(root, 1)
    two = trained(one, 2)
    merge = mixed((0.45, root), (0.55, two))
    weights = {"root": root, "one": one, "two": two, "merge": merge, "edited": edited(merge, 3)}
    named = {taken(values).version: name for name, values in weights.items()}
    found = infer([taken(values) for values in weights.values()], least_confidence=0.0)
    parents = {named[item.child]: sorted(named[parent.id] for parent in item.parents) for item in found.derivations}
    assert parents == {"one": ["root"], "two": ["one"], "merge": ["root", "two"], "edited": ["merge"]}


def test_what_a_merge_was_made_of_is_no_edit_of_it(taken: Take) -> None:
    root = network(0)
    base = trained(root, 1)
    adapted = edited(base, 2)
    weights = {"root": root, "base": base, "adapted": adapted, "merge": mixed((0.6, adapted), (0.4, base))}
    weights["other"] = trained(root, 4)
    named = {taken(values).version: name for name, values in weights.items()}
    found = infer([taken(values) for values in weights.values()], least_confidence=0.0)
    parents = {named[item.child]: sorted(named[parent.id] for parent in item.parents) for item in found.derivations}
    assert parents["base"] == parents["other"] == ["root"]
    assert {parent for item in ("adapted", "merge") for parent in parents[item]} <= {"base", "adapted", "merge"}


@given(st.integers(3, 9), st.integers(0, 10_000))
def test_what_moves_leaves_a_tree_and_stays_where_it_was_moved_to(size: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    edges = [(int(generator.integers(node)), node) for node in range(1, size)]
    values = generator.standard_normal((size, 12))
    tails = generator.choice([0.0, 1.0], len(edges))
    links = {
        pair: WeighedLink(one=pair[0], two=pair[1], tail=float(tail), frobenius=1.0)
        for pair, tail in zip(edges, tails, strict=True)
    }
    moved = at_the_right_ends(edges, links, values)
    assert len(orient(moved, 0)) == size - 1
    assert {pair for pair, tail in zip(edges, tails, strict=True) if tail == 0} <= set(moved)


def test_a_share_that_another_training_explains_says_nothing() -> None:
    generator = np.random.default_rng(0)
    step = generator.standard_normal(400)
    other = generator.standard_normal(400)
    # A third training, ten times as long, that agrees with the step by a cosine of 0.1.
    alike = step + 10 * (other - (other @ step) / (step @ step) * step)
    values = np.stack([np.zeros(400), step, alike])
    assert 0 < carried(values, 0, 1, 2) < 1
    assert carried(values, 0, 1, 0) < -100
    assert carried(values, 0, 0, 2) == 0
