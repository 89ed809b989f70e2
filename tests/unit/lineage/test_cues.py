"""What speaks for a direction, what shape a tree has, and who is not there."""

import math
from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_schema.fingerprint import Fingerprint
from graph_schema.identity import IMPLIED_PREFIX
from lineage.alignment import tensor_pairs
from lineage.cues import bounded_growth
from lineage.direction import Reading, changes, growth, leading_directions, row_growth
from lineage.hidden_parents import hidden_parents
from lineage.inference import infer
from lineage.measured_roles import measured_roles
from lineage.nearness import nearest_relatives
from lineage.relatedness import kinship
from lineage.rules.expansion import repeats_layers
from lineage.rules.quantization import to_bf16
from lineage.spanning_tree import shape_prior
from tests.unit.lineage.networks import mixed, network, trained

Take = Callable[[dict[str, np.ndarray]], Fingerprint]


@pytest.fixture(scope="module")
def root() -> dict[str, np.ndarray]:
    return network(0)


@pytest.mark.parametrize("decay", [0.0, 0.02])
def test_rows_that_moved_more_grew_more_whatever_the_decay(
    taken: Take, root: dict[str, np.ndarray], decay: float
) -> None:
    child = {name: (1 - decay) * values for name, values in trained(root, 1).items()}
    pairs = tuple(tensor_pairs(taken(root), taken(child)))
    rows = row_growth(changes(pairs))
    assert rows is not None
    assert rows.value - 2 * rows.error > 0
    back = row_growth(changes([pair.swapped() for pair in pairs]))
    assert back is not None
    assert back.value == pytest.approx(-rows.value)


def test_a_change_in_one_direction_tells_no_direction(taken: Take, root: dict[str, np.ndarray]) -> None:
    generator = np.random.default_rng(5)
    edited = {}
    for name, values in root.items():
        moved = values.ndim > 1 and "mlp.up" in name
        edge = np.outer(*(generator.standard_normal(size) for size in values.shape)) if moved else 0.0
        edited[name] = (values + 0.002 * edge).astype(np.float32)
    pairs = tuple(tensor_pairs(taken(root), taken(edited)))
    for reading in (growth(changes(pairs)), row_growth(changes(pairs))):
        assert reading is not None
        assert reading.error > 0.5 * abs(reading.value - 1)


@given(seed=st.integers(0, 1000), rank=st.integers(1, 4))
def test_leading_directions_span_a_change_of_low_rank(seed: int, rank: int) -> None:
    generator = np.random.default_rng(seed)
    change = generator.standard_normal((20, rank)) @ generator.standard_normal((rank, 12))
    left, right = leading_directions(change)
    sizes = np.einsum("rk,rc,ck->k", left, change, right)
    assert np.sum(sizes**2) == pytest.approx(np.sum(change**2))
    assert left.T @ left == pytest.approx(np.eye(4), abs=1e-9)
    assert right.T @ right == pytest.approx(np.eye(4), abs=1e-9)


def test_siblings_as_far_from_their_parent_do_not_grow(taken: Take, root: dict[str, np.ndarray]) -> None:
    pairs = tuple(tensor_pairs(taken(trained(root, 1)), taken(trained(root, 2))))
    for reading in (growth(changes(pairs)), row_growth(changes(pairs))):
        assert reading is not None
        assert abs(reading.value) < 0.15
        assert reading.error < 0.15


def test_a_parent_that_is_missing_is_implied(taken: Take, root: dict[str, np.ndarray]) -> None:
    one, two = taken(trained(root, 1)), taken(trained(root, 2))
    found = infer([one, two])
    (hidden,) = found.implied
    assert hidden.id.startswith(IMPLIED_PREFIX)
    assert hidden.children == tuple(sorted([one.version, two.version]))
    assert {(item.child, item.parents[0].id) for item in found.derivations} == {
        (one.version, hidden.id),
        (two.version, hidden.id),
    }
    assert infer([one, two, taken(root)]).implied == ()


def test_a_hidden_parent_takes_the_place_below_what_is_above() -> None:
    (hidden,) = hidden_parents([(5, 1), (1, 2), (1, 3), (3, 4)], [False, True, True, False])
    assert hidden.children == (1, 2, 3)
    assert hidden.above == 5


def _orders(edges: list[tuple[int, int]], root: int, size: int) -> int:
    """In how many orders a tree can grow from a root, counted one by one."""
    around = {node: {b if a == node else a for a, b in edges if node in (a, b)} for node in range(size)}
    count = 0
    for order in permutations([node for node in range(size) if node != root]):
        seen = {root}
        for node in order:
            if not around[node] & seen:
                break
            seen.add(node)
        else:
            count += 1
    return count


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=5))
def test_the_prior_of_a_shape_counts_the_orders_of_growth(choices: list[int]) -> None:
    edges = [(choice % (child + 1), child + 1) for child, choice in enumerate(choices)]
    size = len(edges) + 1
    counts = {node: _orders(edges, node, size) for node in range(size)}
    most = max(counts.values())
    for node, value in shape_prior(edges).items():
        assert value == pytest.approx(math.log(counts[node] / most))


def test_kinship_is_a_matter_of_two_versions_alone(taken: Take, root: dict[str, np.ndarray]) -> None:
    lake = [taken(root), taken(network(1)), taken(trained(root, 2)), taken(network(3, layers=2)), taken(network(4))]
    whole = kinship(lake)
    for one in range(len(lake)):
        for two in range(one):
            pair = kinship([lake[two], lake[one]])
            assert pair.kindred[0, 1] == whole.kindred[two, one] == whole.kindred[one, two]
            assert pair.strongest[0, 1] == pytest.approx(whole.strongest[two, one], abs=1e-4)
    new = np.array([False, False, True, False, True])
    partly = kinship(lake, new)
    asked = new[:, None] | new[None, :]
    np.testing.assert_array_equal(partly.kindred[asked], whole.kindred[asked])
    assert not partly.kindred[~asked].any()


def test_the_nearest_come_first(taken: Take, root: dict[str, np.ndarray]) -> None:
    lake = [taken(item) for item in (root, trained(root, 1, step=0.001), trained(root, 2, step=0.01))]
    roles = measured_roles(lake)
    assert nearest_relatives(lake, roles) == [[1, 2], [0, 2], [0, 1]]
    assert nearest_relatives(lake, roles, count=1) == [[1], [0], [0]]


def test_layers_that_were_repeated_show(taken: Take, root: dict[str, np.ndarray]) -> None:
    grown = dict(root)
    for name, values in root.items():
        if ".layers.2." in name:
            grown[name.replace(".layers.2.", ".layers.3.")] = values
    assert repeats_layers(taken(grown))
    assert repeats_layers(taken(trained(grown, 5)))
    assert not repeats_layers(taken(root))


@pytest.mark.parametrize("step", [0.002, 0.0005])
def test_what_was_trained_from_a_copy_hangs_from_the_copy(
    taken: Take, root: dict[str, np.ndarray], step: float
) -> None:
    copy = {name: to_bf16(values).astype(np.float32) for name, values in root.items()}
    lake = {
        "root": root,
        "copy": copy,
        "own": trained(root, 1, step=step),
        "copied": trained(copy, 2, step=step),
        "other": trained(root, 3, step=step),
    }
    versions = {name: taken(item) for name, item in lake.items()}
    names = {item.version: name for name, item in versions.items()}
    found = infer(list(versions.values()), least_confidence=0.0)
    parents = {names[item.child]: names[item.parents[0].id] for item in found.derivations}
    assert parents == {"copy": "root", "own": "root", "copied": "copy", "other": "root"}


def test_what_was_edited_from_a_merge_hangs_from_it(taken: Take, root: dict[str, np.ndarray]) -> None:
    one, two = trained(root, 1), trained(root, 2)
    merge = mixed((0.5, one), (0.5, two))
    edited = merge | {"lm_head.weight": merge["lm_head.weight"] + 0.02 * np.outer(np.ones(200), np.arange(48) / 48)}
    lake = {"root": root, "one": one, "two": two, "merge": merge, "edited": edited}
    single = {name: {key: item.astype(np.float32) for key, item in part.items()} for name, part in lake.items()}
    found = {name: taken(part) for name, part in single.items()}
    names = {item.version: name for name, item in found.items()}
    edges = {
        names[item.child]: {names[end.id] for end in item.parents}
        for item in infer(list(found.values()), least_confidence=0.0).derivations
    }
    assert edges["edited"] == {"merge"}
    assert edges["merge"] == {"one", "two"}


def test_a_large_loss_of_norm_is_decay_and_a_moderate_one_open() -> None:
    figures = [bounded_growth(Reading(value=-size, error=0.1)) for size in (1.0, 2.0, 3.5, 5.0, 6.0, 60.0)]
    assert figures[0] < 0
    assert figures == sorted(figures[:1]) + sorted(figures[1:])
    assert figures[3] == 0
    assert figures[-1] > 0.9
