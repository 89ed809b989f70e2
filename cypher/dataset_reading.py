"""Data sets out of a store: all of them, and one with its states, relations and models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cypher.store import Store
from graph_schema.dataset_detail import DatasetDetail, DatasetEntry, DatasetLink, DatasetState, DatasetUse
from graph_schema.errors import UnknownNameError
from graph_schema.labels import Basis, Relation

# As in `cypher.lineage_reading`: the embedded engine sets memory aside for the limit of a sorted query.
_ALL = 1_000_000


def list_datasets(store: Store) -> tuple[DatasetEntry, ...]:
    """Every data set, those too that are only named, by id."""
    return tuple(_entry(row) for row in store.query("datasets", limit=_ALL))


def find_dataset(store: Store, dataset: str) -> DatasetEntry | None:
    """The data set of an id."""
    return next((_entry(row) for row in store.query("dataset", dataset=dataset)), None)


def read_dataset_detail(store: Store, dataset: str) -> DatasetDetail:
    """One data set with its states, their relations to others and the models that are said to be trained on them.

    Raises
    ------
    UnknownNameError
        If there is none of that id.
    """
    entry = find_dataset(store, dataset)
    if entry is None:
        raise UnknownNameError(f"no dataset {dataset!r} in the store", remedy="modellake datasets lists them")
    states = tuple(_state(row) for row in store.query("states_of_dataset", dataset=dataset))
    links: list[DatasetLink] = []
    uses: list[DatasetUse] = []
    for state in states:
        links += (
            DatasetLink(
                version=state.version,
                **{name: row[name] for name in _LINK_FIELDS},
                relation=Relation(row["relation"]),
                basis=Basis(row["basis"]),
                summary=row["summary"] or "",
            )
            for row in store.query("relations_of_data", state=state.version)
        )
        uses += (
            DatasetUse(
                data=state.version,
                version=row["version"],
                name=row["name"],
                models=tuple(row["models"]),
                basis=Basis(row["basis"]),
                confidence=float(row["confidence"]),
                edit=row["edit"],
                summary=row["summary"] or "",
                licenses=tuple(row["licenses"]),
            )
            for row in store.query("models_of_data", state=state.version)
        )
    return DatasetDetail(entry=entry, states=states, links=tuple(links), uses=tuple(uses))


_LINK_FIELDS = ("other", "name", "forward", "confidence", "share", "share_low", "share_high", "edit")


def _entry(row: Mapping[str, Any]) -> DatasetEntry:
    return DatasetEntry(
        id=row["dataset"],
        name=row["name"],
        location=row["location"],
        license=row["license"],
        url=row["url"],
        citation=row["citation"],
        declared_splits=tuple(row["splits"] or ()),
        versions=int(row["versions"]),
        models=int(row["models"]),
        version=row["version"],
        format=row["format"],
        rows=row["rows"],
        bytes=row["bytes"],
        columns=tuple(row["columns"] or ()),
        shared_splits=tuple(row["shared_splits"] or ()),
    )


def _state(row: Mapping[str, Any]) -> DatasetState:
    return DatasetState(
        version=row["version"],
        number=row["number"],
        path=row["path"],
        format=row["format"],
        rows=row["rows"],
        bytes=row["bytes"],
        files=row["files"],
        columns=tuple(row["columns"] or ()),
        splits=tuple(row["splits"] or ()),
        shared_splits=tuple(row["shared_splits"] or ()),
        datasets=tuple(row["datasets"]),
    )
