"""One version against a reference: every unit matched, every scale told, and how sure it is that the two are kin."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lineage.symmetry.couplings import Coupling, Shape, Symmetries
from lineage.symmetry.held_out import HeldOutTest
from lineage.symmetry.matching import UnitMap, alike, fitted, match
from lineage.symmetry.units import Array, Matrices, folded

LEAST_LIKE = 0.5
"""A layer that the reference lacks is taken for a copy of another where at most so much of its energy differs."""


_LAYER = re.compile(r".*?(layers|stages)\.(\d+\.)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The matrices of one version with what may be changed in them.

    Attributes
    ----------
    matrices : mapping of role to (rows, columns) float64 array
        Finite.
    shapes : mapping of role to shape
    symmetries : Symmetries
        Of those roles.
    rounding : float
        How far storing a value may have moved it, relative to the value, in the coarsest of the matrices.
    """

    matrices: Matrices
    shapes: Mapping[str, Shape]
    symmetries: Symmetries
    rounding: float = 2.0**-24


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """How a version stands to a reference.

    Attributes
    ----------
    maps : tuple of UnitMap
        To be applied in this order; only those that do something.
    log10_p : float
        Decadic logarithm of the p-value against independent training.
    residual : float
        Distance that is left in the coupled tensors, relative to the reference's norm.
    """

    maps: tuple[UnitMap, ...]
    log10_p: float
    residual: float

    @property
    def how(self) -> tuple[str, ...]:
        """`permuted`, `rescaled`, as found."""
        words = []
        if any(item.moved for item in self.maps):
            words.append("permuted")
        if any(item.scale is not None for item in self.maps):
            words.append("rescaled")
        return tuple(words)

    @property
    def exact(self) -> bool:
        """Whether all scales are told by values that nothing, or nothing but rounding, changed."""
        return all(item.exact for item in self.maps if item.scale is not None)


def fitting(
    maps: Sequence[UnitMap], shapes: Mapping[str, Shape], mapped_shapes: Mapping[str, Shape]
) -> tuple[UnitMap, ...]:
    """The maps that fit another version in the same frame as the one they were found for.

    Parameters
    ----------
    maps : sequence of UnitMap
    shapes, mapped_shapes : mappings of role to shape
        Of the other, and of the one they were found for; what has another shape is left alone, with all that is coupled
        to it.
    """
    return tuple(item for item in maps if all(shapes.get(role) == mapped_shapes[role] for role in item.roles))


def has(reference: Network, coupling: Coupling, network: Network) -> bool:
    """Whether a reference has a coupling of a network, in tensors of the same shapes."""
    same = [item for item in reference.symmetries.all if item.slots == coupling.slots]
    return bool(same) and alike((same[0], coupling), (reference.shapes, network.shapes))


def lacking(reference: Network, network: Network) -> list[Coupling]:
    """The couplings of a network that a reference has not."""
    return [item for item in network.symmetries.all if not has(reference, item, network)]


def mapped_matrices(matrices: Matrices, maps: Sequence[UnitMap]) -> dict[str, Array]:
    """All matrices, with those that the maps change in the reference's frame."""
    found = dict(matrices)
    for item in maps:
        item.apply(found)
    return found


def aligned(reference: Network, version: Network, others: Sequence[Network] = ()) -> Alignment:
    """Align a version with a reference, layer by layer, and test their kinship.

    Parameters
    ----------
    reference, version : Network
        Of one architecture.
    others : sequence of Network
        In the reference's frame; the first that has a layer which the reference lacks stands in for it. A layer that
        none has is held against the reference's layers of its kind: it may be a copy of one.

    Notes
    -----
    Time O(units^2 * width) for the products and O(units^3) at worst for the assignment of each coupling. One layer of
    each is in memory at a time, where the networks read their matrices on demand.
    """
    inner = inner_axes(reference)
    shapes = (reference.shapes, version.shapes)
    shared = {two.slots: one for one, two in shared_couplings(reference, version)}
    stand_ins = _StandIns(reference, others, max(reference.rounding, version.rounding))
    test = HeldOutTest(shapes=shapes, inner=inner)
    maps, apart, energy = list[UnitMap](), 0.0, 0.0
    for group in _by_layer(version.symmetries.all):
        roles = dict.fromkeys(slot.role for item in group for slot in item.slots)
        current = {role: version.matrices[role] for role in roles}
        theirs = folded(version.matrices, version.symmetries, roles)
        couplings = [item for item in group if item in version.symmetries.couplings]
        for two in couplings:
            if two.slots in shared:
                one = shared[two.slots]
                mine = folded(reference.matrices, reference.symmetries, dict.fromkeys(slot.role for slot in one.slots))
                test.add(mine, theirs, (one, two))
        dependent = any((slot.role, 1 - slot.axis) in inner for item in couplings for slot in item.slots)
        for sweep in range(2 if dependent else 1):
            for two in couplings:
                found = stand_ins.matched(two, theirs, shapes[1], inner=inner, all_axes=sweep > 0)
                _take(found, maps, theirs, current)
        for two in (item for item in group if item in version.symmetries.norms):
            _take(stand_ins.rescaled(two, current, shapes[1]), maps, current)
        for role in roles:
            if role in reference.matrices and reference.shapes[role] == version.shapes[role]:
                values = reference.matrices[role]
                apart += float(np.sum((values - current[role]) ** 2))
                energy += float(np.sum(values**2))
    residual = float(np.sqrt(apart / energy)) if energy > 0 else 0.0
    return Alignment(maps=tuple(maps), log10_p=test.log10_p(), residual=residual)


def _by_layer(couplings: Sequence[Coupling]) -> list[list[Coupling]]:
    """Couplings that share tensors, together: what has to be in memory at one time."""
    groups: dict[str, list[Coupling]] = {}
    for item in couplings:
        groups.setdefault(_layer(item), []).append(item)
    return list(groups.values())


def _layer(coupling: Coupling) -> str:
    found = _LAYER.match(coupling.slots[0].role)
    return found[0] if found else ""


class _StandIns:
    """Where to find what a coupling of a version is to be held against."""

    def __init__(self, reference: Network, others: Sequence[Network], rounding: float) -> None:
        self._networks, self._rounding = [reference, *others], rounding
        self._slots = [{item.slots: item for item in network.symmetries.all} for network in self._networks]
        self._repeated: dict[str, str] = {}

    def _of(self, coupling: Coupling) -> tuple[Network, Coupling] | None:
        """The coupling in the first network that has it."""
        for network, slots in zip(self._networks, self._slots, strict=True):
            if coupling.slots in slots:
                return network, slots[coupling.slots]
        return None

    def matched(
        self,
        coupling: Coupling,
        matrices: Matrices,
        shapes: Mapping[str, Shape],
        *,
        inner: Collection[tuple[str, int]],
        all_axes: bool,
    ) -> UnitMap | None:
        """The units matched with the coupling where there is one; else with the likest of its kind, if that is like."""
        own = self._of(coupling)
        kin = [item for item in self._networks[0].symmetries.couplings if item.kind == coupling.kind]
        candidates = [own] if own is not None else [(self._networks[0], item) for item in kin]
        best, least = None, 1.0 if own is not None else LEAST_LIKE
        self._repeated.pop(_layer(coupling), None)
        for network, one in candidates:
            mine = folded(network.matrices, network.symmetries, dict.fromkeys(slot.role for slot in one.slots))
            found, left = match(
                mine,
                matrices,
                (one, coupling),
                shapes=(network.shapes, shapes),
                inner=inner,
                all_axes=all_axes,
                rounding=self._rounding,
            )
            if own is not None or left < least:
                best, least = found, left
                if own is None:
                    self._repeated[_layer(coupling)] = _layer(one)
        return best

    def rescaled(self, norm: Coupling, matrices: Matrices, shapes: Mapping[str, Shape]) -> UnitMap | None:
        """The scales of a norm beside those of the first network that has it, or of the layer that its own repeats."""
        own = self._of(norm)
        repeated = self._repeated.get(_layer(norm))
        for one in self._networks[0].symmetries.norms if own is None else ():
            if one.kind == norm.kind and _layer(one) == repeated:
                own = self._networks[0], one
        if own is None or not alike((own[1], norm), (own[0].shapes, shapes)):
            return None
        width = norm.candidates[0]
        still = UnitMap(coupling=norm, units=width, order=np.arange(width))
        return fitted(own[0].matrices, matrices, own[1], still, rounding=self._rounding)[0]


def _take(found: UnitMap | None, maps: list[UnitMap], *matrices: dict[str, Array]) -> None:
    if found is not None and not found.idle:
        maps.append(found)
        for item in matrices:
            found.apply(item)


def shared_couplings(reference: Network, version: Network) -> list[tuple[Coupling, Coupling]]:
    """The couplings of a version that the reference has as well, with the reference's first."""
    by_slots = {one.slots: one for one in reference.symmetries.couplings}
    return [(by_slots[two.slots], two) for two in version.symmetries.couplings if two.slots in by_slots]


def inner_axes(network: Network) -> Collection[tuple[str, int]]:
    """Axes that some coupling of a network permutes: they lie on no residual stream."""
    permuted = (item for item in network.symmetries.couplings if item.permutable)
    return frozenset((slot.role, slot.axis) for item in permuted for slot in item.slots)
