"""A layered drawing of a graph of ancestry: parents above children, edges short, few crossings.

The steps of Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system structures" (IEEE
Transactions on Systems, Man and Cybernetics 11, 1981): break cycles, assign layers, order within layers by
barycentres, assign coordinates; the last by isotonic regression, which places a row optimally for its neighbours'
means without reordering it. Deterministic: ties go by id.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

Link = tuple[str, str]
"""Child, parent."""

_SWEEPS = 8


def acyclic(links: Iterable[Link]) -> list[Link]:
    """Leave out every link that would close a cycle with those before it.

    A claim may contradict the weights, so that together they say that two versions descend from one another: give the
    surest links first. Time O(links * (links + nodes)).

    Examples
    --------
    >>> acyclic([("b", "a"), ("a", "b"), ("c", "c")])
    [('b', 'a')]
    """
    above: dict[str, set[str]] = {}
    kept: list[Link] = []
    for child, parent in links:
        seen, frontier = {parent}, [parent]
        while frontier:
            found = above.get(frontier.pop(), set()) - seen
            seen |= found
            frontier += found
        if child not in seen:
            above.setdefault(child, set()).add(parent)
            kept.append((child, parent))
    return kept


def layers(nodes: Iterable[str], links: Sequence[Link]) -> dict[str, int]:
    """Layer of each node: below all its parents, and no higher above its nearest child than it must be.

    Parameters
    ----------
    nodes : iterable of str
    links : sequence of Link
        Without cycles.

    Examples
    --------
    >>> layers("abcd", [("b", "a"), ("c", "b"), ("c", "d")])
    {'a': 0, 'b': 1, 'd': 1, 'c': 2}
    """
    parents: dict[str, list[str]] = {node: [] for node in nodes}
    children: dict[str, list[str]] = {node: [] for node in parents}
    for child, parent in links:
        parents[child].append(parent)
        children[parent].append(child)
    waiting = {node: len(found) for node, found in parents.items()}
    ready = sorted(node for node, count in waiting.items() if not count)
    layer: dict[str, int] = {}
    for node in ready:  # grows while it is walked
        layer[node] = 1 + max((layer[parent] for parent in parents[node]), default=-1)
        for child in children[node]:
            waiting[child] -= 1
            if not waiting[child]:
                ready.append(child)
    for node in reversed(ready):
        if children[node]:
            layer[node] = min(layer[child] for child in children[node]) - 1
    return dict(sorted(layer.items(), key=lambda item: (item[1], item[0])))


def ordered(layer: Mapping[str, int], links: Sequence[Link], names: Mapping[str, str]) -> list[list[str]]:
    """Rows from the top, each ordered so that few links cross.

    Parameters
    ----------
    layer : mapping
        Of each node.
    links : sequence of Link
    names : mapping
        What to start from, and what decides ties.
    """
    beside: dict[str, list[str]] = {node: [] for node in layer}
    for child, parent in links:
        beside[child].append(parent)
        beside[parent].append(child)
    rows: dict[int, list[str]] = {}
    for node in sorted(layer, key=lambda item: (names.get(item, item), item)):
        rows.setdefault(layer[node], []).append(node)
    place = {node: index for row in rows.values() for index, node in enumerate(row)}
    down = sorted(rows)
    for sweep in range(_SWEEPS):
        above = 1 if sweep % 2 == 0 else -1
        for number in down if above == 1 else reversed(down):
            row = rows[number]
            wanted = {}
            for node in row:
                others = [place[item] for item in beside[node] if (layer[node] - layer[item]) * above > 0]
                wanted[node] = fmean(others) if others else place[node]
            row.sort(key=lambda item: (wanted[item], names.get(item, item), item))
            place.update({node: index for index, node in enumerate(row)})
    return [rows[number] for number in down]


def columns(
    rows: Sequence[Sequence[str]], links: Sequence[Link], width: Mapping[str, float], gap: float
) -> dict[str, float]:
    """Horizontal centre of each node: near the mean of its neighbours, in the rows' order, at least `gap` apart."""
    beside: dict[str, list[str]] = {node: [] for row in rows for node in row}
    for child, parent in links:
        beside[child].append(parent)
        beside[parent].append(child)
    centre: dict[str, float] = {}
    for row in rows:
        centre.update(spread(row, dict.fromkeys(row, 0.0), width, gap))
    number = {node: index for index, row in enumerate(rows) for node in row}
    for sweep in range(2 * _SWEEPS):
        above = 1 if sweep % 2 == 0 else -1
        for row in rows if above == 1 else list(reversed(rows)):
            wanted = {}
            for node in row:
                others = [centre[item] for item in beside[node] if (number[node] - number[item]) * above > 0]
                wanted[node] = fmean(others) if others else centre[node]
            centre.update(spread(row, wanted, width, gap))
    return centre


def spread(row: Sequence[str], wanted: Mapping[str, float], width: Mapping[str, float], gap: float) -> dict[str, float]:
    """Centres nearest to the wanted ones, by least squares, in the given order and at least `gap` apart.

    Isotonic regression by pooling adjacent violators; time O(row).

    Examples
    --------
    >>> spread(["a", "b"], {"a": 0, "b": 0}, {"a": 10, "b": 10}, 2)
    {'a': -6.0, 'b': 6.0}
    """
    offsets: list[float] = []
    for index, node in enumerate(row):
        before = row[index - 1] if index else None
        offsets.append(0.0 if before is None else offsets[-1] + (width[before] + width[node]) / 2 + gap)
    pools: list[tuple[float, int]] = []
    for node, offset in zip(row, offsets, strict=True):
        mean, count = wanted[node] - offset, 1
        while pools and pools[-1][0] > mean:
            other, size = pools.pop()
            mean, count = (mean * count + other * size) / (count + size), count + size
        pools.append((mean, count))
    means = [mean for mean, count in pools for _ in range(count)]
    return {node: mean + offset for node, mean, offset in zip(row, means, offsets, strict=True)}
