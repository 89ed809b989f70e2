"""The curves between nodes: from a parent's side to its child's, past what lies between them."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.view_models.placement import COLUMN_GAP, NODE_HEIGHT, NODE_WIDTH, ROW_GAP, Point

Bezier = tuple[float, float, float, float, float, float, float, float]

_SAMPLES = 24
_LONG = 2 * ROW_GAP + NODE_HEIGHT - 1


def curve(child: Point, parent: Point, ports: tuple[float, float], around: Sequence[Point]) -> Bezier:
    """A cubic Bezier curve from the parent's edge that faces the child to the child's edge that faces the parent.

    Parameters
    ----------
    child, parent : Point
        Centres of the two nodes.
    ports : tuple of float
        Distance to the right of the parent's and of the child's centre, so that curves lie beside each other.
    around : sequence of Point
        Centres of all nodes. A curve that passes a row bends around the nodes in its way where one bend can do
        that; short ones are left alone.

    Returns
    -------
    Bezier
        x and y of its start, of its two control points, and of its end.
    """
    down = 1.0 if child.y >= parent.y else -1.0
    y1, y2 = parent.y + down * NODE_HEIGHT / 2, child.y - down * NODE_HEIGHT / 2
    x1, x2 = parent.x + ports[0], child.x + ports[1]
    middle = (y1 + y2) / 2
    plain = (x1, y1, x1, middle, x2, middle, x2, y2)
    best = plain
    if abs(y2 - y1) > _LONG:
        between = [point for point in around if point not in (child, parent) and min(y1, y2) < point.y < max(y1, y2)]
        fewest = _hits(plain, between)
        sides = sorted({point.x + side * (NODE_WIDTH / 2 + COLUMN_GAP) for point in between for side in (-1, 1)})
        sides.sort(key=lambda x: (abs(x - (x1 + x2) / 2), x))
        for side in sides if fewest else ():
            # With both control points at one x the curve's middle lies at (x1 + 6 x + x2) / 8.
            control = (8 * side - x1 - x2) / 6
            third = (y2 - y1) / 3
            bent = (x1, y1, control, y1 + third, control, y2 - third, x2, y2)
            hits = _hits(bent, between)
            if hits < fewest:
                best, fewest = bent, hits
            if not fewest:
                break
    return best


def along(bezier: Bezier, t: float) -> Point:
    """Point of a curve at a share of its way."""
    x1, y1, cx1, cy1, cx2, cy2, x2, y2 = bezier
    s = 1 - t
    return Point(
        x=s * s * s * x1 + 3 * s * s * t * cx1 + 3 * s * t * t * cx2 + t * t * t * x2,
        y=s * s * s * y1 + 3 * s * s * t * cy1 + 3 * s * t * t * cy2 + t * t * t * y2,
    )


def curve_path(bezier: Bezier) -> str:
    """An SVG path."""
    x1, y1, cx1, cy1, cx2, cy2, x2, y2 = bezier
    return f"M{x1:.1f} {y1:.1f}C{cx1:.1f} {cy1:.1f} {cx2:.1f} {cy2:.1f} {x2:.1f} {y2:.1f}"


def _hits(bezier: Bezier, between: Sequence[Point]) -> int:
    """How many sampled points of a curve lie on a node."""
    count = 0
    for step in range(1, _SAMPLES):
        here = along(bezier, step / _SAMPLES)
        count += any(
            abs(here.x - point.x) < NODE_WIDTH / 2 + 4 and abs(here.y - point.y) < NODE_HEIGHT / 2 + 4
            for point in between
        )
    return count
