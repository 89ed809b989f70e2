"""Scales without a witness: bringing a family into balance in which every member was rescaled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lineage.symmetry.aligning import Network
from lineage.symmetry.couplings import Coupling
from lineage.symmetry.exact_scales import exact_scales, untold
from lineage.symmetry.matching import UnitMap, alike, balance, gauge
from lineage.symmetry.units import Array, folded


def balancing(network: Network) -> list[UnitMap]:
    """Maps that give all units of a network one balance, and its norms one scale."""
    maps = []
    matrices = dict(network.matrices)
    # Norms first: what is folded into a map counts for the balance of the units behind it.
    for coupling in (*network.symmetries.norms, *network.symmetries.couplings):
        if coupling.scalable:
            # Rows of one value may be scaled one by one, so that the smallest units do for heads of any size.
            units = coupling.candidates[-1]
            scale = balance(matrices, coupling, units)
            if scale is not None:
                maps.append(UnitMap.rescaling(coupling, scale))
                maps[-1].apply(matrices)
    return maps


def gauging(reference: Network, network: Network, others: Sequence[Network] = ()) -> list[UnitMap]:
    """Maps that put a network on the slice through a reference (`matching.gauge`).

    Parameters
    ----------
    reference, network : Network
        In the same order of units.
    others : sequence of Network
        On slices already, the nearest first. Where one of them tells the scales of a coupling to the last digit, those
        count: what was edited, pruned or chosen value by value from it stays so.
    """
    slots = [{item.slots: item for item in other.symmetries.all} for other in others]
    first = {item.slots: item for item in reference.symmetries.all}
    current, maps = dict(network.matrices), list[UnitMap]()
    waiting = [item for item in (*network.symmetries.norms, *network.symmetries.couplings) if item.scalable]

    def tell(coupling: Coupling) -> bool:
        for known, other in zip(slots, others, strict=True):
            same = known.get(coupling.slots)
            if same is not None and alike((same, coupling), (other.shapes, network.shapes)):
                scale = exact_scales(other.matrices, current, (same, coupling), coupling.candidates[-1])
                if scale is not None:
                    _scaled(maps, coupling, scale, current)
                    return True
        return False

    waiting = untold(waiting, tell)
    mine, theirs = folded(reference.matrices, reference.symmetries), folded(current, network.symmetries)
    for coupling in waiting:
        same = first.get(coupling.slots)
        if same is None or not alike((same, coupling), (reference.shapes, network.shapes)):
            continue
        norm = coupling in network.symmetries.norms
        units = coupling.candidates[-1]
        still = UnitMap(coupling=coupling, units=units, order=np.arange(units))
        scale = gauge(reference.matrices if norm else mine, current if norm else theirs, same, still)
        if scale is not None:
            found = _scaled(maps, coupling, scale, current)
            if not norm:
                found.apply(theirs)
    return maps


def _scaled(maps: list[UnitMap], coupling: Coupling, scale: Array, *matrices: dict[str, Array]) -> UnitMap:
    found = UnitMap.rescaling(coupling, scale)
    maps.append(found)
    for item in matrices:
        found.apply(item)
    return found


def unrest(network: Network, maps: Sequence[UnitMap]) -> float:
    """Spread of the balance of those units that were rescaled, in log scale; 0 where none was."""
    spreads = []
    for item in maps:
        if item.scale is not None and all(slot.role in network.matrices for slot in item.coupling.slots):
            scale = balance(network.matrices, item.coupling, item.units)
            if scale is not None:
                spreads.append(float(np.std(np.log(np.abs(scale)))) + float(np.mean(scale < 0)))
    return float(np.mean(spreads)) if spreads else 0.0
