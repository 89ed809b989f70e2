"""The undirected tree of a family: who is next to whom, with copies and merges in their places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import DisjointSet

from graph_schema.fingerprint import Fingerprint
from lineage.batch_clock import clocked_forest
from lineage.certain import CertainEdge
from lineage.cues import LOSSY_IS_LEAF
from lineage.edited_ends import NO_TAIL, carried
from lineage.family_vectors import FamilyVectors
from lineage.link_weights import WeighedLink, link_costs
from lineage.merge_descendants import merge_descendants
from lineage.pairs import Pair, pair_of
from lineage.rules.expansion import layer_count, repeats_layers
from lineage.spanning_tree import minimum_spanning_forest

BRIDGES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """Who is next to whom.

    Attributes
    ----------
    edges : tuple of (one, two)
        Each with its smaller end first; a tree where the links connect what is free.
    free : frozenset of int
        Members that are placed by distance: no copies, no merges, nor what was made from these.
    """

    edges: tuple[Pair, ...]
    free: frozenset[int]


def neighbour_tree(
    fingerprints: Sequence[Fingerprint],
    links: Mapping[Pair, WeighedLink],
    certain: Sequence[CertainEdge],
    sharpness: float,
) -> Neighbours:
    """The undirected tree of a family.

    A mean lies nearer to the common ancestor of its constituents than they do themselves, so that a spanning tree would
    run through every merge. So merges and what was trained from them (`lineage.merge_descendants`) are set aside, the
    tree of all others is found, and each merge hangs from its heaviest constituent. Where versions tell how long they
    were trained, no link runs against that clock if there is another as good. What lacks layers comes after what has
    them (`depth_levels`).

    Parameters
    ----------
    fingerprints : sequence of Fingerprint
    links : mapping of (one, two) to WeighedLink
    certain : sequence of CertainEdge
        Without cycles.
    sharpness : float
        `Calibration.link_sharpness`.

    Returns
    -------
    Neighbours
    """
    merges = {edge.child: edge for edge in certain if edge.merge is not None}
    twins = _twins(links, certain)
    copied = _below({edge.child for edge in certain if edge.merge is None} | twins.keys(), certain)
    trees = merge_descendants(merges, links, copied)
    late = {node for tree in trees.values() for pair in tree for node in pair}
    aside = _below(merges.keys() | twins.keys() | late, certain)
    forced = [pair_of(edge.parent, edge.child) for edge in certain] + [pair_of(*twin) for twin in twins.items()]
    free = [pair for pair in links if not aside & set(pair)]
    joined = [pair for pair in forced if not aside & set(pair)]
    costs = link_costs([links[pair] for pair in free], sharpness)
    weights = dict(zip(free, costs.tolist(), strict=True))
    kept: list[Pair] = []
    levels = depth_levels(fingerprints)
    for level in sorted(set(levels)):
        some = {pair: cost for pair, cost in weights.items() if max(levels[pair[0]], levels[pair[1]]) <= level}
        told = clocked_forest(fingerprints, some, joined + kept)
        if told is None:
            weighed = [(*pair, cost) for pair, cost in some.items()]
            chosen = minimum_spanning_forest(len(fingerprints), weighed, forced=joined + kept)
            told = [weighed[index][:2] for index in chosen]
        kept += told
    edges = forced + kept + [pair for tree in trees.values() for pair in tree]
    hanging = aside | {edge.child for edge in certain}
    return Neighbours(edges=tuple(edges), free=frozenset(range(len(fingerprints))) - hanging)


def bridges(neighbours: Neighbours, values: NDArray[np.float64]) -> list[Pair]:
    """Links that were not weighed and without which a family falls into parts.

    What connects a large family may be a merge, or what was trained from one, and these hang from their parts alone.

    Parameters
    ----------
    neighbours : Neighbours
    values : (n, d) array
        `lineage.family_vectors.FamilyVectors.values`.

    Returns
    -------
    list of (one, two)
        From each part but the first the `BRIDGES` shortest to what lies outside of it; empty where there is one part.
    """
    size = len(values)
    joined = DisjointSet(range(size))
    for pair in neighbours.edges:
        joined.merge(*pair)
    known, found = np.nan_to_num(values), set[Pair]()
    for part in sorted((sorted(part) for part in joined.subsets()), key=lambda part: (-len(part), part))[1:]:
        inside = [node for node in part if node in neighbours.free]
        outside = sorted(neighbours.free - set(part))
        mine, theirs = known[inside], known[outside]
        squares = np.square(mine).sum(axis=1)[:, None] + np.square(theirs).sum(axis=1) - 2 * mine @ theirs.T
        for place in np.argsort(squares, axis=None, kind="stable")[:BRIDGES].tolist():
            found.add(pair_of(inside[place // len(outside)], outside[place % len(outside)]))
    return sorted(found)


def depth_levels(fingerprints: Sequence[Fingerprint]) -> list[int]:
    """In which turn each member finds its neighbours: the deepest first, then its students, last what was grown.

    A student lacks layers, and the distance to it is that of the layers which are left: the nearest to a version whose
    missing layers moved most. But no version was trained from one that lacks some of its layers, unless by repeating
    layers, which shows (`lineage.rules.expansion.repeats_layers`).
    """
    counts = [layer_count(fingerprint) for fingerprint in fingerprints]
    if len(set(counts)) < 2:
        return [0] * len(counts)
    # What most members have was hardly grown by each of them; and they are too many to be looked at one by one.
    usual = max(set(counts), key=lambda count: (counts.count(count), count))
    grown = [
        count not in (usual, min(counts)) and repeats_layers(item)
        for count, item in zip(counts, fingerprints, strict=True)
    ]
    keys = [(late, count if late else -count) for late, count in zip(grown, counts, strict=True)]
    order = sorted(set(keys))
    return [order.index(key) for key in keys]


def below_copies(edges: Sequence[Pair], certain: Sequence[CertainEdge], vectors: FamilyVectors) -> tuple[Pair, ...]:
    """Let what was trained from a lossy copy hang from the copy instead of from its source.

    A copy lies so near to its source that distances cannot tell whose child a version is. But a child of the copy has
    the copy's rounding errors (or zeros) in it: of the way from the source, its share along the way to the copy is one,
    and zero otherwise, give or take what chance makes of the rest of the way. Copies are leaves unless that is clear.

    Parameters
    ----------
    edges : sequence of (one, two)
        The tree, smaller ends first.
    certain : sequence of CertainEdge
    vectors : FamilyVectors

    Returns
    -------
    tuple of (one, two)
    """
    made = {pair_of(edge.parent, edge.child) for edge in certain}
    copies: dict[int, list[int]] = {}
    for edge in certain:
        if edge.lossy and edge.directed:
            copies.setdefault(edge.parent, []).append(edge.child)
    moved = []
    for pair in edges:
        for source, other in (pair, pair[::-1]):
            if pair in made or source not in copies:
                continue
            odds, copy = max(
                (carried(vectors.values, source, copy, other, alike=0.0), -copy) for copy in copies[source]
            )
            if odds > LOSSY_IS_LEAF:
                pair = pair_of(-copy, other)
                break
        moved.append(pair)
    return tuple(moved)


def _twins(links: Mapping[Pair, WeighedLink], certain: Sequence[CertainEdge]) -> dict[int, int]:
    """What lies at no distance from a merge, with the merge: it was edited, or trained in its head alone.

    Not what a rule has made of something else, nor what lies at no distance from a part of the merge as well.
    """
    merges = {edge.child: edge.merge.members for edge in certain if edge.merge is not None}
    taken = {edge.child for edge in certain}
    joined = DisjointSet({node for pair in links for node in pair} | {edge.parent for edge in certain} | taken)
    for edge in certain:
        joined.merge(edge.child, edge.parent)

    def touches(node: int, part: int) -> bool:
        link = links.get(pair_of(node, part))
        return node == part or (link is not None and link.tail < NO_TAIL)

    found: dict[int, int] = {}
    for pair, link in sorted(links.items()):
        for merge, other in (pair, pair[::-1]) if link.tail < NO_TAIL else ():
            if merge not in merges or other in taken or joined.connected(other, merge):
                continue
            if not any(touches(other, part) for part in merges[merge]):
                found[other] = merge
                joined.merge(other, merge)
    return found


def _below(tops: set[int], certain: Sequence[CertainEdge]) -> set[int]:
    found, grew = set(tops), True
    while grew:
        more = {edge.child for edge in certain if edge.parent in found} - found
        found |= more
        grew = bool(more)
    return found
