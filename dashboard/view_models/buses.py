"""Edges from a parent to many children as one line that branches: the way of organisation charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dashboard.view_models.layers import Link, layers
from dashboard.view_models.placement import NODE_HEIGHT, NODE_WIDTH, Point

BUS_GAP = 14.0
"""Room that each level of spines takes on the left of a family."""

_ROWS = 3
_ABOVE = 8.0
_BELOW = 14.0
_ROUND = 6.0
_BESIDE = 4.0

Route = tuple[Point, ...]


def spines(places: Mapping[str, Point], links: Sequence[Link]) -> dict[str, float]:
    """Where the vertical line runs from which a parent's lower rows of children branch.

    Parameters
    ----------
    places : mapping
        Centres of the nodes.
    links : sequence of Link
        Child and parent, one parent each, without cycles.

    Returns
    -------
    dict
        Parents whose children lie in three rows or more below them, with the x of their line: left of those rows if
        nothing is in the way there, else left of everything that descends from the parent.
    """
    children: dict[str, list[str]] = {}
    for child, parent in links:
        children.setdefault(parent, []).append(child)
    left: dict[str, float] = {}
    found: dict[str, float] = {}
    for node in reversed(list(layers(places, links))):
        mine = children.get(node, [])
        edge = places[node].x - NODE_WIDTH / 2
        rows = sorted({places[child].y for child in mine if places[child].y > places[node].y})
        if len(rows) >= _ROWS:
            lower = [child for child in mine if places[child].y > rows[0]]
            near, far = (min(left[child] for child in family) - BUS_GAP for family in (lower, mine))
            top, end = places[node].y + NODE_HEIGHT / 2 + _BELOW, rows[-1] - NODE_HEIGHT / 2
            free = not any(
                abs(point.x - near) < NODE_WIDTH / 2 + 2 and top < point.y + NODE_HEIGHT / 2 and point.y < end
                for point in places.values()
            )
            found[node] = near if free else far
        left[node] = min([edge, *(left[child] for child in mine), *([found[node]] if node in found else [])])
    return found


def route(child: Point, parent: Point, spine: float, *, port: float, beside: int) -> Route:
    """Corners of the line from a parent to one of its children.

    Parameters
    ----------
    child, parent : Point
        Centres; the child lies below.
    spine : float
    port : float
        Distance to the right of the child's centre at which the line arrives.
    beside : int
        Number of the line among those between the two, so that they run beside each other.
    """
    shift = beside * _BESIDE
    start, top = parent.y + NODE_HEIGHT / 2, child.y - NODE_HEIGHT / 2
    over, x = top - _ABOVE - shift, child.x + port
    first = Point(x=parent.x + shift, y=start)
    if over - start < 2 * (NODE_HEIGHT + _BELOW):
        return first, Point(x=first.x, y=over), Point(x=x, y=over), Point(x=x, y=top)
    under = start + _BELOW + shift
    return (
        first,
        Point(x=first.x, y=under),
        Point(x=spine - shift, y=under),
        Point(x=spine - shift, y=over),
        Point(x=x, y=over),
        Point(x=x, y=top),
    )


def path(corners: Route) -> str:
    """An SVG path along axis-parallel lines, its corners rounded."""
    parts = [f"M{corners[0].x:.1f} {corners[0].y:.1f}"]
    for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
        enter, leave = _towards(corner, before), _towards(corner, after)
        parts.append(f"L{enter.x:.1f} {enter.y:.1f}Q{corner.x:.1f} {corner.y:.1f} {leave.x:.1f} {leave.y:.1f}")
    parts.append(f"L{corners[-1].x:.1f} {corners[-1].y:.1f}")
    return "".join(parts)


def _towards(corner: Point, other: Point) -> Point:
    """The point on the way from a corner to the next at which its rounding ends."""
    length = abs(other.x - corner.x) + abs(other.y - corner.y)
    share = min(_ROUND, length / 2) / length if length else 0.0
    return Point(x=corner.x + share * (other.x - corner.x), y=corner.y + share * (other.y - corner.y))
