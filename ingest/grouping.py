"""Which files of a lake make one model: told by folders, configs and the layout of hub caches, and named after them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path, PurePosixPath

from graph_schema.errors import ModelLakeError
from graph_schema.identity import clean_name
from ingest.model_source import ModelSource, WeightSet
from ingest.readers.registry import sniff_file
from ingest.readers.sharded import index_family
from ingest.stored_file import StoredFile
from ingest.weight_sets import (
    CANONICAL,
    DOCUMENT_SUFFIXES,
    WEIGHT_SUFFIXES,
    component_names,
    is_training_state,
    weight_sets,
)

DOCUMENTS = frozenset(
    [
        "README.md",
        "config.json",
        "adapter_config.json",
        "mergekit_config.yml",
        "mergekit_config.yaml",
        "model_index.json",
        "modules.json",
        "CITATION.cff",
        "CITATION.bib",
    ]
)
"""Files that say something about the model as a whole."""

_CONFIGS = frozenset(("config.json", "adapter_config.json", "model_index.json"))
_PIPELINES = ("model_index.json", "modules.json")
_PARTS = frozenset(("onnx", "openvino", "gguf", "original", "fp16", "adapter"))
_CACHED = re.compile(r"(?:.*/)?models--(?P<id>[^/]+)/snapshots/(?P<revision>[^/]+)(?:/(?P<inner>.*))?", re.DOTALL)
_INSIDE_CACHE = re.compile(r"/(?:models--[^/]+/(?:blobs|refs)|(?:datasets|spaces)--[^/]+/(?:blobs|refs|snapshots))/")
"""Where a hub cache keeps what its snapshots link."""

Folders = Mapping[str, Sequence[StoredFile]]


def group(files: Iterable[StoredFile], root: Path) -> Iterator[ModelSource]:
    """Group the files of one lake into models.

    Parameters
    ----------
    files : iterable of StoredFile
        All files, names relative to the lake.
    root : Path
        The lake, for the name of a model that fills it and for files of a cache beside it.

    Yields
    ------
    ModelSource
        Sorted by id.
    """
    folders: defaultdict[str, list[StoredFile]] = defaultdict(list)
    for item in files:
        folders[item.folder].append(item)
    parts: defaultdict[str, dict[str, tuple[WeightSet, ...]]] = defaultdict(dict)
    for folder, items in folders.items():
        if _INSIDE_CACHE.search(f"{root.as_posix()}/{folder}/"):
            continue
        if sets := _sets(items):
            parts[_owner(folder, folders)][folder] = sets
    models: list[ModelSource] = []
    revisions: defaultdict[str, list[ModelSource]] = defaultdict(list)
    for owner, sets_by_folder in parts.items():
        if _stands_alone(owner, sets_by_folder, folders):
            models += _single_files(owner, sets_by_folder[owner], root)
            continue
        model = _model(owner, sets_by_folder, folders, root)
        if model.revision is None:
            models.append(model)
        else:
            revisions[model.id].append(model)
    models += [_joined(members, root) for members in revisions.values()]
    yield from sorted(models, key=lambda source: (source.id, source.location))


def _sets(items: Sequence[StoredFile]) -> tuple[WeightSet, ...]:
    formats: dict[str, str] = {}
    weights: list[StoredFile] = []
    for item in items:
        suffix = PurePosixPath(item.base).suffix.lower()
        if suffix in DOCUMENT_SUFFIXES or item.base in DOCUMENTS or is_training_state(item.base):
            continue
        known = _format(item)
        if known:
            formats[item.base] = known
        if known or suffix in WEIGHT_SUFFIXES:
            weights.append(item)
    indexes = [item for item in items if index_family(item.base)]
    taken = {item.base for item in (*weights, *indexes)}
    return weight_sets(weights, indexes, formats, [item for item in items if item.base not in taken])


def _format(item: StoredFile) -> str:
    # An object of a repository is the same in every state that has it.
    return _format_of_object(replace(item, name=item.base)) if item.object_id else _read_format(item)


@lru_cache(maxsize=4096)
def _format_of_object(item: StoredFile) -> str:
    return _read_format(item)


def _read_format(item: StoredFile) -> str:
    try:
        known = sniff_file(item)
    except ModelLakeError:
        return ""
    return known.name if known else ""


def _owner(folder: str, folders: Folders) -> str:
    """The folder of the model that the weights in `folder` belong to: itself, or the pipeline above it."""
    path = PurePosixPath(folder)
    if not folder:
        return ""
    for above in path.parents:
        name = "" if str(above) == "." else str(above)
        if any(item.base in _PIPELINES for item in folders.get(name, ())):
            return name
    parent = "" if str(path.parent) == "." else str(path.parent)
    if path.name.lower() in _PARTS and any(item.base in DOCUMENTS for item in folders.get(parent, ())):
        return parent
    return folder


def _stands_alone(owner: str, sets_by_folder: Mapping[str, Sequence[WeightSet]], folders: Folders) -> bool:
    """Whether each set of weights in a folder is a model of its own: no config binds them, and they bear names."""
    if set(sets_by_folder) != {owner} or _CACHED.fullmatch(owner):
        return False
    bases = {item.base for item in folders[owner]}
    named = [item for item in sets_by_folder[owner] if not CANONICAL.fullmatch(item.component)]
    if not named or bases & _CONFIGS:
        return False
    return owner == "" or "README.md" not in bases


def _single_files(owner: str, sets: Sequence[WeightSet], root: Path) -> Iterator[ModelSource]:
    by_name: defaultdict[str, list[WeightSet]] = defaultdict(list)
    for item in sets:
        by_name[item.component].append(item)
    for name, members in by_name.items():
        # Two containers of one stem would be two models of one name: the suffix tells them apart.
        for item in members:
            full = name if len(members) == 1 else item.files[-1].base
            yield ModelSource(
                id=_id(f"{owner}/{full}" if owner else full),
                location=_location(root, item.files[0].name),
                weights=(replace(item, component=""),),
                folder=owner,
            )


def _model(owner: str, sets_by_folder: Mapping[str, Sequence[WeightSet]], folders: Folders, root: Path) -> ModelSource:
    name, revision = _name(owner, root)
    documents = {item.base: item for item in folders.get(owner, ()) if item.base in DOCUMENTS}
    weights: list[WeightSet] = []
    for folder, sets in sorted(sets_by_folder.items()):
        beside = {item.base: item for item in folders[folder]}
        inner = folder[len(owner) :].strip("/")
        for item, part in zip(sets, component_names(sets), strict=True):
            adapter = beside.get("adapter_config.json") if item.component.startswith("adapter") else None
            weights.append(
                replace(
                    item,
                    component="/".join(filter(None, (inner, part))),
                    config=beside.get("config.json") or documents.get("config.json"),
                    adapter_config=adapter,
                    revision=revision,
                    is_part=bool(inner) and inner.split("/")[0].lower() not in _PARTS,
                )
            )
    return ModelSource(
        id=_id(name),
        location=_location(root, owner),
        weights=tuple(sorted(weights, key=lambda item: (item.component, item.format, item.files[0].name))),
        documents=tuple(sorted(documents.values(), key=lambda item: item.name)),
        folder=owner,
        revision=revision,
    )


def _name(owner: str, root: Path) -> tuple[str, str | None]:
    """Name and revision of the model in a folder: a hub cache states both, elsewhere the path is the name."""
    match = _CACHED.fullmatch(f"{root.as_posix()}/{owner}" if owner else root.as_posix())
    if match is None:
        return owner or root.name.removesuffix(".git") or "model", None
    name = "/".join(match["id"].split("--", 1))
    return (f"{name}/{match['inner']}" if match["inner"] else name), match["revision"]


def _joined(revisions: Sequence[ModelSource], root: Path) -> ModelSource:
    """The revisions of one model in a hub cache as one source; weights that several of them link are read once."""
    main = _main_revision(revisions, root)
    ordered = sorted(revisions, key=lambda source: (source.revision != main, source.revision or ""))
    seen: set[frozenset[object]] = set()
    weights: list[WeightSet] = []
    for source in ordered:
        for item in source.weights:
            if item.identity not in seen:
                seen.add(item.identity)
                weights.append(item)
    return replace(ordered[0], weights=tuple(weights))


def _main_revision(revisions: Sequence[ModelSource], root: Path) -> str:
    known = sorted(source.revision or "" for source in revisions)
    snapshot = root / revisions[0].folder
    for folder in (snapshot, *snapshot.parents):
        reference = folder / "refs" / "main"
        if folder.name.startswith("models--") and not reference.is_symlink() and reference.is_file():
            with reference.open("rb") as file:
                stated = file.read(80).decode("ascii", "replace").strip()
            if stated in known:
                return stated
    return known[-1]


def _location(root: Path, name: str) -> str:
    return clean_name(f"{root.as_posix()}/{name}" if name else root.as_posix())


def _id(name: str) -> str:
    # A name that is no UTF-8 holds lone surrogates, which neither a database nor JSON takes.
    return clean_name(name.encode("utf-8", "replace").decode("utf-8"))
