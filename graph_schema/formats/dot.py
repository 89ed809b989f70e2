"""Graphviz DOT, parents above children: https://graphviz.org/doc/info/lang.html."""

from __future__ import annotations

from graph_schema.labels import Basis, VersionKind
from graph_schema.lineage_graph import LineageGraph
from graph_schema.plain_text import plain


def dot(graph: LineageGraph) -> str:
    """A directed graph; declared edges are dashed, ghosts dotted.

    Examples
    --------
    >>> print(dot(LineageGraph(focus="", nodes=(), edges=())))
    digraph lineage {
      node [shape=box];
    }
    """
    lines = ["digraph lineage {", "  node [shape=box];"]
    for node in graph.nodes:
        style = " style=dotted" if node.kind is VersionKind.GHOST else ""
        lines.append(f"  {_quoted(node.id)} [label={_quoted(node.name)}{style}];")
    for edge in graph.edges:
        style = " style=dashed" if edge.basis is Basis.DECLARED else ""
        label = f"{edge.relation.lower().replace('_', ' ')} {edge.confidence:.2f}"
        lines.append(f"  {_quoted(edge.parent)} -> {_quoted(edge.child)} [label={_quoted(label)}{style}];")
    return "\n".join([*lines, "}"])


def _quoted(text: str) -> str:
    quoted = plain(text.replace("\n", " ")).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}"'
