"""Hundreds of nodes in a shape that fits a screen: below each node its children's boxes on shelves, box within box.

Layers would put them into rows of a hundred, which no screen shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from dashboard.view_models.layers import Link, layers

_SHAPE = 1.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rectangle, and where the boxes within it have their upper left corners, from its own."""

    width: float
    height: float
    within: Mapping[str, tuple[float, float]]


def packed(
    size: Mapping[str, tuple[float, float]],
    links: Sequence[Link],
    names: Mapping[str, str],
    *,
    gap: float,
    below: float,
    margin: float,
) -> dict[str, tuple[float, float]]:
    """Upper left corner of each block.

    Parameters
    ----------
    size : mapping
        Width and height of each block.
    links : sequence of Link
        Child and parent, without cycles, surest first: a block hangs below the parent of its first link. It lies below
        its other parents only where they happen to lie above.
    names : mapping
        What decides the order on a shelf, after the height of blocks.
    gap, below, margin : float
        Room between boxes, between a parent and its children, and on either side of the children.
    """
    parent: dict[str, str] = {}
    for child, above in links:
        parent.setdefault(child, above)
    children: dict[str, list[str]] = {}
    for child, above in sorted(
        parent.items(), key=lambda item: (-size[item[0]][1], names.get(item[0], item[0]), item[0])
    ):
        children.setdefault(above, []).append(child)
    boxes: dict[str, Box] = {}
    order = list(layers(size, list(parent.items())))
    for node in reversed(order):
        width, height = size[node]
        shelves = _shelves(children.get(node, ()), boxes, gap)
        wide = max(width, shelves.width + 2 * margin)
        shift = (wide - shelves.width) / 2
        within = {child: (x + shift, y + height + below) for child, (x, y) in shelves.within.items()}
        boxes[node] = Box(width=wide, height=height + (below + shelves.height if within else 0), within=within)
    roots = sorted((node for node in size if node not in parent), key=lambda item: (names.get(item, item), item))
    corner = dict(_shelves(roots, boxes, gap, shape=1e9).within)
    for node in order:
        x, y = corner[node]
        corner.update({child: (x + dx, y + dy) for child, (dx, dy) in boxes[node].within.items()})
    return {node: (x + (boxes[node].width - size[node][0]) / 2, y) for node, (x, y) in corner.items()}


def _shelves(members: Sequence[str], boxes: Mapping[str, Box], gap: float, shape: float = _SHAPE) -> Box:
    """Boxes side by side, on as many shelves as make the whole about `shape` times as wide as high."""
    if not members:
        return Box(width=0, height=0, within={})
    area = sum((boxes[item].width + gap) * (boxes[item].height + gap) for item in members)
    limit = max(sqrt(area * shape), *(boxes[item].width for item in members))
    rows: list[list[str]] = [[]]
    filled = 0.0
    for item in members:
        if rows[-1] and filled + boxes[item].width > limit:
            rows.append([])
            filled = 0.0
        rows[-1].append(item)
        filled += boxes[item].width + gap
    widths = [sum(boxes[item].width + gap for item in row) - gap for row in rows]
    within: dict[str, tuple[float, float]] = {}
    top = 0.0
    for row, width in zip(rows, widths, strict=True):
        left = (max(widths) - width) / 2
        for item in row:
            within[item] = (left, top)
            left += boxes[item].width + gap
        top += max(boxes[item].height for item in row) + gap
    return Box(width=max(widths), height=top - gap, within=within)
