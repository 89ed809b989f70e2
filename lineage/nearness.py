"""Who lies near whom, by plain distance: all pairs of a family at once, on thinned samples.

Plain distance is no topology (siblings that learned alike lie near each other), but whatever a rule may find next to a
version, its source, its copies, what it was merged from, is among its nearest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from graph_schema.fingerprint import Fingerprint
from lineage.alignment import role_stacks

NEAREST = 24
THINNED_SIDE = 64
EXACT_SIZE = 2000
"""Families up to this size are measured in double precision; near copies in larger ones may change places."""

SAMPLED_ROWS = 64


def nearest_relatives(
    fingerprints: Sequence[Fingerprint], roles: Collection[str], *, count: int = NEAREST
) -> list[list[int]]:
    """The nearest relatives of each version, nearest first.

    Parameters
    ----------
    fingerprints : sequence of Fingerprint
    roles : collection of str
        The roles to compare, usually `lineage.measured_roles.measured_roles`.
    count : int
        How many relatives are wanted at most.

    Returns
    -------
    list of list of int
        Positions; ties go to the smaller one. Versions that share no role are not listed.

    Notes
    -----
    Squared Frobenius distances on blocks thinned to 64 x 64, averaged over the shared roles, each in units of its
    typical distance. One matrix product a role: time O(n^2 d), memory O(n^2).
    """
    distances = squared_distances(fingerprints, roles)
    np.fill_diagonal(distances, np.inf)
    kept = min(count, len(fingerprints) - 1)
    found = []
    for row in distances:
        # A margin before the exact sort, so that ties at the border fall the same way whatever the partition does.
        few = np.argpartition(row, kept)[: kept + 1] if kept < len(row) - 1 else np.arange(len(row))
        border = row[few].max()
        near = np.flatnonzero(row <= border) if np.isfinite(border) else few
        order = near[np.lexsort((near, row[near]))]
        found.append([int(other) for other in order[:kept] if np.isfinite(row[other])])
    return found


def squared_distances(fingerprints: Sequence[Fingerprint], roles: Collection[str]) -> NDArray[np.floating]:
    """Mean squared distance of every pair over the roles that both have, in typical units; infinite where none is."""
    dtype: np.dtype[np.floating] = np.dtype(np.float64) if len(fingerprints) <= EXACT_SIZE else np.dtype(np.float32)
    stacks = role_stacks(fingerprints, roles=roles, side=THINNED_SIDE)
    vectors = ((stack.members, stack.blocks.reshape(len(stack.blocks), -1).astype(dtype)) for stack in stacks)
    return mean_squares(len(fingerprints), vectors, dtype)


def mean_squares(
    size: int, vectors: Iterable[tuple[NDArray[np.int64], NDArray[np.floating]]], dtype: np.dtype[np.floating]
) -> NDArray[np.floating]:
    """Mean of the squared distances of all pairs over several roles, each in its typical distance.

    Parameters
    ----------
    size : int
    vectors : iterable of (members, values)
        For each role, the positions of the versions that have it and one vector each.
    dtype : dtype
        Of the outcome.

    Returns
    -------
    (size, size) array
        Infinite where two versions share no role.
    """
    total = np.zeros((size, size), dtype=dtype)
    counts = np.zeros((size, size), dtype=np.float32)
    for members, values in vectors:
        squared = pairwise_squares(values)
        at = np.ix_(members, members)
        total[at] += squared / typical(squared)
        counts[at] += 1
    total /= np.maximum(counts, 1)
    total[counts == 0] = np.inf
    return total


def pairwise_squares(vectors: NDArray[np.floating]) -> NDArray[np.floating]:
    """Squared Euclidean distances of all pairs of rows.

    Examples
    --------
    >>> pairwise_squares(np.array([[0.0, 0.0], [3.0, 4.0]])).tolist()
    [[0.0, 25.0], [25.0, 0.0]]
    """
    # Centring first keeps the cancellation in |a|^2 + |b|^2 - 2ab at the scale of the differences.
    centred = vectors - vectors.mean(axis=0)
    products = centred @ centred.T
    norms = products.diagonal().copy()
    squared: NDArray[np.floating] = np.maximum(norms[:, None] + norms[None, :] - 2 * products, 0.0)
    np.fill_diagonal(squared, 0.0)
    return squared


def typical(squared: NDArray[np.floating]) -> float:
    """Median of the positive distances of a few evenly spaced rows: for a unit, a sample serves as well as all."""
    sample = squared[:: max(1, len(squared) // SAMPLED_ROWS)]
    positive = sample[sample > 0]
    return float(np.median(positive)) if positive.size else 1.0
