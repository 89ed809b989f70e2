"""The project's own JSON: nodes and edges with all their fields, as `docs/` describes them."""

from __future__ import annotations

import json
from dataclasses import asdict

from graph_schema.lineage_graph import LineageGraph


def json_graph(graph: LineageGraph) -> str:
    """An object with `focus`, `nodes` and `edges`, each with the fields of `graph_schema.lineage_graph`.

    Examples
    --------
    >>> json_graph(LineageGraph(focus="", nodes=(), edges=())).split()
    ['{', '"focus":', '"",', '"nodes":', '[],', '"edges":', '[]', '}']
    """
    return json.dumps(asdict(graph), indent=2, ensure_ascii=False)
