"""Ingest: find models, read each once, and write it to the store; what cannot be read costs one line, not the run."""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from cypher.store import Store
from graph_schema.errors import EmptyLakeError, ModelLakeError, ResourceError
from graph_schema.fingerprint import FINGERPRINT_VERSION
from graph_schema.graph import Edge, Rows, Value
from graph_schema.identity import digest
from graph_schema.labels import Label, Relation, VersionKind
from graph_schema.records import Record, Version
from ingest.datasets.dataset_source import DatasetSource
from ingest.discovery import discover
from ingest.fingerprint.file import write_fingerprint
from ingest.fingerprint.taking import default_workers
from ingest.hub_metadata import read_hub_metadata
from ingest.isolation import IsolatedReader, WorkerPool
from ingest.model_source import ModelSource, Rejected
from ingest.reading import DirectReader, ModelReading, Reader, read_model
from modellake.dataset_ingestion import find_datasets, keep_dataset, relate_datasets
from modellake.dataset_resolution import dataset_resolver, resolve_dataset_ghosts
from modellake.declarations import Resolve, declared_rows
from modellake.describing import dumps_signature, split_dumps, write_metadata
from modellake.journal import Entry, append_entry, read_journal
from modellake.resolution import resolver
from modellake.settings import Settings

if TYPE_CHECKING:
    from ingest.datasets.reading import DatasetReading

S = TypeVar("S")
R = TypeVar("R")


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
        Ids of the models and data sets that were read before, and have not changed.
    described : int
        Number of models that dumps of metadata describe.
    datasets : list of str
        Ids of the data sets that were read.
    problems : list of Problem
    """

    described: int = 0
    datasets: list[str] = field(default_factory=list)
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
    isolated: bool = True,
    pool: WorkerPool | None = None,
    progress: IngestProgress | None = None,
) -> IngestSummary:
    """Read models and data sets into the store.

    Parameters
    ----------
    store : Store
    settings : Settings
        Where the fingerprints and the journal go, and what reading a file may cost.
    paths : sequence of Path
    workers : int, optional
        Models that are read at once, 1 by default; the processor's cores are shared among them.
    isolated : bool
        Read in worker processes, so that a file that crashes its reader or exhausts the machine costs one line. False
        reads in this process and this thread: no start-up, no protection, no limits on memory and time.
    pool : WorkerPool, optional
        Workers to use instead of new ones; the caller closes it.
    progress : IngestProgress, optional
        `bytes_read` is called from several threads where `workers` is above 1.

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
    known = read_journal(settings.journal, settings.store_key)
    dumps, lakes = split_dumps(paths)
    if dumps:
        describe(store, settings, dumps, known, summary)
    data = find_datasets(settings, lakes, known)
    some = bool(dumps or data.todo or data.unchanged)
    sources = _sources(lakes, summary, known_otherwise=some) if lakes or not dumps else []
    summary.problems += [Problem(location=item.location, error=item.error) for item in data.rejected]
    todo = [source for source in sources if not is_unchanged(settings, known, source)]
    summary.unchanged += [*data.unchanged, *(source.id for source in sources if source not in todo)]
    hooks.total(sum(source.size for source in todo) + sum(source.size for source in data.todo))
    with ExitStack() as stack:
        if isolated:
            size = min(workers or 1, max(len(todo), len(data.todo), 1))
            pool = pool or stack.enter_context(WorkerPool(size, settings.limits))
            threads = max(1, default_workers() // pool.size)
            reader: Reader = IsolatedReader(pool, threads=threads, progress=hooks.bytes_read)
            ahead = pool.size
        else:
            reader = DirectReader(threads=workers, progress=hooks.bytes_read, limits=settings.limits)
            ahead = 0

        def read_data(source: DatasetSource) -> DatasetReading | Problem:
            hooks.model(source.id)
            return read_or_problem(reader, source)

        def read(source: ModelSource) -> ModelReading:
            hooks.model(source.id)
            return read_model(source, reader=reader)

        for found in _in_order(data.todo, read_data, ahead):
            keep_data(store, settings, found, summary)
        resolve_dataset = dataset_resolver(store)
        for reading in _in_order(todo, read, ahead):
            keep(store, settings, reading, summary, resolve_dataset=resolve_dataset)
    if data.unchanged or summary.datasets:
        relate_datasets(store, settings, known)
        resolve_dataset_ghosts(store)
    return summary


def is_unchanged(settings: Settings, known: Mapping[str, Entry], source: ModelSource) -> bool:
    """Whether a model was read before, completely, and has not changed; `known` is what the journal says."""
    entry = known.get(source.id)
    if entry is None or entry.signature != source.signature:
        return False
    files = [settings.fingerprint(version) for version in entry.versions]
    return not files or (entry.fingerprint == FINGERPRINT_VERSION and all(path.is_file() for path in files))


def _in_order(sources: Sequence[S], read: Callable[[S], R], ahead: int) -> Iterator[R]:
    """Readings in the order of the sources; `ahead` of them are under way while one is being kept."""
    if ahead == 0:
        yield from map(read, sources)
        return
    pending: deque[Future[R]] = deque()
    threads = ThreadPoolExecutor(ahead, thread_name_prefix="read")
    try:
        for source in sources:
            pending.append(threads.submit(read, source))
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        # On an interruption the workers are ended by their pool, which ends the threads that wait for them.
        threads.shutdown(wait=False, cancel_futures=True)


def describe(
    store: Store, settings: Settings, dumps: Sequence[Path], known: Mapping[str, Entry], summary: IngestSummary
) -> None:
    """Read dumps of metadata that are new or have changed, see `modellake.describing`."""
    signature = dumps_signature(dumps)
    name = f"metadata:{digest(*map(str, dumps))}"
    if name in known and known[name].signature == signature:
        summary.unchanged += [str(path) for path in dumps]
        return
    try:
        found = read_hub_metadata(dumps)
    except ModelLakeError as error:
        summary.problems.append(Problem(location=str(dumps[0]), error=error))
        return
    summary.problems += [Problem(location=str(dumps[0]), error=error) for error in found.problems]
    summary.described += write_metadata(store, found)
    append_entry(settings.journal, Entry(store=settings.store_key, model=name, signature=signature, versions=()))


def _sources(paths: Sequence[Path], summary: IngestSummary, *, known_otherwise: bool) -> list[ModelSource]:
    sources: list[ModelSource] = []
    try:
        for item in discover(paths):
            if isinstance(item, Rejected):
                summary.problems.append(Problem(location=item.location, error=item.error))
            else:
                sources.append(item)
    except EmptyLakeError:
        if not summary.problems and not known_otherwise:
            raise
    return sources


def keep(
    store: Store,
    settings: Settings,
    reading: ModelReading,
    summary: IngestSummary,
    *,
    resolve_dataset: Resolve | None = None,
) -> None:
    """Write one reading: fingerprints to disk, the graph to the store, an entry to the journal; tell the summary.

    What cannot be kept because a disk is full is a problem in the summary; a store that fails raises StoreError. Names
    of data sets are looked up in the store where `resolve_dataset` is not given.
    """
    source = reading.source
    summary.problems += [Problem(location=source.location, error=error) for error in reading.problems]
    if source.weights and not reading.versions:
        return
    try:
        settings.fingerprints.mkdir(parents=True, exist_ok=True)
        for item in reading.versions:
            write_fingerprint(settings.fingerprint(item.version.id), item.fingerprint)
        store.write(_rows(store, reading, resolve_dataset or dataset_resolver(store)))
        # Damaged files may be mended in place or finish downloading: only a complete reading is not repeated.
        if not reading.problems:
            ids = tuple(item.version.id for item in reading.versions)
            entry = Entry(store=settings.store_key, model=source.id, signature=source.signature, versions=ids)
            append_entry(settings.journal, entry)
    except (ResourceError, OSError) as error:
        summary.problems.append(Problem(location=source.location, error=_not_kept(error, source.location)))
        return
    summary.models.append(source.id)
    summary.versions += [item.version.id for item in reading.versions]


def read_or_problem(reader: Reader, source: DatasetSource) -> DatasetReading | Problem:
    """Read a data set; what keeps it from being read is what is returned."""
    try:
        return reader.dataset(source)
    except ModelLakeError as error:
        return Problem(location=source.location, error=error)


def keep_data(store: Store, settings: Settings, found: DatasetReading | Problem, summary: IngestSummary) -> None:
    """Write one reading of a data set, see `modellake.dataset_ingestion.keep_dataset`; tell the summary."""
    if isinstance(found, Problem):
        summary.problems.append(found)
        return
    source = found.source
    summary.problems += [Problem(location=source.location, error=error) for error in found.problems]
    try:
        keep_dataset(store, settings, found)
    except (ResourceError, OSError) as error:
        summary.problems.append(Problem(location=source.location, error=_not_kept(error, source.location)))
        return
    summary.datasets.append(source.id)


def _not_kept(error: ResourceError | OSError, where: str) -> ResourceError:
    if isinstance(error, ResourceError):
        return error
    reason = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else str(error.strerror or error)
    return ResourceError(
        f"not kept: {reason}", where=where, remedy="make room and run the same command again; what was read is kept"
    )


def _rows(store: Store, reading: ModelReading, resolve_dataset: Resolve) -> Rows:
    versions = (_joined(store, item.version, superseded=item.earlier) for item in reading.versions)
    records: list[Record] = [reading.model, *versions]
    edges = []
    for item in reading.versions:
        found: dict[str, Value] = {"path": item.path or None, "revision": item.revision}
        if item.commit is not None:
            found |= {"position": item.commit.position, "created_at": item.commit.time, "author": item.commit.author}
        properties = {name: value for name, value in found.items() if value is not None}
        edges.append(
            Edge(
                relation=Relation.HAS_VERSION,
                source=(Label.MODEL, reading.model.id),
                target=(Label.VERSION, item.version.id),
                properties=properties,
            )
        )
    subjects = [
        item.version for item in reading.versions if item.version.kind is not VersionKind.COMPONENT and not item.earlier
    ]
    declared = declared_rows(reading.model, subjects, reading.claims, resolver(store), resolve_dataset)
    return Rows.of(records, edges) + declared


def _joined(store: Store, version: Version, *, superseded: bool) -> Version:
    """The version with what is known of the same weights under other names, whichever was read first.

    Where another has taken its place in the model since, it does not keep the model's name.
    """
    for row in store.query("version", version=version.id):
        formats = tuple(sorted({*version.formats, *(row["formats"] or ())}))
        known = str(row["name"])
        renamed = superseded and known == version.name.rpartition("@")[0]
        return replace(version, name=version.name if renamed else min(version.name, known), formats=formats)
    return version
