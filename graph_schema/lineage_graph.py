"""A part of the provenance graph, taken out to be shown, exported or cited."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from graph_schema.identity import GHOST_PREFIX, IMPLIED_PREFIX, UNKNOWN_BASE
from graph_schema.labels import Basis, Relation, VersionKind
from graph_schema.records import Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageNode:
    """A version as people see it.

    Attributes
    ----------
    id, name, kind, architecture, dtype, parameters
        Those of the Version.
    models : tuple of str
        Ids of the Models that have this Version, sorted; more than one where the same weights were published twice.
    parents, children : int
        How many it has in the whole graph, so that a view can say "N of M".
    """

    id: str
    name: str
    kind: VersionKind = VersionKind.FULL
    architecture: str | None = None
    dtype: str | None = None
    parameters: int | None = None
    models: tuple[str, ...] = ()
    license: str | None = None
    parents: int = 0
    children: int = 0

    @property
    def implied(self) -> bool:
        """Whether no document names it: the weights of its children imply it."""
        return self.id.startswith(IMPLIED_PREFIX)

    @property
    def unknown(self) -> bool:
        """Whether it stands for a parent which a document admits not to know."""
        return self.id.startswith(GHOST_PREFIX + UNKNOWN_BASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageEdge:
    """One shortcut, child to parent."""

    child: str
    parent: str
    relation: Relation
    basis: Basis
    confidence: float
    edit: str
    method: str
    weight: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EditDetail:
    """What stands behind an edge: the Edit's fields and its evidence, strongest first."""

    id: str
    kind: Relation
    basis: Basis
    method: str
    confidence: float
    summary: str
    parameters: str
    runner_up: str | None
    child: str
    parents: tuple[str, ...]
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageGraph:
    """Versions and the edges between them, around the version that was asked for.

    Attributes
    ----------
    focus : str
        Id of the version the graph was drawn around; empty for a whole lake.
    nodes : tuple of LineageNode
        Sorted by name, then id.
    edges : tuple of LineageEdge
        Sorted; both ends are among the nodes.
    """

    focus: str
    nodes: tuple[LineageNode, ...]
    edges: tuple[LineageEdge, ...]

    def node(self, version: str) -> LineageNode:
        """The node of a version; raises KeyError where it is not part of the graph."""
        for item in self.nodes:
            if item.id == version:
                return item
        raise KeyError(version)

    def parents(self, version: str) -> Iterator[LineageEdge]:
        """Edges from a version to its parents."""
        return (edge for edge in self.edges if edge.child == version)

    def children(self, version: str) -> Iterator[LineageEdge]:
        """Edges from a version's children to it."""
        return (edge for edge in self.edges if edge.parent == version)
