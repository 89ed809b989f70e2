"""From the names that models claim to have been trained on to the data of the lake, where it is there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from cypher.dataset_reading import list_datasets
from cypher.store import Store
from graph_schema.dataset_detail import DatasetEntry
from graph_schema.derivation import Derivation, Observation, Parent
from graph_schema.graph import Rows
from graph_schema.labels import Basis, Relation
from graph_schema.records import Agent
from ingest.datasets.dataset_source import data_stem
from modellake.declarations import Resolve


def dataset_resolver(store: Store) -> Resolve:
    """Look up the newest state of a data set by a name that a model claims.

    In this order, upper and lower case aside: the data set of that id; the one that its documents call so, or whose
    address ends so; the one whose id ends in the whole name, or, for a name without an organisation, whose last part is
    it. A name that fits several data sets equally well means none of them.
    """
    present = [entry for entry in list_datasets(store) if not entry.ghost]
    tiers: tuple[defaultdict[str, set[str]], ...] = (defaultdict(set), defaultdict(set), defaultdict(set))
    versions = {entry.id: entry.version for entry in present}
    for entry in present:
        for tier, names in zip(tiers, _names(entry), strict=True):
            for name in names:
                tier[name.lower()].add(entry.id)

    def resolve(name: str) -> str | None:
        wanted = data_stem(name.strip().removeprefix("./")).lower()
        for tier in tiers:
            found = tier.get(wanted, set())
            if len(found) == 1:
                return versions[next(iter(found))]
            if found:
                return None
        return None

    return resolve


def _names(entry: DatasetEntry) -> Iterator[list[str]]:
    yield [entry.id]
    address = (entry.url or "").rstrip("/").split("/")
    yield [entry.name, "/".join(address[-2:]), address[-1]] if entry.url else [entry.name]
    parts = entry.id.split("/")
    yield ["/".join(parts[start:]) for start in range(1, len(parts))]


def resolve_dataset_ghosts(store: Store) -> int:
    """Let declared edges that lead to data that is only named lead to the data itself, where it has arrived.

    Returns
    -------
    int
        Number of edits that were written anew.
    """
    ghosts = store.query("dataset_ghosts")
    if not ghosts:
        return 0
    resolve = dataset_resolver(store)
    stale: list[str] = []
    rows = Rows()
    for row in ghosts:
        arrived = resolve(str(row["name"]))
        if arrived is None:
            continue
        stale.append(str(row["edit"]))
        claimant = row["claimed_by"]
        rows += Derivation(
            child=str(row["child"]),
            parents=(Parent(id=arrived, role="data"),),
            relation=Relation.TRAINED_ON,
            basis=Basis.DECLARED,
            confidence=1.0,
            method=str(row["method"]),
            summary=str(row["summary"]),
            observations=tuple(
                Observation(**{name: value for name, value in item.items() if name != "id"})
                for item in store.query("evidence", edit=str(row["edit"]))
            ),
            claimed_by=None if claimant is None else Agent(id=str(claimant), name=str(claimant)),
        ).rows()
    if stale:
        store.replace(sorted(set(stale)), rows)
    return len(set(stale))
