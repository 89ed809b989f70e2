"""A lineage as a picture: layers from ancestors to descendants, one box a version."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from graph_schema.identity import clean_name
from graph_schema.labels import Basis, Relation, VersionKind
from graph_schema.lineage_graph import LineageEdge, LineageGraph

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

COLOURS: dict[Relation, str] = {
    Relation.FINE_TUNED_FROM: "#2b6cb0",
    Relation.ADAPTED_FROM: "#6b46c1",
    Relation.MERGED_FROM: "#975a16",
    Relation.DISTILLED_FROM: "#97266d",
    Relation.QUANTIZED_FROM: "#2f855a",
    Relation.PRUNED_FROM: "#c05621",
    Relation.EDITED_FROM: "#285e61",
    Relation.EXPANDED_FROM: "#5a687d",
    Relation.REPARAMETRIZED_FROM: "#4a5568",
}
"""One colour a relation, the same in every picture."""

CONTRADICTED = "#c53030"
INK = "#4a5568"
COLUMN, ROW, LEGEND = 1.65, 1.25, 0.45
"""Inches from one version to the next, from one layer to the next, and for the legend."""
LINE_LENGTH = 19
UNKNOWN = "unknown base"
"""What stands in the box of a parent that a document admits not to know."""
HIDDEN = "hidden parent"
"""What stands in the box of a parent that the weights of its children imply; the children stand below it."""


def layers(graph: LineageGraph) -> dict[str, tuple[float, float]]:
    """Position of every version: it hangs from its surest parent, and stands over the middle of its own children.

    Returns
    -------
    dict of version to (x, y)
        y falls by one a layer; no two versions are nearer than one in their layer. A ghost that is nothing's surest
        parent stands above its first child, in a column of its own.

    Examples
    --------
    >>> from graph_schema.lineage_graph import LineageNode
    >>> layers(LineageGraph(focus="", nodes=(LineageNode(id="v", name="v"),), edges=()))
    {'v': (0.0, 0.0)}
    """
    names = {node.id: (clean_name(node.name), node.id) for node in graph.nodes}
    hangs = _hanging(graph)
    below: dict[str, list[str]] = {version: [] for version in names}
    for child, parent in hangs.items():
        below[parent].append(child)
    places: dict[str, tuple[float, float]] = {}
    column = count()

    def place(version: str, depth: int) -> None:
        children = sorted(below[version], key=names.__getitem__)
        for child in children:
            place(child, depth + 1)
        middle = (places[children[0]][0] + places[children[-1]][0]) / 2 if children else float(next(column))
        places[version] = (middle, 0.0 - depth)

    waiting = sorted((version for version in names if version not in hangs), key=names.__getitem__)
    lone = [version for version in waiting if not below[version] and any(graph.children(version))]
    for root in waiting:
        if root in lone:
            continue
        place(root, 0)
        for ghost in lone:
            children = [edge.child for edge in graph.children(ghost) if edge.child in places]
            if ghost not in places and children:
                places[ghost] = (float(next(column)), places[children[0]][1] + 1)
    for version in lone:
        places.setdefault(version, (float(next(column)), 0.0))
    return places


def _hanging(graph: LineageGraph) -> dict[str, str]:
    """The parent that each version hangs from; edges that would close a circle of claims are passed over."""

    def surest(edge: LineageEdge) -> tuple[bool, float, float, str]:
        return (edge.basis is Basis.INFERRED, edge.confidence, edge.weight or 0.0, edge.parent)

    hangs: dict[str, str] = {}
    for edge in sorted(graph.edges, key=surest, reverse=True):
        above = edge.parent
        while above in hangs:
            above = hangs[above]
        if edge.child not in hangs and above != edge.child:
            hangs[edge.child] = edge.parent
    return hangs


def draw(graph: LineageGraph, path: Path) -> None:
    """Draw a lineage into a PNG file.

    What the weights show is solid and carries its confidence, with a tick where the documentation says the same; what
    the documentation alone says is dashed, and red where the weights name another parent.

    Parameters
    ----------
    graph : LineageGraph
        Up to some hundred versions remain readable.
    path : Path
        Overwritten.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    places = layers(graph)
    xs, ys = [x for x, _ in places.values()] or [0.0], [y for _, y in places.values()] or [0.0]
    wide = max(6.5, COLUMN * (max(xs) - min(xs) + 1))
    tall = ROW * (max(ys) - min(ys) + 1) + LEGEND
    figure = Figure(figsize=(wide, tall), dpi=160)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, LEGEND / tall, 1, 1 - LEGEND / tall))
    axes.axis("off")
    slack = (wide / COLUMN - (max(xs) - min(xs))) / 2
    axes.set_xlim(min(xs) - slack, max(xs) + slack)
    axes.set_ylim(min(ys) - 0.5, max(ys) + 0.5)
    boxes = {node.id: _box(axes, graph, node.id, places) for node in graph.nodes}
    # Arrows end at the boxes, whose sizes are known once they have been drawn.
    canvas.draw()  # type: ignore[no-untyped-call]
    _edges(axes, graph, places, boxes)
    _legend(figure, graph)
    # Without a fixed note of the software the file would differ from one library version to the next.
    figure.savefig(path, format="png", metadata={"Software": None})


def _box(axes: Axes, graph: LineageGraph, version: str, places: Mapping[str, tuple[float, float]]) -> Text:
    node = graph.node(version)
    ghost = node.kind is VersionKind.GHOST
    face = "#f7fafc" if ghost else "#ebf4ff" if version == graph.focus else "white"
    style = {"boxstyle": "round,pad=0.45", "facecolor": face, "edgecolor": INK, "linestyle": ":" if ghost else "-"}
    name = clean_name(node.name)
    return axes.text(
        *places[version],
        HIDDEN if node.implied else UNKNOWN if node.unknown else _wrapped(name),
        ha="center",
        va="center",
        fontsize=7.5,
        color="#718096" if ghost else "#1a202c",
        zorder=3,
        bbox=style,
        parse_math=False,
    )


def _edges(
    axes: Axes, graph: LineageGraph, places: Mapping[str, tuple[float, float]], boxes: Mapping[str, Text]
) -> None:
    inferred = {(edge.child, edge.parent) for edge in graph.edges if edge.basis is Basis.INFERRED}
    declared = {(edge.child, edge.parent) for edge in graph.edges if edge.basis is Basis.DECLARED}
    explained = {child for child, _ in inferred}

    named = {child for child, parent in inferred if not graph.node(parent).implied}

    def differs(edge: LineageEdge) -> bool:
        """Whether the weights name a parent that is another one; what is claimed may be the hidden one where absent."""
        claimed = graph.node(edge.parent)
        if claimed.unknown:
            return False
        return edge.child in (named if claimed.kind is VersionKind.GHOST else explained)

    for edge in graph.edges:
        pair = (edge.child, edge.parent)
        alone = edge.basis is Basis.DECLARED
        if alone and pair in inferred:
            continue
        against = alone and differs(edge)
        colour = CONTRADICTED if against else COLOURS.get(edge.relation, INK)
        arrow = {
            "arrowstyle": "-|>",
            "color": colour,
            "linestyle": (0, (4, 3)) if alone else "solid",
            "linewidth": 1.0 if alone else 0.8 + 1.0 * edge.confidence,
            "patchA": boxes[edge.parent].get_bbox_patch(),
            "patchB": boxes[edge.child].get_bbox_patch(),
            "shrinkA": 1,
            "shrinkB": 2,
        }
        axes.annotate("", xy=places[edge.child], xytext=places[edge.parent], arrowprops=arrow, zorder=2)
        (x1, y1), (x2, y2) = places[edge.parent], places[edge.child]
        if alone:
            text = "claimed" if against else ""
        else:
            text = f"{edge.confidence:.0%}" if edge.weight is None else f"× {edge.weight:.2g}"
            text += " ✓" if pair in declared else ""
        # A claim that reaches across the picture is told by its end, where nothing else stands.
        near = 0.8 if alone else 0.5
        if text:
            axes.text(
                x1 + (x2 - x1) * near,
                y1 + (y2 - y1) * near,
                text,
                fontsize=6.5,
                color=colour,
                ha="center",
                va="center",
                zorder=4,
                bbox={"boxstyle": "round,pad=0.12", "facecolor": "white", "edgecolor": "none"},
            )


def _legend(figure: Figure, graph: LineageGraph) -> None:
    from matplotlib.lines import Line2D

    used = sorted({edge.relation for edge in graph.edges}, key=list(Relation).index)
    lines = [
        Line2D([], [], color=COLOURS.get(relation, INK), label=relation.lower().replace("_", " ")) for relation in used
    ]
    lines.append(Line2D([], [], color=INK, linestyle="--", label="claimed only"))
    lines.append(Line2D([], [], color=CONTRADICTED, linestyle="--", label="claimed, the weights differ"))
    lines.append(Line2D([], [], color=INK, marker="$✓$", linestyle="none", label="claimed too"))
    figure.legend(handles=lines, loc="lower center", ncols=len(lines), fontsize=6.5, frameon=False, columnspacing=1.4)


def _wrapped(name: str) -> str:
    """A name on several lines, broken after its slashes, dashes and underscores.

    Examples
    --------
    >>> _wrapped("organization/a-model-of-theirs")
    'organization/\\na-model-of-theirs'
    """
    lines = [""]
    for piece in re.findall(r"[^/_-]*[/_-]?", name):
        if lines[-1] and (len(lines[-1]) + len(piece) > LINE_LENGTH or lines[-1].endswith("/")) and len(name) > 12:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line for line in lines if line)
