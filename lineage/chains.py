"""Whether a version lies on the way between two others: squared tail distances add up along a chain of descent."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import sqrt

from lineage.link_weights import WeighedLink
from lineage.pairs import Pair, pair_of
from lineage.spanning_tree import orient

NO_CHAIN = 0.1
"""Gap from which on the middle of a chain is none. Of the true chains of trained lakes none has a gap above 0.04; of
siblings that learned alike and pass for a chain most have two tenths and more."""

MOST_FARTHER = 2.0
"""How much farther than the parent the grandparent may be: where a step is much shorter than the one before, its noise
is too small to say where it belongs ..."""

CLEARLY_SHORTER = 0.25
"""... unless the way over the parent is longer than the direct one by this share of that."""

LEAST_COSINE = 0.25
LEAST_EXCESS = 0.22
"""Cosine of two steps from which on they follow one path, and by how much it must exceed that of their tails: of 402
true chains of trained lakes none has both (the largest excess is 0.19), of fifteen pairs of siblings that passed for
chains twelve."""


def chain_gap(links: Mapping[Pair, WeighedLink], one: int, middle: int, two: int) -> float | None:
    """How much shorter the way between two members is than over a third, relative to the shorter of its two steps.

    Squared tail distances add up along a chain of descent, and to more than their sum, because no step undoes the noise
    of the one before: a middle that lies on the way has a negative gap. What the two share from elsewhere makes it
    positive.

    Parameters
    ----------
    links : mapping of (one, two) to WeighedLink
    one, middle, two : int

    Returns
    -------
    float or None
        None where one of the three links was not weighed, or a step has no length.

    Examples
    --------
    >>> links = {
    ...     (one, two): WeighedLink(one=one, two=two, tail=tail, frobenius=tail)
    ...     for one, two, tail in [(0, 1, 2.0), (1, 2, 1.0), (0, 2, 4.0)]
    ... }
    >>> chain_gap(links, 0, 1, 2), chain_gap(links, 1, 0, 2)
    (-1.0, 2.5)
    """
    found = [links.get(pair_of(*pair)) for pair in ((one, middle), (middle, two), (one, two))]
    if any(link is None for link in found):
        return None
    first, second, across = (link.tail for link in found if link is not None)
    least = min(first, second)
    return (first + second - across) / least if least > 0 else None


def same_path(links: Mapping[Pair, WeighedLink], one: int, middle: int, two: int) -> bool:
    """Whether the step from the middle goes on where the step to it went, but for the noise.

    Two siblings that were trained on the same data, the one for longer or in larger steps, learn the same: what was
    learned is nearly collinear, and the nearer of the two lies on the way to the other. Not so their noise. Of a chain,
    the second training finds other data, or learned already what there is to learn; and where decay of weights goes
    on, it shows in the noise as well.

    Parameters
    ----------
    links : mapping of (one, two) to WeighedLink
    one, middle, two : int
        The grandparent, the parent and the child of what may be a chain.

    Returns
    -------
    bool
        False where one of the three links was not weighed, or a step has no length.

    Examples
    --------
    >>> def between(frobenius: float) -> dict[Pair, WeighedLink]:
    ...     found = [(0, 1, 1.0, 1.0), (1, 2, 1.0, 1.0), (0, 2, 2.2, frobenius)]
    ...     return {(a, b): WeighedLink(one=a, two=b, tail=tail, frobenius=whole) for a, b, tail, whole in found}
    >>> same_path(between(3.0), 0, 1, 2), same_path(between(2.1), 0, 1, 2)
    (True, False)
    """
    found = [links.get(pair_of(*pair)) for pair in ((one, middle), (middle, two), (one, two))]
    known = [link for link in found if link is not None and link.tail > 0]
    if len(known) < len(found):
        return False
    whole, tail = (_cosine(*lengths) for lengths in zip(*((link.frobenius, link.tail) for link in known), strict=True))
    return whole >= max(LEAST_COSINE, tail + LEAST_EXCESS)


def _cosine(first: float, second: float, across: float) -> float:
    """Of two steps, from their squared lengths and that of both together."""
    return (across - first - second) / (2 * sqrt(first * second))


def straightened(
    edges: Sequence[Pair], root: int, links: Mapping[Pair, WeighedLink], fixed: Collection[Pair]
) -> list[Pair]:
    """Let every child that cannot have come by way of its parent hang from its grandparent instead.

    Siblings that learned alike lie nearer to each other than one of them lies to their parent, so that a spanning tree
    puts one below the other. But then the way from the grandparent is longer than the direct one (`chain_gap`), which
    no chain of descent is; or the two steps go the same way in all but their noise (`same_path`).

    Parameters
    ----------
    edges : sequence of (one, two)
        A tree, smaller ends first.
    root : int
    links : mapping of (one, two) to WeighedLink
        A child stays where its link to the grandparent was not weighed.
    fixed : collection of (one, two)
        Edges that stand, and from whose lower ends nothing moves away.

    Returns
    -------
    list of (one, two)
        In the order of `edges`.

    Notes
    -----
    From the root downwards, so that what moved up is looked at again. Time O(n).
    """
    before = orient(edges, root)
    parents = dict(before)
    for child, parent in before.items():
        while parent in parents:
            above = parents[parent]
            pairs = [pair_of(*pair) for pair in ((child, parent), (parent, above))]
            gap = chain_gap(links, above, parent, child)
            if gap is None or any(pair in fixed for pair in pairs):
                break
            direct, over = links[pair_of(child, above)], links[pairs[0]]
            longer = over.tail + links[pairs[1]].tail - direct.tail
            clear = direct.tail <= MOST_FARTHER * over.tail or longer > CLEARLY_SHORTER * direct.tail
            apart = (gap > NO_CHAIN and clear) or same_path(links, above, parent, child)
            if not apart or direct.shared < over.shared:
                break
            parents[child] = parent = above
    moved = {pair_of(child, old): pair_of(child, parents[child]) for child, old in before.items()}
    return [moved.get(pair, pair) for pair in edges]
