"""Minimum arborescence: the cheapest way to give every node but one a parent.

A spanning arborescence of a directed graph is a tree in which every node but the root has one incoming edge and is
reached from the root. The cheapest one is found by letting every node take its cheapest incoming edge, contracting the
cycles that arise, and expanding them again (Chu and Liu 1965; Edmonds 1967). Keeping the incoming edges of each
contracted node in a mergeable heap, whose costs are lowered lazily, makes that O(m log n) (Gabow, Galil, Spencer and
Tarjan 1986).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

Arc = tuple[int, int, float]
"""Source (the parent), target (the child), cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arborescence:
    """A spanning arborescence.

    Attributes
    ----------
    root : int
    parents : tuple of int
        Parent of each node; -1 for the root.
    cost : float
        Sum of the costs of the chosen edges, without the price of the root.
    """

    root: int
    parents: tuple[int, ...]
    cost: float


def minimum_arborescence(
    size: int, arcs: Sequence[Arc], *, root: int | None = None, root_costs: Sequence[float] | None = None
) -> Arborescence | None:
    """The spanning arborescence of least cost.

    Parameters
    ----------
    size : int
        Number of nodes, at least 1; nodes are 0 to `size` - 1.
    arcs : sequence of (source, target, cost)
        Costs are finite, of any sign. Parallel edges are allowed; loops are ignored.
    root : int, optional
        The root. Without one, the root that makes the whole cheapest is chosen.
    root_costs : sequence of float, optional
        Price of taking each node as root, added to the cost when the root is chosen; 0 for all by default.

    Returns
    -------
    Arborescence or None
        None where no root reaches every node. Among equal costs the choice is deterministic: edges that come first in
        `arcs` are preferred.

    Raises
    ------
    ValueError
        If `size` is not positive, a node is out of range or a cost is not finite.

    Notes
    -----
    Time O(m log n) for m edges, memory O(m).

    Examples
    --------
    >>> minimum_arborescence(3, [(0, 1, 1.0), (1, 2, 1.0), (0, 2, 5.0), (2, 0, 9.0)]).parents
    (-1, 0, 1)
    """
    _check(size, arcs, root)
    if root is not None:
        chosen = _contract(size, arcs, root)
        return None if chosen is None else _arborescence(size, arcs, chosen, root)
    prices = root_costs if root_costs is not None else [0.0] * size
    # A virtual root pays a ransom for each real root, so large that the cheapest solution uses it once.
    ransom = 1.0 + 2.0 * sum(abs(cost) for _, _, cost in arcs) + 2.0 * sum(abs(price) for price in prices)
    virtual = [(size, node, ransom + price) for node, price in enumerate(prices)]
    everything = [*arcs, *virtual]
    chosen = _contract(size + 1, everything, size)
    if chosen is None:  # pragma: no cover - the virtual root reaches every node
        return None
    roots = [everything[index][1] for index in chosen if index >= len(arcs)]
    if len(roots) != 1:
        return None
    return _arborescence(size, arcs, [index for index in chosen if index < len(arcs)], roots[0])


def _check(size: int, arcs: Sequence[Arc], root: int | None) -> None:
    if size < 1:
        raise ValueError(f"size must be at least 1, got {size}")
    if root is not None and not 0 <= root < size:
        raise ValueError(f"root must lie in 0..{size - 1}, got {root}")
    for source, target, cost in arcs:
        if not (0 <= source < size and 0 <= target < size):
            raise ValueError(f"edge {source} -> {target} leaves the nodes 0..{size - 1}")
        if not isfinite(cost):
            raise ValueError(f"edge {source} -> {target} has the cost {cost}")


def _arborescence(size: int, arcs: Sequence[Arc], chosen: Sequence[int], root: int) -> Arborescence:
    parents = [-1] * size
    for index in chosen:
        source, target, _ = arcs[index]
        parents[target] = source
    return Arborescence(root=root, parents=tuple(parents), cost=sum(arcs[index][2] for index in chosen))


class _Heap:
    """Skew heap of edges whose costs are lowered all at once, lazily. Its key is (cost, index), so ties are settled."""

    __slots__ = ("cost", "index", "left", "lowered", "right")

    def __init__(self, cost: float, index: int) -> None:
        self.cost = cost
        self.index = index
        self.lowered = 0.0
        self.left: _Heap | None = None
        self.right: _Heap | None = None

    def settle(self) -> None:
        if self.lowered:
            self.cost -= self.lowered
            for child in (self.left, self.right):
                if child is not None:
                    child.lowered += self.lowered
            self.lowered = 0.0


def _meld(one: _Heap | None, two: _Heap | None) -> _Heap | None:
    # Iterative: the spine of a skew heap can be as long as the heap, beyond Python's recursion limit.
    spine: list[_Heap] = []
    while one is not None and two is not None:
        one.settle()
        two.settle()
        if (two.cost, two.index) < (one.cost, one.index):
            one, two = two, one
        spine.append(one)
        one, two = one.right, two
    rest = one if one is not None else two
    for node in reversed(spine):
        node.left, node.right = rest, node.left
        rest = node
    return rest


class _Disjoint:
    """Union-find whose unions can be taken back in reverse order, to expand the contracted cycles."""

    def __init__(self, size: int) -> None:
        self._up = [-1] * size
        self._log: list[tuple[int, int]] = []

    def find(self, node: int) -> int:
        while self._up[node] >= 0:
            node = self._up[node]
        return node

    def mark(self) -> int:
        return len(self._log)

    def union(self, one: int, two: int) -> bool:
        one, two = self.find(one), self.find(two)
        if one == two:
            return False
        if self._up[one] > self._up[two]:
            one, two = two, one
        self._log += [(one, self._up[one]), (two, self._up[two])]
        self._up[one] += self._up[two]
        self._up[two] = one
        return True

    def rollback(self, mark: int) -> None:
        while len(self._log) > mark:
            node, value = self._log.pop()
            self._up[node] = value


def _contract(size: int, arcs: Sequence[Arc], root: int) -> list[int] | None:
    """Indices of the edges of the cheapest arborescence from `root`, or None."""
    heaps: list[_Heap | None] = [None] * size
    for index, (source, target, cost) in enumerate(arcs):
        if source != target and target != root:
            heaps[target] = _meld(heaps[target], _Heap(cost, index))
    groups = _Disjoint(size)
    seen = [-1] * size
    seen[root] = root
    entering = [-1] * size  # cheapest edge into each group, as an index into arcs
    cycles: list[tuple[int, int, list[int]]] = []
    for start in range(size):
        node = start
        path: list[int] = []
        taken: list[int] = []
        while seen[node] < 0:
            heap = heaps[node]
            if heap is None:
                return None
            heap.settle()
            edge, cost = heap.index, heap.cost
            heap.lowered += cost
            heap.settle()
            heaps[node] = _meld(heap.left, heap.right)
            source = groups.find(arcs[edge][0])
            if source == node:
                continue
            seen[node] = start
            path.append(node)
            taken.append(edge)
            node = source
            if seen[source] == start:
                node = _close(source, path, taken, heaps, groups, cycles, seen)
        for edge in taken:
            entering[groups.find(arcs[edge][1])] = edge
    for node, mark, edges in reversed(cycles):
        way_in = entering[node]
        groups.rollback(mark)
        for edge in edges:
            entering[groups.find(arcs[edge][1])] = edge
        entering[groups.find(arcs[way_in][1])] = way_in
    return [entering[node] for node in range(size) if node != root]


def _close(
    source: int,
    path: list[int],
    taken: list[int],
    heaps: list[_Heap | None],
    groups: _Disjoint,
    cycles: list[tuple[int, int, list[int]]],
    seen: list[int],
) -> int:
    """Contract the cycle that runs back to `source` into one node, and return that node, unseen again."""
    heap: _Heap | None = None
    mark = groups.mark()
    edges: list[int] = []
    while True:
        node = path.pop()
        edges.append(taken.pop())
        heap = _meld(heap, heaps[node])
        groups.union(source, node)
        if node == source:
            break
    merged = groups.find(source)
    heaps[merged] = heap
    seen[merged] = -1
    cycles.append((merged, mark, edges))
    return merged
