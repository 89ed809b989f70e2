"""A derivation: one child, its parents, how it was made, what speaks for it; and the rows it becomes in the graph."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from graph_schema.graph import Edge, Rows, Value
from graph_schema.identity import edit_id, evidence_id
from graph_schema.labels import DATA_RELATIONS, Basis, Label, Relation
from graph_schema.records import Agent, Edit, Evidence, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One observation for or against a derivation, before it is known which Edit it belongs to.

    The fields are those of `graph_schema.records.Evidence`.
    """

    kind: str
    statement: str
    method: str
    value: float | None = None
    log_odds: float = 0.0
    method_version: str = "1"
    file: str | None = None
    field: str | None = None
    tensor: str | None = None
    excerpt: str | None = None

    def evidence(self, subject: str) -> Evidence:
        """The Evidence record about `subject`, an Edit's id."""
        source = "\0".join(part or "" for part in (self.file, self.field, self.tensor))
        return Evidence(
            id=evidence_id(subject, self.kind, source, self.method),
            kind=self.kind,
            statement=self.statement,
            value=self.value,
            log_odds=self.log_odds,
            method=self.method,
            method_version=self.method_version,
            file=self.file,
            field=self.field,
            tensor=self.tensor,
            excerpt=self.excerpt,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """One input of a derivation.

    Attributes
    ----------
    id : str
        Id of the Version (or DatasetVersion, where the relation is `TRAINED_ON` or one between data).
    role : str
        `base`, `constituent`, `adapter`, `teacher` or `data`.
    weight : float, optional
        Coefficient of a merge.
    """

    id: str
    role: str = "base"
    weight: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivation:
    """One child and what it was made from.

    Attributes
    ----------
    child : str
        Id of a Version, or of a DatasetVersion where the relation is one between data.
    parents : tuple of Parent
        At least one; several for a merge, or for an adapter with its base.
    relation : Relation
        A shortcut of `graph_schema.labels.LINEAGE` or `DATA_RELATIONS`, or `TRAINED_ON`.
    basis : Basis
        Declared or inferred.
    confidence : float in [0, 1]
    method : str
        Name of what found it.
    summary : str
        One sentence for people.
    parameters : mapping
        Merge weights, rank, bits, sparsity; JSON scalars and lists of them.
    observations : tuple of Observation
        What speaks for and against.
    runner_up : str, optional
        Second most likely parent.
    claimed_by : Agent, optional
        Who declared it.
    share : (float, float, float), optional
        For a relation between data: the share of the child's rows that are in the parent, and its interval.
    """

    child: str
    parents: tuple[Parent, ...]
    relation: Relation
    basis: Basis
    confidence: float
    method: str
    summary: str = ""
    parameters: Mapping[str, object] = field(default_factory=dict)
    observations: tuple[Observation, ...] = ()
    runner_up: str | None = None
    claimed_by: Agent | None = None
    share: tuple[float, float, float] | None = None

    @property
    def id(self) -> str:
        """Id of the Edit."""
        return edit_id(self.relation, self.basis, self.child, (parent.id for parent in self.parents))

    def rows(self) -> Rows:
        """The Edit, its Evidence, and every relationship that the derivation stands for."""
        edit = Edit(
            id=self.id,
            kind=self.relation,
            basis=self.basis,
            method=self.method,
            confidence=self.confidence,
            parameters=json.dumps(self.parameters, sort_keys=True, allow_nan=False),
            summary=self.summary,
            runner_up=self.runner_up,
        )
        evidence = {item.id: item for item in (observation.evidence(edit.id) for observation in self.observations)}
        between_data = self.relation in DATA_RELATIONS
        ends = Label.DATASET_VERSION if between_data or self.relation is Relation.TRAINED_ON else Label.VERSION
        starts = Label.DATASET_VERSION if between_data else Label.VERSION
        node, child = (Label.EDIT, edit.id), (starts, self.child)
        shares: dict[str, Value] = (
            {} if self.share is None else dict(zip(("share", "share_low", "share_high"), self.share, strict=True))
        )
        edges = [Edge(relation=Relation.OUTPUT, source=node, target=child, properties={})]
        for parent in self.parents:
            weight: dict[str, Value] = {} if parent.weight is None else {"weight": parent.weight}
            edges.append(
                Edge(
                    relation=Relation.INPUT,
                    source=node,
                    target=(ends, parent.id),
                    properties={"role": parent.role, **weight},
                )
            )
            edges.append(
                Edge(
                    relation=self.relation,
                    source=child,
                    target=(ends, parent.id),
                    properties={
                        "basis": str(self.basis),
                        "confidence": self.confidence,
                        "edit": edit.id,
                        "method": self.method,
                        **(weight if self.relation is Relation.MERGED_FROM else {}),
                        **(shares if between_data else {}),
                    },
                )
            )
        edges += [
            Edge(relation=Relation.SUPPORTED_BY, source=node, target=(Label.EVIDENCE, item), properties={})
            for item in evidence
        ]
        records: list[Record] = [edit, *evidence.values()]
        if self.claimed_by is not None:
            records.append(self.claimed_by)
            edges.append(
                Edge(relation=Relation.CLAIMED_BY, source=node, target=(Label.AGENT, self.claimed_by.id), properties={})
            )
        return Rows.of(records, edges)
