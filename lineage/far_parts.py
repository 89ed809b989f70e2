"""Parts of a family that lie much farther from each other than their members do: where each has its root, they join.

Two runs from one initialisation are kin, and so is a model trained on for long, with all that was made of either. What
is a few steps apart within a part makes no difference to the distance between parts, so that chance decides through
which members a spanning tree joins them; and the one on the far side would hang as the parent of its own root.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise

from lineage.link_weights import WeighedLink
from lineage.pairs import Pair, connected_parts

FAR = 50.0
"""Ratio of squared tail distances between and within parts. At twenty the nearest member is still the right one."""


def far_parts(
    edges: Sequence[Pair], links: Mapping[Pair, WeighedLink], fixed: Collection[Pair]
) -> tuple[list[Pair], list[list[Pair]]]:
    """The links of a tree that join far parts, and the edges of each part.

    Parameters
    ----------
    edges : sequence of (one, two)
        A tree.
    links : mapping of (one, two) to WeighedLink
    fixed : collection of (one, two)
        Edges that stand: they are within a part, and count for no distance.

    Returns
    -------
    far : list of (one, two)
        Longest first; empty where a part would have a single member, with its copies (it hangs from its nearest
        relative), or none lies `FAR` times as far from another as members do from each other.
    parts : list of list of (one, two)
        In the order of their smallest members; one part where none is far.
    """
    free = sorted((pair for pair in edges if pair not in fixed and pair in links), key=lambda pair: -links[pair].tail)
    tails = [links[pair].tail for pair in free]
    for count, (longer, shorter) in enumerate(pairwise(tails), start=1):
        if longer > FAR * shorter > 0:
            far = free[:count]
            parts = _parts([pair for pair in edges if pair not in set(far)])
            whole = [part for part in parts if set(part) & set(free)]
            return (far, parts) if len(whole) == count + 1 else ([], [list(edges)])
    return [], [list(edges)]


def _parts(edges: Sequence[Pair]) -> list[list[Pair]]:
    """The edges of each connected part; nothing for a part without edges."""
    size = 1 + max((node for pair in edges for node in pair), default=0)
    _, group = connected_parts(size, edges)
    found: dict[int, list[Pair]] = {}
    for pair in sorted(edges, key=min):
        found.setdefault(int(group[pair[0]]), []).append(pair)
    return list(found.values())
