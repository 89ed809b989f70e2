"""What discovery finds: models, their sets of weights and their documents; and what had to be left out."""

from __future__ import annotations

from dataclasses import dataclass

from graph_schema.errors import ModelLakeError
from ingest.stored_file import StoredFile, signature


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """The state of a repository in which a set of weights first appears.

    Attributes
    ----------
    id : str
    position : int
        Place among the states of the repository in which weights changed, oldest first, from 0; parents come before
        their children whatever the clocks said.
    time : str, optional
        ISO 8601, in UTC, as its committer's clock said.
    author : str, optional
        Name of who wrote it; no address.
    """

    id: str
    position: int
    time: str | None = None
    author: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightSet:
    """Files that hold one set of weights: one file, or shards with their index.

    Attributes
    ----------
    component : str
        Which part of the model it is: empty for the whole, else such as `unet`, `onnx`, `fp16`, or a GGUF's stem.
    files : tuple of StoredFile
    format : str
        As told by the first bytes; empty where no reader knows them.
    config : StoredFile, optional
        The `config.json` beside them.
    adapter_config : StoredFile, optional
        The `adapter_config.json` beside them, where they are an adapter's.
    revision : str, optional
        Of a hub cache.
    is_part : bool
        Whether it is a component of a pipeline rather than the whole model or a variant of it.
    commit : Commit, optional
        Where it appears in the history of a Git repository.
    earlier : bool
        Whether the model has other weights in its place by now.
    """

    component: str
    files: tuple[StoredFile, ...]
    format: str = ""
    config: StoredFile | None = None
    adapter_config: StoredFile | None = None
    revision: str | None = None
    is_part: bool = False
    commit: Commit | None = None
    earlier: bool = False

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(item.size for item in self.files)

    @property
    def identity(self) -> frozenset[object]:
        """Equal for two sets that are the same files under other names."""
        return frozenset(item.identity for item in self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """One model of the lake, found but not yet read.

    Attributes
    ----------
    id : str
        `org/name` of a hub cache, else the path relative to the lake.
    location : str
        Where it lies, for people.
    weights : tuple of WeightSet
        Sorted by component, then first file.
    documents : tuple of StoredFile
        Cards, configs and recipes, sorted by name.
    folder : str
        The model's own folder within the lake, that the names of its files are shown relative to.
    revision : str, optional
        The one that the documents are of, for a hub cache.
    """

    id: str
    location: str
    weights: tuple[WeightSet, ...]
    documents: tuple[StoredFile, ...] = ()
    folder: str = ""
    revision: str | None = None

    @property
    def name(self) -> str:
        """What people call it: the last part of the id."""
        return self.id.rsplit("/", 1)[-1]

    @property
    def organization(self) -> str | None:
        """The part of the id before the first slash, where there is one."""
        return self.id.split("/", 1)[0] if "/" in self.id else None

    @property
    def size(self) -> int:
        """Bytes of weights to read."""
        return sum(item.size for item in self.weights)

    @property
    def signature(self) -> str:
        """Changes when a file of the model does; costs no reading."""
        files = [item for weights in self.weights for item in weights.files]
        return signature((*files, *self.documents))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """Something that was left out, and why."""

    location: str
    error: ModelLakeError
