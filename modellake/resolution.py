"""From names to versions: which version a claim means, and what becomes of a ghost when the real one arrives."""

from __future__ import annotations

from cypher.store import Store
from graph_schema.derivation import Derivation, Observation, Parent
from graph_schema.graph import Rows
from graph_schema.identity import IMPLIED_PREFIX
from graph_schema.labels import Basis, Relation, VersionKind
from graph_schema.records import Agent
from modellake.declarations import Resolve


def resolver(store: Store) -> Resolve:
    """Look up the version of a model by the model's id.

    The full version of the model counts, the one whose name comes first where there are several; None where the store
    has no such model.
    """
    known: dict[str, str | None] = {}

    def resolve(name: str) -> str | None:
        if name not in known:
            rows = [row for row in store.query("versions_of_model", model=name) if row["kind"] != VersionKind.GHOST]
            full = [row for row in rows if row["kind"] == VersionKind.FULL]
            known[name] = str((full or rows)[0]["version"]) if rows else None
        return known[name]

    return resolve


def resolve_ghosts(store: Store) -> int:
    """Let declared edges that lead to a ghost lead to the version of that name, where it has arrived.

    Returns
    -------
    int
        Number of edits that were written anew. A version that turns out to be its own declared parent loses the edge.
    """
    resolve = resolver(store)
    stale: list[str] = []
    rows = Rows()
    for ghost in store.query("ghosts"):
        if str(ghost["version"]).startswith(IMPLIED_PREFIX):
            continue
        arrived = resolve(str(ghost["name"]))
        if arrived is None:
            continue
        for row in store.query("edits_from", version=ghost["version"]):
            stale.append(str(row["edit"]))
            rows += _rewritten(store, row, str(ghost["version"]), arrived)
    if stale:
        store.replace(sorted(set(stale)), rows)
    return len(set(stale))


def _rewritten(store: Store, row: dict[str, object], ghost: str, arrived: str) -> Rows:
    edit = str(row["edit"])
    parents = tuple(
        Parent(
            id=arrived if item["parent"] == ghost else str(item["parent"]),
            role=str(item["role"]),
            weight=item["weight"],
        )
        for item in store.query("edit_inputs", edit=edit)
    )
    parents = tuple(parent for parent in parents if parent.id != row["child"])
    if not parents:
        return Rows()
    observations = tuple(
        Observation(**{name: value for name, value in item.items() if name != "id"})
        for item in store.query("evidence", edit=edit)
    )
    claimant = row["claimed_by"]
    return Derivation(
        child=str(row["child"]),
        parents=parents,
        relation=Relation(str(row["kind"])),
        basis=Basis.DECLARED,
        confidence=1.0,
        method=str(row["method"]),
        summary=str(row["summary"]),
        observations=observations,
        claimed_by=None if claimant is None else Agent(id=str(claimant), name=str(claimant)),
    ).rows()
