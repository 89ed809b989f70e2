"""The project's own JSON: nodes and edges with all their fields, as `docs/` describes them."""

from __future__ import annotations

from dataclasses import asdict

from graph_schema.lineage_graph import LineageGraph
from graph_schema.plain_text import json_text


def json_graph(graph: LineageGraph) -> str:
    """An object with `focus`, `nodes` and `edges`, each with the fields of `graph_schema.lineage_graph`.

    Examples
    --------
    >>> json_graph(LineageGraph(focus="", nodes=(), edges=())).split()
    ['{', '"focus":', '"",', '"nodes":', '[],', '"edges":', '[]', '}']
    """
    return json_text(asdict(graph))
