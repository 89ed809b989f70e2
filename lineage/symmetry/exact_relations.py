"""Exact relations among members whose scales are estimates, found pair by pair before any is put on a slice.

What was edited, pruned or chosen value by value from another has values that nothing but a rescaling changed. A member
that was chosen from several (TIES) has such values in common with each of them, and so ties them all together.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from lineage.symmetry.couplings import Coupling
from lineage.symmetry.exact_scales import LOOKED_AT, commonest
from lineage.symmetry.scale_groups import ScaleGroups
from lineage.symmetry.units import Array, Matrices, slice_of

LEAST_TOLD = 0.4
"""Share of a coupling's units that must be told: chance tells none, but one that copied a few units says little."""


def join_exact(groups: ScaleGroups, pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join all pairs that stand in one ratio, unit by unit.

    Parameters
    ----------
    groups : ScaleGroups
    pairs : sequence of (int, int)

    Returns
    -------
    list of (int, int)
        The pairs between which some coupling is exact.

    Notes
    -----
    A few units of each coupling are looked at first, so that a pair without a relation costs little: time
    O(couplings * width) for it, O(values log width) for the others.
    """
    found = []
    for one, two in pairs:
        waiting = groups.shared(one, two)
        told_any, told = False, True
        # What one coupling has blurred is seen once its scales are told by another of its tensors.
        while told and waiting:
            told = False
            for key, coupling in list(waiting.items()):
                scale, units = told_scales(groups.matrices[one], groups.matrices[two], coupling)
                if units.mean() > LEAST_TOLD:
                    groups.join(key, one, two, scale, units)
                    told = told_any = True
                    del waiting[key]
        if told_any:
            found.append((one, two))
    return found


def told_scales(reference: Matrices, version: Matrices, coupling: Coupling) -> tuple[Array, NDArray[np.bool_]]:
    """What each unit of a version has to be multiplied by to be the reference's, and where that is told exactly.

    None is told where a few units, looked at first, tell too little.
    """
    units = coupling.candidates[-1]
    step = max(1, units // LOOKED_AT)
    if step > 1 and commonest(_ratios(reference, version, coupling, step))[1].mean() <= LEAST_TOLD:
        return np.ones(units), np.zeros(units, dtype=bool)
    return commonest(_ratios(reference, version, coupling, 1))


def _ratios(reference: Matrices, version: Matrices, coupling: Coupling, step: int) -> Array:
    """Ratios of values by unit, slot beside slot, of every so many-th unit; NaN where either value is zero."""
    parts = []
    for slot in coupling.slots:
        if slot.power:
            x, y = (slice_of(item[slot.role], slot, coupling.candidates[-1])[::step] for item in (reference, version))
            x, y = x.reshape(len(x), -1), y.reshape(len(y), -1)
            if slot.power < 0:
                x, y = y, x
            parts.append(np.where((x != 0) & (y != 0), x, np.nan) / np.where(y != 0, y, 1.0))
    return np.hstack(parts)


def all_pairs(members: Sequence[int]) -> list[tuple[int, int]]:
    """Every two of some members."""
    return list(combinations(members, 2))
