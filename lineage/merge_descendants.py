"""What was trained from a merge: told apart from what the merge was made of, and from their common ancestor.

A mean lies nearer to the common ancestor of its constituents than they do themselves, and so does all that was trained
from it: in a spanning tree they would be hubs, with the constituents below them. So a merge and its descendants make a
tree of their own, by Kruskal's algorithm, in which two rules hold: a merge is never joined with what went into it, and
what joins it must lie beyond it, as seen from every constituent, or so near to it that nothing else comes in question.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from scipy.cluster.hierarchy import DisjointSet

from lineage.certain import CertainEdge
from lineage.chains import chain_gap
from lineage.link_weights import WeighedLink
from lineage.pairs import Pair, pair_of

MOST_GAP = -0.1
"""Largest gap of a step beyond a merge (`lineage.chains.chain_gap`), seen from whichever constituent. In trained lakes
descendants of merges have -0.2 and less, 476 of 480 others 0.2 and more."""

MUCH_NEARER = 0.05
"""A version this much nearer to a merge than to any constituent was made from the merge: so short a step may have gone
anywhere. In trained lakes the smallest such share of what was not is 0.12, and of all but one above 0.5."""

MOST_BACK = 2.0
"""Largest gap of such a step: what lies between a merge and its parts was not made from it."""


def merge_descendants(
    merges: Mapping[int, CertainEdge],
    links: Mapping[Pair, WeighedLink],
    left_out: Collection[int],
) -> dict[int, list[Pair]]:
    """The trees below the merges of a family.

    Parameters
    ----------
    merges : mapping of int to CertainEdge
        The merges, by position.
    links : mapping of (one, two) to WeighedLink
    left_out : collection of int
        Members that are placed otherwise.

    Returns
    -------
    dict of int to list of (one, two)
        The links of each merge's tree, the merge among its ends; merges from which nothing was trained are not listed.

    Notes
    -----
    Time O(m log m) for m links, and a look at every member of a tree that would join a merge.
    """
    places = {place for pair in links for place in pair} | merges.keys()
    joined = DisjointSet(places)
    tops = {place: place for place in merges}
    kept: dict[int, list[Pair]] = {}

    def tail(one: int, two: int) -> float:
        link = links.get(pair_of(one, two))
        return np.inf if link is None else link.tail

    def beyond(merge: int, node: int) -> bool:
        edge = merges[merge].merge
        went_in = () if edge is None else edge.members
        gaps = [chain_gap(links, constituent, merge, node) for constituent in went_in if constituent != node]
        known = [gap for gap in gaps if gap is not None]
        if node in went_in or not known:
            return False
        ways = [tail(constituent, node) for constituent in went_in]
        near = max(known) < MOST_BACK and tail(merge, node) < MUCH_NEARER * min(ways)
        return near or max(known) < MOST_GAP

    for pair in sorted(links, key=lambda item: (links[item].cost, item)):
        one, two = joined[pair[0]], joined[pair[1]]
        if one == two or pair[0] in left_out or pair[1] in left_out or (one in tops and two in tops):
            continue
        if one in tops or two in tops:
            merge, other = (tops[one], two) if one in tops else (tops[two], one)
            if not all(beyond(merge, node) for node in joined.subset(other)):
                continue
        joined.merge(one, two)
        both = joined[one]
        kept[both] = [*kept.pop(one, []), pair, *kept.pop(two, [])]
        if one in tops or two in tops:
            tops[both] = tops.pop(one if one in tops else two)
    return {tops[top]: found for top, found in kept.items() if top in tops}
