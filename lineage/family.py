"""One family: from the fingerprints of related versions to a tree of derivations with confidences.

Rules first: what was cast, quantised or pruned shows it, with its source; a merge lies inside the hull of its
constituents. Those edges are certain and stand. The rest of the tree follows from tail distances; then its root, and
with it every direction, from all cues together (`lineage.rooting`). Topology and root are two problems: scores of
direction in the choice of neighbours would bias it toward old versions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graph_schema.fingerprint import Fingerprint
from lineage.batch_clock import COUNTED, trained_apart
from lineage.calibration import Calibration
from lineage.certain import CertainEdge
from lineage.cues import EdgeCues
from lineage.edited_ends import at_the_right_ends
from lineage.family_evidence import FamilyEvidence
from lineage.hidden_parents import HiddenParent, balanced, hidden_parents
from lineage.link_weights import WeighedLink, link_costs
from lineage.neighbours import below_copies, bridges, neighbour_tree
from lineage.pairs import pair_of
from lineage.rooting import rooted_tree
from lineage.spanning_tree import Rooting, ancestors_of, link_posteriors, orient


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeEdge:
    """One edge of a family's tree, parent to child, with what speaks for it.

    Attributes
    ----------
    parent, child : int
        Positions in the family.
    probability : float
        Of this very edge, calibrated: that the two are neighbours, and that this one is the parent.
    neighbours : float
        That the two are neighbours.
    forward : float
        That the edge points this way, given that they are.
    certain : CertainEdge or None
        The rule that made it.
    link : WeighedLink or None
        Distances; None for a certain edge that was not weighed.
    cues : EdgeCues or None
        The cues of direction, first being the parent.
    runner_up : int or None
        The next best parent.
    runner_up_link : WeighedLink or None
        Distances to it.
    """

    parent: int
    child: int
    probability: float
    neighbours: float
    forward: float
    certain: CertainEdge | None
    link: WeighedLink | None
    cues: EdgeCues | None
    runner_up: int | None
    runner_up_link: WeighedLink | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyTree:
    """The tree of one family.

    Attributes
    ----------
    root : int
        Position of the most probable root.
    root_probability : float
    edges : tuple of TreeEdge
        One for every other member, by child.
    hidden : tuple of HiddenParent
        Parents that are not there; for their children they take the place of the parents in `edges`.
    """

    root: int
    root_probability: float
    edges: tuple[TreeEdge, ...]
    hidden: tuple[HiddenParent, ...] = ()


def family_tree(evidence: FamilyEvidence, calibration: Calibration) -> FamilyTree:
    """The most probable tree of a family; it does not depend on the order of its members.

    Parameters
    ----------
    evidence : FamilyEvidence
    calibration : Calibration
    """
    fingerprints, vectors = evidence.members, evidence.vectors
    size = len(fingerprints)
    links, certain = dict(evidence.links), list(evidence.certain)
    while True:
        nearest = neighbour_tree(fingerprints, links, certain, calibration.link_sharpness)
        if missing := set(bridges(nearest, vectors.values)) - links.keys():
            links |= evidence.more_links(sorted(missing))
            continue
        made = {pair_of(edge.parent, edge.child) for edge in certain if edge.merge is not None}
        spanning = at_the_right_ends(below_copies(nearest.edges, certain, vectors), links, vectors.values, made)
        tree = rooted_tree(evidence, spanning, links, certain, calibration)
        impossible = _own_ancestors(certain, orient(tree.edges, tree.rooting.root))
        if not impossible:
            break
        certain = [edge for edge in certain if edge.child not in impossible]
    edges, rooting, cues = tree.edges, tree.rooting, tree.cues
    refuted = set(spanning) - set(edges)
    possible = {pair: link for pair, link in links.items() if pair not in refuted}
    neighbours = _neighbour_odds(fingerprints, possible, edges, certain, calibration)
    rooted = _tree_edges(size, edges, rooting, certain, links, cues, neighbours, calibration)
    return FamilyTree(
        root=rooting.root,
        root_probability=rooting.posterior[rooting.root],
        edges=rooted,
        hidden=hidden_parents(
            [(edge.parent, edge.child) for edge in rooted],
            [edge.certain is None and edge.cues is not None and balanced(edge.cues) for edge in rooted],
        ),
    )


def _own_ancestors(certain: Sequence[CertainEdge], parents: Mapping[int, int]) -> set[int]:
    """Merges of which a part descends, in a tree, from the merge itself: one of the two is no such thing."""
    above = {child: {parent} for child, parent in parents.items()}
    merges = {edge.child: set(edge.merge.members) for edge in certain if edge.merge is not None}
    above.update(merges)
    return {merge for merge in merges if merge in ancestors_of(merge, above)}


def _neighbour_odds(
    fingerprints: Sequence[Fingerprint],
    links: Mapping[tuple[int, int], WeighedLink],
    edges: Sequence[tuple[int, int]],
    certain: Sequence[CertainEdge],
    calibration: Calibration,
) -> dict[tuple[int, int], float]:
    """Posterior probability of each edge of the tree to join true neighbours."""
    # A copy or a merge that nothing hangs from is no rival of its source: whatever is near the one is near the other.
    degree = Counter(node for pair in edges for node in pair)
    leaves = {edge.child for edge in certain if degree[edge.child] == 1}
    rivals = [pair for pair in links if not leaves & set(pair)]
    everything = list(dict.fromkeys([*rivals, *edges]))
    # What was not weighed was placed by a rule (a copy's child), which no distance and no tensor in common outweighs.
    most = max((link.shared for link in links.values()), default=0)
    unweighed = WeighedLink(one=0, two=0, tail=0.0, frobenius=0.0, shared=most)
    log_weights = -link_costs([links.get(pair, unweighed) for pair in everything], calibration.link_sharpness)
    log_weights -= [COUNTED * trained_apart(fingerprints[one], fingerprints[two]) for one, two in everything]
    return dict(zip(edges, link_posteriors(len(fingerprints), edges, everything, log_weights), strict=True))


def _tree_edges(
    size: int,
    edges: Sequence[tuple[int, int]],
    rooting: Rooting,
    certain: Sequence[CertainEdge],
    links: Mapping[tuple[int, int], WeighedLink],
    cues: Mapping[tuple[int, int], EdgeCues],
    neighbours: Mapping[tuple[int, int], float],
    calibration: Calibration,
) -> tuple[TreeEdge, ...]:
    by_ends = {(edge.parent, edge.child): edge for edge in certain}
    parents = orient(edges, rooting.root)
    below = _descendants(size, parents)
    for edge in certain:
        for member in edge.merge.members if edge.merge is not None else ():
            below[member].add(edge.child)
    rivals = _rivals(links)
    found = []
    for child, parent in sorted(parents.items()):
        pair = pair_of(parent, child)
        rule = by_ends.get((parent, child)) or by_ends.get((child, parent))
        near = 1.0 if rule is not None else neighbours[pair]
        forward = rooting.forward[parent, child]
        runner_up = _runner_up(parent, below[child], rivals.get(child, ()))
        direction = cues.get(pair)
        found.append(
            TreeEdge(
                parent=parent,
                child=child,
                probability=near * forward if rule is not None else calibration.calibrated(near, forward),
                neighbours=near,
                forward=forward,
                certain=rule,
                link=links.get(pair),
                cues=None if direction is None else direction if pair[0] == parent else direction.reversed(),
                runner_up=runner_up,
                runner_up_link=None if runner_up is None else links[pair_of(runner_up, child)],
            )
        )
    return tuple(found)


def _descendants(size: int, parents: Mapping[int, int]) -> list[set[int]]:
    below: list[set[int]] = [{node} for node in range(size)]
    for node in range(size):
        up = parents.get(node)
        while up is not None:
            below[up].add(node)
            up = parents.get(up)
    return below


def _rivals(links: Mapping[tuple[int, int], WeighedLink]) -> dict[int, list[int]]:
    """The neighbours of each member: what shares most tensors first, then by tail distance, nearest first."""
    found: dict[int, list[tuple[int, float, int]]] = {}
    for (one, two), link in links.items():
        found.setdefault(one, []).append((-link.shared, link.tail, two))
        found.setdefault(two, []).append((-link.shared, link.tail, one))
    return {member: [other for _, _, other in sorted(others)] for member, others in found.items()}


def _runner_up(parent: int, below: set[int], rivals: Sequence[int]) -> int | None:
    return next((other for other in rivals if other != parent and other not in below), None)
