"""Members whose scales are known relative to each other, unit by unit: what is done to one is done to all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lineage.symmetry.aligning import Network
from lineage.symmetry.couplings import Coupling, Shape, Slot
from lineage.symmetry.matching import UnitMap
from lineage.symmetry.units import Array

Key = tuple[tuple[Slot, ...], tuple[Shape, ...]]

FIXED = -1
"""Group of all units whose scales are those of the frame of reference: they stay as they are."""


class ScaleGroups:
    """Networks in one order of units, with what is known of the scales of each.

    For every coupling and every unit of it the members form groups; within a group nothing is left to choose. Scales
    commute, so that couplings are joined one by one. A unit has `coupling.candidates[-1]` as its count: rows of one
    head may be scaled one by one, so that the smallest units do for heads of any size.
    """

    def __init__(self, networks: Sequence[Network], fixed: Sequence[bool]) -> None:
        self.networks = list(networks)
        self.matrices: list[dict[str, Array]] = [dict(item.matrices) for item in networks]
        self._held: list[dict[Key, Coupling]] = [
            {_key(found, item.shapes): found for found in (*item.symmetries.norms, *item.symmetries.couplings)}
            for item in networks
        ]
        self._fixed = np.array(fixed, dtype=bool)
        self._labels: dict[Key, NDArray[np.int64]] = {}
        self._totals: dict[Key, Array] = {}
        first = np.where(self._fixed, FIXED, np.arange(len(networks)))
        for held in self._held:
            for key, coupling in held.items():
                if coupling.scalable and key not in self._labels:
                    units = coupling.candidates[-1]
                    self._labels[key] = np.tile(first[:, None], (1, units))
                    self._totals[key] = np.ones((len(networks), units))

    def shared(self, *members: int) -> dict[Key, Coupling]:
        """The scalable couplings that all of some members have, in the order of the first."""
        return {
            key: coupling
            for key, coupling in self._held[members[0]].items()
            if coupling.scalable and all(key in self._held[other] for other in members[1:])
        }

    def labels(self, key: Key, members: Sequence[int]) -> NDArray[np.int64]:
        """The groups of some members' units, (members, units); `FIXED` for the frame of reference's."""
        return self._labels[key][list(members)]

    def apart(self, key: Key, one: int, two: int) -> NDArray[np.bool_]:
        """Which units of two members are in different groups."""
        found: NDArray[np.bool_] = self._labels[key][one] != self._labels[key][two]
        return found

    def join(self, key: Key, one: int, two: int, scale: Array, told: NDArray[np.bool_]) -> bool:
        """Make one group of two members' units.

        Parameters
        ----------
        key : Key
        one, two : int
        scale : (units,) array
            What the second's slices of power 1 have to be multiplied by to be at the first's scale.
        told : (units,) bool array
            The units that are meant.

        Returns
        -------
        bool
            Whether anything was not known before.
        """
        labels = self._labels[key]
        new = told & (labels[one] != labels[two])
        if not new.any():
            return False
        # The frame of reference stays; else the second's group comes to the first's.
        back = new & (labels[two] == FIXED)
        moving = np.where(back, labels[one], labels[two])
        staying = np.where(back, labels[two], labels[one])
        group = (labels == moving) & new
        self._multiply(key, group, np.where(back, 1 / scale, scale))
        self._labels[key] = np.where(group, staying, labels)
        return True

    def scaled(self, key: Key, member: int, scale: Array, meant: NDArray[np.bool_]) -> None:
        """Scale some of a member's units, and their groups with them."""
        labels = self._labels[key]
        self._multiply(key, (labels == labels[member]) & meant & (labels != FIXED), scale)

    def maps(self, member: int, *, fixed: bool) -> list[UnitMap]:
        """What was done to those units of a member that came to the frame of reference, or to the others."""
        found = []
        for key, coupling in self._held[member].items():
            if key in self._totals:
                meant = (self._labels[key][member] == FIXED) == fixed
                scale = np.where(meant, self._totals[key][member], 1.0)
                if np.any(scale != 1):
                    found.append(UnitMap.rescaling(coupling, scale))
        return found

    def _multiply(self, key: Key, group: NDArray[np.bool_], scale: Array) -> None:
        for member in np.flatnonzero(group.any(axis=1)).tolist():
            if key in self._held[member]:
                factor = np.where(group[member], scale, 1.0)
                UnitMap.rescaling(self._held[member][key], factor).apply(self.matrices[member])
                self._totals[key][member] *= factor


def _key(coupling: Coupling, shapes: Mapping[str, Shape]) -> Key:
    return coupling.slots, tuple(shapes[slot.role] for slot in coupling.slots)
