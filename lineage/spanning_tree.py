"""Undirected topology: the minimum spanning tree, how sure each of its edges is, and which node is its root.

Who is connected to whom and who came first are two problems. The first is solved by distances alone: a minimum spanning
tree (Kruskal 1956), with the posterior probability of every edge under a Gibbs distribution over all spanning trees,
which Kirchhoff's matrix-tree theorem gives in closed form. The second by scores of single edges' directions: every
choice of a root orients the whole tree, so the posterior of the root is a softmax over n sums, which one walk over the
tree yields, and an edge points from u to v with the probability that the root lies on u's side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    group = list(range(size))

    def find(node: int) -> int:
        while group[node] != node:
            group[node] = group[group[node]]
            node = group[node]
        return node

    for one, two in forced:
        group[find(one)] = find(two)
    chosen = []
    for index in np.argsort([link[2] for link in links], kind="stable").tolist():
        one, two = find(links[index][0]), find(links[index][1])
        if one != two:
            group[one] = two
            chosen.append(index)
    return chosen


def link_posteriors(size: int, links: Sequence[Link], log_weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability that each link is part of the tree, over all spanning trees of the nodes.

    A tree has the probability of the product of its links' weights, up to a constant. The marginal of a link is its
    weight times the effective resistance between its ends (Kirchhoff 1847).

    Parameters
    ----------
    size : int
    links : sequence of (one, two, distance)
        They connect all nodes; the distances are not used.
    log_weights : (m,) array
        Logarithm of each link's weight.

    Returns
    -------
    (m,) array
        In [0, 1], summing to `size` - 1.

    Notes
    -----
    Time O(n^3), memory O(n^2). Weights are scaled by the largest and floored at 1e-12 of it, so that the Laplacian
    stays invertible in floating point.

    Examples
    --------
    >>> link_posteriors(3, [(0, 1, 0.0), (1, 2, 0.0), (0, 2, 0.0)], np.zeros(3)).round(3).tolist()
    [0.667, 0.667, 0.667]
    """
    if size < 2 or not links:
        return np.zeros(len(links))
    weights = np.maximum(np.exp(log_weights - log_weights.max()), 1e-12)
    one = np.array([link[0] for link in links])
    two = np.array([link[1] for link in links])
    laplacian = np.zeros((size, size))
    np.add.at(laplacian, (one, one), weights)
    np.add.at(laplacian, (two, two), weights)
    np.add.at(laplacian, (one, two), -weights)
    np.add.at(laplacian, (two, one), -weights)
    # Scaling by the degrees keeps the inverse accurate when the weights span many orders of magnitude.
    scale = 1 / np.sqrt(np.diag(laplacian))
    grounded = np.zeros((size, size))
    kept = laplacian[1:, 1:] * scale[1:, None] * scale[None, 1:]
    grounded[1:, 1:] = np.linalg.inv(kept) * scale[1:, None] * scale[None, 1:]
    resistance = grounded[one, one] + grounded[two, two] - grounded[one, two] - grounded[two, one]
    marginals: NDArray[np.float64] = np.clip(weights * resistance, 0.0, 1.0)
    return marginals


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
    (0, 0.91)
    """
    around: dict[int, list[int]] = {}
    for one, two in edges:
        around.setdefault(one, []).append(two)
        around.setdefault(two, []).append(one)
    start = min(around)
    order, up = [start], {start: start}
    for node in order:
        for other in around[node]:
            if other not in up:
                up[other] = node
                order.append(other)
    if len(order) != len(around) or len(edges) != len(around) - 1:
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


def orient(edges: Sequence[tuple[int, int]], root: int) -> dict[int, int]:
    """Parent of every node but the root, when the tree hangs from `root`.

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
