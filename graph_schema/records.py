"""Records: what the nodes of the graph hold.

Each record is a frozen dataclass whose fields are the node's properties, by the same names; `graph_schema.schema` reads
the graph's schema off them, so that there is one definition and not two. A field that may be absent is `None`.
Times are ISO 8601 strings with a zone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from graph_schema.labels import GHOST, AgentKind, Label, Relation, VersionKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A named line of versions.

    Attributes
    ----------
    id : str
        `org/name`, or a name derived from the path.
    name : str
        What people call it.
    organization : str, optional
        The part before the slash, where there is one.
    location : str, optional
        Where it was read from, for people; never followed as a path.
    license : str, optional
        As the card states it.
    library, pipeline : str, optional
        `library_name` and `pipeline_tag` of the card.
    tags : tuple of str
        Tags of the card.
    created_at : str, optional
        As the hub or the files state it; a claim, not a measurement.
    """

    LABEL: ClassVar[Label] = Label.MODEL
    id: str
    name: str
    organization: str | None = None
    location: str | None = None
    license: str | None = None
    library: str | None = None
    pipeline: str | None = None
    tags: tuple[str, ...] = ()
    created_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """An immutable set of weights; the same weights twice are one Version.

    Attributes
    ----------
    id : str
        `graph_schema.identity.version_id` of the weights, or `ghost:NAME` for one that is absent.
    name : str
        The name of the model that has it, for people, with the component behind it where it is one of a pipeline, and
        `@COMMIT` where it is an earlier state; the first in the alphabet where several have it.
    kind : VersionKind
        Full weights, a separate adapter, a component of a pipeline, or a ghost.
    architecture : str, optional
        `architectures[0]` or `_class_name` of the config, or the name of the architecture that the tensors' names
        match.
    formats : tuple of str
        Containers it was seen in.
    dtype : str, optional
        The dtype of most of the parameters, in the names of safetensors.
    parameters, tensors, bytes : int, optional
        Number of values, number of tensors, size of the values.
    fingerprint : int, optional
        Version of the fingerprint that was taken.
    """

    LABEL: ClassVar[Label] = Label.VERSION
    id: str
    name: str
    kind: VersionKind = VersionKind.FULL
    architecture: str | None = None
    formats: tuple[str, ...] = ()
    dtype: str | None = None
    parameters: int | None = None
    tensors: int | None = None
    bytes: int | None = None
    fingerprint: int | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """The node's labels: a ghost carries a second one."""
        return (Label.VERSION, GHOST) if self.kind is VersionKind.GHOST else (Label.VERSION,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A named line of dataset versions.

    Attributes
    ----------
    id : str
        `org/name`, or a name derived from the path.
    name : str
        What people call it: as Croissant or the card states it, else the last part of the id.
    location : str, optional
        Where it was read from, for people; never followed as a path.
    license, url, citation : str, optional
        As its documents state them.
    splits : tuple of str
        As its documents state them: the name, and the number of rows where it is stated, such as `train: 1000`.
    """

    LABEL: ClassVar[Label] = Label.DATASET
    id: str
    name: str
    location: str | None = None
    license: str | None = None
    url: str | None = None
    citation: str | None = None
    splits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetVersion:
    """One immutable state of a dataset; `ghost:dataset:NAME` where it is only named.

    Attributes
    ----------
    id : str
        `graph_schema.identity.dataset_version_id` of the content.
    name : str
        The id of the dataset that has it; the first in the alphabet where several have.
    format : str, optional
        `csv`, `parquet`, `jsonl`, `image` and the like; several are separated by commas.
    rows, bytes, files : int, optional
    columns : tuple of str
        `name: type`, in the order of the file, at most 1000.
    splits : tuple of str
        `name: rows`, as counted.
    shared_splits : tuple of str
        Which share of one split's rows is in another, such as `test in train: 12.0%`; those without any left out.
    """

    LABEL: ClassVar[Label] = Label.DATASET_VERSION
    id: str
    name: str
    format: str | None = None
    rows: int | None = None
    bytes: int | None = None
    files: int | None = None
    columns: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    shared_splits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A transformation: the derivation reified.

    Attributes
    ----------
    id : str
        `graph_schema.identity.edit_id`.
    kind : Relation
        The shortcut it stands behind, such as `FINE_TUNED_FROM`.
    basis : str
        `declared` or `inferred`.
    method : str
        How it was found or declared.
    confidence : float in [0, 1]
        Calibrated where inferred; 1 where declared (the claim was made; whether it is true is another matter).
    parameters : str
        JSON object: merge weights, LoRA rank, changed tensors, bits, sparsity.
    summary : str
        One sentence for people.
    runner_up : str, optional
        Id of the second most likely parent.
    """

    LABEL: ClassVar[Label] = Label.EDIT
    id: str
    kind: Relation
    basis: str
    method: str
    confidence: float
    parameters: str = "{}"
    summary: str = ""
    runner_up: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One observation for or against an Edit.

    Attributes
    ----------
    id : str
        `graph_schema.identity.evidence_id`.
    kind : str
        The cue, such as `tail_distance`, `decay_clock`, `card_base_model`.
    statement : str
        One sentence for people, with the figures in it.
    value : float, optional
        The cue's own figure.
    log_odds : float
        Natural logarithm of the odds it contributes; negative speaks against; 0 where it is only reported.
    method, method_version : str
        What made the observation.
    file, field, tensor, excerpt : str, optional
        Where it was seen.
    """

    LABEL: ClassVar[Label] = Label.EVIDENCE
    id: str
    kind: str
    statement: str
    value: float | None = None
    log_odds: float = 0.0
    method: str
    method_version: str = "1"
    file: str | None = None
    field: str | None = None
    tensor: str | None = None
    excerpt: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """Who, or what software, made or claimed something."""

    LABEL: ClassVar[Label] = Label.AGENT
    id: str
    name: str
    kind: AgentKind = AgentKind.ORGANIZATION


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """What a version was measured by."""

    LABEL: ClassVar[Label] = Label.BENCHMARK
    id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """Where something is described."""

    LABEL: ClassVar[Label] = Label.PUBLICATION
    id: str
    title: str | None = None
    url: str | None = None
    bibtex: str | None = None


Record = Model | Version | Dataset | DatasetVersion | Edit | Evidence | Agent | Benchmark | Publication


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a card, a config or a file name says about where a model comes from.

    Attributes
    ----------
    subject : str
        Id of the Model that the claim is about.
    relation : Relation
        One of `LINEAGE`, `TRAINED_ON`, `EVALUATED_ON` or `DESCRIBED_BY`.
    target : str
        The name claimed: of a model, a dataset, a benchmark or a publication.
    kind : str
        Where such claims stand, such as `card_base_model`.
    file, field : str
        File (relative to the model) and field within it.
    excerpt : str
        The words themselves, at most 300 characters.
    weight : float, optional
        Weight of a merge constituent, or the value of a metric.
    metric : str, optional
        Name of the metric of an evaluation.
    certain : bool
        Whether the field says it outright (front matter, config) or it was read out of prose.
    """

    subject: str
    relation: Relation
    target: str
    kind: str
    file: str
    field: str
    excerpt: str = ""
    weight: float | None = None
    metric: str | None = None
    certain: bool = True
