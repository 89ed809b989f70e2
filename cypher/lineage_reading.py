"""Lineage out of a store: neighbourhoods, whole lakes, edits with their evidence, versions by name."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from cypher.store import Store
from graph_schema.errors import UnknownNameError
from graph_schema.labels import Basis, Relation, VersionKind
from graph_schema.lineage_graph import EditDetail, LineageEdge, LineageGraph, LineageNode
from graph_schema.records import Evidence

# Far beyond any lake; the embedded engine sets memory aside for the limit of a sorted query, so no more than that.
_ALL = 1_000_000


def read_lineage(
    store: Store,
    version: str,
    *,
    up: int,
    down: int,
    min_confidence: float = 0.0,
    relations: Collection[Relation] | None = None,
    basis: Basis | None = None,
) -> LineageGraph:
    """The versions around one, and the edges between them.

    Parameters
    ----------
    store : Store
    version : str
        Id of the version to draw around.
    up, down : int
        How many steps to go to ancestors, and to descendants.
    min_confidence : float in [0, 1]
        Leave out edges less sure than this, and what is reached only through them.
    relations : collection of Relation, optional
        Follow and show these alone; None for all.
    basis : Basis, optional
        Follow and show declared or inferred edges alone; None for both.

    Returns
    -------
    LineageGraph
        Ancestors of ancestors and descendants of descendants: no siblings. Every edge between two of them is there,
        whether or not it was followed.

    Raises
    ------
    UnknownNameError
        If there is no such version.

    Notes
    -----
    One query a step; cycles end it like anything seen before.
    """
    if not store.query("version", version=version):
        raise UnknownNameError(f"no version {version!r} in the store", remedy="modellake find NAME looks for one")
    found = {version}
    for query, steps, other in (("neighbourhood_up", up, "parent"), ("neighbourhood_down", down, "child")):
        seen, frontier = {version}, {version}
        for _ in range(steps):
            rows = store.query(query, versions=sorted(frontier), min_confidence=float(min_confidence))
            frontier = {str(row[other]) for row in rows if _wanted(row, relations, basis)} - seen
            if not frontier:
                break
            seen |= frontier
        found |= seen
    among = store.query("lineage_among", versions=sorted(found), min_confidence=float(min_confidence))
    return LineageGraph(
        focus=version,
        nodes=_nodes(store.query("versions", versions=sorted(found))),
        edges=_edges(row for row in among if _wanted(row, relations, basis)),
    )


def read_whole_lineage(store: Store, limit: int) -> LineageGraph:
    """Every version up to `limit` of them, by name, and the edges between those."""
    nodes = _nodes(store.query("all_versions", limit=limit))
    ids = {node.id for node in nodes}
    # All edges, and chosen here: a database searches a list of thousands of ids anew for every edge.
    rows = store.query("all_lineage", limit=_ALL)
    return LineageGraph(
        focus="", nodes=nodes, edges=_edges(row for row in rows if row["child"] in ids and row["parent"] in ids)
    )


def read_edit(store: Store, edit_id: str) -> EditDetail:
    """What stands behind an edge, its evidence strongest first.

    Raises
    ------
    UnknownNameError
        If there is no such Edit.
    """
    rows = store.query("edit", edit=edit_id)
    if not rows:
        raise UnknownNameError(f"no edit {edit_id!r} in the store")
    row = rows[0]
    return EditDetail(
        id=row["edit"],
        kind=Relation(row["kind"]),
        basis=Basis(row["basis"]),
        method=row["method"],
        confidence=float(row["confidence"]),
        summary=row["summary"] or "",
        parameters=row["parameters"] or "{}",
        runner_up=row["runner_up"],
        child=row["child"],
        parents=tuple(row["parents"]),
        evidence=tuple(Evidence(**item) for item in store.query("evidence", edit=edit_id)),
    )


def read_versions(store: Store, versions: Collection[str]) -> tuple[LineageNode, ...]:
    """The versions with these ids; unknown ones are left out."""
    return _nodes(store.query("versions", versions=sorted(versions)))


def find_versions(store: Store, text: str, limit: int) -> tuple[LineageNode, ...]:
    """Versions by a part of their name, id or model, best match first."""
    order = [str(row["version"]) for row in store.query("find", text=text, limit=limit)]
    nodes = {node.id: node for node in _nodes(store.query("versions", versions=order))}
    return tuple(nodes[item] for item in order if item in nodes)


def _wanted(row: Mapping[str, Any], relations: Collection[Relation] | None, basis: Basis | None) -> bool:
    return (relations is None or row["relation"] in relations) and (basis is None or row["basis"] == basis)


def _nodes(rows: Iterable[Mapping[str, Any]]) -> tuple[LineageNode, ...]:
    nodes = (
        LineageNode(
            id=row["version"],
            name=row["name"],
            kind=VersionKind(row["kind"]),
            architecture=row["architecture"],
            dtype=row["dtype"],
            parameters=row["parameters"],
            models=tuple(row["models"]),
            license=row["license"],
            parents=int(row["parents"]),
            children=int(row["children"]),
        )
        for row in rows
    )
    return tuple(sorted(nodes, key=lambda node: (node.name, node.id)))


def lineage_edge(row: Mapping[str, Any]) -> LineageEdge:
    """One edge from a row of a query that returns its fields by name."""
    return LineageEdge(
        child=row["child"],
        parent=row["parent"],
        relation=Relation(row["relation"]),
        basis=Basis(row["basis"]),
        confidence=float(row["confidence"]),
        edit=row["edit"],
        method=row["method"],
        weight=row["weight"],
    )


def _edges(rows: Iterable[Mapping[str, Any]]) -> tuple[LineageEdge, ...]:
    edges = (lineage_edge(row) for row in rows)
    return tuple(sorted(edges, key=lambda edge: (edge.child, edge.parent, edge.relation, edge.basis)))
