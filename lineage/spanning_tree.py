"""Undirected topology: the minimum spanning tree, how sure each of its edges is, and which node is its root.

Who is connected to whom and who came first are two problems. The first is solved by distances alone: a minimum spanning
tree (Kruskal 1956); how sure an edge is follows from the links that could take its place. The second by scores of
single edges' directions: every choice of a root orients the whole tree, so that the posterior of the root is a softmax
over n sums, which one walk over the tree yields, and an edge points from u to v with the probability that the root lies
on u's side.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import DisjointSet

Node = TypeVar("Node", bound=Hashable)

Link = tuple[int, int, float]
"""Two nodes and their distance."""


def minimum_spanning_forest(size: int, links: Sequence[Link], *, forced: Sequence[tuple[int, int]] = ()) -> list[int]:
    """Indices into `links` of the spanning forest of least total distance.

    Parameters
    ----------
    size : int
        Number of nodes.
    links : sequence of (one, two, distance)
    forced : sequence of (one, two)
        Pairs known to be connected: they are joined before any link is weighed, and no link of theirs is returned.

    Returns
    -------
    list of int
        In ascending order of distance; ties go to the link that comes first.

    Notes
    -----
    Time O(m log m), memory O(m).

    Examples
    --------
    >>> minimum_spanning_forest(3, [(0, 1, 2.0), (1, 2, 1.0), (0, 2, 3.0)])
    [1, 0]
    """
    joined = DisjointSet(range(size))
    for one, two in forced:
        joined.merge(one, two)
    order = np.argsort([link[2] for link in links], kind="stable").tolist()
    chosen = [index for index in order if joined.merge(links[index][0], links[index][1])]
    return chosen


def link_posteriors(
    size: int, tree: Sequence[tuple[int, int]], links: Sequence[tuple[int, int]], log_weights: NDArray[np.float64]
) -> list[float]:
    """Probability of each edge of a tree, given the others, against every link that could take its place.

    Take one edge away and the tree falls in two; the links between the two parts are the alternatives, each with a
    probability in proportion to its weight (one step of a Gibbs sampler over spanning trees).

    Parameters
    ----------
    size : int
        Number of nodes.
    tree : sequence of (one, two)
        The edges of a spanning tree or forest; each is among `links`, in the same order of ends.
    links : sequence of (one, two)
        All candidates.
    log_weights : (m,) array
        Logarithm of each link's weight.

    Returns
    -------
    list of float
        One for each edge of `tree`, in (0, 1].

    Notes
    -----
    Time O(n m) in vector operations, memory O(n + m).

    Examples
    --------
    >>> three = [(0, 1), (1, 2), (0, 2)]
    >>> link_posteriors(3, three[:2], three, np.zeros(3))
    [0.5, 0.5]
    """
    place = {link: index for index, link in enumerate(links)}
    entered, left, below = _intervals(size, tree)
    one = entered[np.array([link[0] for link in links], dtype=np.int64)]
    two = entered[np.array([link[1] for link in links], dtype=np.int64)]
    posteriors = []
    for edge in tree:
        node = edge[0] if below[edge[0]] == edge[1] else edge[1]
        low, high = entered[node], left[node]
        across = ((one >= low) & (one < high)) != ((two >= low) & (two < high))
        rivals = log_weights[across]
        best = float(rivals.max())
        own = float(log_weights[place[edge]])
        posteriors.append(float(np.exp(own - best) / np.exp(rivals - best).sum()))
    return posteriors


def _intervals(
    size: int, tree: Sequence[tuple[int, int]]
) -> tuple[NDArray[np.int64], NDArray[np.int64], dict[int, int]]:
    """Where a depth-first walk enters and leaves each node's subtree, and the node above each."""
    around: list[list[int]] = [[] for _ in range(size)]
    for one, two in tree:
        around[one].append(two)
        around[two].append(one)
    entered, left = np.full(size, -1, dtype=np.int64), np.zeros(size, dtype=np.int64)
    above: dict[int, int] = {}
    clock = 0
    for start in range(size):
        if entered[start] >= 0:
            continue
        above[start] = -1
        stack = [(start, False)]
        while stack:
            node, done = stack.pop()
            if done:
                left[node] = clock
                continue
            entered[node] = clock
            clock += 1
            stack.append((node, True))
            for other in around[node]:
                if entered[other] < 0:
                    above[other] = node
                    stack.append((other, False))
    return entered, left, above


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooting:
    """Where the root of a tree lies.

    Attributes
    ----------
    posterior : mapping of node to float
        Probability of each node of the tree to be its root; sums to 1.
    root : int
        The most probable one; the smallest number on a tie.
    forward : mapping of (one, two) to float
        Probability that the edge points from `one` (the parent) to `two`; both orders are there.
    """

    posterior: Mapping[int, float]
    root: int
    forward: Mapping[tuple[int, int], float]


def root_posterior(
    edges: Sequence[tuple[int, int]],
    scores: Mapping[tuple[int, int], float],
    *,
    prior: Mapping[int, float] | None = None,
) -> Rooting:
    """Which node of a tree is its root, given a score for each direction of each edge.

    Parameters
    ----------
    edges : sequence of (one, two)
        The edges of one tree, at least one.
    scores : mapping of (parent, child) to float
        Log-likelihood of the edge pointing this way; both directions of every edge.
    prior : mapping of node to float, optional
        Log-prior of being the root; 0 by default.

    Returns
    -------
    Rooting

    Notes
    -----
    Two walks over the tree: time and memory O(n).

    Examples
    --------
    >>> chain = root_posterior([(0, 1), (1, 2)], {(0, 1): 2.0, (1, 0): 0.0, (1, 2): 1.0, (2, 1): 0.0})
    >>> chain.root, round(chain.forward[0, 1], 3)
    (0, 0.844)
    """
    nodes = {node for edge in edges for node in edge}
    start = min(nodes)
    up = orient(edges, start)
    order = [start, *up]
    if len(order) != len(nodes) or len(edges) != len(nodes) - 1:
        raise ValueError("the edges do not form one tree")
    total = {start: sum(scores[up[node], node] for node in order[1:])}
    for node in order[1:]:
        parent = up[node]
        total[node] = total[parent] - scores[parent, node] + scores[node, parent]
    if prior is not None:
        total = {node: value + prior.get(node, 0.0) for node, value in total.items()}
    best = max(total.values())
    mass = {node: float(np.exp(value - best)) for node, value in total.items()}
    whole = sum(mass.values())
    posterior = {node: mass[node] / whole for node in sorted(mass)}
    below = dict(posterior)
    for node in reversed(order[1:]):
        below[up[node]] += below[node]
    forward = {}
    for node in order[1:]:
        inside = min(max(below[node], 0.0), 1.0)
        forward[up[node], node], forward[node, up[node]] = 1.0 - inside, inside
    root = max(posterior, key=lambda node: (posterior[node], -node))
    return Rooting(posterior=posterior, root=root, forward=forward)


def shape_prior(edges: Sequence[tuple[int, int]]) -> dict[int, float]:
    """Log-prior of each node of a tree for being its root, from the shape of the tree alone.

    A tree that grew by one child at a time, each of a parent drawn at random, could have grown from a node v in
    n! / prod(size of the subtree of u, hanging from v) orders, over all nodes u ("rumour centrality", Shah and Zaman
    2011, arXiv 0909.4370). Of two neighbours, the odds are the numbers of nodes on either side of their edge.

    Returns
    -------
    dict of node to float
        The largest is 0.

    Notes
    -----
    Two walks over the tree: time and memory O(n).

    Examples
    --------
    >>> prior = shape_prior([(0, 1), (1, 2), (1, 3)])
    >>> prior[1], round(prior[0], 3)
    (0.0, -1.099)
    """
    start = min(node for edge in edges for node in edge)
    up = orient(edges, start)
    order = [start, *up]
    below = dict.fromkeys(order, 1)
    for node in reversed(order[1:]):
        below[up[node]] += below[node]
    found = {start: 0.0}
    for node in order[1:]:
        found[node] = found[up[node]] + float(np.log(below[node]) - np.log(len(order) - below[node]))
    best = max(found.values())
    return {node: value - best for node, value in found.items()}


def orient(edges: Sequence[tuple[int, int]], root: int) -> dict[int, int]:
    """Parent of every node but the root, when the tree hangs from `root`; parents come before their children.

    Examples
    --------
    >>> orient([(0, 1), (1, 2)], 2)
    {1: 2, 0: 1}
    """
    around: dict[int, list[int]] = {}
    for one, two in edges:
        around.setdefault(one, []).append(two)
        around.setdefault(two, []).append(one)
    parents: dict[int, int] = {}
    order = [root]
    for node in order:
        for other in around.get(node, ()):
            if other != root and other not in parents:
                parents[other] = node
                order.append(other)
    return parents


def ancestors_of(node: Node, parents: Mapping[Node, Collection[Node]]) -> set[Node]:
    """All above a node; the node itself where it goes round in a circle.

    Examples
    --------
    >>> sorted(ancestors_of("c", {"c": ["b", "x"], "b": ["a"]}))
    ['a', 'b', 'x']
    """
    found: set[Node] = set()
    waiting = [node]
    while waiting:
        more = set(parents.get(waiting.pop(), ())) - found
        found |= more
        waiting += more
    return found


def depths_of(parents: Mapping[str, str]) -> dict[str, int]:
    """How many steps each child stands below the top of its tree; nodes that are no child are left out.

    Parameters
    ----------
    parents : mapping of child to parent
        A cycle ends where it closes.

    Examples
    --------
    >>> depths_of({"b": "a", "c": "b"})
    {'b': 1, 'c': 2}
    """
    depths: dict[str, int] = {}
    for child in parents:
        way, seen = [child], {child}
        while way[-1] in parents and way[-1] not in depths and parents[way[-1]] not in seen:
            way.append(parents[way[-1]])
            seen.add(way[-1])
        above = depths.get(way[-1], 0)
        for steps, node in enumerate(reversed(way)):
            if node in parents:
                depths[node] = above + steps
    return depths
