"""What the pages ask of a lake."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from cypher.library import load_query
from dashboard.view_models.neighbourhood import union
from graph_schema.errors import UnknownNameError
from graph_schema.labels import Basis, Relation
from graph_schema.lineage_graph import LineageEdge, LineageGraph
from modellake.drawing import draw
from modellake.lake import Lake

_MOST_EDGES = 20_000


def neighbourhood(lake: Lake, focus: str, *, up: int, down: int, expanded: Sequence[str]) -> LineageGraph:
    """The versions around one, and one hop more around each that was expanded, with every edge between them.

    Versions of an old permalink that are no longer in the store are left out.
    """
    graphs = [lake.lineage(focus, up=up, down=down)]
    reached = {node.id for node in graphs[0].nodes}
    for version in expanded:
        if version not in reached:
            continue
        try:
            graphs.append(lake.lineage(version, up=1, down=1))
        except UnknownNameError:
            continue
        reached |= {node.id for node in graphs[-1].nodes}
    found = union(focus, graphs)
    return found if len(graphs) == 1 else union(focus, [found, _among(lake, found)])


def _among(lake: Lake, graph: LineageGraph) -> LineageGraph:
    """The edges that lie between two neighbourhoods."""
    query = load_query("lineage_among")
    versions = [node.id for node in graph.nodes]
    table = lake.query(query.text, {"versions": versions, "min_confidence": 0.0}, limit=_MOST_EDGES)
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    edges = tuple(
        LineageEdge(
            child=row["child"],
            parent=row["parent"],
            relation=Relation(row["relation"]),
            basis=Basis(row["basis"]),
            confidence=float(row["confidence"]),
            edit=row["edit"],
            method=row["method"],
            weight=row["weight"],
        )
        for row in rows
    )
    return LineageGraph(focus=graph.focus, nodes=graph.nodes, edges=edges)


def picture(graph: LineageGraph) -> bytes:
    """The graph as a PNG file."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "lineage.png"
        draw(graph, path)
        return path.read_bytes()
