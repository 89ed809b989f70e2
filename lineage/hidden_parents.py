"""Parents that are not in the lake: two neighbours of which neither was made from the other.

Where one of two versions was made from the other, norms grew along the way, and rows that moved more grew more
(`lineage.direction`); where both were made from a third that is not there, and lie about as far from it, neither did.
Two roots that started from the same random weights look the same. Both cues have to be silent, and sure of it.

What this cannot show: a hidden parent that lies much nearer to one child than to the other; the near child then passes
for the parent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lineage.cues import EdgeCues

GROWTHS = frozenset({"growth", "row_growth", "batches"})
"""Cues that may speak: of two siblings, one was trained for longer."""

LARGEST_READING = 0.15
LARGEST_ERROR = 0.15

PROBABILITY = 0.75
"""How often such a pair had a hidden parent, on the development lakes: six times in seven, and shrunk for that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HiddenParent:
    """A version that must have been there.

    Attributes
    ----------
    children : tuple of int
        Its children in the family, ascending, at least two.
    above : int or None
        Its own parent in the family; None where it is the root.
    """

    children: tuple[int, ...]
    above: int | None


def balanced(cues: EdgeCues) -> bool:
    """Whether both cues of growth say that neither of the two came first."""
    if cues.growth is None or cues.rows is None or any(name not in GROWTHS for name, _ in cues.parts):
        return False
    return all(abs(item.value) < LARGEST_READING and item.error < LARGEST_ERROR for item in (cues.growth, cues.rows))


def hidden_parents(edges: Sequence[tuple[int, int]], even: Sequence[bool]) -> tuple[HiddenParent, ...]:
    """The hidden parents of a rooted tree.

    Parameters
    ----------
    edges : sequence of (parent, child)
        All edges of the tree.
    even : sequence of bool
        For each of them, whether it is `balanced`.

    Returns
    -------
    tuple of HiddenParent
        By their upper child. The parent of a balanced edge and all its balanced children share one hidden parent, which
        takes the parent's place below what was above it.

    Examples
    --------
    >>> hidden_parents([(0, 1), (1, 2)], [False, True])
    (HiddenParent(children=(1, 2), above=0),)
    """
    above = {child: parent for parent, child in edges}
    groups: dict[int, list[int]] = {}
    for (parent, child), balance in zip(edges, even, strict=True):
        if balance:
            groups.setdefault(parent, []).append(child)
    found = []
    taken: set[int] = set()
    for upper, lower in sorted(groups.items()):
        members = {upper, *lower}
        if members & taken:
            continue
        taken |= members
        found.append(HiddenParent(children=tuple(sorted(members)), above=above.get(upper)))
    return tuple(found)
