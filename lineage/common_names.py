"""The same network under other names: versions of unknown architecture are held against others whatever their tensors
are called, and a family whose members are named differently is brought to common names before anything is inferred.

A *naming* is what the tensors of a version are called, with their shapes: fine-tunes share one, a copy saved from a
renamed class or exported to another container has one of its own. Namings are joined by what holds between one member
of each (`lineage.correspondence`); all others follow. Where names and values agree on most matrices, names are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from graph_schema.derivation import Derivation, Observation
from graph_schema.fingerprint import Fingerprint, TensorFingerprint
from graph_schema.labels import Relation
from lineage.axis_views import Axes, turned
from lineage.correspondence import Correspondence, correspondence
from lineage.lookalikes import lookalikes

METHOD = "weights/1 conversion"
TRIED = 4
"""Members of the common naming that a member of another is held against."""

NAMED_ALIKE = 0.5
"""Share of the kindred matrices that are called alike, from which on two versions have one naming."""

MOST_LOG_ODDS = 20.0

Naming = frozenset[tuple[str, tuple[int, ...]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Renaming:
    """How one version came to the names of another.

    Attributes
    ----------
    version, reference : str
        The versions that were held against each other: the one of the other naming, and the one of the common naming.
    tensors : int
        Number of tensors that were paired.
    kindred : int
        Number of matrices among them that are kin.
    tested : int
        Number of matrices that could have been.
    turned : int
        Number of tensors whose axes stand in another order.
    """

    version: str
    reference: str
    tensors: int
    kindred: int
    tested: int
    turned: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonNames:
    """A family under common names.

    Attributes
    ----------
    members : tuple of Fingerprint
        In their order; those that needed no other names are the very objects that were given.
    namings : mapping of version to int
        Number of the naming that each member came with; 0 is the common one.
    renamed : mapping of version to Renaming
    """

    members: tuple[Fingerprint, ...]
    namings: Mapping[str, int]
    renamed: Mapping[str, Renaming]

    def told(self, found: Derivation) -> Derivation:
        """A derivation across namings says so; where names and order of axes alone changed, it is a conversion."""
        ends = [found.child, *(parent.id for parent in found.parents)]
        known = [version for version in ends if version in self.namings]
        if len({self.namings[version] for version in known}) < 2:
            return found
        notes = tuple(_note(self.renamed[version]) for version in known if version in self.renamed)
        told = replace(found, observations=(*found.observations, *notes))
        if len(found.parents) > 1 or len(known) < 2 or found.relation is not Relation.FINE_TUNED_FROM:
            return told
        by_id = {member.version: member for member in self.members}
        if not _only_converted(by_id[found.parents[0].id], by_id[found.child]):
            return told
        return replace(
            told,
            relation=Relation.REPARAMETRIZED_FROM,
            method=METHOD,
            summary="the same values under other names; constants and buffers aside, nothing is gained or lost",
        )


def renamed_kin(fingerprints: Sequence[Fingerprint], groups: Sequence[Sequence[int]]) -> NDArray[np.bool_]:
    """Families that are one but for their tensors' names.

    Parameters
    ----------
    fingerprints : sequence of Fingerprint
    groups : sequence of sequences of int
        The families found so far; the first member stands for each.

    Returns
    -------
    (n, n) bool array
        Symmetric; true between the first members of families that belong together.

    Notes
    -----
    Only pairs with an unknown architecture and different namings are looked at, all at once and coarsely first.
    """
    found = np.eye(len(fingerprints), dtype=bool)
    heads = [group[0] for group in groups]
    if len(heads) < 2 or all(fingerprints[head].architecture for head in heads):
        return found
    namings = [naming(fingerprints[head]) for head in heads]
    known = {place for place, head in enumerate(heads) if fingerprints[head].architecture}
    for first, second in sorted(lookalikes([fingerprints[head] for head in heads], known)):
        if namings[first] == namings[second]:
            continue
        one, two = fingerprints[heads[first]], fingerprints[heads[second]]
        if correspondence(one, two).kin:
            found[heads[first], heads[second]] = found[heads[second], heads[first]] = True
    return found


def naming(fingerprint: Fingerprint) -> Naming:
    """The names of the matrices, with their shapes less axes of length 1."""
    return frozenset(
        (tensor.role, shape)
        for tensor in fingerprint.tensors
        if len(shape := tuple(length for length in tensor.shape if length != 1)) > 1
    )


def common_names(family: Sequence[Fingerprint]) -> CommonNames:
    """Give the members of a family common names, where an architecture is unknown and names differ.

    Parameters
    ----------
    family : sequence of Fingerprint
        Sorted by id, which makes the outcome independent of their order.

    Notes
    -----
    The common naming is that of a known architecture, else the one of most members. Of any other naming one member is
    held against a few of the common one. A naming that corresponds to none stays as it is.
    """
    groups: dict[Naming, list[int]] = {}
    if any(not member.architecture for member in family):
        for place, member in enumerate(family):
            groups.setdefault(naming(member), []).append(place)
    if len(groups) < 2:
        return CommonNames(
            members=tuple(family), namings=dict.fromkeys((item.version for item in family), 0), renamed={}
        )
    order = sorted(groups.values(), key=lambda places: (not family[places[0]].architecture, -len(places), places[0]))
    joined = _Joined(family, order[0])
    waiting = order[1:]
    while waiting:
        left = [places for places in waiting if not joined.join(places)]
        if len(left) == len(waiting):
            break
        waiting = left
    return joined.finished()


class _Joined:
    """The members that have common names so far."""

    def __init__(self, family: Sequence[Fingerprint], first: Sequence[int]) -> None:
        self._members = list(family)
        self._references = [first[0]]
        self._namings = {item.version: 0 for item in family}
        self._renamed: dict[str, Renaming] = {}
        self._contents: dict[tuple[str, str], list[TensorFingerprint]] = {}
        self._count = 0
        self._enter(first)

    def join(self, places: Sequence[int]) -> bool:
        """Bring the members of one naming in; whether they correspond to any that are there."""
        member = self._members[places[0]]
        for reference in self._references[:TRIED]:
            if member.architecture and self._members[reference].architecture:
                continue
            found = correspondence(self._members[reference], member)
            if found.kin:
                if not _named_alike(found):
                    self._rename(places, self._members[reference], found)
                self._references.append(places[0])
                self._enter(places)
                return True
        return False

    def finished(self) -> CommonNames:
        return CommonNames(members=tuple(self._members), namings=self._namings, renamed=self._renamed)

    def _rename(self, places: Sequence[int], reference: Fingerprint, found: Correspondence) -> None:
        self._count += 1
        twins = {twin.two.role: (twin.one, twin.axes) for twin in found.twins}
        record = Renaming(
            version=self._members[places[0]].version,
            reference=reference.version,
            tensors=len(found.twins),
            kindred=found.kindred,
            tested=found.tested,
            turned=sum(twin.axes != tuple(sorted(twin.axes)) for twin in found.twins),
        )
        for place in places:
            member = self._members[place]
            self._namings[member.version] = self._count
            self._renamed[member.version] = replace(record, version=member.version)
            self._members[place] = replace(
                member,
                architecture=reference.architecture,
                tensors=self._named(member.tensors, twins, {tensor.role for tensor in reference.tensors}),
            )

    def _named(
        self,
        tensors: Iterable[TensorFingerprint],
        twins: Mapping[str, tuple[TensorFingerprint, Axes]],
        reserved: set[str],
    ) -> tuple[TensorFingerprint, ...]:
        named, taken = [], set(reserved)
        for tensor in tensors:
            like, axes = twins.get(tensor.role, (None, ()))
            moved = None if like is None else turned(tensor, axes, like)
            if moved is not None:
                named.append(
                    self._known(moved) if moved.shape != tensor.shape or axes != tuple(sorted(axes)) else moved
                )
                continue
            role, count = tensor.role, 1
            while role in taken:
                count += 1
                role = f"{tensor.role}~{count}"
            taken.add(role)
            named.append(replace(tensor, role=role))
        return tuple(sorted(named, key=lambda tensor: (tensor.role, tensor.name)))

    def _known(self, tensor: TensorFingerprint) -> TensorFingerprint:
        """A tensor whose axes were exchanged has the hash of the one that it is equal to, if that is there."""
        for other in self._contents.get((tensor.role, tensor.multiset), ()):
            same = (other.shape, other.dtype) == (tensor.shape, tensor.dtype)
            if same and np.array_equal(other.block, tensor.block, equal_nan=True):
                return replace(tensor, content=other.content)
        return tensor

    def _enter(self, places: Iterable[int]) -> None:
        for place in places:
            for tensor in self._members[place].tensors:
                held = self._contents.setdefault((tensor.role, tensor.multiset), [])
                if all(item.content != tensor.content for item in held):
                    held.append(tensor)


def _named_alike(found: Correspondence) -> bool:
    alike = sum(twin.kindred and twin.one.role == twin.two.role for twin in found.twins)
    return alike >= NAMED_ALIKE * found.kindred


def _only_converted(one: Fingerprint, two: Fingerprint) -> bool:
    """Whether all tensors that both have are equal, and neither has a matrix of weights that the other lacks."""
    mine, theirs = one.by_role(), two.by_role()
    if any(mine[role].content != theirs[role].content for role in mine.keys() & theirs.keys()):
        return False
    alone = [(mine.get(role) or theirs[role]) for role in mine.keys() ^ theirs.keys()]
    return not any(len(tensor.shape) > 1 and tensor.dtype.startswith(("F", "B")) for tensor in alone)


def _note(record: Renaming) -> Observation:
    axes = f"; in {record.turned} of them the axes stand in another order" if record.turned else ""
    return Observation(
        kind="other_names",
        statement=f"its tensors are called otherwise than those of {record.reference[:12]}: {record.tensors} were "
        f"paired by shape, values and order{axes}; {record.kindred} of {record.tested} matrices have more in common "
        "than those of independent networks",
        value=record.kindred / max(record.tested, 1),
        log_odds=MOST_LOG_ODDS,
        method="common_names",
    )
