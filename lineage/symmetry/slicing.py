"""A family without any scale to be trusted, brought to linear slices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from lineage.symmetry.aligning import Network, fitting, lacking, mapped_matrices
from lineage.symmetry.balancing import gauging
from lineage.symmetry.matching import UnitMap
from lineage.symmetry.units import Array

NEAR = 0.5
"""Mean squared difference, relative to the energy, up to which a member is compared with a centre weight by weight."""

SOURCES = 8
"""How many of the nearest members are looked at for values that nothing but a rescaling changed."""


def sliced(
    networks: Mapping[int, Network],
    zeros: Mapping[int, int],
    tied: Mapping[int, int],
) -> dict[int, list[UnitMap]]:
    """What puts each network on the slice through its centre (`lineage.symmetry.matching.gauge`).

    Parameters
    ----------
    networks : mapping of member to Network
        In one order of units and in balance; the first is the centre of the first slice.
    zeros : mapping of member to int
        How many values of each are zero: what was pruned comes after its source.
    tied : mapping of member to member
        What is exact beside another member as it is, and stays so.
    """
    current = dict(networks)
    first = next(iter(current))
    gauges: dict[int, list[UnitMap]] = {first: []}
    for centre, members in _clusters(current, zeros):
        for member in members:
            network = current[member]
            if member not in gauges:
                nearest = sorted((distance(current[item].matrices, network.matrices), item) for item in gauges)[
                    :SOURCES
                ]
                through = centre if centre in gauges else nearest[0][1]
                gauges[member] = gauging(current[through], network, [current[item] for _, item in nearest])
            exact = [other for other in gauges if other == tied.get(member) or tied.get(other) == member]
            for source in exact[:1]:
                # What this one lacks, as layers, is on its own.
                own = lacking(current[source], network)
                gauges[member] = [
                    *fitting(gauges[source], network.shapes, current[source].shapes),
                    *(item for item in gauges[member] if item.coupling in own),
                ]
            current[member] = replace(network, matrices=mapped_matrices(network.matrices, gauges[member]))
    return gauges


def _clusters(networks: Mapping[int, Network], zeros: Mapping[int, int]) -> Iterator[tuple[int, Sequence[int]]]:
    """Members that are near to one of them, which comes first; of the others, what has more zeros later.

    One slice for all that is near to its centre: none of these is nearer to another for the way it got there. The next
    centre is the member nearest to what is on a slice by then (`networks` changes on the way): between two that lie far
    apart some units are not like each other, and their scales would stay as they are.
    """
    waiting = list(networks)
    centre, least = waiting[0], dict.fromkeys(waiting, np.inf)
    while waiting:
        middle = networks[centre].matrices
        near = [item for item in waiting if item == centre or distance(middle, networks[item].matrices) < NEAR]
        near.sort(key=lambda item: (item != centre, zeros[item], waiting.index(item)))
        yield centre, near
        waiting = [item for item in waiting if item not in near]
        for item in waiting:
            steps = (distance(networks[other].matrices, networks[item].matrices) for other in near)
            least[item] = min(least[item], *(round(step, 9) for step in steps))
        if waiting:
            centre = min(waiting, key=least.__getitem__)


def distance(one: Mapping[str, Array], two: Mapping[str, Array]) -> float:
    """Mean squared difference, each tensor relative to its own energy."""
    apart = []
    for role, values in one.items():
        other = two.get(role)
        if other is not None and other.shape == values.shape and values.any():
            apart.append(float(np.sum((values - other) ** 2) / np.sum(values**2)))
    return float(np.mean(apart)) if apart else np.inf
