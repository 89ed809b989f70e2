"""One version against a reference: every unit matched, every scale told, and how sure it is that the two are kin."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lineage.symmetry.couplings import Coupling, Shape, Symmetries
from lineage.symmetry.held_out import held_out_log10_p
from lineage.symmetry.matching import UnitMap, alike, fitted_scale, match
from lineage.symmetry.units import Array, Matrices, folded

LEAST_LIKE = 0.5
"""A layer that the reference lacks is taken for a copy of another where at most so much of its energy differs."""


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
    """

    matrices: Matrices
    shapes: Mapping[str, Shape]
    symmetries: Symmetries


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

    def apply(self, matrices: Matrices, shapes: Mapping[str, Shape], lengths: Mapping[str, Shape]) -> dict[str, Array]:
        """The tensors that change, mapped into the reference's frame.

        Parameters
        ----------
        matrices, shapes : mappings by role
            Of a version in the same frame as the one that was aligned.
        lengths : mapping of role to shape
            Of the one that was aligned; what has another shape is left alone, with all that is coupled to it.
        """
        mapped = dict(matrices)
        for item in self.maps:
            roles = {slot.role for slot in item.coupling.slots}
            if all(role in matrices and shapes[role] == lengths[role] for role in roles):
                item.apply(mapped)
        return {role: matrix for role, matrix in mapped.items() if matrix is not matrices[role]}


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
    Time O(units^2 * width) for the products and O(units^3) at worst for the assignment of each coupling.
    """
    pairs = shared_couplings(reference, version)
    inner = inner_axes(reference)
    mine, theirs = folded(reference.matrices, reference.symmetries), folded(version.matrices, version.symmetries)
    shapes = (reference.shapes, version.shapes)
    log10_p = held_out_log10_p(mine, theirs, pairs, shapes=shapes, inner=inner)
    current, maps = dict(version.matrices), list[UnitMap]()
    dependent = any((slot.role, 1 - slot.axis) in inner for pair in pairs for slot in pair[0].slots)
    stand_ins = _StandIns(reference, mine, others)
    for sweep in range(2 if dependent else 1):
        for two in version.symmetries.couplings:
            found, left = None, 1.0
            for one, network, matrices in stand_ins.of(two):
                tried, energy = match(
                    matrices, theirs, (one, two), shapes=(network.shapes, shapes[1]), inner=inner, all_axes=sweep > 0
                )
                if found is None or energy < left:
                    found, left = tried, energy
            if found is not None and (left < LEAST_LIKE or stand_ins.has(two)):
                _take(found, maps, theirs, current)
    for two in version.symmetries.norms:
        width = two.candidates[0]
        still = UnitMap(coupling=two, units=width, order=np.arange(width))
        for one, network, _ in stand_ins.of(two):
            if one.slots == two.slots and alike((one, two), (network.shapes, shapes[1])):
                scale, _ = fitted_scale(network.matrices, current, one, still)
                _take(UnitMap(coupling=two, units=width, order=still.order, scale=scale), maps, current)
    return Alignment(maps=tuple(maps), log10_p=log10_p, residual=_residual(reference.matrices, current, pairs))


class _StandIns:
    """Where to find what a coupling of a version is to be held against."""

    def __init__(self, reference: Network, matrices: Matrices, others: Sequence[Network]) -> None:
        self._networks = [reference, *others]
        self._folded: dict[int, Matrices] = {0: matrices}
        self._slots = [{item.slots: item for item in network.symmetries.all} for network in self._networks]

    def has(self, coupling: Coupling) -> bool:
        """Whether any network has the very coupling."""
        return any(coupling.slots in slots for slots in self._slots)

    def of(self, coupling: Coupling) -> list[tuple[Coupling, Network, Matrices]]:
        """The coupling in the first network that has it; else all of its kind in the reference."""
        for place, slots in enumerate(self._slots):
            if coupling.slots in slots:
                return [(slots[coupling.slots], self._networks[place], self._matrices(place))]
        kin = [item for item in self._networks[0].symmetries.all if item.kind == coupling.kind]
        return [(item, self._networks[0], self._folded[0]) for item in kin]

    def _matrices(self, place: int) -> Matrices:
        if place not in self._folded:
            network = self._networks[place]
            self._folded[place] = folded(network.matrices, network.symmetries)
        return self._folded[place]


def _take(found: UnitMap, maps: list[UnitMap], *matrices: dict[str, Array]) -> None:
    if not found.idle:
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


def _residual(reference: Matrices, version: Matrices, pairs: Sequence[tuple[Coupling, Coupling]]) -> float:
    roles = sorted({slot.role for pair in pairs for slot in pair[0].slots})
    apart = sum(float(np.sum((reference[role] - version[role]) ** 2)) for role in roles if _same(reference, version, role))
    energy = sum(float(np.sum(reference[role] ** 2)) for role in roles)
    return float(np.sqrt(apart / energy)) if energy > 0 else 0.0


def _same(one: Matrices, two: Matrices, role: str) -> bool:
    return one[role].shape == two[role].shape
