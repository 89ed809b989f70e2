"""The schema of the graph, read off the records: which nodes, which relationships, which properties, which keys.

`cypher` makes its constraints and indexes from here and checks what it writes against it; `docs/schema.md` is printed
from it.
"""

from __future__ import annotations

import types
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Union, get_args, get_origin, get_type_hints

from graph_schema.labels import DATA_RELATIONS, LINEAGE, Label, Relation
from graph_schema.records import (
    Agent,
    Benchmark,
    Dataset,
    DatasetVersion,
    Edit,
    Evidence,
    Model,
    Publication,
    Record,
    Version,
)

SCHEMA_VERSION = 2
"""Raised with every migration."""


class Kind(StrEnum):
    """Types of properties, in Cypher's words."""

    STRING = "STRING"
    INTEGER = "INTEGER"
    FLOAT = "FLOAT"
    BOOLEAN = "BOOLEAN"
    STRINGS = "LIST<STRING>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """One property of a node or a relationship."""

    name: str
    kind: Kind
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeType:
    """A label, the record behind it, its properties and the ones to index beside the unique key `id`."""

    label: Label
    record: type[Record]
    properties: tuple[Property, ...]
    indexed: tuple[str, ...] = ()
    searched: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The property that is unique among the nodes of the label."""
        return "id"


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeType:
    """A relationship type between two labels.

    Attributes
    ----------
    key : tuple of str
        Properties that, with the two ends, tell two relationships of the type apart: writing the same key twice is
        writing it once.
    """

    relation: Relation
    source: Label
    target: Label
    properties: tuple[Property, ...] = ()
    key: tuple[str, ...] = ()


_KINDS = {str: Kind.STRING, int: Kind.INTEGER, float: Kind.FLOAT, bool: Kind.BOOLEAN}


def _properties(record: type[Record]) -> tuple[Property, ...]:
    hints = get_type_hints(record)
    return tuple(_property(item.name, hints[item.name]) for item in fields(record))


def _property(name: str, hint: object) -> Property:
    required = True
    if get_origin(hint) in (Union, types.UnionType):
        (hint,) = (part for part in get_args(hint) if part is not type(None))
        required = False
    if get_origin(hint) is tuple:
        return Property(name=name, kind=Kind.STRINGS, required=required)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        hint = str
    return Property(name=name, kind=_KINDS[hint], required=required)  # type: ignore[index]


def _node(record: type[Record], *, indexed: tuple[str, ...] = (), searched: tuple[str, ...] = ()) -> NodeType:
    return NodeType(
        label=record.LABEL, record=record, properties=_properties(record), indexed=indexed, searched=searched
    )


NODES: tuple[NodeType, ...] = (
    _node(Model, indexed=("name", "organization"), searched=("id", "name")),
    _node(Version, indexed=("name", "kind"), searched=("id", "name", "architecture")),
    _node(Dataset, indexed=("name",), searched=("id", "name")),
    _node(DatasetVersion, indexed=("name", "format")),
    _node(Edit, indexed=("kind", "basis")),
    _node(Evidence, indexed=("kind",)),
    _node(Agent),
    _node(Benchmark),
    _node(Publication),
)

_SHORTCUT = (
    Property(name="basis", kind=Kind.STRING),
    Property(name="confidence", kind=Kind.FLOAT),
    Property(name="edit", kind=Kind.STRING),
    Property(name="method", kind=Kind.STRING),
)
_WEIGHT = Property(name="weight", kind=Kind.FLOAT, required=False)
_SHARE = tuple(Property(name=name, kind=Kind.FLOAT, required=False) for name in ("share", "share_low", "share_high"))
_INPUT = (Property(name="role", kind=Kind.STRING), _WEIGHT)

EDGES: tuple[EdgeType, ...] = (
    EdgeType(
        relation=Relation.HAS_VERSION,
        source=Label.MODEL,
        target=Label.VERSION,
        properties=(
            Property(name="path", kind=Kind.STRING, required=False),
            Property(name="revision", kind=Kind.STRING, required=False),
            Property(name="position", kind=Kind.INTEGER, required=False),
            Property(name="created_at", kind=Kind.STRING, required=False),
            Property(name="author", kind=Kind.STRING, required=False),
        ),
    ),
    EdgeType(
        relation=Relation.HAS_VERSION,
        source=Label.DATASET,
        target=Label.DATASET_VERSION,
        properties=(
            Property(name="path", kind=Kind.STRING, required=False),
            Property(name="number", kind=Kind.INTEGER, required=False),
        ),
    ),
    EdgeType(relation=Relation.INPUT, source=Label.EDIT, target=Label.VERSION, properties=_INPUT, key=("role",)),
    EdgeType(
        relation=Relation.INPUT, source=Label.EDIT, target=Label.DATASET_VERSION, properties=_INPUT, key=("role",)
    ),
    EdgeType(relation=Relation.OUTPUT, source=Label.EDIT, target=Label.VERSION),
    EdgeType(relation=Relation.OUTPUT, source=Label.EDIT, target=Label.DATASET_VERSION),
    EdgeType(relation=Relation.SUPPORTED_BY, source=Label.EDIT, target=Label.EVIDENCE),
    EdgeType(relation=Relation.CLAIMED_BY, source=Label.EDIT, target=Label.AGENT),
    EdgeType(relation=Relation.DESCRIBED_BY, source=Label.MODEL, target=Label.PUBLICATION),
    *(
        EdgeType(
            relation=relation,
            source=Label.VERSION,
            target=Label.VERSION,
            properties=(*_SHORTCUT, _WEIGHT) if relation is Relation.MERGED_FROM else _SHORTCUT,
            key=("basis",),
        )
        for relation in LINEAGE
    ),
    EdgeType(
        relation=Relation.TRAINED_ON,
        source=Label.VERSION,
        target=Label.DATASET_VERSION,
        properties=_SHORTCUT,
        key=("basis",),
    ),
    *(
        EdgeType(
            relation=relation,
            source=Label.DATASET_VERSION,
            target=Label.DATASET_VERSION,
            properties=(*_SHORTCUT, *_SHARE),
            key=("basis",),
        )
        for relation in DATA_RELATIONS
    ),
    EdgeType(
        relation=Relation.EVALUATED_ON,
        source=Label.VERSION,
        target=Label.BENCHMARK,
        properties=(
            Property(name="metric", kind=Kind.STRING),
            Property(name="value", kind=Kind.FLOAT, required=False),
            Property(name="basis", kind=Kind.STRING),
        ),
        key=("metric", "basis"),
    ),
)


def node_type(label: str) -> NodeType:
    """The schema of a label; raises KeyError for a label the graph does not have."""
    return _BY_LABEL[label]


def edge_type(relation: str, source: str, target: str) -> EdgeType:
    """The schema of a relationship type between two labels; raises KeyError where the graph has no such thing."""
    return _BY_ENDS[relation, source, target]


_BY_LABEL = {str(node.label): node for node in NODES}
_BY_ENDS = {(str(edge.relation), str(edge.source), str(edge.target)): edge for edge in EDGES}
