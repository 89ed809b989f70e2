"""A lineage as a tree in the terminal: parents above the focus, children below it."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.markup import escape
from rich.tree import Tree

from graph_schema.identity import clean_name
from graph_schema.labels import Basis, VersionKind
from graph_schema.lineage_graph import LineageEdge, LineageGraph, LineageNode


def lineage_trees(graph: LineageGraph) -> Iterator[RenderableType]:
    """One tree a root: every version hangs from its surest parent; further parents are named beside it.

    An inferred edge counts before a declared one of the same confidence, and ghosts before nothing.
    """
    main = {node.id: _main_parent(graph, node) for node in graph.nodes}
    children: dict[str, list[LineageEdge]] = {}
    for edge in main.values():
        if edge is not None:
            children.setdefault(edge.parent, []).append(edge)
    shown: set[str] = set()
    roots = [node for node in graph.nodes if main[node.id] is None] or list(graph.nodes[:1])
    for root in roots:
        tree = Tree(_label(graph, root, None))
        _grow(tree, graph, root.id, children, shown)
        yield tree


def _grow(
    tree: Tree, graph: LineageGraph, version: str, children: dict[str, list[LineageEdge]], shown: set[str]
) -> None:
    if version in shown:
        return
    shown.add(version)
    for edge in sorted(children.get(version, ()), key=lambda item: (graph.node(item.child).name, item.child)):
        branch = tree.add(_label(graph, graph.node(edge.child), edge))
        _grow(branch, graph, edge.child, children, shown)


def _main_parent(graph: LineageGraph, node: LineageNode) -> LineageEdge | None:
    def rank(edge: LineageEdge) -> tuple[bool, float, float]:
        return (edge.basis is Basis.INFERRED, edge.confidence, edge.weight or 0.0)

    return max(graph.parents(node.id), key=rank, default=None)


def _label(graph: LineageGraph, node: LineageNode, edge: LineageEdge | None) -> str:
    name = escape(clean_name(node.name))
    if node.kind is VersionKind.GHOST:
        name = f"[dim italic]{name} (not in the lake)[/]"
    elif node.id == graph.focus:
        name = f"[bold]{name}[/]"
    also = [escape(clean_name(model)) for model in node.models if model != node.name]
    parts = [name]
    if also:
        parts.append(f"[dim]= {', '.join(also)}[/]")
    if edge is not None:
        edges = list(graph.parents(node.id))
        claimed = {item.parent for item in edges if item.basis is Basis.DECLARED}
        shown = {item.parent for item in edges if item.basis is Basis.INFERRED}
        parts.append(_edge_label(edge, confirmed=edge.parent in claimed))
        parts += [
            f"[dim]and {escape(clean_name(graph.node(item.parent).name))}:[/] "
            + _edge_label(item, confirmed=item.parent in claimed)
            for item in edges
            if item is not edge and not (item.basis is Basis.DECLARED and item.parent in shown)
        ]
    return " ".join(parts)


def _edge_label(edge: LineageEdge, *, confirmed: bool) -> str:
    word = edge.relation.lower().replace("_", " ")
    share = "" if edge.weight is None else f" × {edge.weight:.3g}"
    if edge.basis is Basis.DECLARED:
        return f"[yellow]{word}{share}, declared[/]"
    colour = "green" if edge.confidence >= 0.9 else "cyan" if edge.confidence >= 0.7 else "magenta"
    said = " [yellow]✓ declared[/]" if confirmed else ""
    return f"[{colour}]{word}{share} {edge.confidence:.0%}[/]{said}"
