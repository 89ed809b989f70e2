"""Scales without a witness: bringing a family into balance in which every member was rescaled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lineage.symmetry.aligning import Network
from lineage.symmetry.matching import UnitMap, alike, balance, gauge
from lineage.symmetry.units import folded


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
                maps.append(UnitMap(coupling=coupling, units=units, order=np.arange(units), scale=scale))
                maps[-1].apply(matrices)
    return maps


def gauging(reference: Network, network: Network) -> list[UnitMap]:
    """Maps that put a network, aligned with a reference, on the slice through it (`matching.gauge`)."""
    by_slots = {item.slots: item for item in reference.symmetries.all}
    mine = folded(reference.matrices, reference.symmetries)
    theirs = folded(network.matrices, network.symmetries)
    current, maps = dict(network.matrices), list[UnitMap]()
    for coupling in network.symmetries.all:
        other = by_slots.get(coupling.slots)
        if other is None or not coupling.scalable or not alike((other, coupling), (reference.shapes, network.shapes)):
            continue
        norm = coupling in network.symmetries.norms
        units = coupling.candidates[-1]
        still = UnitMap(coupling=coupling, units=units, order=np.arange(units))
        scale = gauge(reference.matrices if norm else mine, current if norm else theirs, other, still)
        if scale is not None:
            found = replace(still, scale=scale)
            found.apply(current)
            if not norm:
                found.apply(theirs)
            maps.append(found)
    return maps


def unrest(network: Network, maps: Sequence[UnitMap]) -> float:
    """Spread of the balance of those units that were rescaled, in log scale; 0 where none was."""
    spreads = []
    for item in maps:
        if item.scale is not None and all(slot.role in network.matrices for slot in item.coupling.slots):
            scale = balance(network.matrices, item.coupling, item.units)
            if scale is not None:
                spreads.append(float(np.std(np.log(np.abs(scale)))) + float(np.mean(scale < 0)))
    return float(np.mean(spreads)) if spreads else 0.0
