"""Exact relations among members whose scales are estimates, found pair by pair before any is put on a slice.

What was edited, pruned or chosen value by value from another has values that nothing but a rescaling changed. A member
that was chosen from several (TIES) has such values in common with each of them, and so ties them all together.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lineage.symmetry.couplings import Coupling
from lineage.symmetry.exact_scales import LOOKED_AT, ratios, told, untold
from lineage.symmetry.scale_groups import Key, ScaleGroups
from lineage.symmetry.units import Array, Matrices

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
    return [pair for pair in pairs if _joined(groups, *pair)]


def _joined(groups: ScaleGroups, one: int, two: int) -> bool:
    shared = groups.shared(one, two)

    def tell(key: Key) -> bool:
        scale, units = told_scales(groups.matrices[one], groups.matrices[two], shared[key])
        if units.mean() > LEAST_TOLD:
            groups.join(key, one, two, scale, units)
            return True
        return False

    return len(untold(shared, tell)) < len(shared)


def told_scales(reference: Matrices, version: Matrices, coupling: Coupling) -> tuple[Array, NDArray[np.bool_]]:
    """What each unit of a version has to be multiplied by to be the reference's, and where that is told exactly.

    None is told where a few units, looked at first, tell too little.
    """
    units = coupling.candidates[-1]
    step = max(1, units // LOOKED_AT)
    both, order = (coupling, coupling), np.arange(units)
    if step > 1 and told(ratios(reference, version, both, order, step=step))[1].mean() <= LEAST_TOLD:
        return np.ones(units), np.zeros(units, dtype=bool)
    return told(ratios(reference, version, both, order))
