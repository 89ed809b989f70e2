"""Which members are mixtures of others, their scales being estimates; and the scales at which they exactly are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from lineage.symmetry.couplings import Slot
from lineage.symmetry.mixture_scales import Mixture, Tensor, mixture_scales
from lineage.symmetry.scale_groups import FIXED, Key, ScaleGroups
from lineage.symmetry.units import Array

CANDIDATES = 24
"""Nearest members of which one may be a mixture."""

MOST_PARTS = 4
LEAST_WEIGHT = 0.02

LOOSE = 0.35
"""Residual, as a share of the distance to the nearest part, up to which scales are sought: estimated ones leave some
per cent to a mixture, more to one with a negative weight; between versions that only trained a half and more is left.
"""

EXACT = 2e-3
"""Residual of a mixture at its own scales, beyond rounding. Others keep most of theirs, however scales are chosen."""

SPHERICAL = 0.3
"""Residual from which on coefficients of their own are tried for the tensors."""

COARSE = 0.1
"""Share of the distance that rounding may reach: then hardly any scale is told."""

COVERED = 0.8
MOST_ROUNDING = 2.0
SAMPLE = 24_000
STILL = 1e-5
RIDGE = 1e-12
_DIGITS = 12


def join_mixtures(groups: ScaleGroups, vectors: Array, precisions: Sequence[float], free: Sequence[int]) -> int:
    """Find the scales of all mixtures, and make one group of each with its parts.

    Parameters
    ----------
    groups : ScaleGroups
        Near to their true scales; some may have been tied to others since.
    vectors : (n, values) array
        The members before that, from `thinned`: there a mixture is one but for a few per cent.
    precisions : sequence of float
        Relative error of storing a value of each member, root mean square.
    free : sequence of int
        Members whose scales are estimates; a mixture without one is left alone.

    Returns
    -------
    int
        How many were joined.

    Notes
    -----
    Candidates are chosen on a sample of the values, time O(n^2 * sample); `mixture_scales` runs for those few alone.
    """
    wanted = set(free)
    found = [
        item
        for child in range(len(groups.networks))
        for item in _candidates(vectors, child, precisions)
        if wanted & set(item.members)
    ]
    # What is told finest first, then the fewest parts that do. Once joined, a mixture has nothing unknown.
    found.sort(key=lambda item: (precisions[item.members[0]], len(item.members), item.residual, item.members))
    return sum(_joined(groups, item, precisions) for item in found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A member, the mixture first, with parts, and what they leave as it is."""

    members: tuple[int, ...]
    weights: Array
    residual: float


def thinned(networks: Sequence[Mapping[str, Array]]) -> Array:
    """Some values of every member's matrices, each of these in units of what lies between members.

    Returns
    -------
    (members, values) array
        NaN where a member has no such tensor.
    """
    roles: dict[tuple[str, tuple[int, ...]], list[int]] = {}
    for member, matrices in enumerate(networks):
        for role, values in matrices.items():
            # A norm's scale is one value, which a scale that is off takes farther away than training does.
            if min(values.shape) > 1:
                roles.setdefault((role, values.shape), []).append(member)
    kept = {key: members for key, members in sorted(roles.items()) if len(members) > 1}
    each = max(64, SAMPLE // max(1, len(kept)))
    parts = []
    for (role, _), members in kept.items():
        flat = np.stack([_sampled(networks[member][role], each) for member in members])
        apart = float(np.sqrt(np.mean((flat - np.median(flat, axis=0)) ** 2)))
        if apart > STILL * float(np.sqrt(np.mean(flat**2))):
            part = np.full((len(networks), flat.shape[1]), np.nan)
            part[members] = flat / (apart * np.sqrt(flat.shape[1]))
            parts.append(part)
    return np.hstack(parts) if parts else np.zeros((len(networks), 0))


def _sampled(matrix: Array, count: int) -> Array:
    # Steps that no width divides, so that all rows and columns are met.
    places = (np.arange(min(count, matrix.size)) * max(1, matrix.size // count | 1)) % matrix.size
    sample: Array = matrix.ravel()[places]
    return sample


def apart(vectors: Array, member: int) -> Array:
    """Mean squared difference of a member and each other, (members,).

    Infinite for the member itself and for what lacks most of the values that it has.
    """
    held = np.isfinite(vectors)
    both = held & held[member]
    counts = both.sum(axis=1)
    differences = np.where(both, vectors, 0.0) - np.where(both, vectors[member], 0.0)
    enough = (counts > 0) & (counts >= COVERED * held[member].sum())
    found = np.where(enough, np.einsum("ij,ij->i", differences, differences) / np.maximum(counts, 1), np.inf)
    found[member] = np.inf
    return found


def nearest(vectors: Array, member: int) -> list[int]:
    """Members that have most of the values that one has, nearest first."""
    distances = apart(vectors, member)
    return [other for other in np.argsort(distances, kind="stable").tolist() if np.isfinite(distances[other])]


def _candidates(vectors: Array, child: int, precisions: Sequence[float]) -> list[_Candidate]:
    """The few of the nearest members that explain one best: two of them, three, four."""
    # A merge is stored no finer than what went into it; a coarse copy is no part, its source is.
    near = [item for item in nearest(vectors, child) if precisions[item] <= precisions[child]][:CANDIDATES]
    both = np.isfinite(vectors[[child, *near]]).all(axis=0)
    toward = vectors[near][:, both] - vectors[child][both]
    gram = toward @ toward.T
    least = STILL**2 * toward.shape[1]
    kept = list[int]()
    for place in range(len(near)):
        # What is the same but for rounding explains everything and nothing, and two that are the same nothing more.
        apart = [gram[place, place] + gram[other, other] - 2 * gram[place, other] for other in kept]
        if gram[place, place] > least and min(apart, default=np.inf) > least:
            kept.append(place)
    found = list[_Candidate]()
    for size in range(2, MOST_PARTS + 1):
        chosen = np.array(list(combinations(kept, size)), dtype=np.int64).reshape(-1, size)
        if not chosen.size:
            break
        weights, left = _solved(gram[chosen[:, :, None], chosen[:, None, :]])
        best = int(np.argmin(np.round(left, _DIGITS)))
        parts = chosen[best].tolist()
        distance = float(np.sqrt(min(gram[place, place] for place in kept)))
        if left[best] <= LOOSE * distance:
            members = (child, *(near[place] for place in parts))
            found.append(_Candidate(members=members, weights=weights[best], residual=float(left[best]) / distance))
    return found


def _solved(grams: Array) -> tuple[Array, Array]:
    """Weights that sum to 1 and leave least, (m, k), and the norms of that, (m,), for some (m, k, k) products."""
    size = grams.shape[-1]
    usual = np.trace(grams, axis1=1, axis2=2)[:, None, None] / size
    system = np.ones((len(grams), size + 1, size + 1))
    system[:, :-1, :-1], system[:, -1, -1] = grams / usual + RIDGE * np.eye(size), 0.0
    weights: Array = np.linalg.solve(system, np.append(np.zeros(size), 1.0)[:, None])[:, :-1, 0]
    return weights, np.sqrt(np.maximum(np.einsum("mi,mij,mj->m", weights, grams, weights), 0.0))


def _joined(groups: ScaleGroups, candidate: _Candidate, precisions: Sequence[float]) -> bool:
    members = candidate.members
    found = _exact(groups, members, candidate.weights, precisions)
    if found is None:
        return False
    if np.min(np.abs(found[0].weights)) < LEAST_WEIGHT:
        return False
    mixture, numbers = found
    logs = np.append(mixture.logs, 0.0)
    new = False
    for key, places in numbers.items():
        scales = np.exp(logs[places])
        groups.scaled(key, members[0], scales[0], places[0] >= 0)
        for part, scale in zip(members[1:], scales[1:], strict=True):
            new |= groups.join(key, members[0], part, scale, np.ones(scale.size, dtype=bool))
    return new


def _exact(
    groups: ScaleGroups, members: tuple[int, ...], weights: Array, precisions: Sequence[float]
) -> tuple[Mixture, dict[Key, NDArray[np.int64]]] | None:
    """The scales at which the first member is a mixture of the others, if it is one."""
    tensors, numbers, scales = problem(groups, members)
    if not tensors or not scales:
        return None
    roundoff = [precisions[member] for member in members]
    found = mixture_scales(tensors, scales, weights, roundoff=roundoff)
    if not _is_exact(found) and found.residual < SPHERICAL and len(members) == 3:
        found = mixture_scales(tensors, scales, found.weights, by_tensor=True, roundoff=roundoff)
    return (found, numbers) if _is_exact(found) else None


def _is_exact(found: Mixture) -> bool:
    return found.residual**2 <= EXACT**2 + MOST_ROUNDING * found.rounding**2 and found.rounding < COARSE


def problem(groups: ScaleGroups, members: Sequence[int]) -> tuple[list[Tensor], dict[Key, NDArray[np.int64]], int]:
    """The tensors that some members share, the numbers of their unknown scales by coupling, and how many there are.

    Members of one group share a scale. The frame of reference's are known; where it takes no part, the first's are
    left as they are, since all could be scaled at once.
    """
    numbers: dict[Key, NDArray[np.int64]] = {}
    scales = 0
    for key in groups.shared(*members):
        labels = groups.labels(key, members)
        known = np.where((labels == FIXED).any(axis=0), FIXED, labels[0])
        # One number for each unit and group.
        pairs = np.arange(labels.shape[1]) * (len(groups.networks) + 1) + labels
        found = np.full(labels.shape, -1)
        unknown = labels != known
        if unknown.any():
            found[unknown] = scales + np.unique(pairs[unknown], return_inverse=True)[1]
            scales = int(found.max()) + 1
        numbers[key] = found
    slots: dict[str, list[tuple[Slot, NDArray[np.int64]]]] = {}
    for key, places in numbers.items():
        for slot in key[0]:
            if slot.power:
                slots.setdefault(slot.role, []).append((slot, places))
    tensors = []
    for role, first in sorted(groups.matrices[members[0]].items()):
        values = [groups.matrices[member].get(role) for member in members]
        if all(item is not None and item.shape == first.shape for item in values):
            whole = [item for item in values if item is not None]
            apart = float(np.sqrt(np.mean([np.mean((item - first) ** 2) for item in whole[1:]])))
            if apart > STILL * float(np.sqrt(np.mean(first**2))):
                unit = apart * np.sqrt(first.size)
                tensors.append(_tensor([item / unit for item in whole], slots.get(role, ())))
    return tensors, numbers, scales


def _tensor(values: Sequence[Array], slots: Sequence[tuple[Slot, NDArray[np.int64]]]) -> Tensor:
    shape = values[0].shape
    places = [np.full((len(values), length), -1) for length in shape]
    powers = [np.zeros(length) for length in shape]
    for slot, numbers in slots:
        length = shape[slot.axis] // slot.parts
        part = slice(slot.part * length, (slot.part + 1) * length)
        places[slot.axis][:, part] = np.repeat(numbers, length // numbers.shape[1], axis=1)
        powers[slot.axis][part] = slot.power
    return Tensor(
        values=tuple(values), rows=places[0], columns=places[1], row_powers=powers[0], column_powers=powers[1]
    )
