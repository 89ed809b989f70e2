"""Which member of a family came first, and which tree hangs from it.

The spanning tree of distances has no root, and what looks like a chain may be siblings that learned alike
(`lineage.chains`); which of the two it is depends on where the root lies. So for each likely root the tree is
straightened as seen from there, and of all these rooted trees the most probable one counts: distances, directions and
the shape of the tree together.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lineage.calibration import Calibration
from lineage.certain import CertainEdge
from lineage.chains import straightened
from lineage.cues import EdgeCues, node_angles
from lineage.family_evidence import FamilyEvidence
from lineage.far_parts import far_parts
from lineage.link_weights import WeighedLink, link_costs
from lineage.pairs import Pair, pair_of
from lineage.spanning_tree import Rooting, orient, root_posterior, shape_prior

FORCED = 40.0
"""Log-odds that stand for certainty."""

LIKELY_ROOT = 1e-3
MOST_ROOTS = 8
"""Roots of the spanning tree that are looked at: those of this probability, and not more than so many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RootedTree:
    """A tree, where its root lies, and why.

    Attributes
    ----------
    edges : tuple of (one, two)
        Smaller ends first.
    rooting : Rooting
    cues : mapping of (one, two) to EdgeCues
        The cues of direction of all edges that no rule made.
    """

    edges: tuple[Pair, ...]
    rooting: Rooting
    cues: Mapping[Pair, EdgeCues]


def rooted_tree(
    evidence: FamilyEvidence,
    edges: Sequence[Pair],
    links: Mapping[Pair, WeighedLink],
    certain: Sequence[CertainEdge],
    calibration: Calibration,
) -> RootedTree:
    """The most probable tree among a spanning tree and what it becomes as seen from its likely roots.

    Parts of a family that lie far apart (`lineage.far_parts`) are rooted by themselves, and joined by their roots.

    Parameters
    ----------
    evidence : FamilyEvidence
    edges : sequence of (one, two)
        The spanning tree.
    links : mapping of (one, two) to WeighedLink
        All that were weighed.
    certain : sequence of CertainEdge
        What rules say and no tree has refuted: these edges stand.
    calibration : Calibration

    Notes
    -----
    Time O(k n) for k likely roots, beside the cues of the few edges that are not in the spanning tree.
    """
    judge = _Judge(evidence, links, certain, calibration)
    far, parts = far_parts(edges, links, judge.forced)
    if not far:
        return _most_probable(judge, tuple(edges), links)
    trees = [_most_probable(judge, tuple(part), links) for part in parts]
    part_of = {node: place for place, part in enumerate(parts) for pair in part for node in pair}
    between = [tuple(sorted(trees[part_of[node]].rooting.root for node in pair)) for pair in far]
    whole, _ = judge.rooted((*(edge for tree in trees for edge in tree.edges), *((one, two) for one, two in between)))
    return whole


def _most_probable(judge: _Judge, edges: tuple[Pair, ...], links: Mapping[Pair, WeighedLink]) -> RootedTree:
    first, _ = judge.rooted(edges)
    probable = first.rooting.posterior
    roots = sorted(probable, key=lambda node: (-probable[node], node))[:MOST_ROOTS]
    best: tuple[float, RootedTree] | None = None
    for root in roots:
        if probable[root] >= LIKELY_ROOT or best is None:
            tree, scores = judge.rooted(tuple(straightened(edges, root, links, judge.forced)))
            probability = judge.log_probability(tree, scores, root)
            if best is None or probability > best[0]:
                best = probability, tree
    return first if best is None else best[1]


class _Judge:
    """How probable the rooted trees of one family are."""

    def __init__(
        self,
        evidence: FamilyEvidence,
        links: Mapping[Pair, WeighedLink],
        certain: Sequence[CertainEdge],
        calibration: Calibration,
    ) -> None:
        self.forced: Collection[Pair] = {pair_of(edge.parent, edge.child) for edge in certain}
        self._evidence, self._certain, self._calibration = evidence, certain, calibration
        pairs = sorted(links)
        costs = link_costs([links[pair] for pair in pairs], calibration.link_sharpness)
        self._costs = dict(zip(pairs, costs.tolist(), strict=True))
        self._seen: dict[tuple[Pair, ...], tuple[RootedTree, dict[Pair, float]]] = {}

    def rooted(self, edges: tuple[Pair, ...]) -> tuple[RootedTree, dict[Pair, float]]:
        """A tree with its root, and the score of each direction of each edge."""
        if edges not in self._seen:
            trained = [pair for pair in edges if pair not in self.forced]
            self._evidence.decays.read(trained)
            cues = {pair: self._evidence.cues(pair).weighed(self._calibration) for pair in trained}
            scores = self._scores(edges, cues)
            rooting = root_posterior(edges, scores, prior=self._prior(edges))
            self._seen[edges] = RootedTree(edges=edges, rooting=rooting, cues=cues), scores
        return self._seen[edges]

    def log_probability(self, tree: RootedTree, scores: Mapping[Pair, float], root: int) -> float:
        """Of a tree that hangs from a root, up to a constant of the family."""
        odds = [scores[parent, child] - scores[child, parent] for child, parent in orient(tree.edges, root).items()]
        directions = -float(np.logaddexp(0.0, -np.array(odds)).sum())
        distances = sum(self._costs.get(pair, 0.0) for pair in tree.edges if pair not in self.forced)
        return float(self._prior(tree.edges)[root] + directions - distances)

    def _prior(self, edges: Sequence[Pair]) -> dict[int, float]:
        return {node: self._calibration.shape * value for node, value in shape_prior(edges).items()}

    def _scores(self, edges: Sequence[Pair], cues: Mapping[Pair, EdgeCues]) -> dict[Pair, float]:
        scores: dict[Pair, float] = {}
        for edge in self._certain:
            scores[edge.parent, edge.child] = FORCED if edge.directed else 0.0
            scores[edge.child, edge.parent] = 0.0
        for (one, two), found in cues.items():
            scores[one, two], scores[two, one] = found.log_odds, 0.0
        # Copies lie in the direction of a rounding error, which says nothing about angles between trainings.
        trained = [pair for pair in edges if pair in cues]
        for (node, neighbour), score in node_angles(trained, self._evidence.vectors.values, self._calibration).items():
            scores[neighbour, node] += score
        return scores
