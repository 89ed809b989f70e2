"""Whatever was done to whatever: the inference answers, and what it says is a forest of derivations."""

from collections.abc import Callable
from unittest.mock import patch

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graph_schema.fingerprint import Fingerprint
from graph_schema.labels import Relation
from lineage import topology
from lineage.inference import infer
from tests.unit.lineage.networks import Weights, mixed, network, trained

Take = Callable[[dict[str, np.ndarray]], Fingerprint]

EDITED = "model.layers.0.mlp.down_proj.weight"
OPERATIONS = ("train", "edit", "half", "merge", "student", "head", "again")


def made(lake: list[Weights], operation: str, one: int, two: int, seed: int) -> Weights:
    """One more version, from one or two that are there."""
    first, second = lake[one % len(lake)], lake[two % len(lake)]
    generator = np.random.default_rng(seed)
    if operation == "edit":
        left, right = (generator.standard_normal(size) for size in first[EDITED].shape)
        return {**first, EDITED: (first[EDITED] + 0.05 * np.outer(left, right)).astype(np.float32)}
    if operation == "half":
        return {name: values.astype(np.float16).astype(np.float32) for name, values in first.items()}
    if operation == "merge" and first.keys() == second.keys():
        share = float(np.round(generator.uniform(0.2, 0.8), 2))
        return mixed((share, first), (1 - share, second))
    if operation == "student":
        return trained({name: values for name, values in first.items() if ".layers.1." not in name}, seed, step=0.004)
    if operation == "head":
        return {**first, "lm_head.weight": trained(first, seed)["lm_head.weight"]}
    return trained(first, seed, step=float(generator.choice([0.001, 0.01, 0.05])))


def answered(taken: Take, steps: list[tuple[str, int, int]], seed: int) -> None:
    """What the inference says of a lake is a forest in which everyone is told of."""
    lake: list[Weights] = [network(seed, layers=2)]
    for number, (operation, one, two) in enumerate(steps):
        lake.append(made(lake, operation, one, two, 1000 * seed + number))
    fingerprints = {(item := taken(weights)).version: item for weights in lake}
    found = infer(list(fingerprints.values()), least_confidence=0.0)
    parents = {item.child: [parent.id for parent in item.parents] for item in found.derivations}
    assert len(parents) == len(found.derivations)
    for child in parents:
        above, waiting = set[str](), [child]
        while waiting:
            more = set(parents.get(waiting.pop(), ())) - above
            assert child not in more
            above |= more
            waiting += more
    told = {item.child for item in found.derivations} | set(found.roots)
    assert {version for family in found.families if len(family) > 1 for version in family} <= told
    assert all(item.relation is Relation.MERGED_FROM or len(item.parents) == 1 for item in found.derivations)


@settings(max_examples=25, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.sampled_from(OPERATIONS), st.integers(0, 20), st.integers(0, 20)), min_size=2, max_size=9),
    st.integers(0, 1000),
)
def test_the_answer_is_a_forest(taken: Take, steps: list[tuple[str, int, int]], seed: int) -> None:
    answered(taken, steps, seed)


@settings(max_examples=12, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(st.sampled_from(("train", "merge", "merge", "edit")), st.integers(0, 20), st.integers(0, 20)),
        min_size=10,
        max_size=18,
    ),
    st.integers(0, 1000),
)
def test_so_it_is_where_not_all_pairs_are_weighed(taken: Take, steps: list[tuple[str, int, int]], seed: int) -> None:
    with patch.object(topology, "MOST_WORK", 0.0):
        answered(taken, steps, seed)
