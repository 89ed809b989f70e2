"""The edges of a family that rules make certain, before any tree is built."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import DisjointSet

from graph_schema.fingerprint import Fingerprint
from graph_schema.labels import Relation
from lineage.alignment import tensor_pairs
from lineage.family_vectors import FamilyVectors
from lineage.hidden_copies import hidden_copies
from lineage.merges import find_merges
from lineage.rules.comparison import Comparison, Transformation
from lineage.rules.equality import rearranged, rearrangement_key
from lineage.rules.merge import Merge
from lineage.rules.passthrough import LEAST_SIZE
from lineage.rules.pruning import pruned
from lineage.rules.registry import directed_transformation
from lineage.rules.traits import Traits
from lineage.spanning_tree import ancestors_of

LOSSY = (Relation.QUANTIZED_FROM, Relation.PRUNED_FROM)

MOST_FARTHER = 4.0
"""How much farther than the others matrices of uncertain scale may lie from the source of a copy. One whose other
matrices were trained lies farther from it by a good deal more than rounding."""

NEAREST = 8
"""How many relatives are tried as the source of a copy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertainEdge:
    """An edge that a rule made: a lossy copy and its source, or a merge and its heaviest constituent.

    Attributes
    ----------
    parent, child : int
        Positions in the family.
    directed : bool
    transformation : Transformation or None
        What was done; None for a merge.
    merge : Merge or None
        All that went in (positions in the family) with their weights.
    """

    parent: int
    child: int
    directed: bool = True
    transformation: Transformation | None = None
    merge: Merge | None = None

    @property
    def lossy(self) -> bool:
        """Whether the child is a quantised or pruned copy of the parent."""
        return self.transformation is not None and self.transformation.relation in LOSSY


def certain_edges(
    fingerprints: Sequence[Fingerprint],
    near: Sequence[Sequence[int]],
    vectors: FamilyVectors,
    signs: Sequence[Traits],
    loose: frozenset[int] = frozenset(),
    merging: Sequence[Fingerprint] | None = None,
    clear: Sequence[Fingerprint] | None = None,
    as_given: Collection[int] = (),
) -> list[CertainEdge]:
    """Lossy copies and merges among the members of a family.

    Parameters
    ----------
    fingerprints : sequence of Fingerprint
    near : sequence of sequences of int
        The relatives of each member, nearest first (`lineage.nearness`); only these are looked at.
    vectors : FamilyVectors
    signs : sequence of Traits
        What each member shows by itself.
    loose : frozenset of int
        Members whose scales are estimates.
    merging : sequence of Fingerprint, optional
        The members at the scales at which they may be merges, where these are others.
    clear : sequence of Fingerprint, optional
        The members without what is of uncertain scale (`lineage.measured_roles.clear_tensors`): by that a copy is told.
    as_given : collection of int
        Members whose values are as they were given, all of certain scale among themselves.

    Returns
    -------
    list of CertainEdge
        At most one per child, and no cycles. Of several sources that would explain a copy, the nearest counts.
    """
    found = _copies(fingerprints, clear or fingerprints, near, signs, as_given)
    taken = {edge.child for edge in found}
    for source, copy, answer in hidden_copies(fingerprints, near, vectors, taken=taken, as_given=as_given):
        found.append(CertainEdge(parent=source, child=copy, transformation=answer))
    copies = frozenset(edge.child for edge in found)
    if merging is not None and _differ(merging, fingerprints):
        merges = find_merges(merging, FamilyVectors.of(merging), near, copies, loose)
    else:
        merges = find_merges(fingerprints, vectors, near, copies, loose)
    if clear is not None and _differ(clear, fingerprints):
        # What is of certain scale is a mixture to the last digit, or none.
        alone = _alone(clear)
        told = find_merges(clear, FamilyVectors.of(clear), near, copies)
        merges |= {child: merge for child, merge in told.items() if alone.issuperset(merge.members)}
    # What takes least comes first, then what leaves least; later ones that would close a cycle fall away.
    for child, merge in sorted(merges.items(), key=lambda item: (*item[1].complexity, item[1].residual, item[0])):
        heaviest = next(
            member for member, role in zip(merge.members, merge.roles, strict=True) if role == "constituent"
        )
        found.append(CertainEdge(parent=heaviest, child=child, merge=merge))
    found += _rearranged(fingerprints, {edge.child for edge in found})
    return _without_cycles(len(fingerprints), found)


def _differ(given: Sequence[Fingerprint], fingerprints: Sequence[Fingerprint]) -> bool:
    return any(one is not two for one, two in zip(given, fingerprints, strict=True))


def _alone(fingerprints: Sequence[Fingerprint]) -> set[int]:
    """The members that no other equals in all matrices."""
    held = [frozenset((item.role, item.content) for item in one.tensors if len(item.shape) > 1) for one in fingerprints]
    count = Counter(held)
    return {place for place, key in enumerate(held) if count[key] == 1}


def _copies(
    whole: Sequence[Fingerprint],
    fingerprints: Sequence[Fingerprint],
    near: Sequence[Sequence[int]],
    signs: Sequence[Traits],
    as_given: Collection[int],
) -> list[CertainEdge]:
    found = []
    for child, fingerprint in enumerate(fingerprints):
        # Rounding errors or zeros are all that lies between a copy and its source, so that no relative is nearer.
        # Of nearly as near ones, what has as many parameters is the source, and not what was grown from it; and what
        # has the tensors that were left as they are, and not another copy of the source.
        size = fingerprint.parameters
        left = {tensor.content for tensor in fingerprint.tensors if tensor.size >= LEAST_SIZE}
        strangeness = {
            other: (fingerprints[other].parameters != size, -_held(fingerprints[other], left))
            for other in near[child][:NEAREST]
        }
        for parent in sorted(strangeness, key=strangeness.__getitem__):
            if not signs[child].any and fingerprints[parent].parameters >= size:
                continue
            both = whole if child in as_given and parent in as_given else fingerprints
            answer = directed_transformation(both[parent], both[child], signs[child])
            if (
                answer is not None
                and both is fingerprints
                and not _moved_alike(whole[parent], whole[child], fingerprint)
            ):
                answer = None
            if answer is None and signs[child].sparse and both[child] is not whole[child]:
                # Zeros stay zeros at any scale, and no estimate lets the other values survive to the bit.
                answer = pruned(Comparison(parent=whole[parent], child=whole[child]))
            if answer is not None:
                found.append(CertainEdge(parent=parent, child=child, transformation=answer))
                break
    return found


def _moved_alike(parent: Fingerprint, child: Fingerprint, clear: Fingerprint) -> bool:
    """Whether what is of uncertain scale lies hardly farther from the source of a copy than what is not."""
    if clear is child:
        return True
    certain = {tensor.role for tensor in clear.tensors}
    steps: dict[bool, list[float]] = {True: [], False: []}
    for pair in tensor_pairs(parent, child):
        if pair.matrix and pair.first.any():
            steps[pair.role in certain].append(float(np.linalg.norm(pair.delta) / np.linalg.norm(pair.first)))
    return not steps[False] or float(np.median(steps[False])) <= MOST_FARTHER * max(steps[True], default=0.0)


def _held(fingerprint: Fingerprint, contents: Collection[str]) -> int:
    """Number of its tensors that are among some contents."""
    return sum(tensor.content in contents for tensor in fingerprint.tensors)


def _rearranged(fingerprints: Sequence[Fingerprint], taken: set[int]) -> list[CertainEdge]:
    """Copies whose units were renumbered; which of the two came first is open."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for position, fingerprint in enumerate(fingerprints):
        groups.setdefault(rearrangement_key(fingerprint), []).append(position)
    found = []
    for members in groups.values():
        # A version with parents of its own is the original; the others hang from it.
        first = min(members, key=lambda member: (member not in taken, member))
        for other in members:
            if other == first or other in taken:
                continue
            answer = rearranged(Comparison(parent=fingerprints[first], child=fingerprints[other]))
            if answer is not None:
                found.append(CertainEdge(parent=first, child=other, directed=False, transformation=answer))
    return found


def _without_cycles(size: int, edges: Sequence[CertainEdge]) -> list[CertainEdge]:
    """The edges in their order, less those that would make a version its own ancestor, or join what is joined."""
    joined = DisjointSet(range(size))
    parents: dict[int, set[int]] = {}

    kept = []
    for edge in edges:
        everyone = {edge.parent} if edge.merge is None else set(edge.merge.members)
        circle = any(edge.child in {parent, *ancestors_of(parent, parents)} for parent in everyone)
        if circle or not joined.merge(edge.parent, edge.child):
            continue
        parents[edge.child] = everyone
        kept.append(edge)
    return kept
