"""The common frame of a family: every laundered member is mapped into the frame that most members share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graph_schema.fingerprint import Fingerprint
from lineage.relatedness import kinship
from lineage.symmetry.mapped import network_of
from lineage.symmetry.placing import ANCHORS, CLOSE, Laundering, Placing
from lineage.symmetry.screening import frames, in_one_frame
from lineage.symmetry.weights import WeightSource


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonFrame:
    """A family in one frame.

    Attributes
    ----------
    members : tuple of Fingerprint
        In their order; those that needed no mapping are the very objects that were given.
    frames : tuple of int
        Number of the frame that each member was in; 0 is the frame of reference.
    laundered : mapping of version to Laundering
    merging : tuple of Fingerprint
        The members at the scales at which some are merges of others: there nothing but rounding is left of a merge,
        while `members` are at the scales at which least lies between neighbours (`lineage.symmetry.quiet_scales`).
    estimated : frozenset of version
        Members whose scales are estimates for merges as well: what training did to them and what a rescaling did
        cannot be told apart, and they are too large to be looked at as a whole.
    blurred : frozenset of role
        Tensors whose scales are estimates in some of `members`.
    """

    members: tuple[Fingerprint, ...]
    frames: tuple[int, ...]
    laundered: Mapping[str, Laundering]
    merging: tuple[Fingerprint, ...] = ()
    estimated: frozenset[str] = frozenset()
    blurred: frozenset[str] = frozenset()


def frame_of(fingerprints: Sequence[Fingerprint], weights: WeightSource | None = None) -> CommonFrame:
    """A family in one frame; kinship within it is tested only where some member may have been laundered.

    Parameters
    ----------
    fingerprints : sequence of Fingerprint
        Related versions, sorted by id, which makes the outcome independent of their order.
    weights : WeightSource, optional
        As for `common_frame`.
    """
    if in_one_frame(fingerprints):
        return _as_it_is(fingerprints)
    return common_frame(fingerprints, kinship(fingerprints).correlation.astype(np.float64), weights)


def common_frame(
    fingerprints: Sequence[Fingerprint], correlation: NDArray[np.float64], weights: WeightSource | None = None
) -> CommonFrame:
    """Map the laundered members of a family into the frame of the others.

    Parameters
    ----------
    fingerprints : sequence of Fingerprint
        Sorted by id, which makes the outcome independent of their order.
    correlation : (n, n) array
        Mean correlation of the members, from `lineage.relatedness.kinship`.
    weights : WeightSource, optional
        Where the tensors are read of which a fingerprint holds but a sample; without it, they are left as they are.

    Notes
    -----
    The frame with the most members is the reference; of equal ones one that lacks no layers, with the nearest centre,
    or where all stand alone one that is close to what is near: between far relatives scales stay unknown. The centres
    of the others are aligned one by one, the one nearest to what is in the frame already first, with the member it is
    nearest to, but for what is far from all of them and waits; what makes a centre fit holds for its whole frame. What
    has fewer layers than usual comes later, what has more last. A frame that fails the test stays as it is. Where no
    two members share a frame, and scales were undone, no member has a scale to be trusted: then all are brought into
    balance.
    """
    groups = frames(fingerprints, correlation)
    if len(groups) < 2:
        return _as_it_is(fingerprints)
    coupled = [len(network_of(fingerprints[group[0]]).symmetries.couplings) for group in groups]
    usual = int(np.median(coupled))
    order = sorted(range(len(groups)), key=lambda place: (-len(groups[place]), -min(coupled[place], usual), place))
    alone = len(groups) > 2 and len(groups[order[0]]) == 1
    families = (
        Placing(fingerprints, groups, first, correlation, weights) for first in order[: ANCHORS if alone else 1]
    )
    family = _central(families, usual) if alone else next(families)
    reference = family.reference
    while family.waiting:
        family.place_next(usual=usual)
    if alone:
        family.balance(reference)
    family.settle()
    members = family.finished()
    return CommonFrame(
        members=members,
        merging=family.finished(merging=True) if family.settled else members,
        frames=tuple(family.numbers),
        laundered=family.laundered,
        estimated=frozenset(fingerprints[member].version for member in family.estimated),
        blurred=frozenset(family.blurred),
    )


def _as_it_is(fingerprints: Sequence[Fingerprint]) -> CommonFrame:
    clean = tuple(fingerprints)
    return CommonFrame(members=clean, frames=(0,) * len(clean), laundered={}, merging=clean)


def _central(families: Iterable[Placing], usual: int) -> Placing:
    """The first of some whose reference has most of what looks nearest close to it, else the one that has most."""
    counted: list[tuple[int, Placing]] = []
    for family in families:
        tried = [family.tried(place) for place in family.nearest(usual=usual)]
        counted.append((sum(item is not None and item[1].residual <= CLOSE for item in tried), family))
        if 2 * counted[-1][0] > len(tried):
            break
    return max(counted, key=lambda item: item[0])[1]
