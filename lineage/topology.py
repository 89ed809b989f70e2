"""Who is next to whom in a family: candidate links by the quiet projection, weighed by exact tail distances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from graph_schema.fingerprint import Fingerprint
from lineage.alignment import role_stacks, tensor_pairs
from lineage.tail_distance import QuietBasis, tail_energy

ALL_PAIRS = 24
"""Up to so many members every pair is a candidate link."""

NEIGHBOURS = 6
DELTAS = 48
LEAST_SIDE = 4

TIE_BREAK = 1e-6
"""Share of the Frobenius distance that decides between neighbours whose tail distances are nothing but rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeighedLink:
    """Two members of a family and how far they lie apart.

    Attributes
    ----------
    one, two : int
        Positions, `one` < `two`.
    tail, frobenius : float
        Squared distances, averaged over the shared matrices, each in units of the family's median for its role; 0 where
        nothing differs.
    shared : float
        Share of the larger one's matrices that the two have in common.
    """

    one: int
    two: int
    tail: float
    frobenius: float
    shared: float

    @property
    def cost(self) -> float:
        """What a spanning tree pays for the link: the tail, and a trace of the whole where tails are but rounding."""
        return self.tail + TIE_BREAK * self.frobenius


def weigh_links(fingerprints: Sequence[Fingerprint], candidates: Sequence[tuple[int, int]]) -> tuple[WeighedLink, ...]:
    """Squared distances of the candidate links.

    Notes
    -----
    Embeddings, heads and vectors are left out: their rows are touched as often as their tokens occur. Where a family
    has nothing else, all matrices are taken. One SVD a shared matrix a candidate.
    """
    roles = _inner_roles(fingerprints)
    place = {role: column for column, role in enumerate(roles)}
    tails = np.full((len(candidates), len(roles)), np.nan)
    energies = np.full((len(candidates), len(roles)), np.nan)
    for row, (one, two) in enumerate(candidates):
        for pair in tensor_pairs(fingerprints[one], fingerprints[two]):
            if pair.role in place:
                column = place[pair.role]
                delta = pair.delta
                energies[row, column] = float(np.sum(delta**2))
                tails[row, column] = tail_energy(delta) if energies[row, column] else 0.0
    return tuple(
        WeighedLink(one=min(one, two), two=max(one, two), tail=tail, frobenius=energy, shared=shared)
        for (one, two), tail, energy, shared in zip(
            candidates,
            _in_units(tails).tolist(),
            _in_units(energies).tolist(),
            _shared(fingerprints, candidates, roles).tolist(),
            strict=True,
        )
    )


def candidate_links(fingerprints: Sequence[Fingerprint]) -> list[tuple[int, int]]:
    """Pairs of members worth a close look: all of them in a small family, the nearest ones in a large one.

    Returns
    -------
    list of (one, two)
        `one` < `two`, ascending. For every member the `NEIGHBOURS` nearest by the quiet projection and by Frobenius
        distance; and links that connect all members.
    """
    size = len(fingerprints)
    if size <= ALL_PAIRS:
        return list(combinations(range(size), 2))
    found: set[tuple[int, int]] = set()
    for distances in _all_distances(fingerprints):
        np.fill_diagonal(distances, np.inf)
        nearest = np.argpartition(distances, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
        found.update((min(one, int(two)), max(one, int(two))) for one in range(size) for two in nearest[one])
        np.fill_diagonal(distances, 0.0)
        found.update(_connecting(distances))
    return sorted(found)


def _all_distances(fingerprints: Sequence[Fingerprint]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Squared quiet and Frobenius distances of all pairs, averaged over the roles both members have."""
    size = len(fingerprints)
    inner = set(_inner_roles(fingerprints))
    sums = [np.zeros((size, size)) for _ in range(2)]
    counts = np.zeros((size, size))
    for stack in role_stacks(fingerprints):
        if stack.role not in inner:
            continue
        at = np.ix_(stack.members, stack.members)
        counts[at] += 1
        for place, vectors in enumerate((_quiet(stack.blocks), stack.blocks.reshape(len(stack.blocks), -1))):
            squared = _squared_distances(vectors)
            typical = np.median(squared[squared > 0]) if (squared > 0).any() else 1.0
            sums[place][at] += squared / typical
    quiet, frobenius = (np.where(counts > 0, total / np.maximum(counts, 1), np.inf) for total in sums)
    return quiet, frobenius


def _quiet(blocks: NDArray[np.float32]) -> NDArray[np.float32]:
    count = len(blocks)
    steps = [1, 2, 3] if count > 3 else [1]
    pairs = [(place, (place + step) % count) for step in steps for place in range(count)]
    chosen = [pairs[index] for index in np.linspace(0, len(pairs) - 1, min(DELTAS, len(pairs))).astype(int)]
    deltas = [(blocks[two] - blocks[one]).astype(np.float64) for one, two in chosen]
    if not any(delta.any() for delta in deltas):
        return np.zeros((count, 1), dtype=np.float32)
    basis = QuietBasis.of(deltas)
    projected = np.matmul(np.matmul(basis.left.T.astype(np.float32), blocks), basis.right.astype(np.float32))
    return np.asarray(projected.reshape(count, -1), dtype=np.float32)


def _squared_distances(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    # Centring first keeps the cancellation in |a|^2 + |b|^2 - 2ab at the scale of the differences.
    centred = vectors - vectors.mean(axis=0)
    products = (centred @ centred.T).astype(np.float64)
    squared = products.diagonal()[:, None] + products.diagonal()[None, :] - 2 * products
    distances: NDArray[np.float64] = np.maximum(squared, 0.0)
    return distances


def _connecting(distances: NDArray[np.float64]) -> list[tuple[int, int]]:
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


def _inner_roles(fingerprints: Sequence[Fingerprint]) -> list[str]:
    matrices = {
        tensor.role
        for fingerprint in fingerprints
        for tensor in fingerprint.tensors
        if len(tensor.shape) >= 2 and min(tensor.block.shape) >= LEAST_SIDE
    }
    inner = {role for role in matrices if not role.startswith(("embed", "head"))}
    return sorted(inner or matrices)


def _in_units(energies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the roles, each in units of its median over the links on which it changed."""
    if energies.size == 0:
        return np.zeros(len(energies))
    positive = np.where(energies > 0, energies, np.nan)
    moved = np.isfinite(positive).any(axis=0)
    units = np.ones(energies.shape[1])
    units[moved] = np.nanmedian(positive[:, moved], axis=0)
    known = np.isfinite(energies)
    scaled = np.where(known, energies, 0.0) / units
    mean: NDArray[np.float64] = scaled.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return np.where(known.any(axis=1), mean, np.inf)


def _shared(
    fingerprints: Sequence[Fingerprint], candidates: Sequence[tuple[int, int]], roles: Sequence[str]
) -> NDArray[np.float64]:
    wanted = set(roles)
    held = [{tensor.role for tensor in fingerprint.tensors} & wanted for fingerprint in fingerprints]
    return np.array(
        [len(held[one] & held[two]) / max(len(held[one]), len(held[two]), 1) for one, two in candidates], dtype=float
    )
