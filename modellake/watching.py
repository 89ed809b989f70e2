"""Watching a lake grow: what arrives is read once it is whole.

A file that is being written changes its size or its time. A model or a data set is read when nothing of it has changed
for a while, and again when it changes later. The operating system says when to look; where it says nothing, as on
network drives, one looks from time to time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from cypher.store import Store
from graph_schema.errors import EmptyLakeError
from ingest.datasets.dataset_source import DatasetSource
from ingest.discovery import discover
from ingest.isolation import IsolatedReader, WorkerPool
from ingest.model_source import ModelSource, Rejected
from ingest.reading import DirectReader, Reader, read_model
from modellake.dataset_ingestion import FoundDatasets, find_datasets, relate_datasets
from modellake.dataset_resolution import resolve_dataset_ghosts
from modellake.describing import dumps_signature, split_dumps
from modellake.ingestion import IngestSummary, Problem, describe, is_unchanged, keep, keep_data, read_or_problem
from modellake.journal import Entry, read_journal
from modellake.settings import Settings

SETTLE_SECONDS = 5.0
LOOK_SECONDS = 60.0
"""How often one looks though nothing was said to have changed."""

_STEP_SECONDS = 1.0
_REST = 10
"""How many times as long as a look took one does not look again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """Something that happened in a lake that is watched.

    Attributes
    ----------
    model : str
        Id of a model that was read; empty where the event is about something else.
    versions : tuple of str
        Ids of its versions.
    dataset : str
        Id of a data set that was read.
    described : int
        Number of models that dumps of metadata describe.
    problems : tuple of Problem
        What was left out.
    """

    model: str = ""
    versions: tuple[str, ...] = ()
    dataset: str = ""
    described: int = 0
    problems: tuple[Problem, ...] = ()


@dataclass(slots=True, kw_only=True)
class Settling:
    """Tells what has not changed for a while.

    Attributes
    ----------
    seconds : float
        How long that is.
    clock : callable
        Gives seconds from any beginning.

    Examples
    --------
    >>> now = 0.0
    >>> settling = Settling(seconds=5, clock=lambda: now)
    >>> settling.settled({"a": "1 byte"})
    set()
    >>> now = 5.0
    >>> settling.settled({"a": "1 byte", "b": "new"})
    {'a'}
    """

    seconds: float = SETTLE_SECONDS
    clock: Callable[[], float] = time.monotonic
    _since: dict[str, tuple[str, float]] = field(default_factory=dict)

    def settled(self, states: Mapping[str, str]) -> set[str]:
        """The names whose state is the one they had `seconds` ago; what is not named is forgotten."""
        now = self.clock()
        self._since = {
            name: known if (known := self._since.get(name)) and known[0] == state else (state, now)
            for name, state in states.items()
        }
        return {name for name, (_, since) in self._since.items() if now - since >= self.seconds}


def watch(
    store: Store,
    settings: Settings,
    paths: Sequence[Path],
    *,
    settle: float = SETTLE_SECONDS,
    pool: WorkerPool | None = None,
    stop: Event | None = None,
) -> Iterator[Arrival]:
    """Read what lies below some paths, and then whatever arrives there, until stopped.

    Parameters
    ----------
    store : Store
    settings : Settings
    paths : sequence of Path
        Directories or files; they must exist, but may hold nothing yet.
    settle : float
        Seconds for which nothing of a model or data set may have changed before it is read.
    pool : WorkerPool, optional
        Workers to read in; without one, in this process.
    stop : Event, optional
        Ends the watching when it is set, within a second or with what is being read.

    Yields
    ------
    Arrival
        One a model or data set that was read or could not be, one for each thing that was left out; each problem once.

    Raises
    ------
    PathNotFoundError
        If one of the paths does not exist, or is gone.
    StoreError
        If the store fails; what was read until then is kept.
    """
    stop = stop or Event()
    reader: Reader = DirectReader(limits=settings.limits) if pool is None else IsolatedReader(pool)
    rounds = _Rounds(store, settings, paths, reader, Settling(seconds=settle))
    changes = _changes(paths, settings.directory, stop)
    while not stop.is_set():
        began = time.monotonic()
        unsettled = yield from rounds.look(stop)
        now = time.monotonic()
        # Looking must not become all there is to do while a large lake is being written to.
        pause = max(_STEP_SECONDS, _REST * (now - began))
        until = now + max(pause, settle if unsettled else LOOK_SECONDS)
        while not stop.is_set() and time.monotonic() < until:
            if next(changes):
                until = min(until, max(now, time.monotonic()) + pause)


class _Rounds:
    """One look after the other, and what is remembered between them."""

    def __init__(
        self, store: Store, settings: Settings, paths: Sequence[Path], reader: Reader, settling: Settling
    ) -> None:
        self._store, self._settings, self._paths, self._reader = store, settings, paths, reader
        self._settling = settling
        self._failed: dict[str, str] = {}
        self._related = False

    def look(self, stop: Event) -> Generator[Arrival, None, bool]:
        """Read what has settled; returns whether something has not."""
        dumps, lakes = split_dumps(self._paths)
        sources, rejected = _found(lakes)
        known = read_journal(self._settings.journal, self._settings.store_key)
        data = find_datasets(self._settings, lakes, known)
        rejected += data.rejected
        states = {f"model {source.id}": source.signature for source in sources}
        states |= {_name(source): source.signature for source in data.todo}
        states |= {f"rejected {item.location}": f"{item.error}{_stamp(lakes, item)}" for item in rejected}
        if dumps:
            states["dumps"] = dumps_signature(dumps)
        settled = self._settling.settled(states)
        for item in rejected:
            name = f"rejected {item.location}"
            if name in settled and self._is_news(name, states[name]):
                yield Arrival(problems=(Problem(location=item.location, error=item.error),))
        if "dumps" in settled and self._is_news("dumps", states["dumps"]):
            summary = IngestSummary()
            describe(self._store, self._settings, dumps, known, summary)
            if summary.described or summary.problems:
                yield Arrival(described=summary.described, problems=tuple(summary.problems))
        # Data first: the models that name it are then joined to it as they are read.
        yield from self._data(data, states, settled, known, stop)
        for source in sources:
            if stop.is_set():
                break
            name = f"model {source.id}"
            if name not in settled or is_unchanged(self._settings, known, source):
                continue
            if self._is_news(name, states[name]):
                summary = IngestSummary()
                keep(self._store, self._settings, read_model(source, reader=self._reader), summary)
                yield Arrival(
                    model=source.id if summary.models else "",
                    versions=tuple(summary.versions),
                    problems=tuple(summary.problems),
                )
        return len(settled) < len(states)

    def _data(
        self,
        data: FoundDatasets,
        states: Mapping[str, str],
        settled: Collection[str],
        known: Mapping[str, Entry],
        stop: Event,
    ) -> Iterator[Arrival]:
        read = 0
        for source in data.todo:
            if stop.is_set():
                break
            if _name(source) in settled and self._is_news(_name(source), states[_name(source)]):
                summary = IngestSummary()
                keep_data(self._store, self._settings, read_or_problem(self._reader, source), summary)
                read += len(summary.datasets)
                yield Arrival(dataset=source.id if summary.datasets else "", problems=tuple(summary.problems))
        # Once a look, however much has come: all states are related anew. The first look makes good what an
        # interruption left undone.
        if read or (data.unchanged and not self._related):
            self._related = True
            relate_datasets(self._store, self._settings, known)
            resolve_dataset_ghosts(self._store)

    def _is_news(self, name: str, state: str) -> bool:
        # What could not be read is tried again when it changes, and not before.
        if self._failed.get(name) == state:
            return False
        self._failed[name] = state
        return True


def _name(source: DatasetSource) -> str:
    return f"dataset {source.id}:{source.folder}"


def _found(lakes: Sequence[Path]) -> tuple[list[ModelSource], list[Rejected]]:
    sources: list[ModelSource] = []
    rejected: list[Rejected] = []
    try:
        for item in discover(lakes) if lakes else ():
            (rejected if isinstance(item, Rejected) else sources).append(item)  # type: ignore[arg-type]
    except EmptyLakeError:
        pass
    return sources, rejected


def _stamp(lakes: Sequence[Path], item: Rejected) -> str:
    """Size and time of a file that was rejected: an archive that is still being copied is damaged all the while."""
    for lake in lakes:
        try:
            status = (lake / item.location).lstat()
        except (OSError, ValueError):
            continue
        return f" {status.st_size} {status.st_mtime_ns}"
    return ""


def _changes(paths: Sequence[Path], own: Path, stop: Event) -> Iterator[bool]:
    """Whether something changed below the paths within the last second or so, again and again."""
    # Whatever keeps the system from telling, one can still look.
    with suppress(Exception):
        yield from _told(paths, own, stop)
    while True:
        stop.wait(_STEP_SECONDS)
        yield False


def _told(paths: Sequence[Path], own: Path, stop: Event) -> Iterator[bool]:
    from watchfiles import watch as told

    places = [path.resolve() for path in paths]
    directory = os.path.realpath(own)

    def counts(_: object, name: str) -> bool:
        if name.startswith(directory):
            return False
        place = next((place for place in places if Path(name).is_relative_to(place)), None)
        return place is None or not any(part.startswith(".") for part in Path(name).relative_to(place).parts)

    events = told(
        *places,
        watch_filter=counts,
        stop_event=stop,
        rust_timeout=int(1000 * _STEP_SECONDS),
        yield_on_timeout=True,
        raise_interrupt=True,
        debounce=400,
    )
    for found in events:
        yield bool(found)
