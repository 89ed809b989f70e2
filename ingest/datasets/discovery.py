"""Finding data sets in a lake, and telling them from the files of models.

The rule, in order (`docs/datasets.md` has it for people):

1. A folder belongs to a model where it holds the config, tokenizer or trainer's state of one, or weights beside a card.
   Nothing in it or below is a data set, but for subfolders called `data`, `dataset` or `datasets`, or marked as in 2.
2. A folder is one data set where Croissant, `dataset_infos.json` or `dataset_info.json` says so, or a card with fields
   that only data sets have, or a hub cache names it.
3. Elsewhere, CSV, TSV, JSON Lines, Parquet and Arrow files, and `.json` files that hold an array of objects or lines of
   them, are data: shards of one name, or the splits of one folder, are one data set, any other file is one by itself.
4. Text files are data where they are called after a split, or where a folder holds at least `TEXTS` of them and no
   other data; images, where a folder and those below it hold at least `IMAGES` of them and, documents aside, nothing
   else.

What is a dump of a hub's metadata is none (`ingest.hub_metadata`). An archive counts as a folder of its name.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from graph_schema.errors import ModelLakeError, NameConflictError
from graph_schema.identity import clean_name
from ingest.archive_walk import is_archive
from ingest.archives import close_archives
from ingest.blobs import read_bytes
from ingest.datasets.archived import named_after_archives, unfold
from ingest.datasets.dataset_source import GZIP, DatasetSource, Form, data_stem, form_of, split_of
from ingest.datasets.descriptions import DOCUMENTS, MARKS, is_dataset_card
from ingest.hub_metadata import is_hub_metadata
from ingest.model_source import Rejected
from ingest.stored_file import StoredFile
from ingest.walk import link_boundary, stored_file, walk
from ingest.weight_sets import CANONICAL, WEIGHT_SUFFIXES, is_training_state, stem

TEXTS, IMAGES = 4, 8

_MODEL_FILES = frozenset(
    [
        "config.json",
        "adapter_config.json",
        "model_index.json",
        "modules.json",
        "generation_config.json",
        "preprocessor_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "vocab.txt",
        "vocab.json",
        "merges.txt",
        "mergekit_config.yml",
        "mergekit_config.yaml",
    ]
)
_DATA_FOLDERS = frozenset(("data", "dataset", "datasets"))
_CACHED = re.compile(r"(?:.*/)?datasets--(?P<id>[^/]+)/snapshots/(?P<revision>[^/]+)(?:/(?P<inner>.*))?", re.DOTALL)
_CACHE = re.compile(r"/(?:datasets|models|spaces)--[^/]+/(?:blobs|refs)/|/(?:models|spaces)--[^/]+/snapshots/")
_SHARD = re.compile(
    r"(?P<name>.*?)[-_.]?(?:\d{1,6}[-_]of[-_]\d{1,6}(?:-[0-9a-f]{16})?|(?:part|shard|chunk)[-_.]?\d{1,6}|\d{5,6})",
    re.DOTALL,
)
"""A name and the number of a shard; a year or the number of a version is none."""

_PART = re.compile(r"part[-_]\d+.*", re.DOTALL)
_NO_TEXTS = re.compile(
    r"(requirements|constraints|licen[cs]e|notice|readme|changelog|copying|authors|cmakelists|robots|vocab|merges|"
    r"tokens|labels|classes|.*\blogs?)\b.*",
    re.IGNORECASE | re.DOTALL,
)
_SNIFFED = 4096
_MOST_SNIFFED = 64 << 20
"""Bytes of a member of an archive that is unpacked for a look; what is larger is data if it is named so."""

Folders = Mapping[str, Sequence[StoredFile]]


def discover_datasets(paths: Sequence[Path]) -> Iterator[DatasetSource | Rejected]:
    """Find the data sets below some paths.

    Parameters
    ----------
    paths : sequence of Path
        Directories and single files, as for `ingest.discovery.discover`, which reports what must not be opened. A file
        that is given by itself is data if its name says so.

    Yields
    ------
    DatasetSource or Rejected
        In the order of the paths, then of the ids; a second data set of an id that is taken is rejected, unless both
        are snapshots of one in a hub cache.
    """
    taken: dict[str, DatasetSource] = {}
    for path in paths:
        for found in _discover_one(path):
            first = taken.setdefault(found.id, found)
            same = first is found or {item.identity for item in first.files} == {item.identity for item in found.files}
            if first is found or (_CACHED.search(first.location) and _CACHED.search(found.location)):
                yield found
            elif not same:
                yield Rejected(
                    location=found.location,
                    error=NameConflictError(
                        f"the name {found.id!r} is taken by {first.location}",
                        where=found.location,
                        remedy="rename one of the two, or read them as two lakes",
                    ),
                )


def _discover_one(path: Path) -> Iterator[DatasetSource]:
    root = path.resolve()
    if root.is_dir():
        files = [item for item in walk(root, boundary=link_boundary(root)) if isinstance(item, StoredFile)]
        yield from _with_archives(files, root)
        return
    try:
        item = stored_file(root, name=path.name, boundary=root.parent)
    except ModelLakeError:
        return
    if is_archive(item):
        yield from _with_archives([item], root.parent)
        return
    form = form_of(item.base)
    if form is not None and item.base not in DOCUMENTS and (form in (Form.IMAGE, Form.TEXT) or _is_table(item)):
        yield _source("", data_stem(item.base), [item], {}, root.parent)


def _with_archives(files: Sequence[StoredFile], root: Path) -> Iterator[DatasetSource]:
    unfolded = unfold(files)
    sources = list(find_datasets(unfolded.files, root))
    for members in unfolded.apart:
        sources += find_datasets(members, root, around=unfolded.files)
    close_archives()
    yield from named_after_archives(sources)


def find_datasets(
    files: Iterable[StoredFile], root: Path, *, around: Iterable[StoredFile] = ()
) -> Iterator[DatasetSource]:
    """Group the files of one lake into data sets.

    Parameters
    ----------
    files : iterable of StoredFile
        All files, names relative to the lake.
    root : Path
        The lake, for the name of a data set that fills it.
    around : iterable of StoredFile
        Other files, which tell whose folders these lie in.

    Yields
    ------
    DatasetSource
        Sorted by id.
    """
    folders: defaultdict[str, list[StoredFile]] = defaultdict(list)
    for item in files:
        folders[item.folder].append(item)
    others: defaultdict[str, list[StoredFile]] = defaultdict(list)
    for item in around:
        others[item.folder].append(item)
    places = _Territories({**others, **folders}, root)
    groups: defaultdict[tuple[str, str], list[StoredFile]] = defaultdict(list)
    marked: defaultdict[str, list[StoredFile]] = defaultdict(list)
    loose: dict[str, list[StoredFile]] = {}
    for folder, items in folders.items():
        owner = places.dataset(folder)
        if owner is None:
            if not places.belongs_to_model(folder):
                loose[folder] = items
        elif not places.is_model(folder):
            marked[owner] += items
    for folder, items in marked.items():
        groups[folder, ""] += _declared(items)
    apart = _media(loose, folders)
    for folder, kind in apart.items():
        below = (item for name, items in loose.items() if _within(name, folder) for item in items)
        groups[folder, ""] += [item for item in below if form_of(item.base) is kind]
    for folder, items in loose.items():
        if not any(_within(folder, name) for name in apart):
            for key, members in _tables(folder, items).items():
                groups[key] += members
    sources = (_source(folder, name, members, folders, root) for (folder, name), members in groups.items() if members)
    yield from sorted(_distinct(sources), key=lambda source: (source.id, _age(source), source.location))


class _Territories:
    """Which folders belong to a model, and which to a data set that says so."""

    def __init__(self, folders: Folders, root: Path) -> None:
        self._root = root.as_posix()
        self._datasets: dict[str, bool] = {}
        self._models: dict[str, bool] = {}
        self._folders = folders

    def dataset(self, folder: str) -> str | None:
        """The topmost folder, of this one and those above, that is marked as a data set."""
        match = _CACHED.fullmatch(f"{self._root}/{folder}" if folder else self._root)
        if match is not None:
            inner = match["inner"] or ""
            return folder[: len(folder) - len(inner)].rstrip("/") if inner else folder
        for above in _from_the_top(folder):
            if self._marked(above):
                return above
        return None

    def belongs_to_model(self, folder: str) -> bool:
        """Whether the nearest folder that says anything says that this is a model's."""
        if _CACHE.search(f"{self._root}/{folder}/"):
            return True
        for above in reversed(_from_the_top(folder)):
            if self.is_model(above):
                return True
            if PurePosixPath(above).name.lower() in _DATA_FOLDERS:
                return False
        return False

    def _marked(self, folder: str) -> bool:
        if folder not in self._datasets:
            items = self._folders.get(folder, ())
            bases = {item.base for item in items}
            card = next((item for item in items if item.base == "README.md"), None)
            marked = bool(bases & MARKS)
            if not marked and card is not None and not self.is_model(folder):
                marked = _is_card(card)
            self._datasets[folder] = marked
        return self._datasets[folder]

    def is_model(self, folder: str) -> bool:
        """Whether a folder holds what only a model has."""
        if folder not in self._models:
            bases = {item.base for item in self._folders.get(folder, ())}
            weights = [base for base in bases if PurePosixPath(base).suffix.lower() in WEIGHT_SUFFIXES]
            self._models[folder] = (
                bool(bases & _MODEL_FILES)
                or any(is_training_state(base) for base in bases)
                or any(CANONICAL.fullmatch(stem(base)) for base in weights)
                or bool(weights and "README.md" in bases and folder)
            )
        return self._models[folder]


def _from_the_top(folder: str) -> list[str]:
    parts = PurePosixPath(folder).parts
    return ["", *("/".join(parts[: count + 1]) for count in range(len(parts)))]


def _declared(items: Sequence[StoredFile]) -> list[StoredFile]:
    """The data of a folder that says it is a data set: its tables, else its images, else its texts."""
    tables = [item for item in items if form_of(item.base) is not Form.TEXT and _is_table(item)]
    images = [item for item in items if form_of(item.base) is Form.IMAGE]
    texts = [item for item in items if form_of(item.base) is Form.TEXT and not _NO_TEXTS.match(item.base)]
    labels = [item for item in tables if data_stem(item.base) == "metadata"]
    return (images if images and len(labels) == len(tables) else tables) or texts


def _within(folder: str, above: str) -> bool:
    return not above or folder == above or folder.startswith(f"{above}/")


def _is_card(card: StoredFile) -> bool:
    try:
        return is_dataset_card(card.read_text(1 << 16)[0])
    except ModelLakeError:
        return False


def _media(loose: Folders, folders: Folders) -> dict[str, Form]:
    """The topmost folders that hold texts or images and, documents aside, nothing else, they and all below."""
    totals: defaultdict[str, defaultdict[Form | None, int]] = defaultdict(lambda: defaultdict(int))
    for folder, items in folders.items():
        for item in items:
            if item.base in DOCUMENTS or item.base in ("LICENSE", "metadata.csv", "metadata.jsonl"):
                continue
            form = form_of(item.base) if folder in loose else None
            if form is Form.TEXT and (_NO_TEXTS.match(item.base) or _NO_TEXTS.match(PurePosixPath(folder).name)):
                form = None
            for above in _from_the_top(folder):
                totals[above][form] += 1
    found: dict[str, Form] = {}
    for folder in sorted(totals, key=lambda name: (name.count("/") if name else -1, name)):
        counts = totals[folder]
        if len(counts) != 1 or any(_within(folder, above) for above in found):
            continue
        (form,) = counts
        if (form is Form.IMAGE and counts[form] >= IMAGES) or (form is Form.TEXT and counts[form] >= TEXTS):
            found[folder] = form
    return found


def _tables(folder: str, items: Sequence[StoredFile]) -> dict[tuple[str, str], list[StoredFile]]:
    """Files of one folder by the data set they belong to: its folder, and its name where it does not fill that."""
    data = [item for item in items if _is_table(item)]
    stems: defaultdict[str, list[StoredFile]] = defaultdict(list)
    for item in data:
        shard = _SHARD.fullmatch(data_stem(item.base))
        stems[shard["name"] if shard else data_stem(item.base)].append(item)
    owner = _owner(folder)
    if data and (owner != folder or all(_is_piece(item) for item in data)):
        return {(owner, ""): data}
    found: defaultdict[tuple[str, str], list[StoredFile]] = defaultdict(list)
    for name, members in stems.items():
        sharded = len(members) > 1 and name and len({form_of(item.base) for item in members}) == 1
        for item in members:
            found[folder, name if sharded else data_stem(item.base)].append(item)
    # Two forms of one name would be two data sets of one name: the suffix tells them apart.
    for key, members in list(found.items()):
        if len({form_of(item.base) for item in members}) > 1:
            del found[key]
            found |= {(folder, item.base): [item] for item in members}
    return dict(found)


def _is_piece(item: StoredFile) -> bool:
    """Whether a file is, by its name, a split or a numbered part of what its folder is."""
    name = data_stem(item.base)
    shard = _SHARD.fullmatch(name)
    plain = (shard["name"] if shard else name).strip("-_. ")
    return bool(_PART.fullmatch(name)) or plain in ("", "data", "part") or (plain.isalpha() and bool(split_of(plain)))


def _owner(folder: str) -> str:
    """The folder above one that is called after a split, or the folder itself."""
    path = PurePosixPath(folder)
    if path.name and split_of(f"{path.name}/x") and len(path.parts) > 1:
        return str(path.parent)
    return folder


def _is_table(item: StoredFile) -> bool:
    form = form_of(item.base)
    if form is None or form is Form.IMAGE or item.base in DOCUMENTS or item.base in MARKS:
        return False
    if form is Form.TEXT:
        return _is_piece(item) and split_of(item.base) is not None
    if form is Form.JSON_ARRAY:
        return _holds_objects(item)
    return form in (Form.PARQUET, Form.ARROW) or not _is_dump(item)


def _is_dump(item: StoredFile) -> bool:
    # Dumps are given to be read as such, which members of archives are not.
    return not item.members and is_hub_metadata(item.path)


def _holds_objects(item: StoredFile) -> bool:
    """Whether a `.json` file begins as an array of objects, or as an object a line and more than one."""
    if item.base.lower().endswith(GZIP) or (item.members and item.size > _MOST_SNIFFED):
        return not _is_dump(item)
    try:
        blob = item.open()
        try:
            head = read_bytes(blob, 0, min(blob.size, _SNIFFED)).removeprefix(b"\xef\xbb\xbf").lstrip()
            if head.startswith(b"["):
                return head[1:].lstrip().startswith(b"{")
            line, newline, rest = head.partition(b"\n")
            lines = head.startswith(b"{") and line.rstrip().endswith(b"}") and rest.lstrip().startswith(b"{")
            return bool(newline) and lines and not _is_dump(item)
        finally:
            blob.close()
    except ModelLakeError:
        return False


def _source(folder: str, name: str, members: Sequence[StoredFile], folders: Folders, root: Path) -> DatasetSource:
    ordered = sorted(members, key=lambda item: item.name)
    match = _CACHED.fullmatch(f"{root.as_posix()}/{folder}" if folder else root.as_posix())
    path = f"{folder}/{name}".strip("/") if name else folder
    identifier = path or root.name or "data" if match is None else "/".join(match["id"].split("--", 1))
    documents = [] if name else [item for item in folders.get(folder, ()) if item.base in DOCUMENTS]
    location = ordered[0].name if name and len(ordered) == 1 else folder
    return DatasetSource(
        id=clean_name(identifier.encode("utf-8", "replace").decode("utf-8")),
        location=clean_name(f"{root.as_posix()}/{location}".rstrip("/").encode("utf-8", "replace").decode("utf-8")),
        files=tuple(ordered),
        forms=tuple(form for item in ordered if (form := form_of(item.base)) is not None),
        documents=tuple(sorted(documents, key=lambda item: item.name)),
        folder=folder,
    )


def _age(source: DatasetSource) -> int:
    """When the newest file of a hub's snapshot was written, so that a data set's snapshots are read oldest first."""
    return max(item.mtime_ns for item in source.files) if _CACHED.search(source.location) else 0


def _distinct(sources: Iterable[DatasetSource]) -> Iterator[DatasetSource]:
    """Snapshots of a hub cache that link the same files are one state."""
    seen: set[tuple[str, frozenset[object]]] = set()
    for source in sources:
        key = (source.id, frozenset(item.identity for item in source.files))
        if key not in seen:
            seen.add(key)
            yield source
