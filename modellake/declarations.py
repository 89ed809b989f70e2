"""From claims to declared edges: what cards and configs say, written beside what the weights show.

A parent that is named but absent becomes a ghost; one that a card admits not to know, a ghost of the model's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from graph_schema.derivation import Derivation, Observation, Parent
from graph_schema.graph import Edge, Rows
from graph_schema.identity import UNKNOWN_BASE, clean_name, dataset_ghost_id, ghost_id
from graph_schema.labels import LINEAGE, AgentKind, Basis, Label, Relation, VersionKind
from graph_schema.records import (
    Agent,
    Benchmark,
    Claim,
    Dataset,
    DatasetVersion,
    Model,
    Publication,
    Record,
    Version,
)

Resolve = Callable[[str], str | None]
"""From the name of a model to the id of its version in the store, or None where it is absent."""

UNKNOWN_SUFFIX = "_unknown"


def declared_rows(
    model: Model, versions: Sequence[Version], claims: Iterable[Claim], resolve: Resolve, resolve_dataset: Resolve
) -> Rows:
    """Everything that the documents of one model declare about its versions.

    Parameters
    ----------
    model : Model
    versions : sequence of Version
        What the claims are about: the model's own versions, components left out.
    claims : iterable of Claim
    resolve : callable
    resolve_dataset : callable
        From the name of a dataset to the id of its state in the store, or None where it is absent.

    Returns
    -------
    Rows
        Declared Edits with their evidence and shortcuts, ghosts, datasets, benchmarks and publications. A version that
        is named as its own parent (the same weights published twice) gives no edge.
    """
    rows = Rows()
    groups: dict[tuple[Relation, str], list[Claim]] = {}
    for claim in claims:
        if claim.relation is Relation.MERGED_FROM:
            groups.setdefault((claim.relation, ""), []).append(claim)
        else:
            groups.setdefault((claim.relation, claim.target), []).append(claim)
    for (relation, target), group in groups.items():
        if relation in LINEAGE:
            rows += _lineage(model, versions, relation, group, resolve)
        elif relation is Relation.TRAINED_ON:
            rows += _trained(model, versions, target, group, resolve_dataset)
        elif relation is Relation.EVALUATED_ON:
            rows += _evaluated(versions, target, group)
        elif relation is Relation.DESCRIBED_BY:
            rows += _described(model, target, group)
    return rows


def _lineage(
    model: Model, versions: Sequence[Version], relation: Relation, claims: Sequence[Claim], resolve: Resolve
) -> Rows:
    role = "constituent" if relation is Relation.MERGED_FROM else "base"
    parents: dict[str, Parent] = {}
    ghosts: list[Record] = []
    for claim in claims:
        name = _base_name(model, claim)
        found = None if claim.kind.endswith(UNKNOWN_SUFFIX) else resolve(name)
        if found is None:
            found = ghost_id(name)
            ghosts.append(Version(id=found, name=name, kind=VersionKind.GHOST))
        parents.setdefault(found, Parent(id=found, role=role, weight=claim.weight))
    rows = Rows.of({ghost.id: ghost for ghost in ghosts}.values())
    for version in versions:
        others = tuple(parent for parent in parents.values() if parent.id != version.id)
        if not others:
            continue
        rows += Derivation(
            child=version.id,
            parents=others,
            relation=relation,
            basis=Basis.DECLARED,
            confidence=1.0,
            method=claims[0].kind,
            summary=_sentence(claims[0]),
            observations=_observations(claims),
            claimed_by=_claimant(model),
        ).rows()
    return rows


def _base_name(model: Model, claim: Claim) -> str:
    if claim.kind.endswith(UNKNOWN_SUFFIX):
        return clean_name(f"{UNKNOWN_BASE}{model.id}")
    return clean_name(claim.target)


def _trained(model: Model, versions: Sequence[Version], target: str, claims: Sequence[Claim], resolve: Resolve) -> Rows:
    name = clean_name(target)
    state = resolve(name)
    rows = Rows()
    if state is None:
        state = dataset_ghost_id(name)
        records: list[Record] = [Dataset(id=name, name=name), DatasetVersion(id=state, name=name)]
        edge = Edge(
            relation=Relation.HAS_VERSION,
            source=(Label.DATASET, name),
            target=(Label.DATASET_VERSION, state),
            properties={},
        )
        rows = Rows.of(records, [edge])
    for version in versions:
        rows += Derivation(
            child=version.id,
            parents=(Parent(id=state, role="data"),),
            relation=Relation.TRAINED_ON,
            basis=Basis.DECLARED,
            confidence=1.0,
            method=claims[0].kind,
            summary=_sentence(claims[0]),
            observations=_observations(claims),
            claimed_by=_claimant(model),
        ).rows()
    return rows


def _evaluated(versions: Sequence[Version], target: str, claims: Sequence[Claim]) -> Rows:
    name = clean_name(target)
    edges = [
        Edge(
            relation=Relation.EVALUATED_ON,
            source=(Label.VERSION, version.id),
            target=(Label.BENCHMARK, name),
            properties={
                "metric": claim.metric or "",
                "basis": str(Basis.DECLARED),
                **({} if claim.weight is None else {"value": claim.weight}),
            },
        )
        for version in versions
        for claim in claims
    ]
    return Rows.of([Benchmark(id=name, name=name)], edges)


def _described(model: Model, target: str, claims: Sequence[Claim]) -> Rows:
    name = clean_name(target)
    record = Publication(id=name, title=claims[0].excerpt or None)
    edge = Edge(
        relation=Relation.DESCRIBED_BY,
        source=(Label.MODEL, model.id),
        target=(Label.PUBLICATION, name),
        properties={},
    )
    return Rows.of([record], [edge])


def _observations(claims: Sequence[Claim]) -> tuple[Observation, ...]:
    return tuple(
        Observation(
            kind=claim.kind,
            statement=_sentence(claim),
            method="card" if claim.certain else "prose",
            file=claim.file,
            field=claim.field,
            excerpt=claim.excerpt or None,
        )
        for claim in claims
    )


def _sentence(claim: Claim) -> str:
    said = "does not know its base" if claim.kind.endswith(UNKNOWN_SUFFIX) else f"names {clean_name(claim.target)}"
    return f"{claim.file} ({claim.field}) {said}"


def _claimant(model: Model) -> Agent:
    name = model.organization or model.id
    return Agent(id=name, name=name, kind=AgentKind.ORGANIZATION)
