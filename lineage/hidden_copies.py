"""Copies that were quantised before they were rescaled: which of two that differ by rounding noise is the copy."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from graph_schema.fingerprint import Fingerprint
from lineage.family_vectors import FamilyVectors
from lineage.rules.comparison import Comparison, Transformation
from lineage.rules.hidden_grid import rounded
from lineage.rules.traits import HALF_PRECISION

NEAREST = 3
"""Relatives that are tried as the source: rounding is less than most training."""

WITNESSES = 8
MOST_ERROR = 0.15
"""Standard error up to which a witness is heard: it says zero or one."""

Found = tuple[int, int, Transformation]
"""Source, copy, and what was done."""


def hidden_copies(
    fingerprints: Sequence[Fingerprint],
    near: Sequence[Sequence[int]],
    vectors: FamilyVectors,
    *,
    taken: Collection[int],
    as_given: Collection[int],
) -> list[Found]:
    """The copies among the members of a family whose grids do not show, because scales were undone.

    Parameters
    ----------
    fingerprints : sequence of Fingerprint
    near : sequence of sequences of int
        The relatives of each member, nearest first.
    vectors : FamilyVectors
    taken : collection of int
        Members that are known for copies already.
    as_given : collection of int
        Members whose values are as they were given: grids show in them.

    Notes
    -----
    Rounding errors have nothing to do with any third version. Of two versions that differ by such errors alone, the
    source is the one from which all others differ by something that the errors have no part in: the share of them that
    a third holds is 0 for the source's relatives, and 1 for what was made from the copy. Where the witnesses
    disagree, or none is near enough to tell, nothing is said.
    """
    found: dict[int, Found] = {}
    known, plain = set(taken), set(as_given)
    for child in range(len(fingerprints)):
        for parent in near[child][:NEAREST]:
            both = {child, parent}
            if both <= plain or both & known or both & found.keys():
                continue
            answer = rounded(Comparison(parent=fingerprints[parent], child=fingerprints[child]))
            if answer is None:
                continue
            copy = _copy_of(child, parent, fingerprints, near, vectors)
            if copy is not None:
                source = parent if copy == child else child
                found[copy] = (source, copy, answer)
    return [found[copy] for copy in sorted(found)]


def _copy_of(
    one: int, two: int, fingerprints: Sequence[Fingerprint], near: Sequence[Sequence[int]], vectors: FamilyVectors
) -> int | None:
    """Which of two is the copy; None where that is open."""
    halves = [_half(fingerprints[place]) for place in (one, two)]
    if halves[0] != halves[1]:
        return one if halves[0] else two
    others = [other for other in near[one] if other != two][:WITNESSES]
    shares = []
    for other in others:
        values = vectors.shared([one, two, other]).values
        errors, apart = values[0] - values[1], values[2] - values[1]
        energy = float(errors @ errors)
        if energy > 0 and np.linalg.norm(apart - errors / 2) <= MOST_ERROR * np.sqrt(energy * errors.size):
            shares.append(float(errors @ apart) / energy)
    if not shares:
        return None
    if max(shares) < 0.5:
        return one
    return two if min(shares) > 0.5 else None


def _half(fingerprint: Fingerprint) -> bool:
    return all(tensor.dtype in HALF_PRECISION for tensor in fingerprint.tensors if len(tensor.shape) > 1)
