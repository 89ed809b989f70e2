"""The common frame of a family: every laundered member is mapped into the frame that most members share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from graph_schema.fingerprint import Fingerprint
from lineage.symmetry.aligning import Alignment, aligned
from lineage.symmetry.mapped import Ledger, network_of
from lineage.symmetry.screening import frames
from lineage.symmetry.units import Array

LOG10_P = -12.0
"""A version is taken for laundered from this p-value on. Only suspects are tested, so that a million models make some
millions of tests."""

ANCHORS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Laundering:
    """What was undone to one version.

    Attributes
    ----------
    version : str
    reference : str
        The member it was aligned with, or the centre of its frame was.
    how : tuple of str
        `permuted`, `rescaled`, `rotated`.
    units : int
        Number of units that stood in another place.
    log10_p : float
        Decadic logarithm of the p-value against independent training.
    residual : float
        Distance to the reference that is left, relative to its norm.
    unrest : float
        How far its units are out of balance beside the reference's, in log scale: positive where it is the version that
        looks rescaled, negative where the reference does, 0 where scales do not tell.
    """

    version: str
    reference: str
    how: tuple[str, ...]
    units: int
    log10_p: float
    residual: float
    unrest: float = 0.0


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
    """

    members: tuple[Fingerprint, ...]
    frames: tuple[int, ...]
    laundered: Mapping[str, Laundering]


def common_frame(fingerprints: Sequence[Fingerprint], correlation: NDArray[np.float64]) -> CommonFrame:
    """Map the laundered members of a family into the frame of the others.

    Parameters
    ----------
    fingerprints : sequence of Fingerprint
        Sorted by id, which makes the outcome independent of their order.
    correlation : (n, n) array
        Mean correlation of the members, from `lineage.relatedness.kinship`.

    Notes
    -----
    The frame with the most members is the reference; of equal ones that with the nearest centre. The centres of the
    others are aligned one by one, the one nearest to what is in the frame already first, with the member it is
    nearest to; what makes a centre fit holds for its whole frame. A frame that fails the test stays as it is.
    """
    groups = frames(fingerprints, correlation)
    members, numbers = list(fingerprints), [0] * len(fingerprints)
    laundered: dict[str, Laundering] = {}
    if len(groups) < 2:
        return CommonFrame(members=tuple(members), frames=tuple(numbers), laundered=laundered)
    first = max(range(len(groups)), key=lambda place: (len(groups[place]), -place))
    for place, group in enumerate(groups):
        for member in group:
            numbers[member] = 0 if place == first else place + 1
    ledger, inside = Ledger(), list(groups[first])
    for member in inside:
        ledger.add(members[member])
    waiting = [group for place, group in enumerate(groups) if place != first]
    while waiting:
        nearness = [float(correlation[group[0], inside].max()) for group in waiting]
        group = waiting.pop(int(np.argmax(np.round(nearness, 9))))
        found = _placed(members, group[0], inside, correlation)
        if found is not None:
            anchor, alignment = found
            lengths = {tensor.role: tensor.shape for tensor in members[group[0]].tensors}
            for member in group:
                if alignment.maps:
                    laundered[members[member].version] = Laundering(
                        version=members[member].version,
                        reference=members[anchor].version,
                        how=alignment.how,
                        units=sum(item.moved for item in alignment.maps),
                        log10_p=alignment.log10_p,
                        residual=alignment.residual,
                    )
                    members[member] = _mapped(members[member], alignment, lengths, ledger)
                else:
                    numbers[member] = 0
                ledger.add(members[member])
        inside += group
    return CommonFrame(members=tuple(members), frames=tuple(numbers), laundered=laundered)


def _placed(
    members: Sequence[Fingerprint], centre: int, inside: Sequence[int], correlation: NDArray[np.float64]
) -> tuple[int, Alignment] | None:
    """The anchor and the alignment of a frame's centre with it; None where they are no kin in any frame."""
    version = network_of(members[centre])
    order = np.argsort(-np.round(correlation[centre, inside], 9), kind="stable")[:ANCHORS]
    for place in order.tolist():
        anchor = inside[place]
        alignment = aligned(network_of(members[anchor]), version)
        if alignment.log10_p > LOG10_P:
            continue
        # Only now is it seen who is nearest; scales are exact against the very source alone.
        mapped = {**version.matrices, **alignment.apply(version.matrices, version.shapes, version.shapes)}
        nearest = min(inside, key=lambda member: (_distance(members[member], mapped), member != anchor, member))
        if nearest != anchor and alignment.maps:
            anchor, alignment = nearest, aligned(network_of(members[nearest]), version)
        return anchor, alignment
    return None


def _distance(fingerprint: Fingerprint, matrices: Mapping[str, Array]) -> float:
    """Mean squared difference, each tensor relative to its own energy."""
    apart = []
    for role, values in network_of(fingerprint).matrices.items():
        other = matrices.get(role)
        if other is not None and other.shape == values.shape and values.any():
            apart.append(float(np.sum((values - other) ** 2) / np.sum(values**2)))
    return float(np.mean(apart)) if apart else np.inf


def _mapped(
    fingerprint: Fingerprint, alignment: Alignment, lengths: Mapping[str, tuple[int, ...]], ledger: Ledger
) -> Fingerprint:
    network = network_of(fingerprint)
    changed = alignment.apply(network.matrices, network.shapes, lengths)
    scaled = {slot.role for item in alignment.maps if item.scale is not None for slot in item.coupling.slots if slot.power}
    tensors = tuple(
        ledger.entered(tensor, changed[tensor.role], rescaled=tensor.role in scaled)
        if tensor.role in changed
        else tensor
        for tensor in fingerprint.tensors
    )
    return replace(fingerprint, tensors=tensors)
