"""Which end of an edit a neighbour hangs from: the one whose edit it has, or the one without.

An edit of low rank has no tail, so that its two ends lie equally far from all others, and chance decides in a spanning
tree. But what is next to the edited version has the whole edit, and what is next to the other has none of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lineage.link_weights import WeighedLink
from lineage.pairs import Pair, pair_of

NO_TAIL = 1e-9
"""Squared tail distance, in the family's typical ones, that is but rounding."""

ALIKE = 0.3
"""Cosine that the changes of two trainings may have with each other: a share that this explains says nothing."""

LEAST_ODDS = 2.0
"""Log-odds for an edge to move."""

FARTHEST = 4.0
"""Standard deviations that a share of one may lie from one."""

ROUNDED = 0.02


def at_the_right_ends(
    edges: Sequence[Pair],
    links: Mapping[Pair, WeighedLink],
    values: NDArray[np.float64],
    fixed: Collection[Pair] = (),
) -> tuple[Pair, ...]:
    """Let each neighbour of an edited version and its source hang from the one it shares the edit with.

    Parameters
    ----------
    edges : sequence of (one, two)
        A tree, smaller ends first.
    links : mapping of (one, two) to WeighedLink
    values : (n, d) array
        `lineage.family_vectors.FamilyVectors.values`.
    fixed : collection of (one, two)
        Edges that stand.

    Returns
    -------
    tuple of (one, two)
        A tree, in the order of `edges`.

    Examples
    --------
    Version 1 is 0 with an edit; 2 was trained from 0, and not from 1.

    >>> links = {(0, 1): WeighedLink(one=0, two=1, tail=0.0, frobenius=1.0)}
    >>> values = np.array([[0.0, 0.0], [1.0, 0.0], [0.01, 0.5]])
    >>> at_the_right_ends([(0, 1), (1, 2)], links, values)
    ((0, 1), (0, 2))
    """
    edits: dict[int, list[int]] = {}
    for pair in edges:
        link = links.get(pair)
        if link is not None and link.tail < NO_TAIL and link.frobenius + link.aside > 0:
            for end, other in (pair, pair[::-1]):
                edits.setdefault(end, []).append(other)
    moved = []
    for pair in edges:
        for end, other in () if pair in fixed else (pair, pair[::-1]):
            rivals = [rival for rival in edits.get(end, ()) if rival != other and other not in edits.get(end, ())]
            odds, rival = max(((carried(values, end, rival, other), -rival) for rival in rivals), default=(0.0, 0))
            if odds > LEAST_ODDS:
                pair = pair_of(-rival, other)
                break
        moved.append(pair)
    return tuple(moved)


def carried(values: NDArray[np.float64], source: int, edited: int, other: int, *, alike: float = ALIKE) -> float:
    """Log-odds for a version to have what was done between two others: its share along that is one instead of zero.

    The share is a normal variable, whose variance is what the rest of its way makes of it value by value, and as much
    as another training's change may agree with this one (a cosine of `alike`). A share that is far from one as well
    says that the two others are not what they were taken for: 0.
    """
    edit, way = np.nan_to_num(values[edited] - values[source]), np.nan_to_num(values[other] - values[source])
    energy = float(edit @ edit)
    if energy == 0:
        return 0.0
    share = float(way @ edit) / energy
    rest = np.where(edit == 0, 0.0, way - share * edit)
    variance = float(rest**2 @ edit**2) / energy**2 + alike**2 * float(rest @ rest) / energy
    if share > 0.5 and abs(1 - share) > FARTHEST * np.sqrt(variance) + ROUNDED:
        return 0.0
    return (2 * share - 1) / (2 * max(variance, 1e-6))
