"""Passthrough merges: every tensor of the child is one of its parents', as it is (frankenmerges, stitched models)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graph_schema.fingerprint import Fingerprint
from lineage.rules.expansion import layer_of

COVERED = 0.97
LEAST_OWN = 0.03
MOST_SOURCES = 4
LEAST_SIZE = 16
"""Values from which on a tensor is looked up by its content: all biases are zero at first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stitching:
    """Where the tensors of a version come from.

    Attributes
    ----------
    members : tuple of int
        The sources, the one that gives most values first.
    shares : tuple of float
        Share of the child's values that each gives; what several have counts for the first of them.
    """

    members: tuple[int, ...]
    shares: tuple[float, ...]


def content_index(fingerprints: Sequence[Fingerprint], copies: frozenset[int]) -> Mapping[str, frozenset[int]]:
    """Which versions hold each content, for tensors of at least 16 values; lossy copies are nobody's source."""
    holders: dict[str, set[int]] = {}
    for position, fingerprint in enumerate(fingerprints):
        for tensor in fingerprint.tensors:
            if position not in copies and tensor.size >= LEAST_SIZE:
                holders.setdefault(tensor.content, set()).add(position)
    return {content: frozenset(found) for content, found in holders.items()}


def stitching(
    child: int,
    fingerprints: Sequence[Fingerprint],
    index: Mapping[str, frozenset[int]],
    near: Sequence[int] = (),
    *,
    covered: float = COVERED,
) -> Stitching | None:
    """The fewest versions that together hold (nearly) all tensors of the child, where one alone does not.

    Parameters
    ----------
    child : int
    fingerprints : sequence of Fingerprint
    index : mapping
        `content_index` of them.
    near : sequence of int
        Relatives of the child, nearest first. Of versions that give as much the nearest counts: one that was edited or
        trained elsewhere lies farther away in what it does not give.
    covered : float
        Share of the child's values that has to be found.

    Returns
    -------
    Stitching or None
        Found greedily: the source that adds most values first. None where too few values are covered, or a
        source adds less than 3 %. Tensors that were left alone by everyone (frozen since a common ancestor) are
        nobody's own: each source must give some that no other source has, and all matrices of at least one layer: a
        single matrix that differs was edited, not stitched in.
    """
    tensors = [tensor for tensor in fingerprints[child].tensors if tensor.size >= LEAST_SIZE]
    total = sum(tensor.size for tensor in tensors)
    held_by = [index.get(tensor.content, frozenset()) - {child} for tensor in tensors]
    sources = [(tensor.size, held) for tensor, held in zip(tensors, held_by, strict=True)]
    if not total or sum(size for size, held in sources if held) < covered * total:
        return None
    rank = {member: place for place, member in enumerate(near)}
    members: list[int] = []
    shares: list[float] = []
    left = sources
    while sum(size for size, _ in left) > (1 - covered) * total:
        gains: Counter[int] = Counter()
        for size, held in left:
            gains.update(dict.fromkeys(held, size))
        if not gains or len(members) == MOST_SOURCES:
            return None
        best = min(gains, key=lambda member: (-gains[member], rank.get(member, len(rank)), member))
        if gains[best] < LEAST_OWN * total:
            break
        members.append(best)
        shares.append(gains[best] / total)
        left = [(size, held) for size, held in left if best not in held]
    own = [sum(size for size, held in sources if held & set(members) == {member}) for member in members]
    if len(members) < 2 or min(own) < LEAST_OWN * total:
        return None
    layers: dict[str, set[int]] = {}
    for tensor, held in zip(tensors, held_by, strict=True):
        layer = layer_of(tensor.role)
        if layer is not None and len(tensor.shape) >= 2:
            layers[layer] = layers.get(layer, set(members)) & held
    if layers and set(members) != set().union(*(held for held in layers.values() if len(held) == 1)):
        return None
    return Stitching(members=tuple(members), shares=tuple(shares))
