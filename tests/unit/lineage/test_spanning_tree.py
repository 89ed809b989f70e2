"""Spanning trees: against every tree there is."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineage.spanning_tree import Link, link_posteriors, minimum_spanning_forest, orient, root_posterior


def complete(seed: int, size: int) -> list[Link]:
    generator = np.random.default_rng(seed)
    return [(one, two, float(generator.integers(1, 50))) for one, two in combinations(range(size), 2)]


def spanning_trees(size: int, links: list[Link]) -> list[tuple[int, ...]]:
    trees = []
    for chosen in combinations(range(len(links)), size - 1):
        groups = list(range(size))
        for index in chosen:
            one, two = groups[links[index][0]], groups[links[index][1]]
            groups = [two if group == one else group for group in groups]
        if len(set(groups)) == 1:
            trees.append(chosen)
    return trees


@given(st.integers(0, 2**32 - 1), st.integers(2, 5))
def test_no_spanning_tree_is_shorter(seed: int, size: int) -> None:
    links = complete(seed, size)
    found = minimum_spanning_forest(size, links)
    best = min(sum(links[index][2] for index in tree) for tree in spanning_trees(size, links))
    assert sum(links[index][2] for index in found) == best


@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_the_posterior_of_an_edge_is_its_share_among_the_links_that_could_replace_it(seed: int, size: int) -> None:
    links = complete(seed, size)
    pairs = [link[:2] for link in links]
    log_weights = np.random.default_rng(seed).normal(0, 3, len(links))
    tree = minimum_spanning_forest(size, links)
    trees = set(spanning_trees(size, links))
    for position, edge in enumerate(tree):
        rest = set(tree) - {edge}
        rivals = [link for link in range(len(links)) if tuple(sorted(rest | {link})) in trees]
        expected = np.exp(log_weights[edge]) / np.exp(log_weights[rivals]).sum()
        found = link_posteriors(size, [pairs[index] for index in tree], pairs, log_weights)
        assert found[position] == pytest.approx(expected)


@given(st.integers(0, 2**32 - 1), st.integers(2, 12))
def test_the_root_posterior_is_the_softmax_over_all_orientations(seed: int, size: int) -> None:
    generator = np.random.default_rng(seed)
    edges = [(int(generator.integers(0, node)), node) for node in range(1, size)]
    scores = {pair: float(generator.normal()) for one, two in edges for pair in ((one, two), (two, one))}
    totals = np.array(
        [sum(scores[parent, child] for child, parent in orient(edges, root).items()) for root in range(size)]
    )
    expected = np.exp(totals) / np.exp(totals).sum()
    rooting = root_posterior(edges, scores)
    np.testing.assert_allclose([rooting.posterior[node] for node in range(size)], expected)
    for one, two in edges:
        toward = sum(expected[root] for root in range(size) if orient(edges, root).get(two) == one)
        assert rooting.forward[one, two] == pytest.approx(toward)
        assert rooting.forward[one, two] + rooting.forward[two, one] == pytest.approx(1)


def test_forced_pairs_are_joined_first() -> None:
    links = [(0, 1, 1.0), (1, 2, 1.0), (0, 2, 9.0)]
    assert minimum_spanning_forest(3, links, forced=[(0, 2)]) == [0]


def test_what_is_no_tree_is_refused() -> None:
    with pytest.raises(ValueError, match="one tree"):
        root_posterior([(0, 1), (2, 3)], {(0, 1): 0, (1, 0): 0, (2, 3): 0, (3, 2): 0})


def test_a_prior_moves_the_root() -> None:
    scores = {(0, 1): 0.0, (1, 0): 0.0}
    assert root_posterior([(0, 1)], scores, prior={1: 3.0}).root == 1
