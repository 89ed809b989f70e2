"""Data sets as people see them: taken out of the graph to be listed, shown and exported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from graph_schema.identity import GHOST_PREFIX
from graph_schema.labels import Basis, Relation


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetEntry:
    """A data set with its newest state.

    Attributes
    ----------
    id, name, location, license, url, citation, declared_splits
        Those of the Dataset.
    version, format, rows, bytes, columns, shared_splits
        Those of its newest DatasetVersion.
    versions : int
        How many states it has had.
    models : int
        How many versions of models are said to be trained on it.
    """

    id: str
    name: str
    version: str
    versions: int
    models: int
    location: str | None = None
    license: str | None = None
    url: str | None = None
    citation: str | None = None
    declared_splits: tuple[str, ...] = ()
    format: str | None = None
    rows: int | None = None
    bytes: int | None = None
    columns: tuple[str, ...] = ()
    shared_splits: tuple[str, ...] = ()

    @property
    def ghost(self) -> bool:
        """Whether it is only named, and its data absent."""
        return self.version.startswith(GHOST_PREFIX)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetState:
    """One state of a data set; `datasets` are the ids of all that have it."""

    version: str
    number: int | None
    path: str | None
    format: str | None
    rows: int | None
    bytes: int | None
    files: int | None
    columns: tuple[str, ...]
    splits: tuple[str, ...]
    shared_splits: tuple[str, ...]
    datasets: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetLink:
    """How one state of data relates to another.

    Attributes
    ----------
    version, other : str
        Ids of the states; `name` is the other's.
    forward : bool
        Whether the relation leads from `version` to `other`.
    share, share_low, share_high : float, optional
        Share of the rows of the relation's start that are in its end, and the interval.
    """

    version: str
    other: str
    name: str
    forward: bool
    relation: Relation
    basis: Basis
    confidence: float
    share: float | None
    share_low: float | None
    share_high: float | None
    edit: str
    summary: str

    @property
    def words(self) -> str:
        """How `version` relates to the other, as in "subset of"."""
        return _WORDS[self.relation][self.forward]


_WORDS: Mapping[Relation, Mapping[bool, str]] = {
    Relation.SAME_ROWS_AS: {True: "same rows as", False: "same rows as"},
    Relation.SUBSET_OF: {True: "subset of", False: "superset of"},
    Relation.OVERLAPS_WITH: {True: "overlaps with", False: "overlaps with"},
    Relation.REVISED_FROM: {True: "revised from", False: "revised to"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetUse:
    """A version of a model that is said or found to be trained on a state of data.

    `models` are the ids of those that have the version, `licenses` what those of them state that state one.
    """

    version: str
    name: str
    models: tuple[str, ...]
    data: str
    basis: Basis
    confidence: float
    edit: str
    summary: str
    licenses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetDetail:
    """Everything the graph has on one data set: its states newest first, what they relate to, who uses them."""

    entry: DatasetEntry
    states: tuple[DatasetState, ...]
    links: tuple[DatasetLink, ...]
    uses: tuple[DatasetUse, ...]
