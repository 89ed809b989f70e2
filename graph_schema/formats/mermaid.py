"""Mermaid flowcharts, parents above children: https://mermaid.js.org/syntax/flowchart.html."""

from __future__ import annotations

from graph_schema.labels import Basis, VersionKind
from graph_schema.lineage_graph import LineageEdge, LineageGraph, LineageNode
from graph_schema.plain_text import plain

_ESCAPES = str.maketrans({"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "&": "#amp;", "`": "#96;", "\n": " "})


def mermaid(graph: LineageGraph) -> str:
    """A flowchart; inferred edges are solid and carry their confidence, declared ones dashed, ghosts rounded.

    Names are escaped, so that one can neither end its label nor carry markup.

    Examples
    --------
    >>> print(mermaid(LineageGraph(focus="v", nodes=(LineageNode(id="v", name='a"b'),), edges=())))
    flowchart TD
      n0["a#quot;b"]
    """
    names = {node.id: f"n{place}" for place, node in enumerate(graph.nodes)}
    lines = ["flowchart TD", *(_node(names[node.id], node) for node in graph.nodes)]
    lines += [_edge(names, edge) for edge in graph.edges]
    if graph.focus in names and len(graph.nodes) > 1:
        lines.append(f"  style {names[graph.focus]} stroke-width:3px")
    return "\n".join(lines)


def _node(name: str, node: LineageNode) -> str:
    label = plain(node.name.translate(_ESCAPES))
    return f'  {name}(["{label}"])' if node.kind is VersionKind.GHOST else f'  {name}["{label}"]'


def _edge(names: dict[str, str], edge: LineageEdge) -> str:
    word = edge.relation.lower().replace("_", " ")
    if edge.basis is Basis.DECLARED:
        return f'  {names[edge.parent]} -. "{word}, declared" .-> {names[edge.child]}'
    share = "" if edge.weight is None else f" {edge.weight:.3g} of it,"
    return f'  {names[edge.parent]} -- "{word},{share} {edge.confidence:.0%}" --> {names[edge.child]}'
