"""Statements that make the schema, generated from `graph_schema.schema`.

Constraints and plain indexes are one dialect on both databases. What differs is full-text search, and the embedded
engine's types: it makes a type on first use, and two first uses at once fail, so all of them are made up front.
"""

from __future__ import annotations

from collections.abc import Iterator

from graph_schema.labels import GHOST, Label, Relation
from graph_schema.schema import NODES, NodeType

META_LABEL = "Schema"
"""Label of the one node that records which migrations ran."""

_SQL_TYPES = {
    "STRING": "STRING",
    "INTEGER": "LONG",
    "FLOAT": "DOUBLE",
    "BOOLEAN": "BOOLEAN",
    "LIST<STRING>": "LIST",
}


def shared_statements() -> tuple[str, ...]:
    """Constraints and indexes, in the dialect of both databases.

    Examples
    --------
    >>> shared_statements()[0]
    'CREATE CONSTRAINT model_id IF NOT EXISTS FOR (node:Model) REQUIRE node.id IS UNIQUE'
    """
    return tuple(_shared())


def _shared() -> Iterator[str]:
    for label, key in (*((node.label, node.key) for node in NODES), (META_LABEL, "id")):
        yield (f"CREATE CONSTRAINT {label.lower()}_{key} IF NOT EXISTS FOR (node:{label}) REQUIRE node.{key} IS UNIQUE")
    for node in NODES:
        for name in node.indexed:
            yield f"CREATE INDEX {node.label.lower()}_{name} IF NOT EXISTS FOR (node:{node.label}) ON (node.{name})"


def neo4j_statements() -> tuple[str, ...]:
    """Full-text indexes of a Neo4j server."""
    return tuple(
        f"CREATE FULLTEXT INDEX {node.label.lower()}_text IF NOT EXISTS FOR (node:{node.label}) ON EACH ["
        + ", ".join(f"node.{name}" for name in node.searched)
        + "]"
        for node in NODES
        if node.searched
    )


def embedded_statements() -> tuple[str, ...]:
    """Types and full-text indexes of the embedded engine, in its SQL; to be run before `shared_statements`."""
    return tuple(_embedded())


def _embedded() -> Iterator[str]:
    for node in NODES:
        yield f"CREATE VERTEX TYPE `{node.label}` IF NOT EXISTS"
        for name, kind in _typed(node).items():
            yield f"CREATE PROPERTY `{node.label}`.`{name}` IF NOT EXISTS {kind}"
    yield f"CREATE VERTEX TYPE `{META_LABEL}` IF NOT EXISTS"
    yield f"CREATE PROPERTY `{META_LABEL}`.id IF NOT EXISTS STRING"
    yield f"CREATE VERTEX TYPE `{GHOST}` IF NOT EXISTS"
    # The engine keeps a node with two labels in a type of both, its name their names in alphabetical order.
    yield f"CREATE VERTEX TYPE `{GHOST}~{Label.VERSION}` IF NOT EXISTS EXTENDS `{GHOST}`, `{Label.VERSION}`"
    for relation in Relation:
        yield f"CREATE EDGE TYPE `{relation}` IF NOT EXISTS"
    for node in NODES:
        if node.searched:
            yield f"CREATE INDEX IF NOT EXISTS ON `{node.label}` ({', '.join(node.searched)}) FULL_TEXT"


def _typed(node: NodeType) -> dict[str, str]:
    kept = {node.key, *node.indexed, *node.searched}
    return {item.name: _SQL_TYPES[item.kind] for item in node.properties if item.name in kept}
