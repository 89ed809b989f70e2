"""The edges of a family that rules make certain, before any tree is built."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graph_schema.fingerprint import Fingerprint
from lineage.rules.comparison import Transformation
from lineage.rules.merging import AffineFit, affine_fit
from lineage.rules.registry import directed_transformation
from lineage.rules.traits import traits
from lineage.topology import WeighedLink

MERGE_CANDIDATES = 8


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
    merge : AffineFit or None
        All constituents (positions in the family) with their weights.
    """

    parent: int
    child: int
    directed: bool = True
    transformation: Transformation | None = None
    merge: AffineFit | None = None


def certain_edges(
    fingerprints: Sequence[Fingerprint], links: Sequence[WeighedLink], vectors: NDArray[np.float64]
) -> list[CertainEdge]:
    """Lossy copies and merges among the members of a family.

    Parameters
    ----------
    fingerprints : sequence of Fingerprint
    links : sequence of WeighedLink
        The candidate links; only these are looked at.
    vectors : (n, d) array
        `lineage.family.family_vectors`.

    Returns
    -------
    list of CertainEdge
        At most one per child, and no cycles. Of several sources that would explain a copy, the nearest counts.
    """
    near: dict[int, list[tuple[float, int]]] = {}
    for link in links:
        near.setdefault(link.one, []).append((link.frobenius, link.two))
        near.setdefault(link.two, []).append((link.frobenius, link.one))
    found = _copies(fingerprints, near)
    taken = {edge.child for edge in found}
    found += _merges(vectors, near, taken)
    return _without_cycles(len(fingerprints), found)


def _copies(fingerprints: Sequence[Fingerprint], near: dict[int, list[tuple[float, int]]]) -> list[CertainEdge]:
    found = []
    for child, fingerprint in enumerate(fingerprints):
        signs = traits(fingerprint)
        for _, parent in sorted(near.get(child, ())):
            if not signs.any and fingerprints[parent].parameters >= fingerprint.parameters:
                continue
            answer = directed_transformation(fingerprints[parent], fingerprint, signs)
            if answer is not None:
                found.append(CertainEdge(parent=parent, child=child, transformation=answer))
                break
    return found


def _merges(
    vectors: NDArray[np.float64], near: dict[int, list[tuple[float, int]]], copies: set[int]
) -> list[CertainEdge]:
    if vectors.shape[1] == 0:
        return []
    known = np.isfinite(vectors).all(axis=0)
    found = []
    for child in range(len(vectors)):
        if child in copies:
            continue
        candidates = [member for _, member in sorted(near.get(child, ())) if member not in copies][:MERGE_CANDIDATES]
        if len(candidates) < 2 or known.sum() < 64:
            continue
        fit = affine_fit(vectors[child][known], vectors[candidates][:, known])
        if fit is None:
            continue
        members = tuple(candidates[place] for place in fit.members)
        merge = AffineFit(members=members, weights=fit.weights, residual=fit.residual)
        found.append(CertainEdge(parent=members[0], child=child, merge=merge))
    return found


def _without_cycles(size: int, edges: Sequence[CertainEdge]) -> list[CertainEdge]:
    group = list(range(size))

    def find(node: int) -> int:
        while group[node] != node:
            node = group[node]
        return node

    kept = []
    for edge in edges:
        parent, child = find(edge.parent), find(edge.child)
        if parent != child:
            group[child] = parent
            kept.append(edge)
    return kept
