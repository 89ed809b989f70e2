"""Ingest: find models, read each once, and write it to the store; what cannot be read costs one line, not the run."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cypher.store import Store
from graph_schema.errors import EmptyLakeError, ModelLakeError, ResourceError
from graph_schema.graph import Edge, Rows, Value
from graph_schema.labels import Label, Relation, VersionKind
from graph_schema.records import Record
from ingest.discovery import discover
from ingest.fingerprint.file import write_fingerprint
from ingest.model_source import ModelSource, Rejected
from ingest.reading import ModelReading, read_model
from modellake.declarations import declared_rows
from modellake.journal import Entry, append_entry, read_journal
from modellake.resolution import resolver
from modellake.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that was left out: one line."""

    location: str
    error: ModelLakeError

    def __str__(self) -> str:
        return str(self.error) if self.error.where else f"{self.location}: {self.error}"


@dataclass(slots=True, kw_only=True)
class IngestSummary:
    """What an ingest did.

    Attributes
    ----------
    models : list of str
        Ids of the models that were read.
    versions : list of str
        Ids of their versions.
    unchanged : list of str
        Ids of the models that were read before, and have not changed.
    problems : list of Problem
    """

    models: list[str] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestProgress:
    """Hooks for showing progress; every one is optional to use."""

    total: Callable[[int], None] = lambda size: None
    model: Callable[[str], None] = lambda name: None
    bytes_read: Callable[[int], None] = lambda size: None


def ingest(
    store: Store,
    settings: Settings,
    paths: Sequence[Path],
    *,
    workers: int | None = None,
    progress: IngestProgress | None = None,
) -> IngestSummary:
    """Read models into the store.

    Parameters
    ----------
    store : Store
    settings : Settings
        Where the fingerprints and the journal go.
    paths : sequence of Path
    workers : int, optional
        Threads per set of weights.
    progress : IngestProgress, optional

    Returns
    -------
    IngestSummary
        A model is in the store with its fingerprint on disk before it is listed.

    Raises
    ------
    PathNotFoundError, EmptyLakeError
        See `ingest.discovery.discover`.
    StoreError
        If the store fails; what was read until then is kept.
    """
    hooks = progress or IngestProgress()
    summary = IngestSummary()
    where = settings.store_key
    known = read_journal(settings.journal, where)
    sources = _sources(paths, summary)
    todo = []
    for source in sources:
        entry = known.get(source.id)
        if entry is not None and entry.signature == source.signature and _complete(settings, entry):
            summary.unchanged.append(source.id)
        else:
            todo.append(source)
    hooks.total(sum(source.size for source in todo))
    for source in todo:
        hooks.model(source.id)
        _ingest_one(store, settings, source, where, summary, workers, hooks)
    return summary


def _sources(paths: Sequence[Path], summary: IngestSummary) -> list[ModelSource]:
    sources: list[ModelSource] = []
    try:
        for item in discover(paths):
            if isinstance(item, Rejected):
                summary.problems.append(Problem(location=item.location, error=item.error))
            else:
                sources.append(item)
    except EmptyLakeError:
        if not summary.problems:
            raise
    return sources


def _complete(settings: Settings, entry: Entry) -> bool:
    return all(settings.fingerprint(version).is_file() for version in entry.versions)


def _ingest_one(
    store: Store,
    settings: Settings,
    source: ModelSource,
    where: str,
    summary: IngestSummary,
    workers: int | None,
    hooks: IngestProgress,
) -> None:
    reading = read_model(source, workers=workers, progress=hooks.bytes_read)
    summary.problems += [Problem(location=source.location, error=error) for error in reading.problems]
    if source.weights and not reading.versions:
        return
    try:
        for item in reading.versions:
            write_fingerprint(settings.fingerprint(item.version.id), item.fingerprint)
        store.write(_rows(store, reading))
        # Damaged files may be mended in place or finish downloading: only a complete reading is not repeated.
        if not reading.problems:
            ids = tuple(item.version.id for item in reading.versions)
            entry = Entry(store=where, model=source.id, signature=source.signature, versions=ids)
            append_entry(settings.journal, entry)
    except OSError as error:
        reason = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else str(error.strerror or error)
        remedy = "make room and run the same command again; what was read is kept"
        failure = ResourceError(f"not kept: {reason}", where=source.location, remedy=remedy)
        summary.problems.append(Problem(location=source.location, error=failure))
        return
    summary.models.append(source.id)
    summary.versions += [item.version.id for item in reading.versions]


def _rows(store: Store, reading: ModelReading) -> Rows:
    records: list[Record] = [reading.model, *(item.version for item in reading.versions)]
    edges = []
    for item in reading.versions:
        properties: dict[str, Value] = {"path": item.path} if item.path else {}
        edges.append(
            Edge(
                relation=Relation.HAS_VERSION,
                source=(Label.MODEL, reading.model.id),
                target=(Label.VERSION, item.version.id),
                properties=properties,
            )
        )
    subjects = [item.version for item in reading.versions if item.version.kind is not VersionKind.COMPONENT]
    declared = declared_rows(reading.model, subjects, reading.claims, resolver(store))
    return Rows.of(records, edges) + declared
