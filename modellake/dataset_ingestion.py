"""Data sets into the store: each state with its sketch, and how all of them relate."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cypher.store import Store
from graph_schema.errors import ModelLakeError
from graph_schema.graph import Edge, Rows, Value
from graph_schema.identity import digest
from graph_schema.labels import Label, Relation
from graph_schema.records import DatasetVersion
from graph_schema.row_sketch import DatasetSketch
from ingest.datasets.dataset_source import DatasetSource
from ingest.datasets.discovery import discover_datasets
from ingest.datasets.sketch_file import read_sketch, write_sketch
from ingest.model_source import Rejected
from modellake.journal import Entry, append_entry
from modellake.settings import Settings

if TYPE_CHECKING:
    from ingest.datasets.reading import DatasetReading

EVERY = 1_000_000
_RELATED = "relations between datasets"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDatasets:
    """Data sets of some paths: those to read, the ids of those that have not changed, and what was rejected."""

    todo: tuple[DatasetSource, ...]
    unchanged: tuple[str, ...]
    rejected: tuple[Rejected, ...]


def find_datasets(settings: Settings, paths: Sequence[Path], known: dict[str, Entry]) -> FoundDatasets:
    """The data sets below some paths, held against the journal."""
    todo: list[DatasetSource] = []
    unchanged: list[str] = []
    rejected: list[Rejected] = []
    for item in discover_datasets(paths):
        if isinstance(item, Rejected):
            rejected.append(item)
            continue
        entry = known.get(_journal_name(item))
        complete = entry is not None and all(settings.sketch(version).is_file() for version in entry.versions)
        if complete and entry is not None and entry.signature == item.signature:
            unchanged.append(item.id)
        else:
            todo.append(item)
    return FoundDatasets(todo=tuple(todo), unchanged=tuple(unchanged), rejected=tuple(rejected))


def keep_dataset(store: Store, settings: Settings, reading: DatasetReading) -> None:
    """Write a data set: its sketch to disk, then its nodes to the store, then a line to the journal.

    Raises
    ------
    ResourceError
        If the sketch cannot be written.
    OSError
        If its folder or the journal cannot.
    """
    version = reading.version.id
    settings.sketches.mkdir(parents=True, exist_ok=True)
    write_sketch(settings.sketch(version), reading.sketch)
    store.write(_rows(store, reading))
    # Rows that were left out may be mended in place: only a complete reading is not repeated.
    if not reading.problems:
        source = reading.source
        entry = Entry(
            store=settings.store_key, model=_journal_name(source), signature=source.signature, versions=(version,)
        )
        append_entry(settings.journal, entry)


def _journal_name(source: DatasetSource) -> str:
    return f"dataset:{source.id}:{source.folder}"


def _rows(store: Store, reading: DatasetReading) -> Rows:
    states = store.query("states_of_dataset", dataset=reading.dataset.id)
    numbers = {str(row["version"]): row["number"] for row in states if row["number"] is not None}
    number = numbers.get(reading.version.id, max(numbers.values(), default=0) + 1)
    properties: dict[str, Value] = {"path": _fit(reading.source.files[0].name), "number": number}
    edge = Edge(
        relation=Relation.HAS_VERSION,
        source=(Label.DATASET, reading.dataset.id),
        target=(Label.DATASET_VERSION, reading.version.id),
        properties=properties,
    )
    from lineage.dataset_comparison import shared_splits

    shared = tuple(f"{one} in {other}: {share.value:.1%}" for one, other, share in shared_splits(reading.sketch))
    version = replace(_joined(store, reading.version), shared_splits=shared)
    return Rows.of([reading.dataset, version], [edge])


def _fit(name: str) -> str:
    return name.encode("utf-8", "replace").decode("utf-8")


def _joined(store: Store, version: DatasetVersion) -> DatasetVersion:
    """The state under the name that comes first of all data sets that have it."""
    names = [str(row["dataset"]) for row in store.query("datasets_of_state", state=version.id)]
    return replace(version, name=min([version.name, *names]))


def relate_datasets(store: Store, settings: Settings, known: Mapping[str, Entry]) -> bool:
    """Relate all states of data in the store anew, in place of what was inferred before, unless none came since.

    Parameters
    ----------
    store : Store
    settings : Settings
    known : mapping of str to Entry
        The journal as it was before: what was related when, so that an interruption is made good the next time.

    Returns
    -------
    bool
        Whether anything was related. A state whose sketch is gone or damaged has no relation until it is read again.
    """
    states = store.query("dataset_states", limit=EVERY)
    signature = digest(*(f"{row['dataset']}\n{row['version']}\n{row['number']}" for row in states))
    if _RELATED in known and known[_RELATED].signature == signature:
        return False
    from lineage.dataset_relations import relate

    datasets: defaultdict[str, list[str]] = defaultdict(list)
    for row in states:
        datasets[str(row["dataset"])].append(str(row["version"]))
    sketches: dict[str, DatasetSketch] = {}
    for version in sorted({version for versions in datasets.values() for version in versions}):
        try:
            sketches[version] = read_sketch(settings.sketch(version))
        except ModelLakeError:
            continue
    found = [derivation.rows() for derivation in relate(tuple(sketches.values()), datasets)]
    rows = Rows(
        nodes=tuple(node for part in found for node in part.nodes),
        edges=tuple(edge for part in found for edge in part.edges),
    )
    stale = {str(row["edit"]) for row in store.query("dataset_relations", limit=EVERY) if row["basis"] == "inferred"}
    store.replace(sorted(stale), rows)
    entry = Entry(store=settings.store_key, model=_RELATED, signature=signature, versions=())
    append_entry(settings.journal, entry)
    return True
