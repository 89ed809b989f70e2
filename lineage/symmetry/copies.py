"""What the common frame adds to a family's derivations: laundered copies, and a word on every edge across frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import log

from graph_schema.derivation import Derivation, Observation, Parent
from graph_schema.fingerprint import Fingerprint
from graph_schema.labels import Basis, Relation
from lineage.symmetry.frame import CommonFrame
from lineage.symmetry.placing import Laundering

METHOD = "weights/1 laundered copy"

COPY_IS_ALONE = 0.97
"""That the one of two equal versions is the copy whose frame no other member shares, or whose units are out of balance;
laundered versions are hardly ever trained on."""

OPEN = 0.5
LEAST_UNREST = 0.2
MOST_LOG_ODDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DistinctMembers:
    """A family in its common frame, each set of equal members standing for itself once.

    Attributes
    ----------
    members : tuple of Fingerprint
        One of each set, in order.
    merging : tuple of Fingerprint
        The same, at the scales at which some are merges of others.
    frame : CommonFrame
    copies : mapping of version to version
        Every other member to the one that stands for it.
    """

    members: tuple[Fingerprint, ...]
    merging: tuple[Fingerprint, ...]
    frame: CommonFrame
    copies: Mapping[str, str]

    @classmethod
    def of(cls, frame: CommonFrame) -> DistinctMembers:
        """Set apart what is equal once it is mapped; members of the frame of reference stand for the others."""
        if not frame.laundered:
            return cls(members=frame.members, merging=frame.members, frame=frame, copies={})
        first: dict[tuple[tuple[str, str], ...], int] = {}
        copies = {}
        order = sorted(range(len(frame.members)), key=lambda place: (frame.frames[place] != 0, place))
        for place in order:
            member = frame.members[place]
            key = tuple((tensor.role, tensor.content) for tensor in member.tensors)
            original = first.setdefault(key, place)
            if original != place:
                copies[member.version] = frame.members[original].version
        kept, merging = (
            tuple(member for member in members if member.version not in copies)
            for members in (frame.members, frame.merging)
        )
        return cls(members=kept, merging=merging, frame=frame, copies=copies)

    def told(self, found: Derivation) -> Derivation:
        """A derivation between those that stand for sets, between the members that it really joins.

        Of a set, the one whose frame the other end shares is meant. Where the two ends are of different frames, it is
        said how one of them was mapped.
        """
        if not self.frame.laundered:
            return found
        frames = self._frames()
        sets = self._sets()
        first = found.parents[0].id
        child = _in_frame(sets.get(found.child, (found.child,)), frames, frames[first])
        parents = tuple(
            replace(item, id=_in_frame(sets.get(item.id, (item.id,)), frames, frames[child])) for item in found.parents
        )
        ends = [child, *(item.id for item in parents)]
        notes = tuple(
            _note(self.frame.laundered[version])
            for version in dict.fromkeys(ends)
            if version in self.frame.laundered and any(frames[version] != frames[other] for other in ends)
        )
        return replace(found, child=child, parents=parents, observations=(*found.observations, *notes))

    def copied(self, derivations: Iterable[Derivation]) -> list[Derivation]:
        """The derivations of all that is equal to another member but for laundering.

        Parameters
        ----------
        derivations : iterable of Derivation
            Of the family, as `told`: a member of a set that has parents among them is the original.
        """
        frames, sizes = self._frames(), self._sizes()
        children = {item.child for item in derivations}
        found = []
        for members in self._sets().values():
            # The one with parents of its own, then one whose frame others share, then one whose units are in balance.
            ranked = sorted(members, key=lambda item: (item not in children, -sizes[frames[item]], self._unrest(item)))
            original = ranked[0]
            for copy in ranked[1:]:
                if copy in children:
                    continue
                alone = sizes[frames[copy]] < sizes[frames[original]]
                alone |= self._unrest(copy) - self._unrest(original) > LEAST_UNREST
                found.append(self._copy(copy, original, COPY_IS_ALONE if alone else OPEN))
        return found

    def _copy(self, copy: str, original: str, confidence: float) -> Derivation:
        records = [self.frame.laundered[item] for item in (copy, original) if item in self.frame.laundered]
        words = " and ".join(dict.fromkeys(word for item in records for word in item.how)) or "renamed"
        return Derivation(
            child=copy,
            parents=(Parent(id=original),),
            relation=Relation.REPARAMETRIZED_FROM,
            basis=Basis.INFERRED,
            confidence=confidence,
            method=METHOD,
            summary=f"the same function in other weights: {words}",
            parameters={"how": [word for item in records for word in item.how]},
            observations=(
                *(_note(item) for item in records),
                Observation(
                    kind="laundered_copy",
                    statement="once this is undone, all values of all tensors are equal up to rounding"
                    + ("" if confidence > OPEN else "; which of the two came first is open"),
                    value=max((item.residual for item in records), default=0.0),
                    log_odds=MOST_LOG_ODDS,
                    method="symmetry.common_frame",
                ),
            ),
        )

    def _frames(self) -> dict[str, int]:
        return {item.version: number for item, number in zip(self.frame.members, self.frame.frames, strict=True)}

    def _sizes(self) -> dict[int, int]:
        """Members of each frame, sets of equal ones counted once."""
        seen: dict[int, set[str]] = {}
        for version, number in self._frames().items():
            seen.setdefault(number, set()).add(self.copies.get(version, version))
        return {number: len(members) for number, members in seen.items()}

    def _sets(self) -> dict[str, tuple[str, ...]]:
        sets: dict[str, tuple[str, ...]] = {}
        for copy, original in sorted(self.copies.items()):
            sets[original] = (*sets.get(original, (original,)), copy)
        return sets

    def _unrest(self, version: str) -> float:
        record = self.frame.laundered.get(version)
        return 0.0 if record is None else record.unrest


def _in_frame(members: Sequence[str], frames: Mapping[str, int], frame: int) -> str:
    return next((member for member in members if frames[member] == frame), members[0])


def _note(record: Laundering) -> Observation:
    moved = f"; {record.units:,} units stood in other places" if record.units else ""
    odds = min(MOST_LOG_ODDS, -record.log10_p * log(10))
    return Observation(
        kind="laundered",
        statement=f"{record.version[:12]} was {' and '.join(record.how)} beside {record.reference[:12]}{moved}; mapped "
        f"back, {record.residual:.2g} of the norm differs; on channels that the mapping did not see, p < "
        f"1e{record.log10_p:.0f} that the two were trained independently",
        value=record.log10_p,
        log_odds=odds,
        method="symmetry.held_out",
    )
