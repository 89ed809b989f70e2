"""Statements that write rows, and the transaction functions that run them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graph_schema.errors import InputError
from graph_schema.graph import Edge, Node, Rows
from graph_schema.identity import GHOST_PREFIX
from graph_schema.labels import GHOST
from graph_schema.schema import Kind, Property, edge_type, node_type

if TYPE_CHECKING:
    from neo4j import ManagedTransaction

BATCH = 2_000
"""Rows a statement: a few megabytes at most on the wire."""

_FORGET = (
    "MATCH (edit:Edit) WHERE edit.id IN $edits MATCH (edit)-[:OUTPUT]->(child:Version)-[shortcut]->() "
    "WHERE shortcut.edit = edit.id DELETE shortcut",
    "MATCH (edit:Edit) WHERE edit.id IN $edits MATCH (edit)-[:OUTPUT]->(child:DatasetVersion)-[shortcut]->() "
    "WHERE shortcut.edit = edit.id DELETE shortcut",
    "MATCH (edit:Edit) WHERE edit.id IN $edits MATCH (edit)-[:SUPPORTED_BY]->(evidence:Evidence) "
    "DETACH DELETE evidence",
    "MATCH (edit:Edit) WHERE edit.id IN $edits DETACH DELETE edit",
)
_FORGET_GHOSTS = (
    f"MATCH (ghost:{GHOST}) WHERE NOT EXISTS {{ (ghost)--() }} AND NOT ghost.id IN $kept DETACH DELETE ghost",
    f"MATCH (ghost:DatasetVersion) WHERE ghost.id STARTS WITH '{GHOST_PREFIX}' "
    "AND NOT EXISTS { (ghost)<-[:TRAINED_ON]-() } AND NOT ghost.id IN $kept DETACH DELETE ghost",
    "MATCH (data:Dataset) WHERE NOT EXISTS { (data)-[:HAS_VERSION]->() } AND NOT data.id IN $kept DETACH DELETE data",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """How many different nodes and edges were written; those that were there already count too."""

    nodes: int
    edges: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One parametrised statement and the rows it is for; it returns how many of them it wrote as `written`.

    `complete` tells whether that must be all of them.
    """

    text: str
    rows: tuple[Mapping[str, object], ...]
    complete: bool = True


def statements(rows: Rows) -> tuple[list[Statement], Written]:
    """Statements for checked rows: nodes first, one batch for each set of labels and each type of relationship.

    A row given twice is written once, the later one counts; optional properties that a row leaves out are removed.
    """
    nodes: dict[tuple[tuple[str, ...], str], Node] = {(node.labels, node.id): node for node in rows.nodes}
    edges = {_edge_key(edge): edge for edge in rows.edges}
    return [*_node_statements(nodes.values()), *_edge_statements(edges.values())], Written(
        nodes=len(nodes), edges=len(edges)
    )


def write_rows(transaction: ManagedTransaction, batches: Iterable[Statement]) -> None:
    """Run the statements.

    Raises
    ------
    InputError
        If an edge names a node that is neither in the rows nor in the store; the transaction is to be rolled back.
    TransientError
        The driver's, for the caller to try again: the embedded engine loses sight of a node that this transaction has
        just merged while another one has committed the same key.
    """
    from neo4j.exceptions import TransientError

    merged: set[object] = set()
    for batch in batches:
        merged |= {row["id"] for row in batch.rows if "id" in row}
        record = transaction.run(batch.text, rows=list(batch.rows)).single()
        if batch.complete and (record is None or record["written"] != len(batch.rows)):
            label, identifier = _first_missing(transaction, batch)
            if identifier in merged:
                raise TransientError("two writers merge one node at once")
            raise InputError(
                "an edge names a node that is neither in the store nor among the rows",
                where=f"{label} {identifier!r}",
                remedy="write the node together with its edges",
            )


def forget_edits(transaction: ManagedTransaction, edits: Sequence[str]) -> None:
    """Delete Edits with their Evidence and the shortcuts they stand behind."""
    for statement in _FORGET:
        transaction.run(statement, edits=list(edits)).consume()


def forget_ghosts(transaction: ManagedTransaction, *, kept: Iterable[str]) -> None:
    """Delete ghosts that nothing leads to, and datasets that had no other state, except the ones just written."""
    for statement in _FORGET_GHOSTS:
        transaction.run(statement, kept=sorted(kept)).consume()


def _edge_key(edge: Edge) -> tuple[object, ...]:
    schema = edge_type(edge.relation, edge.source[0], edge.target[0])
    return (edge.relation, edge.source, edge.target, *(edge.properties[name] for name in schema.key))


def _node_statements(nodes: Iterable[Node]) -> Iterator[Statement]:
    groups: dict[tuple[str, ...], list[Mapping[str, object]]] = defaultdict(list)
    for node in nodes:
        schema = node_type(node.labels[0])
        groups[node.labels].append({"id": node.id, "values": _values(schema.properties, node.properties, ("id",))})
    for labels, group in groups.items():
        find = "MERGE"
        if len(labels) > 1:
            # A MERGE by two labels passes over the index on the embedded engine and over all that was made before.
            find = "MATCH"
            text = (
                f"UNWIND $rows AS row WITH row WHERE NOT EXISTS {{ (:{labels[0]} {{id: row.id}}) }} "
                f"CREATE (node:{':'.join(labels)} {{id: row.id}}) SET node += row.values RETURN count(node) AS written"
            )
            yield from _batches(text, group, complete=False)
        text = (
            f"UNWIND $rows AS row {find} (node:{labels[0]} {{id: row.id}}) "
            "SET node += row.values RETURN count(node) AS written"
        )
        yield from _batches(text, group)


def _edge_statements(edges: Iterable[Edge]) -> Iterator[Statement]:
    groups: dict[tuple[str, str, str], list[Mapping[str, object]]] = defaultdict(list)
    for edge in edges:
        kind = (str(edge.relation), str(edge.source[0]), str(edge.target[0]))
        schema = edge_type(*kind)
        groups[kind].append(
            {
                "source": edge.source[1],
                "target": edge.target[1],
                "key": {name: edge.properties[name] for name in schema.key},
                "values": _values(schema.properties, edge.properties, schema.key),
            }
        )
    for (relation, source, target), group in groups.items():
        key = ", ".join(f"{name}: row.key.{name}" for name in edge_type(relation, source, target).key)
        text = (
            f"UNWIND $rows AS row MATCH (source:{source} {{id: row.source}}) "
            f"MATCH (target:{target} {{id: row.target}}) "
            f"MERGE (source)-[edge:{relation}{' {' + key + '}' if key else ''}]->(target) "
            "SET edge += row.values RETURN count(edge) AS written"
        )
        yield from _batches(text, group)


def _batches(text: str, rows: Sequence[Mapping[str, object]], *, complete: bool = True) -> Iterator[Statement]:
    for start in range(0, len(rows), BATCH):
        yield Statement(text=text, rows=tuple(rows[start : start + BATCH]), complete=complete)


def _values(schema: Iterable[Property], given: Mapping[str, object], leave_out: Sequence[str]) -> dict[str, object]:
    return {item.name: _stored(item, given.get(item.name)) for item in schema if item.name not in leave_out}


def _stored(item: Property, value: object) -> object:
    if value is None:
        return None
    if item.kind is Kind.FLOAT:
        return float(value)  # type: ignore[arg-type]  # checked before: an int or a float
    return list(value) if isinstance(value, tuple) else value


def _first_missing(transaction: ManagedTransaction, batch: Statement) -> tuple[str, object]:
    for row in batch.rows:
        for end in ("source", "target"):
            if end not in row:
                continue
            label = batch.text.split(f"({end}:", 1)[1].split(" ", 1)[0]
            found = transaction.run(f"MATCH (node:{label} {{id: $id}}) RETURN count(node) AS found", id=row[end])
            record = found.single()
            if record is None or record["found"] == 0:
                return label, row[end]
    return "node", batch.rows[0].get("source", batch.rows[0].get("id"))
