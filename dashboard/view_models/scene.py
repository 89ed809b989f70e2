"""The drawing that the browser gets: boxes, curves, words and colours, as plain JSON values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.view_models.appearance import CONTRADICTION_COLOUR, count_in_words, plural, shortened, style_of
from dashboard.view_models.buses import path, route, spines
from dashboard.view_models.curves import along, curve, curve_path
from dashboard.view_models.layers import acyclic
from dashboard.view_models.neighbourhood import Extent, Group, View
from dashboard.view_models.placement import NODE_HEIGHT, NODE_WIDTH, ROW_GAP, Point, placed
from dashboard.view_models.plain_text import visible
from graph_schema.labels import Basis, VersionKind
from graph_schema.lineage_graph import LineageEdge, LineageGraph, LineageNode
from lineage.reconciliation import Verdict, reconcile

_TITLE_LENGTH = 24
_LANE = 44.0
_MOST_AROUND = 120
# Towards the child, where edges of one parent have parted; those between the same two versions at two heights.
_LABEL_AT = (0.72, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A drawing.

    Attributes
    ----------
    places : mapping
        Of everything drawn; to be given back as `known` next time.
    drawing : mapping
        For the browser: `nodes`, `edges`, `focus`.
    """

    places: Mapping[str, Point]
    drawing: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lines:
    """How edges run: as branches of one line where a parent has rows of children, else as curves."""

    places: Mapping[str, Point]
    tree: Mapping[str, str]
    spine: Mapping[str, float]
    around: tuple[Point, ...]

    def line(self, child: str, parent: str, ports: tuple[float, float], beside: int, t: float) -> dict[str, Any]:
        """Path, place of the label, and where and in which direction the line arrives."""
        below, above = self.places[child], self.places[parent]
        far = below.y - above.y > NODE_HEIGHT + ROW_GAP + 1 or not self.around
        if self.tree.get(child) == parent and parent in self.spine and below.y > above.y and far:
            corners = route(below, above, self.spine[parent], port=ports[1], beside=beside)
            end, label = corners[-1], Point(x=corners[-1].x, y=corners[-1].y - NODE_HEIGHT / 6)
            drawn = path(corners)
        else:
            bezier = curve(below, above, ports, self.around)
            end, label, drawn = Point(x=bezier[6], y=bezier[7]), along(bezier, t), curve_path(bezier)
        return {
            "path": drawn,
            "x": round(label.x, 1),
            "y": round(label.y, 1),
            "endX": round(end.x, 1),
            "endY": round(end.y, 1),
            "down": end.y <= below.y,
        }


def scene(
    view: View,
    extents: Mapping[str, Extent],
    *,
    expanded: Iterable[str] = (),
    selected: str = "",
    contradicted: Iterable[str] = (),
    known: Mapping[str, Point] | None = None,
) -> Scene:
    """Draw a view.

    Parameters
    ----------
    view : View
    extents : mapping
        How much of each version's surroundings has been loaded.
    expanded : iterable of str
        Versions whose hop was added by a click, and may be taken away by one.
    selected : str
        `node:ID` or `edge:ID`.
    contradicted : iterable of str
        Edits whose claim the weights contradict.
    known : mapping, optional
        Places from before.
    """
    names = {node.id: node.name for node in view.nodes} | {group.id: group.members[0].name for group in view.groups}
    surest = sorted(
        view.edges, key=lambda edge: (edge.basis is Basis.DECLARED, -edge.confidence, edge.child, edge.parent)
    )
    links = [(edge.child, edge.parent) for edge in surest] + [(group.id, group.parent) for group in view.groups]
    places = placed(names, links, view.focus, known)
    opened, wrong = frozenset(expanded), frozenset(contradicted)
    lanes: dict[tuple[str, str], list[LineageEdge]] = {}
    arriving: dict[str, list[LineageEdge]] = {}
    leaving: dict[str, set[str]] = {}
    for edge in surest:
        lanes.setdefault((edge.child, edge.parent), []).append(edge)
        arriving.setdefault(edge.child, []).append(edge)
        leaving.setdefault(edge.parent, set()).add(edge.child)
    tree: dict[str, str] = {}
    for child, parent in acyclic(links):
        tree.setdefault(child, parent)
    lines = _Lines(
        places=places,
        tree=tree,
        spine=spines(places, list(tree.items())),
        around=tuple(places.values()) if len(places) <= _MOST_AROUND else (),
    )
    edges = []
    for (child, parent), lane in lanes.items():
        # Labels stand where curves have parted: near the child if the parent has more children than the child parents.
        near = len(leaving[parent]) >= len({edge.parent for edge in arriving[child]})
        for index, edge in enumerate(lane):
            t = _LABEL_AT[index % 2] if near else 1 - _LABEL_AT[index % 2]
            port = _port(edge, arriving[child], places)
            line = lines.line(child, parent, (_offset(index, len(lane), _LANE), port), index, t)
            edges.append(line | _edge(edge, selected, wrong, names))
    nodes = [_node(node, places[node.id], extents[node.id], view, opened, selected) for node in view.nodes]
    return Scene(
        places=places,
        drawing={
            "focus": view.focus,
            "nodes": nodes + [_group(group, places[group.id]) for group in view.groups],
            "edges": edges
            + [
                lines.line(group.id, group.parent, (0.0, 0.0), 0, _LABEL_AT[0]) | _group_edge(group)
                for group in view.groups
            ],
        },
    )


def edge_key(edge: LineageEdge) -> str:
    """What tells an edge from every other: its Edit and its parent (a merge has several parents)."""
    return f"edge:{edge.edit}:{edge.parent}"


def contradicted_edits(graph: LineageGraph, extents: Mapping[str, Extent]) -> frozenset[str]:
    """Edits whose claim the weights contradict, among the children all of whose parents have been loaded."""
    whole = [edge for edge in graph.edges if extents[edge.child].parents == extents[edge.child].all_parents]
    wrong = {item.child: item for item in reconcile(whole, {}) if item.verdict is Verdict.CONTRADICTED}
    return frozenset(
        edge.edit
        for edge in whole
        if edge.basis is Basis.DECLARED and edge.child in wrong and edge.parent not in wrong[edge.child].inferred
    )


def _box(point: Point) -> dict[str, Any]:
    return {"x": point.x, "y": point.y, "w": NODE_WIDTH, "h": NODE_HEIGHT}


def _node(
    node: LineageNode, point: Point, extent: Extent, view: View, opened: frozenset[str], selected: str
) -> dict[str, Any]:
    organization, _, short = visible(node.name).rpartition("/")
    if node.implied:
        # Its children, of whom its name speaks, stand below it.
        organization, short = "", visible(node.name).partition(" of ")[0]
    facts = [
        organization,
        "not in the lake" if node.kind is VersionKind.GHOST else "",
        "adapter" if node.kind is VersionKind.ADAPTER else "",
        "component" if node.kind is VersionKind.COMPONENT else "",
        count_in_words(node.parameters),
        node.dtype or "",
    ]
    name = visible(node.name)
    said = [name, *(visible(fact) for fact in facts[1:] if fact)]
    if extent.hidden:
        said.append(f"{plural(extent.hidden, 'more edge')}, Enter draws them")
    return _box(point) | {
        "id": f"node:{node.id}",
        "spoken": ", ".join(said),
        "version": node.id,
        "title": shortened(short or name, _TITLE_LENGTH),
        "subtitle": shortened(visible(" · ".join(fact for fact in facts if fact)), 34),
        "tooltip": name,
        "kind": str(node.kind),
        "focus": node.id == view.focus,
        "selected": selected == f"node:{node.id}" or (not selected and node.id == view.focus),
        "hidden": extent.hidden,
        "expanded": node.id in opened,
    }


def _group(group: Group, point: Point) -> dict[str, Any]:
    style = style_of(group.relation)
    return _box(point) | {
        "id": f"group:{group.id}",
        "version": group.id,
        "title": f"{len(group.members):,} {style.label}",
        "subtitle": shortened(visible(f"{_tail(group.members[0].name)} … {_tail(group.members[-1].name)}"), 34),
        "tooltip": f"{plural(len(group.members), 'version')} {style.verb} the same parent; click to draw each",
        "kind": "group",
        "colour": style.colour,
        "focus": False,
        "selected": False,
        "hidden": 0,
        "expanded": False,
    }


def _tail(name: str) -> str:
    return shortened(name.rsplit("/", 1)[-1], 14)


def _offset(index: int, count: int, apart: float) -> float:
    """Distance from the middle of one of `count` things side by side."""
    return (index - (count - 1) / 2) * min(apart, (NODE_WIDTH - 2 * _LANE) / count)


def _port(edge: LineageEdge, arriving: Sequence[LineageEdge], places: Mapping[str, Point]) -> float:
    """Where on its child an edge arrives: edges from the left on the left."""
    order = sorted(arriving, key=lambda item: (places[item.parent].x, item.parent, arriving.index(item)))
    return _offset(order.index(edge), len(order), _LANE)


def _edge(edge: LineageEdge, selected: str, wrong: frozenset[str], names: Mapping[str, str]) -> dict[str, Any]:
    style = style_of(edge.relation)
    contradicted = edge.edit in wrong
    share = "" if edge.weight is None else f" · weight {edge.weight:.2f}"
    declared = edge.basis is Basis.DECLARED
    said = "declared" if declared else f"{edge.confidence:.0%}"
    contradiction = ", the weights contradict it" if contradicted else ""
    known = "declared" if declared else f"inferred with confidence {said}"
    return {
        "id": edge_key(edge),
        "colour": CONTRADICTION_COLOUR if contradicted else style.colour,
        "declared": declared,
        "strength": 1.0 if declared else round(edge.confidence, 4),
        "label": ("≠ " if contradicted else "") + said,
        "tooltip": f"{style.label}{share} · {edge.basis} · {edge.confidence:.0%} · {visible(edge.method)}"
        + (" · the weights contradict it" if contradicted else ""),
        "spoken": visible(f"{names[edge.child]}, {style.verb} {names[edge.parent]}, {known}{share}{contradiction}"),
        "selected": selected == edge_key(edge),
    }


def _group_edge(group: Group) -> dict[str, Any]:
    style = style_of(group.relation)
    inferred = [edge.confidence for edge in group.edges if edge.basis is Basis.INFERRED]
    low, high = (min(inferred), max(inferred)) if inferred else (1.0, 1.0)
    spread = f"{low:.0%}" if round(low, 2) == round(high, 2) else f"{low:.0%} to {high:.0%}"
    return {
        "id": f"group:{group.id}",
        "colour": style.colour,
        "declared": not inferred,
        "strength": round(low, 4),
        "label": spread if inferred else "declared",
        "tooltip": f"{plural(len(group.edges), 'edge')}, {style.label}",
        "selected": False,
    }
