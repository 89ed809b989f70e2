"""Rows of the graph: what a store is asked to write, free of any database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Self

from graph_schema.labels import Label, Relation
from graph_schema.records import Record, Version

Value = str | int | float | bool | tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One node to write: its labels (the first one keys it), its id and its other properties."""

    labels: tuple[str, ...]
    id: str
    properties: Mapping[str, Value]

    @classmethod
    def of(cls, record: Record) -> Self:
        """The node that a record describes; absent fields are left out.

        Examples
        --------
        >>> from graph_schema.records import Agent
        >>> Node.of(Agent(id="org", name="org")).properties
        {'name': 'org', 'kind': 'organization'}
        """
        labels = record.labels if isinstance(record, Version) else (str(record.LABEL),)
        values = {item.name: _plain(getattr(record, item.name)) for item in fields(record) if item.name != "id"}
        return cls(
            labels=tuple(str(label) for label in labels),
            id=record.id,
            properties={name: value for name, value in values.items() if value is not None},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """One relationship to write, between two nodes given by label and id."""

    relation: Relation
    source: tuple[Label, str]
    target: tuple[Label, str]
    properties: Mapping[str, Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Nodes and edges that belong together: all of them are written, or none."""

    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()

    @classmethod
    def of(cls, records: Iterable[Record] = (), edges: Iterable[Edge] = ()) -> Self:
        """Rows of records and of the edges between them."""
        return cls(nodes=tuple(Node.of(record) for record in records), edges=tuple(edges))

    def __add__(self, other: Rows) -> Rows:
        return Rows(nodes=self.nodes + other.nodes, edges=self.edges + other.edges)


def _plain(value: object) -> Value:
    # A StrEnum would reach the driver as a subclass of str, which it refuses to pack.
    return str(value) if isinstance(value, str) else value  # type: ignore[return-value]
