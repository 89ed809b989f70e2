"""A family whose scales are estimates, brought to the scales that its members really have beside each other."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lineage.link_weights import TIE_BREAK
from lineage.measured_roles import LEAST_SIDE, clear_roles, inner_roles
from lineage.pairs import Pair, pair_of
from lineage.spanning_tree import minimum_spanning_forest, orient
from lineage.symmetry.aligning import Network, fitting, has, lacking, mapped_matrices
from lineage.symmetry.couplings import Coupling
from lineage.symmetry.exact_relations import told_scales
from lineage.symmetry.exact_scales import untold
from lineage.symmetry.matching import UnitMap
from lineage.symmetry.mixtures import apart, nearest, thinned
from lineage.symmetry.quiet_scales import quiet_scales
from lineage.symmetry.slicing import SOURCES
from lineage.symmetry.units import Array
from lineage.tail_distance import tail_energies

ROUNDS = 2
NEAREST = 12
"""Neighbours of each member to which a tail distance is measured."""

AS_NEAR = 4.0
MOST_ASKED = 5
"""Scales that were fitted to one relative make it look nearer than others, by the share that scales have among the
values. So those up to so many times as far away are asked as well, this many at most."""

CONCERNED = 24
"""Nearest members of each whose scales are sought."""

_DIGITS = 12


def quieted(
    networks: Mapping[int, Network], free: Collection[int], tied: Mapping[int, int]
) -> dict[int, list[UnitMap]]:
    """What brings each free member to the scales of the others.

    Parameters
    ----------
    networks : mapping of member to Network
        In one order of units, near to their scales; the first is where others are held against if none is fixed.
    free : collection of member
        Those whose scales are estimates.
    tied : mapping of member to member
        What is exact beside another member as it is, and stays so.

    Returns
    -------
    dict of member to list of UnitMap
        Those that stay as they are missing.

    Notes
    -----
    Each member is held against its neighbour in a spanning tree: an error in a scale that is told between two is small
    beside what lies between these, and so beside what lies between any two on either side. The first tree is that of
    the weights, later ones of their tails, in matrices that bear no scale where there are enough, else in all,
    whose errors are smaller each time. `quiet_scales` runs 1 + `ROUNDS` times for each member, O(NEAREST * members)
    tails are measured, and O(members^2 * sample) finds who is near. Of what is fixed only the nearest of those that are
    free are looked at.
    """
    members = _concerned(networks, free, tied)
    networks = {member: networks[member] for member in members}
    place = {member: number for number, member in enumerate(members)}
    ties = {pair_of(place[one], place[two]) for one, two in tied.items() if {one, two} <= place.keys()}
    walk = _Walk(list(networks.values()), [number for member, number in place.items() if member not in free], ties)
    distances = walk.distances()
    near = [
        [other for other in np.argsort(row, kind="stable").tolist() if np.isfinite(row[other])] for row in distances
    ]
    lengths = {(one, two): float(distances[one, two]) for one, others in enumerate(near) for two in others if one < two}
    walk.along(lengths, near, asked=0)
    kept = {pair_of(one, two) for one, others in enumerate(near) for two in others[:NEAREST]}
    kept |= set(_tree(len(members), lengths))
    for _ in range(ROUNDS):
        tails = walk.tails(sorted(kept))
        # What has no tail, as a change by LoRA, is told apart by the rest.
        walk.along({pair: tail + TIE_BREAK * lengths[pair] for pair, tail in tails.items()}, near, asked=MOST_ASKED)
    return {members[number]: maps for number, maps in enumerate(walk.maps) if maps}


def _concerned(networks: Mapping[int, Network], free: Collection[int], tied: Mapping[int, int]) -> list[int]:
    """The free members, what they are tied to, and the nearest of each."""
    members = list(networks)
    if len(members) <= len(free) + CONCERNED:
        return members
    vectors = thinned([item.matrices for item in networks.values()])
    chosen = {*free, *(tied[member] for member in free if member in tied)}
    for number, member in enumerate(members):
        if member in free:
            chosen.update(members[other] for other in nearest(vectors, number)[:CONCERNED])
    return [member for member in members if member in chosen]


class _Walk:
    """The members of a family, on their way to one set of scales.

    Attributes
    ----------
    maps : list of list of UnitMap
        What was done to each so far.
    """

    def __init__(self, networks: list[Network], fixed: Sequence[int], ties: Collection[Pair]) -> None:
        self.maps: list[list[UnitMap]] = [[] for _ in networks]
        self._networks, self._fixed, self._ties = networks, fixed, ties
        large = {role for item in networks for role, values in item.matrices.items() if min(values.shape) >= LEAST_SIDE}
        couplings = (coupling for item in networks for coupling in item.symmetries.all)
        self._told = clear_roles(
            inner_roles(large), {slot.role for item in couplings for slot in item.slots if slot.power}
        )

    def distances(self) -> Array:
        """Mean squared difference of all pairs, (members, members); infinite where two are not comparable."""
        vectors = thinned([item.matrices for item in self._networks])
        found = np.array([apart(vectors, number) for number in range(len(vectors))])
        either: Array = np.minimum(found, found.T)
        return either

    def along(self, lengths: Mapping[Pair, float], near: Sequence[Sequence[int]], *, asked: int) -> None:
        """Go down a spanning tree from what is fixed, and bring each member to the scales of what was met before.

        Parameters
        ----------
        lengths : mapping of Pair to float
        near : sequence of sequences of int
            The relatives of each member, nearest first.
        asked : int
            How many members that are as near as the one above are held against as well.
        """
        lengths = dict(lengths) | dict.fromkeys(self._ties, -1.0)
        tree = _tree(len(self._networks), lengths)
        done = set(self._fixed)
        before = [len(maps) for maps in self.maps]
        for start in (*self._fixed, *range(len(self._networks))):
            if start in done and start not in self._fixed:
                continue
            done.add(start)
            for number, above in orient(tree, start).items():
                if number in done:
                    continue
                met = [other for other in near[number] if other in done and other != above]
                if pair_of(number, above) in self._ties:
                    maps = self._beside(above, self.maps[above][before[above] :], number, met)
                else:
                    also = _as_near(number, (above, *met), lengths)[:asked]
                    references, sources = (
                        [self._networks[item] for item in (above, *some)] for some in (also, met[:SOURCES])
                    )
                    maps = _onto(references, sources, self._networks[number])
                self.maps[number] += maps
                matrices = mapped_matrices(self._networks[number].matrices, maps)
                self._networks[number] = replace(self._networks[number], matrices=matrices)
                done.add(number)

    def _beside(self, source: int, maps: Sequence[UnitMap], number: int, met: Sequence[int]) -> list[UnitMap]:
        """What brings a member along with what it is exact beside, and the layers that this one lacks to their own."""
        network, other = self._networks[number], self._networks[source]
        found = [*fitting(maps, network.shapes, other.shapes)]
        alone = lacking(other, network)
        wholes = [
            self._networks[item] for item in met if all(has(self._networks[item], part, network) for part in alone)
        ]
        if alone and wholes:
            found += _onto(wholes[:1], wholes[:SOURCES], network, alone)
        return found

    def tails(self, pairs: Sequence[Pair]) -> dict[Pair, float]:
        """Mean tail distance of each pair over matrices that they share, each in units of its median."""
        total, count = np.zeros(len(pairs)), np.zeros(len(pairs))
        for role in sorted(self._told):
            held = [place for place, pair in enumerate(pairs) if self._share(role, pair)]
            tails = np.array([self._tail(role, pairs[place]) for place in held])
            if (tails > 0).any():
                total[held] += tails / np.median(tails[tails > 0])
            count[held] += 1
        means = np.where(count > 0, total / np.maximum(count, 1), np.inf)
        return dict(zip(pairs, means.tolist(), strict=True))

    def _share(self, role: str, pair: Pair) -> bool:
        one, two = (self._networks[member].matrices.get(role) for member in pair)
        return one is not None and two is not None and one.shape == two.shape

    def _tail(self, role: str, pair: Pair) -> float:
        one, two = (self._networks[member].matrices[role] for member in pair)
        return float(tail_energies((two - one)[None])[0])


def _as_near(member: int, others: Sequence[int], lengths: Mapping[Pair, float]) -> list[int]:
    """Those hardly farther away than the nearest, nearest first, without the first of them."""
    steps = {other: lengths.get(pair_of(member, other), np.inf) for other in others}
    most = AS_NEAR * min((step for step in steps.values() if step >= 0), default=0.0)
    return [other for other in sorted(steps, key=steps.__getitem__) if 0 <= steps[other] <= most and other != others[0]]


def _tree(size: int, lengths: Mapping[Pair, float]) -> list[Pair]:
    links = [(*pair, round(length, _DIGITS)) for pair, length in sorted(lengths.items()) if np.isfinite(length)]
    return [links[number][:2] for number in minimum_spanning_forest(size, links)]


def _onto(
    references: Sequence[Network],
    sources: Sequence[Network],
    network: Network,
    couplings: Sequence[Coupling] | None = None,
) -> list[UnitMap]:
    """Maps to the scales of some references, of all or some couplings; what a source tells exactly is as that says."""
    waiting = [item for item in (network.symmetries.all if couplings is None else couplings) if item.scalable]
    current, maps = dict(network.matrices), list[UnitMap]()
    known: dict[Coupling, NDArray[np.bool_]] = {}

    def tell(coupling: Coupling) -> bool:
        for source in sources:
            if has(source, coupling, network):
                scale, units = told_scales(source.matrices, current, coupling)
                if units.any():
                    known[coupling] = units
                    maps.append(UnitMap.rescaling(coupling, scale))
                    maps[-1].apply(current)
                    return True
        return False

    untold(waiting, tell)
    shared = [item for item in waiting if all(has(reference, item, network) for reference in references)]
    return [*maps, *quiet_scales([item.matrices for item in references], current, shared, known)]


def _has_all(reference: Network, couplings: Sequence[Coupling], network: Network) -> bool:
    return all(has(reference, item, network) for item in couplings)
