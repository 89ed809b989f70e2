"""Reading one model: its documents into claims, each of its sets of weights into a Version with a fingerprint."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from graph_schema.errors import ModelLakeError
from graph_schema.fingerprint import FINGERPRINT_VERSION, Fingerprint
from graph_schema.labels import VersionKind
from graph_schema.records import Claim, Model, Version
from ingest.claims.configs import load_json, lora_scale
from ingest.claims.documents import CARD_LIMIT, card_model, read_documents
from ingest.claims.statements import Documentation, Statement, excerpt
from ingest.datasets.dataset_source import DatasetSource
from ingest.fingerprint import take_fingerprint
from ingest.fingerprint.plan import BlockPlan
from ingest.limits import ReadingLimits
from ingest.model_source import Commit, ModelSource, WeightSet
from ingest.readers import open_tensors
from ingest.stored_file import StoredFile
from ingest.tensors import TensorSource

if TYPE_CHECKING:
    from ingest.datasets.reading import DatasetReading

Progress = Callable[[int], None]
"""Called with the number of bytes that were read since the last call, from any thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionReading:
    """One set of weights, read.

    Attributes
    ----------
    version : Version
    fingerprint : Fingerprint
    component : str
        Which part of the model it is; empty for the whole.
    path : str
        The first of its files, relative to the lake.
    revision : str, optional
        Of a hub cache, or of a Git repository.
    commit : Commit, optional
        Where it first appears in the history of a Git repository.
    earlier : bool
        Whether the model has other weights in its place by now: what its documents say is not about these.
    """

    version: Version
    fingerprint: Fingerprint
    component: str = ""
    path: str = ""
    revision: str | None = None
    commit: Commit | None = None
    earlier: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReading:
    """One model, read.

    Attributes
    ----------
    source : ModelSource
    model : Model
    versions : tuple of VersionReading
        In the order of `source.weights`; the same weights in two files are one entry with both formats. Empty where
        none could be read.
    claims : tuple of Claim
    statements : tuple of Statement
        What the documents say beside claims, such as the name of a successor.
    problems : tuple of ModelLakeError
        What could not be read, and why; the rest was.
    """

    source: ModelSource
    model: Model
    versions: tuple[VersionReading, ...] = ()
    claims: tuple[Claim, ...] = ()
    statements: tuple[Statement, ...] = ()
    problems: tuple[ModelLakeError, ...] = ()


class Reader(Protocol):
    """Where reading happens: in this process, or in one that may die (`ingest.isolation.IsolatedReader`)."""

    def documents(self, source: ModelSource) -> Documentation:
        """As `ingest.claims.documents.read_documents`."""
        ...

    def weights(self, weights: WeightSet, name: str) -> VersionReading:
        """As `read_weights`."""
        ...

    def dataset(self, source: DatasetSource) -> DatasetReading:
        """As `ingest.datasets.reading.read_dataset`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectReader:
    """Reads in this process.

    Attributes
    ----------
    threads : int, optional
        Per set of weights.
    progress : callable, optional
    """

    threads: int | None = None
    progress: Progress | None = None
    limits: ReadingLimits = field(default_factory=ReadingLimits)

    def documents(self, source: ModelSource) -> Documentation:
        """The Model record and the claims."""
        return read_documents(source)

    def weights(self, weights: WeightSet, name: str) -> VersionReading:
        """One set of weights."""
        self.limits.check_size(weights.size, weights.files[0].name)
        return read_weights(weights, name=name, workers=self.threads, progress=self.progress)

    def dataset(self, source: DatasetSource) -> DatasetReading:
        """One data set."""
        from ingest.datasets.reading import read_dataset

        self.limits.check_size(source.size, source.location)
        return read_dataset(source, progress=self.progress)


def read_model(
    source: ModelSource,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
    reader: Reader | None = None,
) -> ModelReading:
    """Read one model: documents first, then one pass over each set of its weights.

    Parameters
    ----------
    source : ModelSource
        From `ingest.discovery.discover`.
    workers : int, optional
        Threads per set of weights.
    progress : callable, optional
        Called with the number of bytes read since the last call; the sum approaches `source.size`.
    reader : Reader, optional
        Where to read instead of in this process; `workers` and `progress` are then the reader's own.

    Returns
    -------
    ModelReading
        Damaged or unsafe files are `problems`; nothing of them is half in the result.
    """
    reader = reader or DirectReader(threads=workers, progress=progress)
    try:
        documentation = reader.documents(source)
    except ModelLakeError as error:
        documentation = Documentation(model=card_model({}, id=source.id, location=source.location), problems=(error,))
    problems = list(documentation.problems)
    versions: dict[str, VersionReading] = {}
    for weights in source.weights:
        try:
            reading = reader.weights(weights, source.id)
        except ModelLakeError as error:
            problems.append(error)
            continue
        first = versions.setdefault(reading.version.id, reading)
        if first is not reading:
            formats = tuple(sorted({*first.version.formats, *reading.version.formats}))
            versions[reading.version.id] = replace(
                first,
                version=replace(first.version, formats=formats),
                revision=first.revision or reading.revision,
                commit=_first(first.commit, reading.commit),
            )
    return ModelReading(
        source=source,
        model=documentation.model,
        versions=tuple(versions.values()),
        claims=documentation.claims,
        statements=documentation.statements,
        problems=tuple(problems),
    )


def _first(one: Commit | None, other: Commit | None) -> Commit | None:
    return min(filter(None, (one, other)), key=lambda commit: commit.position, default=None)


def read_weights(
    weights: WeightSet,
    *,
    name: str,
    workers: int | None = None,
    progress: Progress | None = None,
    plan: BlockPlan | None = None,
) -> VersionReading:
    """Read one set of weights in a single pass.

    Parameters
    ----------
    weights : WeightSet
    name : str
        The name of the model, for the Version's; a component's is put behind it, and the commit of an earlier state.
    workers, progress, plan
        Passed on to `ingest.fingerprint.take_fingerprint`.

    Raises
    ------
    FormatError
        If a file is damaged, missing or unsafe.
    """
    config = _json(weights.config)
    adapter = _json(weights.adapter_config)
    kind = _kind(weights)
    with open_tensors(weights.files) as source:
        if source.model_type and not config.get("model_type"):
            config = {**config, "model_type": source.model_type}
        fingerprint = take_fingerprint(
            source,
            config=config,
            workers=workers,
            progress=progress,
            plan=plan,
            kind="adapter" if kind is VersionKind.ADAPTER else "full",
            scale=lora_scale(adapter) if kind is VersionKind.ADAPTER else 1.0,
        )
        shown = f"{name}/{weights.component}" if kind is VersionKind.COMPONENT else name
        if weights.earlier and weights.commit is not None:
            shown = f"{shown}@{weights.commit.id[:10]}"
        version = _version(source, fingerprint, config, name=shown, kind=kind)
    return VersionReading(
        version=version,
        fingerprint=fingerprint,
        component=weights.component,
        path=weights.files[0].name,
        revision=weights.revision,
        commit=weights.commit,
        earlier=weights.earlier,
    )


def _json(file: StoredFile | None) -> Mapping[str, object]:
    """A config beside the weights; a broken one was reported with the documents and says nothing here."""
    if file is None:
        return {}
    try:
        return load_json(file.read_text(CARD_LIMIT)[0], where=file.name)
    except ModelLakeError:
        return {}


def _kind(weights: WeightSet) -> VersionKind:
    if weights.adapter_config is not None:
        return VersionKind.ADAPTER
    return VersionKind.COMPONENT if weights.is_part else VersionKind.FULL


def _version(
    source: TensorSource, fingerprint: Fingerprint, config: Mapping[str, object], *, name: str, kind: VersionKind
) -> Version:
    sizes: Counter[str] = Counter()
    for info in source.tensors:
        sizes[info.dtype] += info.size
    listed = config.get("architectures")
    # Components of diffusers' pipelines state one class, not a list.
    stated = [*(listed if isinstance(listed, list) else []), config.get("_class_name")]
    architecture = next((item for item in stated if isinstance(item, str)), "")
    return Version(
        id=fingerprint.version,
        name=name,
        kind=kind,
        architecture=excerpt(architecture) or fingerprint.architecture or None,
        formats=(source.format,),
        # Ties go to the name that comes first, so that the answer does not hang on the order of the tensors.
        dtype=min(sizes, key=lambda dtype: (-sizes[dtype], dtype)) if sizes else None,
        parameters=sum(info.size for info in source.tensors),
        tensors=len(source.tensors),
        bytes=sum(info.nbytes for info in source.tensors),
        fingerprint=FINGERPRINT_VERSION,
    )
