"""The scales of members that are but estimated: what is exact beside others tells them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from lineage.pairs import pair_of
from lineage.symmetry.aligning import Network
from lineage.symmetry.dropped_values import MOST_UNCHANGED, MOVED, join_chosen
from lineage.symmetry.exact_relations import join_exact
from lineage.symmetry.matching import UnitMap
from lineage.symmetry.mixtures import join_mixtures, nearest, thinned
from lineage.symmetry.scale_groups import ScaleGroups
from lineage.symmetry.units import Array

NEAREST = 24
"""Members that one is held against."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settling:
    """What is to be done to the members, those that stay as they are missing.

    Attributes
    ----------
    known : mapping of place to sequence of UnitMap
        What ties them to the frame of reference, and so is true.
    merging : mapping of place to sequence of UnitMap
        What ties estimated scales to each other, after `known`. It brings scales that training changed back in: right
        for what was merged, and for distances not.
    """

    known: Mapping[int, Sequence[UnitMap]]
    merging: Mapping[int, Sequence[UnitMap]]


def settled(networks: Sequence[Network], free: Sequence[int], precisions: Sequence[float]) -> Settling:
    """Settle the scales of some members.

    Parameters
    ----------
    networks : sequence of Network
        In one order of units, near to their scales.
    free : sequence of int
        Those whose scales are estimates; all others are in the frame of reference.
    precisions : sequence of float
        Relative error of storing a value of each, root mean square.

    Notes
    -----
    Equal ratios first, which tie a merge that was chosen value by value (TIES) to all it was chosen from; then what a
    random choice was added up from (DARE), its base being tied; then mixtures. Only the nearest members of each are
    looked at: time O(n^2 * sample) to find these, and O(NEAREST * values) for each that is free.
    """
    vectors = thinned([item.matrices for item in networks])
    near = {member: nearest(vectors, member)[:NEAREST] for member in free}
    members = sorted({*free, *(other for others in near.values() for other in others)})
    place = {member: number for number, member in enumerate(members)}
    fixed = [item not in near for item in members]
    groups = ScaleGroups([networks[item] for item in members], fixed)
    pairs = sorted({pair_of(one, two) for one, others in near.items() for two in others})
    exact = join_exact(groups, [(place[one], place[two]) for one, two in pairs])
    still = [item for item in members if item not in near]
    exact += [(place[one], place[two]) for one, two in combinations(still, 2) if _chosen(vectors[one], vectors[two])]
    own = [place[member] for member in free]
    join_chosen(groups, exact, own)
    join_mixtures(groups, vectors[members], [precisions[item] for item in members], own)
    known = {member: groups.maps(place[member], fixed=True) for member in free}
    merging = {member: groups.maps(place[member], fixed=False) for member in free}
    return Settling(
        known={member: maps for member, maps in known.items() if maps},
        merging={member: maps for member, maps in merging.items() if maps},
    )


def _chosen(one: Array, two: Array) -> bool:
    """Whether some values of two members are equal, and not all."""
    both = np.isfinite(one) & np.isfinite(two)
    equal = np.mean(np.abs(one[both] - two[both]) <= MOVED * np.abs(two[both])) if both.any() else 0.0
    return bool(1 - MOST_UNCHANGED < equal < MOST_UNCHANGED)
