"""A lineage as a picture: layers from ancestors to descendants, one box a version."""

from __future__ import annotations

from pathlib import Path

from graph_schema.identity import clean_name
from graph_schema.labels import Basis, Relation, VersionKind
from graph_schema.lineage_graph import LineageGraph

COLOURS: dict[Relation, str] = {
    Relation.FINE_TUNED_FROM: "#2b6cb0",
    Relation.ADAPTED_FROM: "#6b46c1",
    Relation.MERGED_FROM: "#b7791f",
    Relation.DISTILLED_FROM: "#97266d",
    Relation.QUANTIZED_FROM: "#2f855a",
    Relation.PRUNED_FROM: "#c05621",
    Relation.EDITED_FROM: "#285e61",
    Relation.EXPANDED_FROM: "#718096",
    Relation.REPARAMETRIZED_FROM: "#4a5568",
}
"""One colour a relation, the same in every picture."""


def layers(graph: LineageGraph) -> dict[str, tuple[float, float]]:
    """Position of every version: its layer is the longest way from a root, its place that of its parents, spread.

    Returns
    -------
    dict of version to (x, y)
        y falls by one a layer; within a layer versions are one apart, in the order of their parents' places, then
        names.
    """
    parents = {node.id: sorted({edge.parent for edge in graph.parents(node.id)}) for node in graph.nodes}
    depth: dict[str, int] = {}

    def deep(version: str, above: frozenset[str]) -> int:
        if version not in depth:
            up = [deep(parent, above | {version}) for parent in parents[version] if parent not in above | {version}]
            depth[version] = 1 + max(up) if up else 0
        return depth[version]

    for node in graph.nodes:
        deep(node.id, frozenset())
    places: dict[str, tuple[float, float]] = {}
    for layer in range(max(depth.values(), default=-1) + 1):
        members = [node for node in graph.nodes if depth[node.id] == layer]

        def wanted(version: str) -> float:
            known = [places[parent][0] for parent in parents[version] if parent in places]
            return sum(known) / len(known) if known else 0.0

        members.sort(key=lambda node: (wanted(node.id), node.name, node.id))
        start = -(len(members) - 1) / 2
        for place, node in enumerate(members):
            places[node.id] = (start + place, -float(layer))
    return places


def draw(graph: LineageGraph, path: Path) -> None:
    """Draw a lineage into a PNG file.

    Parameters
    ----------
    graph : LineageGraph
        Up to some hundred versions remain readable.
    path : Path
        Overwritten.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    places = layers(graph)
    wide = max(
        (sum(1 for _, y in places.values() if y == level) for level in {y for _, y in places.values()}), default=1
    )
    tall = len({y for _, y in places.values()}) or 1
    figure = Figure(figsize=(max(6.0, 2.6 * wide), max(3.0, 1.7 * tall + 0.8)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.axis("off")
    for node in graph.nodes:
        x, y = places[node.id]
        ghost = node.kind is VersionKind.GHOST
        face = "#f7fafc" if ghost else "#ebf4ff" if node.id == graph.focus else "white"
        style = {"boxstyle": "round,pad=0.45", "facecolor": face, "edgecolor": "#4a5568"}
        style["linestyle"] = ":" if ghost else "-"
        axes.text(
            x,
            y,
            _wrapped(clean_name(node.name)),
            ha="center",
            va="center",
            fontsize=8,
            zorder=3,
            bbox=style,
            parse_math=False,
        )
    for edge in graph.edges:
        declared = edge.basis is Basis.DECLARED
        arrow = {
            "arrowstyle": "-|>",
            "color": COLOURS.get(edge.relation, "#4a5568"),
            "linestyle": (0, (4, 3)) if declared else "solid",
            "linewidth": 0.8 + 1.2 * edge.confidence,
            "shrinkA": 18,
            "shrinkB": 18,
            "connectionstyle": "arc3,rad=0.12" if declared else "arc3,rad=0",
        }
        axes.annotate("", xy=places[edge.child], xytext=places[edge.parent], arrowprops=arrow, zorder=2)
        if not declared:
            (x1, y1), (x2, y2) = places[edge.parent], places[edge.child]
            text = f"{edge.confidence:.0%}" if edge.weight is None else f"× {edge.weight:.2g}"
            axes.text(
                (x1 + x2) / 2,
                (y1 + y2) / 2,
                text,
                fontsize=7,
                ha="center",
                va="center",
                zorder=4,
                bbox={"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none"},
            )
    xs, ys = [x for x, _ in places.values()] or [0.0], [y for _, y in places.values()] or [0.0]
    axes.set_xlim(min(xs) - 0.7, max(xs) + 0.7)
    axes.set_ylim(min(ys) - 0.5, max(ys) + 0.5)
    used = sorted({edge.relation for edge in graph.edges}, key=list(Relation).index)
    lines = [Line2D([], [], color=COLOURS[relation], label=relation.lower().replace("_", " ")) for relation in used]
    lines.append(Line2D([], [], color="#4a5568", linestyle="--", label="declared"))
    axes.legend(handles=lines, loc="lower center", bbox_to_anchor=(0.5, -0.12), ncols=4, fontsize=7, frameon=False)
    # Without a fixed note of the software the file would differ from one library version to the next.
    figure.savefig(path, dpi=160, format="png", metadata={"Software": None})


def _wrapped(name: str) -> str:
    return name.replace("/", "/\n", 1) if len(name) > 18 else name
