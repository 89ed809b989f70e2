"""What the pages ask of a lake."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cypher.library import load_query
from cypher.lineage_reading import lineage_edge
from dashboard.view_models.neighbourhood import union
from graph_schema.errors import UnknownNameError
from graph_schema.lineage_graph import LineageGraph
from modellake.drawing import draw
from modellake.lake import Lake

_MOST_EDGES = 20_000


def read_around(lake: Lake, version: str, up: int, down: int) -> LineageGraph:
    """The versions around one."""
    return lake.lineage(version, up=up, down=down)


def neighbourhood(
    lake: Lake,
    focus: str,
    *,
    up: int,
    down: int,
    expanded: Sequence[str],
    read: Callable[[Lake, str, int, int], LineageGraph] = read_around,
) -> LineageGraph:
    """The versions around one, and one hop more around each that was expanded, with every edge between them.

    Versions of an old permalink that are no longer in the store are left out.

    Parameters
    ----------
    lake : Lake
    focus : str
        Id of the version in the middle.
    up, down : int
        Steps to ancestors and to descendants.
    expanded : sequence of str
        In the order of the clicks.
    read : callable
        Stands in for `read_around`, for those who keep what was read.
    """
    graphs = [read(lake, focus, up, down)]
    first = {node.id for node in graphs[0].nodes}
    reached = set(first)
    for version in expanded:
        if version not in reached:
            continue
        try:
            graphs.append(read(lake, version, 1, 1))
        except UnknownNameError:
            continue
        reached |= {node.id for node in graphs[-1].nodes}
    found = union(focus, graphs)
    fresh = reached - first
    return union(focus, [found, _between(lake, found, fresh)]) if fresh else found


def _between(lake: Lake, graph: LineageGraph, fresh: Collection[str]) -> LineageGraph:
    """The edges of a graph's newer versions to any of it: those among the older ones are known."""
    versions = {node.id for node in graph.nodes}
    edges = [
        lineage_edge(row)
        for name in ("neighbourhood_up", "neighbourhood_down")
        for row in _rows(lake, name, sorted(fresh))
        if row["child"] in versions and row["parent"] in versions
    ]
    return LineageGraph(focus=graph.focus, nodes=graph.nodes, edges=tuple(edges))


def _rows(lake: Lake, name: str, versions: Sequence[str]) -> list[Mapping[str, Any]]:
    parameters = {"versions": versions, "min_confidence": 0.0}
    table = lake.query(load_query(name).text, parameters, limit=_MOST_EDGES)
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def picture(graph: LineageGraph) -> bytes:
    """The graph as a PNG file."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "lineage.png"
        draw(graph, path)
        return path.read_bytes()
