"""The count of batches that batch normalisation keeps: a clock that runs on from a version to what is trained from it.

PyTorch's layers count the batches they have normalised in training and save the count with the weights. A version
trained on has a larger count than the one it started from; two that were trained and have the same count are siblings.
A count may be lost on the way (conversions leave it out, or start it anew), so that it is strong evidence and no proof.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from graph_schema.fingerprint import Fingerprint
from lineage.arborescence import minimum_arborescence
from lineage.pairs import Pair, connected_parts

COUNTED = 5.0
"""Log-odds for the version with the smaller count being the parent."""

STATISTICS = "running_mean"


def came_first(first: Fingerprint, second: Fingerprint) -> int:
    """1 if the first has counted fewer batches, -1 if the second has, 0 where counts do not tell.

    Examples
    --------
    >>> old, new = (Fingerprint(version=str(n), tensors=(), batches=n) for n in (250, 431))
    >>> came_first(old, new), came_first(new, old), came_first(old, old)
    (1, -1, 0)
    """
    if not first.batches or not second.batches:
        return 0
    return int(np.sign(second.batches - first.batches))


def trained_apart(first: Fingerprint, second: Fingerprint) -> bool:
    """Whether two versions counted the same number of batches, and not the same batches: running statistics differ.

    What is edited, or trained with its normalisation frozen, keeps count and statistics.
    """
    if not first.batches or first.batches != second.batches:
        return False
    mine, theirs = (
        {tensor.role: tensor.content for tensor in item.tensors if tensor.role.endswith(STATISTICS)}
        for item in (first, second)
    )
    shared = mine.keys() & theirs.keys()
    return bool(shared) and all(mine[role] != theirs[role] for role in shared)


def clocked_forest(
    fingerprints: Sequence[Fingerprint], costs: Mapping[Pair, float], joined: Sequence[Pair]
) -> list[Pair] | None:
    """The spanning forest of largest posterior in which time runs on; None where no two members tell the time.

    Parameters
    ----------
    fingerprints : sequence of Fingerprint
    costs : mapping of (one, two) to float
        Minus the logarithm of each link's weight; finite.
    joined : sequence of (one, two)
        Pairs that are connected already.

    Returns
    -------
    list of (one, two) or None
        Links, in their order.

    Notes
    -----
    A minimum arborescence (`lineage.arborescence`): a link costs `COUNTED` more where it runs against the clock, and
    either way where both ends were trained apart. Time O(m log n).
    """
    size = len(fingerprints)
    count, group = connected_parts(size, joined)
    order, arcs = list[Pair](), list[tuple[int, int, float]]()
    told = False
    for (one, two), cost in costs.items():
        ends = int(group[one]), int(group[two])
        if ends[0] == ends[1]:
            continue
        first = came_first(fingerprints[one], fingerprints[two])
        apart = COUNTED * trained_apart(fingerprints[one], fingerprints[two])
        told |= bool(first or apart)
        order += [(one, two)] * 2
        arcs.append((*ends, cost + apart + COUNTED * (first < 0)))
        arcs.append((*ends[::-1], cost + apart + COUNTED * (first > 0)))
    if not told:
        return None
    # A root of all roots, so dear that it is taken once a connected part.
    dear = 1.0 + 2.0 * sum(abs(cost) for _, _, cost in arcs)
    found = minimum_arborescence(count + 1, [*arcs, *((count, node, dear) for node in range(count))], root=count)
    if found is None:  # pragma: no cover - the root of all roots reaches every member
        return None
    cheapest: dict[Pair, tuple[float, int]] = {}
    for number, (parent, node, cost) in enumerate(arcs):
        cheapest[parent, node] = min(cheapest.get((parent, node), (np.inf, -1)), (cost, number))
    taken = {cheapest[parent, node][1] for node, parent in enumerate(found.parents[:-1]) if parent != count}
    return [order[number] for number in sorted(taken)]
