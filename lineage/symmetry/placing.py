"""Members of a family on their way into the common frame: each frame is aligned with what is inside, nearest first."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graph_schema.errors import ModelLakeError
from graph_schema.fingerprint import Fingerprint
from lineage.symmetry.aligning import Alignment, Network, aligned, mapped_matrices
from lineage.symmetry.balancing import balancing, unrest
from lineage.symmetry.mapped import Ledger, network_of
from lineage.symmetry.member import Member
from lineage.symmetry.quieting import quieted
from lineage.symmetry.rotation import Turn, embedding_likeness, turn_between
from lineage.symmetry.settling import settled
from lineage.symmetry.slicing import distance, sliced
from lineage.symmetry.weights import StoredMatrices, WeightSource

LOG10_P = -12.0
"""A version is taken for laundered from this p-value on. Only suspects are tested, so that a million models make some
millions of tests."""

ANCHORS = 3

CLOSE = 0.4
"""Residual up to which no other anchor is tried: what is left to one of another run from the same initialisation is
more, and too much for scales to be believed."""

AS_NEAR = 0.01
"""Difference of two residuals, relative to one, up to which two frames are as near."""

PATIENCE = 8
"""Frames that are tried at a time where the nearest is not close."""

STAND_INS = 24

FOLDED = 1.0
"""Unrest of a version whose norms were folded into the maps behind them: no training leaves that."""

PRUNED = 0.01
"""Share of zeros that a version may have more than another before it counts as pruned."""


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
        How much farther its units are out of balance than the reference's, in log scale: positive where it is the one
        that looks rescaled, negative where the reference does, 0 where scales do not tell.
    """

    version: str
    reference: str
    how: tuple[str, ...]
    units: int
    log10_p: float
    residual: float
    unrest: float = 0.0


class Placing:
    """The members of a family on their way into the common frame.

    Attributes
    ----------
    waiting : list of list of int
        Frames that are not placed yet, each with its centre first.
    numbers : list of int
        The frame of each member (`lineage.symmetry.frame.CommonFrame`).
    laundered : dict of version to Laundering
    estimated : set of int
        Members whose scales are estimates.
    blurred : set of role
        Tensors whose scales are.
    """

    def __init__(
        self,
        fingerprints: Sequence[Fingerprint],
        groups: Sequence[Sequence[int]],
        first: int,
        correlation: NDArray[np.float64],
        weights: WeightSource | None,
    ) -> None:
        self._members = [Member(item, network_of(item, weights)) for item in fingerprints]
        self._correlation = correlation
        self._inside = list(groups[first])
        self._order = list(groups[first])
        self._touched: list[int] = []
        self._tied: dict[int, int] = {}
        self._failed: set[int] = set()
        self.waiting = [group for place, group in enumerate(groups) if place != first]
        self.numbers = [0] * len(fingerprints)
        for place, group in enumerate(self.waiting):
            for member in group:
                self.numbers[member] = place + 1
        self.laundered: dict[str, Laundering] = {}
        self.estimated: set[int] = set()
        self.blurred: set[str] = set()
        self._merging: dict[int, Member] = {}

    @property
    def settled(self) -> bool:
        """Whether merges have scales of their own."""
        return bool(self._merging)

    @property
    def reference(self) -> int:
        """The member that the others are aligned with, or with those that are."""
        return self._order[0]

    def nearest(self, *, usual: int) -> list[int]:
        """The waiting frames that look nearest to what is inside, of those whose turn it is.

        First what has as many couplings as is usual, then what has fewer: what is aligned with a version that lacks a
        layer has to look elsewhere for that layer. What has more comes next: a layer it has twice is told by the layer
        it repeats, which may be in another of them. What could not be aligned before comes last.
        """
        coupled = [len(self._members[group[0]].network.symmetries.couplings) for group in self.waiting]
        turn = [
            3 if group[0] in self._failed else 0 if count == usual else 1 + (count > usual)
            for group, count in zip(self.waiting, coupled, strict=True)
        ]
        nearness = [float(self._correlation[group[0], self._inside].max()) for group in self.waiting]
        order = sorted(range(len(nearness)), key=lambda place: (turn[place], -round(nearness[place], 9), place))
        return [place for place in order[:PATIENCE] if turn[place] == turn[order[0]]]

    def place_next(self, *, usual: int) -> None:
        """Align the waiting frame that is nearest to what is inside, and take it in.

        What is far from all that is inside waits for what is nearer: another that is placed first may lie between. So
        does, once, what cannot be aligned at all, and what was turned and has no near relative inside: a turn brings it
        as close to a far one as it can, and hides from whom it is.
        """
        order = self.nearest(usual=usual)
        chosen, found = order[0], self.tried(order[0])
        for place in order[1:]:
            if found is None or found[1].residual <= CLOSE:
                break
            other = self.tried(place)
            if other is not None and _sooner(other[1], found[1]):
                chosen, found = place, other
        group = self.waiting.pop(chosen)
        early = found is None or (found[2] is not None and found[1].residual > CLOSE)
        if early and group[0] not in self._failed and self.waiting:
            self._failed.add(group[0])
            self.waiting.append(group)
            return
        self._order += group
        if found is None:
            return
        anchor, alignment, turn = found
        self._inside += group
        if turn is not None:
            for member in group:
                self._members[member].turned(turn, self._members[anchor].network)
        before = self._members[group[0]].network
        apart = unrest(before, alignment.maps) - unrest(self._members[anchor].network, alignment.maps)
        for member in group:
            version = self._members[member].fingerprint.version
            if not alignment.maps and turn is None:
                self.numbers[member] = 0
                continue
            self._touched.append(member)
            # What lies far away, and could be given no scales, may have been rescaled or not.
            told = "rescaled" in alignment.how or alignment.residual <= CLOSE
            if alignment.exact and told and turn is None:
                self._tied[member] = anchor
            elif "rescaled" in alignment.how:
                self.estimated.add(member)
            self._members[member].mapped(alignment.maps, before.shapes)
            self.laundered[version] = Laundering(
                version=version,
                reference=self._members[anchor].fingerprint.version,
                how=(*(("rotated",) if turn is not None else ()), *alignment.how),
                units=sum(item.moved for item in alignment.maps),
                log10_p=alignment.log10_p if turn is None else turn.log10_p,
                residual=alignment.residual,
                unrest=apart if turn is None else FOLDED,
            )

    def tried(self, place: int) -> tuple[int, Alignment, Turn | None] | None:
        """How the centre of a waiting frame is placed."""
        try:
            return self._placed(self.waiting[place][0])
        except ModelLakeError:
            # Weights that cannot be read again confirm nothing.
            return None

    def _placed(self, centre: int) -> tuple[int, Alignment, Turn | None] | None:
        """The anchor and the alignment of a frame's centre with it; None where they are no kin in any frame."""
        version = self._members[centre].network
        correlation, whole = self._correlation[centre], self._whole(centre)
        order = sorted(self._inside, key=lambda item: (item not in whole, -round(float(correlation[item]), 9)))
        best: tuple[int, Alignment] | None = None
        for anchor in self._anchors(order):
            alignment = self._aligned(anchor, version)
            if alignment.log10_p <= LOG10_P and (best is None or alignment.residual < best[1].residual):
                best = anchor, alignment
            if best is not None and best[1].residual <= CLOSE:
                break
        if best is not None:
            anchor, alignment = best
            # Only now is it seen who is nearest; scales are exact against the very source alone.
            near = self._nearest(version, alignment, anchor, whole) if alignment.maps else []
            for nearest in (item for item in near if item != best[0]):
                other = self._aligned(nearest, version)
                if other.residual < alignment.residual:
                    anchor, alignment = nearest, other
                if alignment.exact:
                    break
            return anchor, alignment, None
        return self._turned(version, whole)

    def _anchors(self, order: Sequence[int]) -> list[int]:
        """Members to align with: the nearest as far as rescaled weights tell, then those far from all before them."""
        if any(self._members[item].stored for item in order):
            return list(order[:ANCHORS])
        chosen, left = list[int](), list(order)
        while left and len(chosen) < ANCHORS:
            chosen.append(left.pop(0))
            middle = self._members[chosen[-1]].network.matrices
            left = [item for item in left if distance(middle, self._members[item].network.matrices) > CLOSE**2]
        return [*chosen, *(item for item in order if item not in chosen)][:ANCHORS]

    def _whole(self, centre: int) -> set[int]:
        """Members without units that were pruned away, if the version has its own: nothing tells the order of those."""
        own = self._members[centre]
        most = own.zeros + PRUNED * own.fingerprint.parameters
        return {item for item in self._inside if self._members[item].zeros <= most} or set(self._inside)

    def _turned(self, version: Network, whole: Collection[int]) -> tuple[int, Alignment, Turn] | None:
        """As `_placed`, for a version whose residual stream was turned."""
        networks = [self._members[item].network for item in self._inside]
        likeness = embedding_likeness([version, *networks])[0, 1:]
        for place in np.argsort(-np.round(likeness, 9), kind="stable")[:ANCHORS].tolist():
            anchor = self._inside[place]
            turn = turn_between(self._members[anchor].network, version)
            if turn is None or turn.log10_p > LOG10_P:
                continue
            turned = turn.apply(self._members[anchor].network, version)
            alignment = self._aligned(anchor, turned)
            nearest = self._nearest(turned, alignment, anchor, whole)[0]
            again = turn_between(self._members[nearest].network, version) if nearest != anchor else None
            if again is not None and again.log10_p <= LOG10_P:
                anchor, turn = nearest, again
                alignment = self._aligned(anchor, turn.apply(self._members[anchor].network, version))
            return anchor, alignment, turn
        return None

    def _nearest(self, version: Network, alignment: Alignment, anchor: int, whole: Collection[int]) -> list[int]:
        """The members nearest to a version that was aligned with an anchor, that one perhaps among them."""
        if isinstance(version.matrices, StoredMatrices):
            return [anchor]
        mapped = mapped_matrices(version.matrices, alignment.maps)
        distances = {item: distance(self._members[item].network.matrices, mapped) for item in whole}
        order = sorted(distances, key=lambda item: (distances[item], item != anchor, item))
        return order[:ANCHORS]

    def _aligned(self, anchor: int, version: Network) -> Alignment:
        others = sorted(
            (item for item in self._inside if item != anchor),
            key=lambda item: (-round(float(self._correlation[anchor, item]), 9), item),
        )
        return aligned(
            self._members[anchor].network, version, [self._members[item].network for item in others[:STAND_INS]]
        )

    def balance(self, reference: int) -> None:
        """Bring the reference into balance, everything else with it, and all to the slice through it."""
        rescaled = sum("rescaled" in item.how for item in self.laundered.values())
        if 2 * rescaled <= len(self.laundered):
            return
        if any(member.stored for member in self._members):
            return
        lengths = self._members[reference].network.shapes
        maps = balancing(self._members[reference].network)
        for member in (reference, *self._touched):
            self._members[member].mapped(maps, lengths)
        self.estimated.update((reference, *self._touched))
        zeros = {item: self._members[item].zeros for item in (reference, *self._touched)}
        networks = {item: self._members[item].network for item in zeros}
        for member, gauged in sliced(networks, zeros, self._tied).items():
            self._members[member].mapped(gauged, self._members[member].network.shapes)

    def settle(self) -> None:
        """Find the scales of what was rescaled: the most probable, then those at which it is exact.

        What is exact beside the frame of reference counts for everything, the rest for merges alone.
        """
        free = [
            item
            for item in (*self._touched, *self.estimated)
            if item in self.estimated or "rescaled" in self.laundered[self._members[item].fingerprint.version].how
        ]
        # What is exact beside a member of the frame of reference has that member's scales.
        free = [item for item in free if self._origin(item) in (item, *self._touched, *self.estimated)]
        stored = any(member.stored for member in self._members)
        if free and not stored:
            inside = {member: self._members[member].network for member in self._inside}
            for member, maps in quieted(inside, set(free), self._tied).items():
                self._members[member].mapped(maps, self._members[member].network.shapes)
        self.blurred.update(role for item in free for role in self._members[item].rescaled)
        if not free or stored:
            return
        place = {member: number for number, member in enumerate(self._inside)}
        found = settled(
            [self._members[member].network for member in self._inside],
            sorted({place[member] for member in free}),
            [self._members[member].precision for member in self._inside],
        )
        for number, item in sorted(found.known.items()):
            known = self._members[self._inside[number]]
            known.mapped(item, known.network.shapes)
        self._merging = {member: self._members[member].copy() for member in self._inside}
        for number, item in sorted(found.merging.items()):
            merging = self._merging[self._inside[number]]
            merging.mapped(item, merging.network.shapes)
        self.estimated.clear()

    def _origin(self, member: int) -> int:
        """Where a chain of members ends that are exact beside each other."""
        while member in self._tied:
            member = self._tied[member]
        return member

    def finished(self, *, merging: bool = False) -> tuple[Fingerprint, ...]:
        """All members as fingerprints, in their first order; at the scales at which they are merges, if wanted."""
        ledger = Ledger()
        members = dict(enumerate(self._members)) | (self._merging if merging else {})
        found: dict[int, Fingerprint] = {}
        for member in self._order:
            tied = self._tied.get(member)
            found[member] = members[member].finished(ledger, None if tied is None else found[tied])
        return tuple(found[place] for place in range(len(members)))


def _sooner(one: Alignment, other: Alignment) -> bool:
    """Whether a frame is placed before another: the nearer one, and of two as near one that needs no mapping.

    The other may be its rescaled copy, whose scales are exact beside its source alone.
    """
    if bool(one.maps) != bool(other.maps) and abs(one.residual - other.residual) <= AS_NEAR * other.residual:
        return not one.maps
    return one.residual < other.residual
