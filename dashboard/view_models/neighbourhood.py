"""What of the lineage is drawn: what has been loaded, less what is filtered out, similar leaves together."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from graph_schema.labels import Basis, Relation
from graph_schema.lineage_graph import LineageEdge, LineageGraph, LineageNode

FOLDED_ABOVE = 8
"""Leaves that share parent and relation are drawn as one node where there are more than this many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Sibling leaves drawn as one node.

    Attributes
    ----------
    id : str
        Made of the parent and the relation, so that it stays the same while leaves come and go.
    parent : str
    relation : Relation
    members : tuple of LineageNode
        By name.
    edges : tuple of LineageEdge
        All edges between the members and the parent.
    """

    id: str
    parent: str
    relation: Relation
    members: tuple[LineageNode, ...]
    edges: tuple[LineageEdge, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What is drawn.

    Attributes
    ----------
    focus : str
    nodes : tuple of LineageNode
        Those drawn one by one.
    edges : tuple of LineageEdge
        Between those.
    groups : tuple of Group
    folded : mapping
        Version id to the id of the group it is in, also for groups that are opened.
    """

    focus: str
    nodes: tuple[LineageNode, ...]
    edges: tuple[LineageEdge, ...]
    groups: tuple[Group, ...]
    folded: Mapping[str, str]

    @property
    def versions(self) -> int:
        """How many versions are drawn, alone or in a group."""
        return len(self.nodes) + sum(len(group.members) for group in self.groups)


def union(focus: str, graphs: Iterable[LineageGraph]) -> LineageGraph:
    """One graph of several, each version and each edge once, sorted as in any `LineageGraph`."""
    nodes: dict[str, LineageNode] = {}
    edges: dict[tuple[str, str, str, str], LineageEdge] = {}
    for graph in graphs:
        nodes |= {node.id: node for node in graph.nodes}
        edges |= {(edge.child, edge.parent, edge.relation, edge.basis): edge for edge in graph.edges}
    return LineageGraph(
        focus=focus,
        nodes=tuple(sorted(nodes.values(), key=lambda node: (node.name, node.id))),
        edges=tuple(edges[key] for key in sorted(edges)),
    )


def filtered(
    graph: LineageGraph,
    *,
    relations: Collection[Relation] = (),
    basis: Basis | None = None,
    min_confidence: float = 0.0,
) -> LineageGraph:
    """The edges that pass, and the versions that they still connect with the focus.

    An empty `relations` lets every relation pass. The focus is always there.
    """
    kept = [
        edge
        for edge in graph.edges
        if (not relations or edge.relation in relations)
        and (basis is None or edge.basis is basis)
        and edge.confidence >= min_confidence
    ]
    beside: dict[str, set[str]] = {}
    for edge in kept:
        beside.setdefault(edge.child, set()).add(edge.parent)
        beside.setdefault(edge.parent, set()).add(edge.child)
    reached, frontier = {graph.focus}, [graph.focus]
    while frontier:
        found = beside.get(frontier.pop(), set()) - reached
        reached |= found
        frontier += found
    return LineageGraph(
        focus=graph.focus,
        nodes=tuple(node for node in graph.nodes if node.id in reached),
        edges=tuple(edge for edge in kept if edge.child in reached),
    )


def folded(graph: LineageGraph, *, opened: Collection[str] = (), apart: Collection[str] = ()) -> View:
    """Draw similar leaves as one node.

    Similar are versions without a drawn child whose only drawn parent is the same and whose edges to it are of the same
    single relation. A leaf that two parents claim is never folded: a contradiction must stay visible.

    Parameters
    ----------
    graph : LineageGraph
    opened : collection of str
        Groups to draw one by one nevertheless.
    apart : collection of str
        Versions that stay on their own, such as the one that is selected.
    """
    upward: dict[str, list[LineageEdge]] = {}
    for edge in graph.edges:
        upward.setdefault(edge.child, []).append(edge)
    inner = {edge.parent for edge in graph.edges} | {graph.focus}
    alike: dict[tuple[str, Relation], list[LineageNode]] = {}
    for node in graph.nodes:
        mine = upward.get(node.id, [])
        if node.id not in inner and len({(edge.parent, edge.relation) for edge in mine}) == 1:
            alike.setdefault((mine[0].parent, mine[0].relation), []).append(node)
    groups, member = [], {}
    for (parent, relation), nodes in sorted(alike.items()):
        if len(nodes) <= FOLDED_ABOVE:
            continue
        identifier = f"{relation}:{parent}"
        member.update({node.id: identifier for node in nodes})
        nodes = [node for node in nodes if node.id not in apart]
        if nodes and identifier not in opened:
            edges = tuple(edge for node in nodes for edge in upward[node.id])
            groups.append(Group(id=identifier, parent=parent, relation=relation, members=tuple(nodes), edges=edges))
    away = {node.id for group in groups for node in group.members}
    return View(
        focus=graph.focus,
        nodes=tuple(node for node in graph.nodes if node.id not in away),
        edges=tuple(edge for edge in graph.edges if edge.child not in away),
        groups=tuple(groups),
        folded=member,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much of a version's surroundings is drawn: edges to parents and to children, drawn and in the whole graph."""

    parents: int
    all_parents: int
    children: int
    all_children: int

    @property
    def hidden(self) -> int:
        """Edges that a click on the version would add."""
        return self.all_parents - self.parents + self.all_children - self.children


def extents(graph: LineageGraph) -> dict[str, Extent]:
    """For every version of a graph, how much of its surroundings the graph holds."""
    parents: dict[str, int] = {}
    children: dict[str, int] = {}
    for edge in graph.edges:
        parents[edge.child] = parents.get(edge.child, 0) + 1
        children[edge.parent] = children.get(edge.parent, 0) + 1
    return {
        node.id: Extent(
            parents=parents.get(node.id, 0),
            all_parents=max(node.parents, parents.get(node.id, 0)),
            children=children.get(node.id, 0),
            all_children=max(node.children, children.get(node.id, 0)),
        )
        for node in graph.nodes
    }
