"""Merges among the members of a family: every formula is tried on every member and its nearest relatives."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from graph_schema.fingerprint import Fingerprint
from lineage.family_vectors import FamilyVectors, SharedVectors
from lineage.rules.comparison import Comparison
from lineage.rules.elementwise import describe, elementwise_fit
from lineage.rules.low_rank import low_rank
from lineage.rules.merge import Merge
from lineage.rules.merging import EXACT, AffineFit, affine_fit
from lineage.rules.merging import RESIDUAL as AFFINE
from lineage.rules.passthrough import content_index, stitching
from lineage.rules.spherical import ONE_SHARE, spherical_fit
from lineage.rules.spherical import RESIDUAL as SPHERICAL
from lineage.spanning_tree import ancestors_of

CANDIDATES = 24
"""Nearest relatives of which a version may be made. A light constituent or the base of task vectors may be far away:
of 149 merges in families of twenty to thirty, eight have one behind the twelfth."""

LEAST_VALUES = 64

SAME = 1e-6
"""Relative distance up to which two versions differ by rounding alone,"""

BOTH_ROUNDED = 3.0
"""... or up to so many times the energy of one's rounding errors: two that were rounded apart differ by twice that."""

DECIMALS = 3
TYPED = 0.02
"""Weights are taken for typed where they have so few decimals, to within this share of the last; by chance, one in
twenty-five has, and two or three of a combination are free."""

MOST_NEEDED = 3.0
"""How many times the weights of the shortest of some collinear combinations those of a recipe may sum to. What is left
of a base, 0.08 say, divides all others when it is solved for, and may leave short decimals: 4.8, 8.7 and -12.5."""

LOOSE = 0.05
"""Residual of a combination of versions whose scales are estimates: what these leave is of second order in how far the
versions lie apart, a few per cent of the distance. Between versions that only trained, a half and more is left."""


def find_merges(
    fingerprints: Sequence[Fingerprint],
    vectors: FamilyVectors,
    near: Sequence[Sequence[int]],
    copies: frozenset[int],
    loose: frozenset[int] = frozenset(),
) -> dict[int, Merge]:
    """The merges among the members of a family, by position.

    Parameters
    ----------
    fingerprints : sequence of Fingerprint
    vectors : FamilyVectors
    near : sequence of sequences of int
        Relatives of each member, nearest first.
    copies : frozenset of int
        Lossy copies: neither merges nor constituents, their sources stand for them.
    loose : frozenset of int
        Members whose scales are estimates: a combination in which they take part leaves more than rounding.

    Notes
    -----
    In this order: passthrough (tensors equal to the bit), linear and task arithmetic (an affine combination of the
    whole), slerp (tensor by tensor), TIES and DARE (value by value). Each accepts only what no training leaves behind.
    What one formula makes from a version for all values is no part of that version.
    """
    search = _Search(
        fingerprints=fingerprints,
        vectors=vectors,
        near=near,
        copies=copies,
        loose=loose,
        index=content_index(fingerprints, copies),
        norms=[float(sum(tensor.l2**2 for tensor in item.tensors if len(tensor.shape) >= 2)) for item in fingerprints],
    )
    every = [place for place in range(len(fingerprints)) if place not in copies]
    found = {child: merge for child in every if (merge := search.merge(child)) is not None}
    return found | _of_other_parts(search, found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Search:
    """A family in which merges are sought."""

    fingerprints: Sequence[Fingerprint]
    vectors: FamilyVectors
    near: Sequence[Sequence[int]]
    copies: frozenset[int]
    loose: frozenset[int]
    index: Mapping[str, frozenset[int]]
    norms: Sequence[float]

    def merge(self, child: int, *, without: Collection[int] = ()) -> Merge | None:
        """The merge that a member is, of others than some."""
        merge = None if without else _passthrough(child, self.fingerprints, self.index, self.near[child])
        aside = self.copies.union(without)
        candidates = [other for other in self.near[child] if other not in aside and self.vectors.covers(child, other)]
        candidates = candidates[:CANDIDATES]
        if merge is not None or len(candidates) < 2:
            return merge
        shared = self.vectors.shared([child, *candidates])
        if shared.values.shape[1] < LEAST_VALUES or _repeats(shared):
            return None
        merge = _affine(shared, candidates, self.norms, child)
        if merge is None or merge.residual > EXACT:
            # An arc is nearly a chord, and what a chord leaves some third version may take up.
            arc = _spherical(shared, candidates)
            merge = arc if merge is None or (arc is not None and arc.residual < merge.residual) else merge
        merge = merge or _elementwise(shared, candidates)
        if merge is None and self.loose & {child, *candidates}:
            merge = _affine(shared, candidates, self.norms, child, LOOSE) or _spherical(shared, candidates, LOOSE)
            merge = merge if merge is not None and self.loose & {child, *merge.members} else None
        return merge


def _of_other_parts(search: _Search, found: Mapping[int, Merge]) -> dict[int, Merge]:
    """Merges of which a part was made from the merge itself, by less; made of other parts where that works.

    What was mixed from a merge and others gives, with those others, all that one of its true parts gives.
    """
    again = {}
    for child, merge in found.items():
        needs = merge.complexity
        parts = {other: item.members for other, item in found.items() if item.complexity < needs}
        below = {other for other in search.near[child] if child in ancestors_of(other, parts)} if parts else set()
        if below & set(merge.members) and (other := search.merge(child, without=below)) is not None:
            again[child] = other
    return again


def _repeats(shared: SharedVectors) -> bool:
    """Whether a version is one of its relatives but for rounding: then any formula that gives that one gives it too."""
    apart = float(np.square(shared.values[1:] - shared.values[0]).sum(axis=1).min())
    return apart <= max(SAME**2 * float(np.square(shared.values[0]).sum()), BOTH_ROUNDED * shared.rounding)


def _passthrough(
    child: int, fingerprints: Sequence[Fingerprint], index: Mapping[str, frozenset[int]], near: Sequence[int]
) -> Merge | None:
    fit = stitching(child, fingerprints, index, near)
    # Where all that parts the child from a source is a low-rank change, the child was edited from it; or it is an edit
    # of the child, and then the others hold every tensor.
    edits: set[int] = set()
    while fit is not None and (new := _edits(child, fingerprints, fit.members)):
        edits |= new
        others = {content: holders - edits for content, holders in index.items()}
        fit = stitching(child, fingerprints, others, near, covered=1.0)
    if fit is None:
        return None
    return Merge(
        members=fit.members,
        weights=tuple(round(share, 4) for share in fit.shares),
        roles=("constituent",) * len(fit.members),
        method="passthrough",
        residual=max(0.0, 1 - sum(fit.shares)),
        statement=f"{sum(fit.shares):.0%} of the values stand in tensors that equal one of {len(fit.members)} "
        "versions' to the bit",
    )


def _edits(child: int, fingerprints: Sequence[Fingerprint], members: Sequence[int]) -> set[int]:
    return {item for item in members if low_rank(Comparison(parent=fingerprints[item], child=fingerprints[child]))}


def _affine(
    shared: SharedVectors, candidates: Sequence[int], norms: Sequence[float], child: int, residual: float = AFFINE
) -> Merge | None:
    fit = affine_fit(
        shared.values[0], shared.values[1:], convex=False, rounding=shared.rounding, most_residual=residual
    )
    if fit is None:
        return None
    members = tuple(candidates[place] for place in fit.members)
    words = ", ".join(f"{weight:.3f}" for weight in fit.weights)
    statement = (
        f"a combination of {len(members)} versions with the weights {words} leaves a residual of {fit.residual:.2g} of "
        "the distance to the nearest of them"
    )
    negative = [place for place, weight in enumerate(fit.weights) if weight < 0]
    if not negative:
        return Merge(
            members=members,
            weights=fit.weights,
            roles=("constituent",) * len(members),
            method="linear",
            residual=fit.residual,
            statement=statement,
        )
    if len(negative) > 1 or len(members) < 3:
        return None
    base = members[negative[0]]
    # Every member is a combination of the others and the child: the merge is the one whose weights are the shortest
    # decimals, or else the one that needs the least of them. Where these tie (task vectors added whole), the base is
    # the shortest of all and the merge the longest. What needs many times the weights is none, however short they are.
    own = _needed(fit.weights)
    others = [weights for weights in _turned(fit.weights) if _needed(weights) <= MOST_NEEDED * own]
    least = min(map(_needed, others), default=np.inf)
    if own > MOST_NEEDED * least:
        return None
    typed, others_typed = _decimals(fit.weights), min(map(_decimals, others), default=DECIMALS + 1)
    if typed != others_typed:
        return _task_arithmetic(fit, members, base, statement) if typed < others_typed else None
    longest = norms[base] <= min(norms[item] for item in members) and norms[child] >= max(
        norms[item] for item in members
    )
    if own > 0.95 * least and not (longest and own < 1.05 * least):
        return None
    return _task_arithmetic(fit, members, base, statement)


def _task_arithmetic(fit: AffineFit, members: tuple[int, ...], base: int, statement: str) -> Merge:
    return Merge(
        members=members,
        weights=fit.weights,
        roles=tuple("base" if member == base else "constituent" for member in members),
        method="task arithmetic",
        residual=fit.residual,
        statement=statement,
    )


def _turned(weights: Sequence[float]) -> list[tuple[float, ...]]:
    """The weights that make each member of a combination from the others and the outcome."""
    return [
        (1 / weight, *(-other / weight for place, other in enumerate(weights) if place != own))
        for own, weight in enumerate(weights)
    ]


def _needed(weights: Sequence[float]) -> float:
    return sum(abs(weight) for weight in weights)


def _decimals(weights: Sequence[float]) -> int:
    """With how many decimals all weights can be written, as people type them; one more than `DECIMALS` for none."""
    for decimals in range(DECIMALS + 1):
        scaled = np.asarray(weights) * 10**decimals
        if np.abs(scaled - np.round(scaled)).max() < TYPED * 10.0 ** (decimals - DECIMALS):
            return decimals
    return DECIMALS + 1


def _spherical(shared: SharedVectors, candidates: Sequence[int], residual: float = SPHERICAL) -> Merge | None:
    fit = spherical_fit(
        shared.values[0],
        shared.values[1:],
        shared.segments,
        rounding=shared.rounding_by_role,
        most_residual=residual,
    )
    if fit is None:
        return None
    pairs = sorted([(1 - fit.share, fit.members[0]), (fit.share, fit.members[1])], key=lambda pair: (-pair[0], pair[1]))
    return Merge(
        members=tuple(candidates[place] for _, place in pairs),
        weights=tuple(weight for weight, _ in pairs),
        roles=("constituent",) * 2,
        method="slerp" if fit.spread < ONE_SHARE else "layer-wise linear",
        residual=fit.residual,
        statement=f"every tensor lies between the same two versions, {fit.share:.3f} of the way along the arc (spread "
        f"{fit.spread:.2g}), with a residual of {fit.residual:.2g} of their distance",
    )


def _elementwise(shared: SharedVectors, candidates: Sequence[int]) -> Merge | None:
    fit = elementwise_fit(shared.values[0], shared.values[1:], shared.segments, shared.steps)
    if fit is None:
        return None
    members = (*(candidates[place] for place in fit.members), candidates[fit.base])
    return Merge(
        members=members,
        weights=(None, None, None),
        roles=("constituent", "constituent", "base"),
        method=fit.method,
        residual=1 - fit.explained,
        statement=describe(fit),
    )
