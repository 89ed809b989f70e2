"""Who is next to whom in a family: candidate links by the quiet projection, weighed by exact tail distances."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from graph_schema.fingerprint import Fingerprint
from lineage.alignment import role_stacks
from lineage.family_decays import FamilyDecays
from lineage.link_weights import (
    WeighedLink,
    Yardstick,
    link_costs,
    measured,
    ties_broken,
    undecayed,
    weighed,
    with_tails,
)
from lineage.nearness import mean_squares
from lineage.pairs import Pair, pair_of
from lineage.spanning_tree import minimum_spanning_forest
from lineage.tail_distance import QuietBasis

MOST_WORK = 2.5e10
"""Multiplications spent on the links of one family as long as all pairs are weighed."""

QUIET_NEIGHBOURS = 4
FROBENIUS_NEIGHBOURS = 2
DELTAS = 48

ROUNDS = 2
"""How often decays are read along the tree, which changes when they are taken out."""


def weighed_links(
    fingerprints: Sequence[Fingerprint],
    roles: Mapping[str, float],
    near: Sequence[Sequence[int]],
    decays: FamilyDecays,
    *,
    aside: Collection[int] = (),
) -> tuple[tuple[WeighedLink, ...], Yardstick]:
    """The links of a family that are worth a close look, with their squared distances.

    Parameters
    ----------
    fingerprints : sequence of Fingerprint
    roles : mapping of str to float
        What `lineage.measured_roles.measured_roles` chose.
    near : sequence of sequences of int
        What `lineage.nearness.nearest_relatives` found.
    decays : FamilyDecays
        Of these members, in these roles.
    aside : collection of int
        Members without links.

    Returns
    -------
    links : tuple of WeighedLink
        Ascending by ends. All pairs of a small family; in a large one the nearest few of each member by the quiet
        projection and by Frobenius distance, and links that connect all members.
    yardstick : Yardstick
        Of these links; more links may be weighed on it later (`lineage.link_weights.weigh`).

    Notes
    -----
    What decayed alike lies near to each other in all directions, so that decays hide where two versions learned. They
    are read between near neighbours, where they are told best: along the spanning tree of the weights as they stand,
    and once more along that of the weights without their decay.

    One role in memory at a time. One eigendecomposition a role a link, O(n) links in a large family; the quiet
    distances of all pairs are one matrix product a role.
    """
    members = [member for member in range(len(fingerprints)) if member not in aside]
    pairs, names = _candidates(fingerprints, roles, near, members), sorted(roles)
    energies = measured(fingerprints, pairs, names)
    yardstick = Yardstick.of(energies, names, {})
    links = weighed(fingerprints, pairs, names, energies, yardstick)
    for _ in range(ROUNDS):
        costs = link_costs(links, 1.0).tolist()
        ends = [(link.one, link.two, cost) for link, cost in zip(links, costs, strict=True)]
        tree = minimum_spanning_forest(len(fingerprints), ends)
        factors = decays.factors(sorted(pairs[place] for place in tree))
        if not factors:
            break
        energies = undecayed(fingerprints, pairs, names, energies, factors, before=yardstick.factors)
        yardstick = Yardstick.of(energies, names, factors)
        links = with_tails(links, names, energies, yardstick)
    return ties_broken(fingerprints, links, roles), yardstick


def _candidates(
    fingerprints: Sequence[Fingerprint],
    roles: Mapping[str, float],
    near: Sequence[Sequence[int]],
    members: Sequence[int],
) -> list[Pair]:
    size = len(members)
    if size * (size - 1) / 2 * sum(roles.values()) <= MOST_WORK or size <= QUIET_NEIGHBOURS + 2:
        return list(combinations(members, 2))
    inside = set(members)
    found: set[Pair] = set()
    for one in members:
        others = [other for other in near[one] if other in inside][:FROBENIUS_NEIGHBOURS]
        found.update(pair_of(one, two) for two in others)
    distances = _quiet_distances([fingerprints[member] for member in members], roles)
    np.fill_diagonal(distances, np.inf)
    nearest = np.argpartition(distances, QUIET_NEIGHBOURS, axis=1)[:, :QUIET_NEIGHBOURS]
    places = {pair_of(one, two) for one, row in enumerate(nearest.tolist()) for two in row}
    np.fill_diagonal(distances, 0.0)
    places.update(_connecting(distances))
    found.update((members[one], members[two]) for one, two in places)
    return sorted(found)


def _quiet_distances(fingerprints: Sequence[Fingerprint], roles: Collection[str]) -> NDArray[np.floating]:
    """Squared distances of all pairs in the quiet directions, averaged over the roles both members have."""
    stacks = role_stacks(fingerprints, roles=roles)
    vectors = ((stack.members, _quiet(stack.blocks).reshape(len(stack.blocks), -1)) for stack in stacks)
    return mean_squares(len(fingerprints), vectors, np.dtype(np.float32))


def _quiet(blocks: NDArray[np.float32]) -> NDArray[np.float32]:
    count = len(blocks)
    steps = [1, 2, 3] if count > 3 else [1]
    pairs = [(place, (place + step) % count) for step in steps for place in range(count)]
    chosen = [pairs[index] for index in np.linspace(0, len(pairs) - 1, min(DELTAS, len(pairs))).astype(int)]
    deltas = [(blocks[two] - blocks[one]).astype(np.float64) for one, two in chosen]
    if not any(delta.any() for delta in deltas):
        return np.zeros((count, 1), dtype=np.float32)
    basis = QuietBasis.of(deltas)
    left, right = basis.left.T.astype(np.float32), basis.right.astype(np.float32)
    projected = np.empty((count, len(left), right.shape[1]), dtype=np.float32)
    for place, block in enumerate(blocks):
        projected[place] = left @ block @ right
    return projected


def _connecting(distances: NDArray[np.floating]) -> list[Pair]:
    """A minimum spanning tree by Prim's algorithm: O(n^2), and no lists of n^2 links."""
    size = len(distances)
    nearest, via = distances[0].copy(), np.zeros(size, dtype=np.int64)
    outside = np.ones(size, dtype=bool)
    outside[0] = False
    links = []
    for _ in range(size - 1):
        node = int(np.argmin(np.where(outside, nearest, np.inf)))
        if not np.isfinite(nearest[node]):
            node = int(np.flatnonzero(outside)[0])
        links.append(pair_of(int(via[node]), node))
        outside[node] = False
        closer = distances[node] < nearest
        nearest, via = np.where(closer, distances[node], nearest), np.where(closer, node, via)
    return links
