"""Who hangs from whom where layers are missing, or parts of a family lie far apart."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_schema.fingerprint import Fingerprint
from graph_schema.labels import Relation
from lineage.far_parts import FAR, far_parts
from lineage.inference import infer
from lineage.link_weights import WeighedLink
from lineage.neighbours import BRIDGES, Neighbours, bridges, depth_levels
from tests.unit.lineage.networks import Weights, network, trained

Take = Callable[[dict[str, np.ndarray]], Fingerprint]


def parents(taken: Take, weights: dict[str, Weights]) -> dict[str, tuple[str, Relation]]:
    named = {taken(values).version: name for name, values in weights.items()}
    found = infer([taken(values) for values in weights.values()], least_confidence=0.0)
    return {named[item.child]: (named.get(item.parents[0].id, "hidden"), item.relation) for item in found.derivations}


@pytest.mark.parametrize("seed", range(3))
def test_nothing_hangs_from_a_student_that_lacks_its_layers(taken: Take, seed: int) -> None:
    root = network(seed)
    near, far = trained(root, 1 + seed, step=0.01), trained(root, 11 + seed, step=0.05)
    moved = {name: (far if ".layers.2." in name else near)[name] for name in root}
    student = trained(
        {name: values for name, values in root.items() if ".layers.2." not in name}, 21 + seed, step=0.004
    )
    found = parents(taken, {"root": root, "moved": moved, "student": student})
    assert found == {"moved": ("root", Relation.FINE_TUNED_FROM), "student": ("root", Relation.DISTILLED_FROM)}


def test_the_deepest_come_first_and_what_was_grown_last(taken: Take) -> None:
    root = network(0)
    deeper = dict(network(0, layers=4))
    for name, values in root.items():
        deeper[name] = values
        if ".layers.2." in name:
            deeper[name.replace(".layers.2.", ".layers.3.")] = values
    student = {name: values for name, values in root.items() if ".layers.2." not in name}
    assert depth_levels([taken(item) for item in (student, root, deeper, trained(root, 1))]) == [1, 0, 2, 0]
    assert depth_levels([taken(root), taken(trained(root, 1))]) == [0, 0]


@pytest.mark.parametrize("seed", range(3))
def test_runs_from_one_initialisation_keep_their_own_roots(taken: Take, seed: int) -> None:
    start = network(seed)
    weights = {}
    for place, run in enumerate("ab"):
        weights[run] = trained(start, 10 * seed + place, step=0.08)
        # Decay shrinks what was trained on, so that it lies nearer to the other run than its root does.
        for number in range(3):
            child = trained(weights[run], 100 + 10 * place + number, step=0.004)
            weights[f"{run}{number}"] = {name: (0.97 * values).astype(np.float32) for name, values in child.items()}
    found = parents(taken, weights)
    assert all(found[name][0] == name[0] for name in weights if len(name) == 2)


def between(tails: dict[tuple[int, int], float]) -> dict[tuple[int, int], WeighedLink]:
    return {pair: WeighedLink(one=pair[0], two=pair[1], tail=tail, frobenius=tail) for pair, tail in tails.items()}


def test_a_far_relative_by_itself_makes_no_part() -> None:
    edges = [(0, 1), (0, 2), (2, 3)]
    links = between({(0, 1): 1.0, (0, 2): 100.0, (2, 3): 1.0})
    assert far_parts(edges, links, ()) == ([(0, 2)], [[(0, 1)], [(2, 3)]])
    assert far_parts(edges[:2], links, ()) == ([], [edges[:2]])
    assert far_parts(edges, links, [(0, 2)]) == ([], [edges])


@given(st.integers(4, 12), st.integers(0, 10_000))
def test_parts_and_far_links_are_the_tree(size: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    edges = [(int(generator.integers(node)), node) for node in range(1, size)]
    links = between({pair: float(np.exp(generator.normal(0, 3))) for pair in edges})
    far, parts = far_parts(edges, links, ())
    assert sorted([*far, *(pair for part in parts for pair in part)]) == sorted(edges)
    assert len(parts) == len(far) + 1
    if far:
        assert min(links[pair].tail for pair in far) > FAR * max(links[pair].tail for part in parts for pair in part)


def test_bridges_join_what_is_free_in_two_parts_where_they_are_nearest() -> None:
    values = np.array([[0.0], [1.0], [5.0], [5.5], [1.5]])
    # The last is a merge: nothing else hangs from it.
    parts = Neighbours(edges=((0, 1), (2, 3), (1, 4)), free=frozenset({0, 1, 2, 3}))
    found = bridges(parts, values)
    assert (1, 2) in found
    assert all(4 not in pair and (pair[0] < 2) != (pair[1] < 2) for pair in found)
    assert len(found) <= BRIDGES
    assert bridges(Neighbours(edges=((0, 1), (1, 2), (2, 3), (1, 4)), free=parts.free), values) == []
