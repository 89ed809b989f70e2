"""Minimum arborescence: against every tree there is for few nodes, and against networkx for more."""

from itertools import product

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lineage.arborescence import Arc, minimum_arborescence


def random_arcs(seed: int, size: int, density: float) -> list[Arc]:
    generator = np.random.default_rng(seed)
    return [
        (source, target, float(generator.integers(-9, 10)))
        for source, target in product(range(size), repeat=2)
        if source != target and generator.random() < density
    ]


def cheapest_by_trying_all(size: int, arcs: list[Arc], root: int) -> float | None:
    cost = {}
    for source, target, price in arcs:
        cost[source, target] = min(price, cost.get((source, target), np.inf))
    best = None
    others = [node for node in range(size) if node != root]
    for parents in product(range(size), repeat=len(others)):
        parent = dict(zip(others, parents, strict=True))
        if any((parent[node], node) not in cost for node in others) or not reaches(parent, root):
            continue
        total = sum(cost[parent[node], node] for node in others)
        best = total if best is None else min(best, total)
    return best


def reaches(parent: dict[int, int], root: int) -> bool:
    for start in parent:
        node, steps = start, 0
        while node != root:
            node, steps = parent[node], steps + 1
            if steps > len(parent):
                return False
    return True


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.sampled_from([0.3, 0.6, 1.0]))
def test_no_tree_is_cheaper(seed: int, size: int, density: float) -> None:
    arcs = random_arcs(seed, size, density)
    found = minimum_arborescence(size, arcs, root=0)
    best = cheapest_by_trying_all(size, arcs, 0)
    assert (found is None) == (best is None)
    if found is not None:
        assert found.cost == best


def test_no_tree_of_six_nodes_is_cheaper() -> None:
    for seed in range(3):
        arcs = random_arcs(seed, 6, 0.8)
        found = minimum_arborescence(6, arcs, root=2)
        assert (None if found is None else found.cost) == cheapest_by_trying_all(6, arcs, 2)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(2, 25), st.floats(0.1, 1))
def test_networkx_agrees(seed: int, size: int, density: float) -> None:
    arcs = random_arcs(seed, size, density)
    graph = nx.DiGraph()
    graph.add_nodes_from(range(size))
    graph.add_weighted_edges_from(arcs)
    found = minimum_arborescence(size, arcs)
    try:
        expected = nx.minimum_spanning_arborescence(graph).size(weight="weight")
    except nx.NetworkXException:
        assert found is None
        return
    assert found is not None
    assert found.cost == pytest.approx(expected)
    assert found.parents[found.root] == -1
    assert reaches({node: parent for node, parent in enumerate(found.parents) if parent >= 0}, found.root)


def test_the_price_of_a_root_decides_between_equal_trees() -> None:
    arcs = [(0, 1, 1.0), (1, 0, 1.0)]
    assert minimum_arborescence(2, arcs, root_costs=[5.0, 0.0]) == minimum_arborescence(2, arcs, root=1)


def test_ties_go_to_the_edge_that_comes_first() -> None:
    found = minimum_arborescence(3, [(0, 1, 1.0), (0, 2, 2.0), (1, 2, 2.0)], root=0)
    assert found is not None
    assert found.parents == (-1, 0, 0)


def test_a_long_chain_does_not_exhaust_the_stack() -> None:
    size = 3000
    arcs = [(node, node + 1, 1.0) for node in range(size - 1)] + [(node + 1, node, 0.5) for node in range(size - 1)]
    found = minimum_arborescence(size, arcs, root=0)
    assert found is not None
    assert found.parents == tuple(range(-1, size - 1))


@pytest.mark.parametrize("arcs", [[(0, 5, 1.0)], [(0, 1, float("nan"))]])
def test_what_is_no_graph_is_refused(arcs: list[Arc]) -> None:
    with pytest.raises(ValueError, match="edge 0"):
        minimum_arborescence(2, arcs)


def test_a_root_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="root"):
        minimum_arborescence(2, [], root=2)
    with pytest.raises(ValueError, match="size"):
        minimum_arborescence(0, [])
