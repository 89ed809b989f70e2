"""Rows are checked against the schema before anything is written: labels, relations, properties, types."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from graph_schema.errors import InputError
from graph_schema.graph import Edge, Node, Rows, Value
from graph_schema.identity import GHOST_PREFIX
from graph_schema.labels import GHOST, Label
from graph_schema.schema import Kind, Property, edge_type, node_type

_INTEGER_LIMIT = 2**63


def check_rows(rows: Rows) -> None:
    """Refuse rows that the graph has no place for.

    Raises
    ------
    InputError
        For an unknown label, relation or property, a missing one, or a value of the wrong type; says which row.
    """
    for node in rows.nodes:
        _check_node(node)
    for edge in rows.edges:
        _check_edge(edge)


def _check_node(node: Node) -> None:
    where = f"node {'/'.join(node.labels)} {node.id!r}"
    try:
        schema = node_type(node.labels[0])
    except (KeyError, IndexError):
        raise InputError("no such label in the graph's schema", where=where) from None
    extra = node.labels[1:]
    if extra and not (node.labels[0] == Label.VERSION and extra == (GHOST,)):
        raise InputError(f"labels {', '.join(extra)} do not belong there", where=where)
    if (node.labels[0] == Label.VERSION) and bool(extra) != str(node.id).startswith(GHOST_PREFIX):
        raise InputError(f"a ghost's id begins with {GHOST_PREFIX!r}, and no other version's does", where=where)
    check_value(Kind.STRING, node.id, where=where, name="id")
    if not node.id:
        raise InputError("the id is empty", where=where)
    _check_properties([item for item in schema.properties if item.name != schema.key], node.properties, where)


def _check_edge(edge: Edge) -> None:
    where = f"edge {edge.relation} {edge.source[1]!r} -> {edge.target[1]!r}"
    try:
        schema = edge_type(edge.relation, edge.source[0], edge.target[0])
    except KeyError:
        raise InputError(
            f"no such relationship between {edge.source[0]} and {edge.target[0]} in the graph's schema", where=where
        ) from None
    for _, identifier in (edge.source, edge.target):
        check_value(Kind.STRING, identifier, where=where, name="id")
    _check_properties(schema.properties, edge.properties, where)
    for name in schema.key:
        if edge.properties.get(name) is None:
            raise InputError(f"key property {name!r} is missing", where=where)


def _check_properties(allowed: Sequence[Property], given: Mapping[str, Value], where: str) -> None:
    known = {item.name: item for item in allowed}
    for name in given:
        if name not in known:
            raise InputError(f"no such property {name!r} in the graph's schema", where=where)
    for item in allowed:
        value = given.get(item.name)
        if value is None:
            if item.required:
                raise InputError(f"property {item.name!r} is missing", where=where)
        else:
            check_value(item.kind, value, where=where, name=item.name)


def check_value(kind: Kind, value: object, *, where: str, name: str) -> None:
    """Refuse a value that a database would not store, or not as what it is.

    Raises
    ------
    InputError
        For a wrong type, an integer beyond 64 bits, a float that is not finite, or text that is not Unicode.

    Examples
    --------
    >>> check_value(Kind.FLOAT, 1, where="here", name="confidence")
    >>> check_value(Kind.INTEGER, True, where="here", name="tensors")
    Traceback (most recent call last):
    ...
    graph_schema.errors.InputError: here: property 'tensors' must be INTEGER, got bool
    """
    if not _fits(kind, value):
        raise InputError(f"property {name!r} must be {kind}, got {type(value).__name__}", where=where)
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"property {name!r} must be finite, got {value}", where=where)
    if isinstance(value, int) and not -_INTEGER_LIMIT <= value < _INTEGER_LIMIT:
        raise InputError(f"property {name!r} does not fit into 64 bits", where=where)
    for text in (value,) if isinstance(value, str) else value if isinstance(value, (list, tuple)) else ():
        try:
            str(text).encode()
        except UnicodeEncodeError:
            raise InputError(f"property {name!r} is not Unicode text", where=where) from None


def _fits(kind: Kind, value: object) -> bool:
    match kind:
        case Kind.STRING:
            return isinstance(value, str)
        case Kind.BOOLEAN:
            return isinstance(value, bool)
        case Kind.INTEGER:
            return isinstance(value, int) and not isinstance(value, bool)
        case Kind.FLOAT:
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        case Kind.STRINGS:
            return isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)
