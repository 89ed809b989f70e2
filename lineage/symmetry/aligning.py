"""One version against a reference: every unit matched, every scale told, and how sure it is that the two are kin."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lineage.symmetry.couplings import Coupling, Shape, Symmetries
from lineage.symmetry.held_out import held_out_log10_p
from lineage.symmetry.matching import UnitMap, fitted_scale, match
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


def aligned(reference: Network, version: Network) -> Alignment:
    """Align a version with a reference, layer by layer, and test their kinship.

    Parameters
    ----------
    reference, version : Network
        Of one architecture.

    Notes
    -----
    Time O(units^2 * width) for the products and O(units^3) at worst for the assignment of each coupling.
    """
    shapes = (reference.shapes, version.shapes)
    pairs = _pairs(reference.symmetries.couplings, version.symmetries.couplings)
    inner = _inner(reference.symmetries.couplings)
    mine, theirs = folded(reference.matrices, reference.symmetries), folded(version.matrices, version.symmetries)
    current, maps = dict(version.matrices), list[UnitMap]()
    log10_p = held_out_log10_p(mine, theirs, pairs, shapes=shapes, inner=inner)
    dependent = any((slot.role, 1 - slot.axis) in inner for pair in pairs for slot in pair[0].slots)
    for sweep in range(2 if dependent else 1):
        for one, two in pairs:
            found, _ = match(mine, theirs, (one, two), shapes=shapes, inner=inner, all_axes=sweep > 0)
            _take(found, maps, theirs, current)
    taken = {two.slots for _, two in pairs}
    for two in version.symmetries.couplings:
        if two.slots not in taken:
            candidates = [one for one in reference.symmetries.couplings if one.kind == two.kind]
            tried = [match(mine, theirs, (one, two), shapes=shapes, inner=inner) for one in candidates]
            left, place = min(((left, place) for place, (_, left) in enumerate(tried)), default=(1.0, -1))
            if left < LEAST_LIKE:
                _take(tried[place][0], maps, theirs, current)
    for one, two in _pairs(reference.symmetries.norms, version.symmetries.norms):
        width = two.candidates[0]
        still = UnitMap(coupling=two, units=width, order=np.arange(width))
        if one.candidates == two.candidates and all(shapes[0][s.role] == shapes[1][s.role] for s in two.slots):
            scale, _ = fitted_scale(reference.matrices, current, one, still)
            _take(UnitMap(coupling=two, units=width, order=still.order, scale=scale), maps, current)
    return Alignment(maps=tuple(maps), log10_p=log10_p, residual=_residual(reference.matrices, current, pairs))


def _take(found: UnitMap, maps: list[UnitMap], *matrices: dict[str, Array]) -> None:
    if not found.idle:
        maps.append(found)
        for item in matrices:
            found.apply(item)


def _pairs(ones: Sequence[Coupling], twos: Sequence[Coupling]) -> list[tuple[Coupling, Coupling]]:
    by_slots = {one.slots: one for one in ones}
    return [(by_slots[two.slots], two) for two in twos if two.slots in by_slots]


def _inner(couplings: Sequence[Coupling]) -> Collection[tuple[str, int]]:
    return frozenset((slot.role, slot.axis) for item in couplings if item.permutable for slot in item.slots)


def _residual(reference: Matrices, version: Matrices, pairs: Sequence[tuple[Coupling, Coupling]]) -> float:
    roles = sorted({slot.role for pair in pairs for slot in pair[0].slots})
    apart = sum(float(np.sum((reference[role] - version[role]) ** 2)) for role in roles if _same(reference, version, role))
    energy = sum(float(np.sum(reference[role] ** 2)) for role in roles)
    return float(np.sqrt(apart / energy)) if energy > 0 else 0.0


def _same(one: Matrices, two: Matrices, role: str) -> bool:
    return one[role].shape == two[role].shape
