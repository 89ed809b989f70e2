"""Who is next to whom in a family: candidate links by the quiet projection, weighed by exact tail distances."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from graph_schema.fingerprint import Fingerprint
from lineage.alignment import RoleStack, role_stacks
from lineage.nearness import mean_squares
from lineage.tail_distance import QuietBasis, tail_energies
from lineage.threads import processors

MOST_WORK = 2.5e10
"""Multiplications spent on the links of one family as long as all pairs are weighed."""

QUIET_NEIGHBOURS = 4
FROBENIUS_NEIGHBOURS = 2
DELTAS = 48
BATCH = 64

TIE_BREAK = 1e-6
"""Share of the Frobenius distance that decides between neighbours whose tail distances are nothing but rounding."""

Pairs = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class WeighedLink:
    """Two members of a family and how far they lie apart.

    Attributes
    ----------
    one, two : int
        Positions, `one` < `two`.
    tail, frobenius : float
        Squared distances, averaged over the shared matrices, each in units of the family's median for its role; 0 where
        nothing differs, infinite where nothing can be compared.
    missing : float in [0, 1]
        Share of the matrices of either that the other lacks.
    aside : float
        Squared distance over the matrices that are not measured; 0 unless one of the two equals another member in all
        that are.
    """

    one: int
    two: int
    tail: float
    frobenius: float
    missing: float = 0.0
    aside: float = 0.0

    @property
    def cost(self) -> float:
        """What a spanning tree pays for the link: the tail, and a trace of the rest where tails are but rounding."""
        return self.tail + TIE_BREAK * (self.frobenius + self.missing + TIE_BREAK * self.aside)


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """The median of each role's squared distances over the links of a family on which it changed.

    Attributes
    ----------
    tail, frobenius : mapping of role to float
    """

    tail: Mapping[str, float]
    frobenius: Mapping[str, float]


def weighed_links(
    fingerprints: Sequence[Fingerprint],
    roles: Mapping[str, float],
    near: Sequence[Sequence[int]],
    *,
    aside: Collection[int] = (),
) -> tuple[tuple[WeighedLink, ...], Units]:
    """The links of a family that are worth a close look, with their squared distances.

    Parameters
    ----------
    fingerprints : sequence of Fingerprint
    roles : mapping of str to float
        What `lineage.measured_roles.measured_roles` chose.
    near : sequence of sequences of int
        What `lineage.nearness.nearest_relatives` found.
    aside : collection of int
        Members without links.

    Returns
    -------
    links : tuple of WeighedLink
        Ascending by ends. All pairs of a small family; in a large one the nearest few of each member by the quiet
        projection and by Frobenius distance, and links that connect all members.
    units : Units
        Of these links; more links may be weighed in them later (`weigh`).

    Notes
    -----
    One role in memory at a time. One eigendecomposition a role a link, O(n) links in a large family; the quiet
    distances of all pairs are one matrix product a role.
    """
    members = [member for member in range(len(fingerprints)) if member not in aside]
    links, units = weigh(fingerprints, _candidates(fingerprints, roles, near, members), roles)
    return _ties_broken(fingerprints, links, roles), units


def _ties_broken(
    fingerprints: Sequence[Fingerprint], links: Sequence[WeighedLink], roles: Collection[str]
) -> tuple[WeighedLink, ...]:
    """Tell members that are equal in all that is measured apart by the rest: an edited head, a trained embedding."""
    equal = {member for link in links if link.frobenius == 0 for member in (link.one, link.two)}
    places = [place for place, link in enumerate(links) if {link.one, link.two} & equal]
    others = {tensor.role for place in equal for tensor in fingerprints[place].tensors if len(tensor.shape) > 1}
    names = sorted(others - set(roles))
    pairs = np.array([(links[place].one, links[place].two) for place in places], dtype=np.int64).reshape(-1, 2)
    energies = np.full((len(pairs), len(names)), np.nan)
    for stack in role_stacks(fingerprints, roles=names):
        rows, ends = _held(stack, pairs, len(fingerprints))
        for row, (one, two) in zip(rows.tolist(), ends.tolist(), strict=True):
            delta = np.subtract(stack.blocks[two], stack.blocks[one], dtype=np.float64)
            energies[row, names.index(stack.role)] = float(np.vdot(delta, delta))
    units = _medians(energies, names)
    apart = _in_units(energies, [units[name] for name in names]).tolist()
    broken = dict(zip(places, apart, strict=True))
    return tuple(
        replace(link, aside=broken[place]) if np.isfinite(broken.get(place, np.inf)) else link
        for place, link in enumerate(links)
    )


def weigh(
    fingerprints: Sequence[Fingerprint],
    links: Iterable[tuple[int, int]],
    roles: Collection[str],
    units: Units | None = None,
) -> tuple[tuple[WeighedLink, ...], Units]:
    """Squared distances of some links, in given units or in units of their own medians."""
    pairs = np.array(list(links), dtype=np.int64).reshape(-1, 2)
    names = sorted(roles)
    tails = np.full((len(pairs), len(names)), np.nan)
    energies = np.full((len(pairs), len(names)), np.nan)
    for stack in role_stacks(fingerprints, roles=roles):
        column = names.index(stack.role)
        rows, ends = _held(stack, pairs, len(fingerprints))
        energies[rows, column], tails[rows, column] = _measured(stack, ends)
    if units is None:
        units = Units(tail=_medians(tails, names), frobenius=_medians(energies, names))
    found = zip(
        pairs.tolist(),
        _in_units(tails, [units.tail[name] for name in names]).tolist(),
        _in_units(energies, [units.frobenius[name] for name in names]).tolist(),
        _missing(fingerprints, pairs),
        strict=True,
    )
    weighed = tuple(
        WeighedLink(one=one, two=two, tail=tail, frobenius=energy, missing=missing)
        for (one, two), tail, energy, missing in found
    )
    return weighed, units


def _measured(stack: RoleStack, ends: Pairs) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Squared length and tail energy of the change between the members of each pair."""

    def batch(start: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        some = ends[start : start + BATCH]
        deltas = np.subtract(stack.blocks[some[:, 1]], stack.blocks[some[:, 0]], dtype=np.float64)
        return np.einsum("kij,kij->k", deltas, deltas), tail_energies(deltas)

    starts = range(0, len(ends), BATCH)
    if len(starts) > processors():
        with ThreadPoolExecutor(processors(), thread_name_prefix="links") as pool:
            found = list(pool.map(batch, starts))
    else:
        found = [batch(start) for start in starts]
    nothing = np.zeros(0)
    energies, tails = (np.concatenate([nothing, *(part[place] for part in found)]) for place in (0, 1))
    return energies, tails


def _held(stack: RoleStack, pairs: Pairs, size: int) -> tuple[NDArray[np.int64], Pairs]:
    """Which of the pairs both have the role, and their places in the stack."""
    place = np.full(size, -1, dtype=np.int64)
    place[stack.members] = np.arange(len(stack.members))
    ends = place[pairs]
    rows = np.flatnonzero((ends >= 0).all(axis=1))
    return rows, ends[rows]


def _candidates(
    fingerprints: Sequence[Fingerprint],
    roles: Mapping[str, float],
    near: Sequence[Sequence[int]],
    members: Sequence[int],
) -> list[tuple[int, int]]:
    size = len(members)
    if size * (size - 1) / 2 * sum(roles.values()) <= MOST_WORK or size <= QUIET_NEIGHBOURS + 2:
        return list(combinations(members, 2))
    inside = set(members)
    found: set[tuple[int, int]] = set()
    for one in members:
        others = [other for other in near[one] if other in inside][:FROBENIUS_NEIGHBOURS]
        found.update((min(one, two), max(one, two)) for two in others)
    distances = _quiet_distances([fingerprints[member] for member in members], roles)
    np.fill_diagonal(distances, np.inf)
    nearest = np.argpartition(distances, QUIET_NEIGHBOURS, axis=1)[:, :QUIET_NEIGHBOURS]
    places = {(min(one, two), max(one, two)) for one, row in enumerate(nearest.tolist()) for two in row}
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


def _connecting(distances: NDArray[np.floating]) -> list[tuple[int, int]]:
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
        links.append((min(int(via[node]), node), max(int(via[node]), node)))
        outside[node] = False
        closer = distances[node] < nearest
        nearest, via = np.where(closer, distances[node], nearest), np.where(closer, node, via)
    return links


def _medians(energies: NDArray[np.float64], names: Sequence[str]) -> dict[str, float]:
    positive = np.where(energies > 0, energies, np.nan)
    moved = np.isfinite(positive).any(axis=0) if len(energies) else np.zeros(len(names), dtype=bool)
    units = np.ones(len(names))
    units[moved] = np.nanmedian(positive[:, moved], axis=0)
    return dict(zip(names, units.tolist(), strict=True))


def _in_units(energies: NDArray[np.float64], units: Sequence[float]) -> NDArray[np.float64]:
    """Mean over the roles, each in its unit."""
    known = np.isfinite(energies)
    scaled = np.where(known, energies, 0.0) / np.asarray(units)
    mean: NDArray[np.float64] = scaled.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return np.where(known.any(axis=1), mean, np.inf)


def _missing(fingerprints: Sequence[Fingerprint], pairs: Pairs) -> list[float]:
    held = [
        frozenset(tensor.role for tensor in fingerprint.tensors if len(tensor.shape) >= 2)
        for fingerprint in fingerprints
    ]
    shares = []
    for one, two in pairs.tolist():
        mine, theirs = held[one], held[two]
        shares.append(0.0 if mine == theirs else 1 - len(mine & theirs) / max(len(mine | theirs), 1))
    return shares
