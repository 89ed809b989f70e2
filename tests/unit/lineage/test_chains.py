"""Chains of descent, siblings that pass for one, and what was trained from a merge."""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_schema.fingerprint import Fingerprint
from lineage.certain import CertainEdge
from lineage.chains import chain_gap, same_path, straightened
from lineage.inference import infer
from lineage.link_weights import WeighedLink
from lineage.merge_descendants import merge_descendants
from lineage.rules.merge import Merge
from lineage.spanning_tree import orient
from lineage.tail_distance import tail_energies
from tests.unit.lineage.networks import mixed, network, trained

Take = Callable[[dict[str, np.ndarray]], Fingerprint]
Pair = tuple[int, int]


def between(tails: Mapping[Pair, float]) -> dict[Pair, WeighedLink]:
    return {pair: WeighedLink(one=pair[0], two=pair[1], tail=tail, frobenius=tail) for pair, tail in tails.items()}


MATRICES = (8, 48, 64)


def measured(members: Sequence[np.ndarray]) -> dict[Pair, WeighedLink]:
    return between(
        {
            (one, two): float(tail_energies(members[two] - members[one]).mean())
            for one, two in combinations(range(len(members)), 2)
        }
    )


@given(seed=st.integers(0, 1000), second=st.floats(0.7, 1.4))
def test_along_a_chain_tails_add_up_and_between_siblings_the_parent_is_in_the_middle(seed: int, second: float) -> None:
    generator = np.random.default_rng(seed)
    first, other = generator.standard_normal((2, *MATRICES))
    chain = measured([np.zeros(MATRICES), first, first + second * other])
    gap = chain_gap(chain, 0, 1, 2)
    assert gap is not None
    assert gap < 0.4
    # What siblings share stands in the way between either and the parent, but not between the two.
    shared = generator.standard_normal(MATRICES)
    siblings = measured([np.zeros(MATRICES), shared + first, shared + second * other])
    assert all((gap := chain_gap(siblings, 0, middle, 3 - middle)) is not None and gap > 0.4 for middle in (1, 2))


def test_a_gap_needs_three_links_and_steps_of_some_length() -> None:
    assert chain_gap(between({(0, 1): 1.0, (1, 2): 1.0}), 0, 1, 2) is None
    assert chain_gap(between({(0, 1): 0.0, (1, 2): 1.0, (0, 2): 1.0}), 0, 1, 2) is None


def test_what_cannot_have_come_by_way_of_its_parent_hangs_from_its_grandparent() -> None:
    links = between({(0, 1): 3.0, (1, 2): 2.0, (0, 2): 3.5})
    assert straightened([(0, 1), (1, 2)], 0, links, ()) == [(0, 1), (0, 2)]
    # Seen from the other end, the middle is the grandparent's child all the same.
    assert straightened([(0, 1), (1, 2)], 2, links, ()) == [(0, 2), (1, 2)]
    assert straightened([(0, 1), (1, 2)], 1, links, ()) == [(0, 1), (1, 2)]
    assert straightened([(0, 1), (1, 2)], 0, links, [(0, 1)]) == [(0, 1), (1, 2)]


def test_a_short_last_step_is_moved_only_where_the_way_is_clearly_no_chain() -> None:
    for across, parent in ((1.1, 1), (0.6, 0)):
        links = between({(0, 1): 1.0, (1, 2): 0.2, (0, 2): across})
        assert orient(straightened([(0, 1), (1, 2)], 0, links, ()), 0)[2] == parent


@given(seed=st.integers(0, 1000), farther=st.floats(1.5, 3.0), noise=st.floats(1.0, 2.0))
def test_what_goes_on_where_another_went_is_its_sibling(seed: int, farther: float, noise: float) -> None:
    generator = np.random.default_rng(seed)
    learned, other = (generator.standard_normal((2, 8, 48, 4)) @ generator.standard_normal((2, 8, 4, 64))) * 2
    one, two = generator.standard_normal((2, *MATRICES))

    def found(last: np.ndarray) -> dict[Pair, WeighedLink]:
        members = [np.zeros(MATRICES), learned + one, last]
        tails = measured(members)
        whole = {(a, b): float(np.sum((members[b] - members[a]) ** 2)) for a, b in tails}
        return {
            pair: WeighedLink(one=pair[0], two=pair[1], tail=tails[pair].tail, frobenius=whole[pair]) for pair in tails
        }

    sibling = found(farther * learned + one + noise * two)
    assert same_path(sibling, 0, 1, 2)
    assert straightened([(0, 1), (1, 2)], 0, sibling, ()) == [(0, 1), (0, 2)]
    # The second of two trainings on different data went another way, and decay shows in the noise as well.
    assert not same_path(found(learned + one + other + noise * two), 0, 1, 2)
    assert not same_path(found(farther * (learned + one)), 0, 1, 2)


@given(st.integers(3, 9), st.integers(0, 10_000))
def test_straightening_gives_a_tree_and_nothing_is_left_to_straighten(size: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    edges = [(int(generator.integers(node)), node) for node in range(1, size)]
    links = between({pair: float(generator.uniform(0.1, 5)) for pair in combinations(range(size), 2)})
    straight = straightened(edges, 0, links, ())
    assert len(orient(straight, 0)) == size - 1
    assert straightened(straight, 0, links, ()) == straight


def test_the_descendants_of_a_mean_are_told_from_the_ancestor_of_its_parts() -> None:
    # 0 the root, 1 and 2 its children, 3 their mean, 4 and 5 trained from the mean, 6 another child of the root
    links = between(
        {(0, 1): 1.0, (0, 2): 1.0, (0, 3): 0.5, (0, 4): 0.9, (0, 5): 1.2, (0, 6): 0.2}
        | {(1, 2): 2.1, (1, 3): 0.6, (1, 4): 1.0, (1, 5): 1.3, (1, 6): 1.3}
        | {(2, 3): 0.6, (2, 4): 1.0, (2, 5): 1.3, (2, 6): 1.3}
        | {(3, 4): 0.3, (3, 5): 0.5, (3, 6): 0.6, (4, 5): 0.1, (4, 6): 1.1, (5, 6): 1.4}
    )
    merge = Merge(members=(1, 2), weights=(0.5, 0.5), roles=("constituent",) * 2, method="", residual=0, statement="")
    edge = CertainEdge(parent=1, child=3, merge=merge)
    assert merge_descendants({3: edge}, links, ()) == {3: [(3, 4), (4, 5)]}
    assert merge_descendants({3: edge}, links, {4}) == {3: [(3, 5)]}


def test_what_is_much_nearer_to_a_merge_than_to_its_parts_was_made_from_it() -> None:
    # A short step may shrink a merge towards its parts, as decay of weights does; but not by more than its length.
    links = between({(0, 1): 2.0, (0, 2): 1.0, (1, 2): 1.0, (2, 3): 0.01, (0, 3): 0.995, (1, 3): 0.995, (2, 4): 0.01})
    links |= between({(0, 4): 0.9, (1, 4): 1.2, (3, 4): 0.03})
    merge = Merge(members=(0, 1), weights=(0.5, 0.5), roles=("constituent",) * 2, method="", residual=0, statement="")
    edge = CertainEdge(parent=0, child=2, merge=merge)
    assert merge_descendants({2: edge}, links, ()) == {2: [(2, 3)]}


def test_a_child_of_a_merge_is_no_parent_of_what_was_merged(taken: Take) -> None:
    root = network(0)
    one, two = trained(root, 1), trained(root, 2)
    merge = mixed((0.55, one), (0.45, two))
    weights = {"root": root, "one": one, "two": two, "merge": merge, "child": trained(merge, 3, step=0.002)}
    named = {taken(values).version: name for name, values in weights.items()}
    found = infer([taken(values) for values in weights.values()], least_confidence=0.0)
    parents = {named[item.child]: sorted(named[parent.id] for parent in item.parents) for item in found.derivations}
    assert parents == {"one": ["root"], "two": ["root"], "merge": ["one", "two"], "child": ["merge"]}


@pytest.mark.parametrize("seed", range(3))
def test_siblings_that_learned_alike_are_no_chain(taken: Take, seed: int) -> None:
    root = network(seed)
    shared = trained(root, 1)
    weights = {"root": root, "one": trained(shared, 2, step=0.008), "two": trained(shared, 3, step=0.008)}
    named = {taken(values).version: name for name, values in weights.items()}
    found = infer([taken(values) for values in weights.values()], least_confidence=0.0)
    assert {named[item.child]: named[item.parents[0].id] for item in found.derivations} == {
        "one": "root",
        "two": "root",
    }
