"""Earlier states of models, from the history of the Git repositories that they are kept in.

Every commit in which a file of weights changed is a state; its files are grouped as those of a folder are, and a set of
weights that differs from all earlier ones is one more of its model's. Where Git LFS keeps the files, those that are
here are read from there.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from graph_schema.errors import FormatError, ModelLakeError, UnsafeFileError
from graph_schema.identity import clean_name
from ingest.git_objects import OBJECT_ID, git_output
from ingest.git_repository import GitRepository
from ingest.grouping import DOCUMENTS, group
from ingest.model_source import Commit, ModelSource, Rejected, WeightSet
from ingest.readers.sharded import index_family
from ingest.stored_file import StoredFile
from ingest.walk import stored_file
from ingest.weight_sets import WEIGHT_SUFFIXES

COMMITS_LIMIT = 10_000
FILES_LIMIT = 100_000
"""Files of one state."""

_SUFFIXES = (*WEIGHT_SUFFIXES, ".h5", ".onnx_data", ".onnx.data")
_POINTER_LIMIT = 1024
_POINTER = re.compile(
    r"version https://git-lfs\.github\.com/spec/v1\n(?:ext-\d-.*\n)*"
    r"oid sha256:(?P<id>[0-9a-f]{64})\nsize (?P<size>\d{1,18})\n"
)
_INDEX_ENTRY = re.compile(
    rb"(?:^|(?<=\n))\d{6} (?P<id>[0-9a-f]+) 0\t(?P<path>[^\0]+)\0  ctime: \d+:\d+\n"
    rb"  mtime: (?P<seconds>\d+):(?P<nanoseconds>\d+)\n  dev: .*\n  uid: .*\n  size: (?P<size>\d+)\t.*\n"
)
_MAIL = re.compile(r"\S+@\S+")


@dataclass(frozen=True, slots=True)
class _Entry:
    """A file of a state: its object, its size and its path within the repository."""

    object_id: str
    size: int
    path: str


def with_history(
    models: Sequence[ModelSource], repository: GitRepository, *, root: Path, boundary: Path
) -> Iterator[ModelSource | Rejected]:
    """Models of a lake, those of a repository with their earlier states; and models that only history has.

    Parameters
    ----------
    models : sequence of ModelSource
        Those found in the lake, of this repository or not.
    repository : GitRepository
    root, boundary : Path
        The lake, and how far links may lead.

    Yields
    ------
    ModelSource or Rejected
        A model's present weights come first, then earlier ones, newest first. A set of weights bears the commit in
        which it first appeared. States whose LFS objects are not here are rejected in one line.
    """
    absent: set[str] = set()
    try:
        states = list(_states(repository, root, boundary, absent))
        clean = _unchanged_files(repository, models) if states else {}
    except ModelLakeError as error:
        yield from models
        yield Rejected(location=repository.folder or root.name, error=error)
        return
    first: dict[tuple[str, frozenset[object]], WeightSet] = {}
    newest: dict[str, ModelSource] = {}
    missing: dict[str, str] = {}
    for commit, found in states:
        for source in found:
            kept = []
            for weights in source.weights:
                lost = [item for item in weights.files if item.object_id in absent]
                missing.update({item.object_id: item.name for item in lost})
                if not lost:
                    marked = replace(weights, commit=commit, revision=commit.id)
                    kept.append(first.setdefault((source.id, weights.identity), marked))
            if kept:
                newest[source.id] = replace(source, weights=tuple(kept), revision=commit.id)
    names = {source.id for source in models}
    for source in models:
        history = _newest_first(first, source.id)
        yield _joined(source, history, clean) if history else source
    for name, source in sorted(newest.items()):
        if name not in names:
            yield _joined(source, _newest_first(first, name), clean)
    unread = sorted(name for found, name in missing.items() if found not in clean.values())
    if unread:
        fault = FormatError(
            f"{len(unread)} files of its history are Git LFS pointers whose objects are not here",
            where=unread[0],
            remedy="run git lfs fetch --all",
        )
        yield Rejected(location=repository.folder or root.name, error=fault)


def _newest_first(first: Mapping[tuple[str, frozenset[object]], WeightSet], name: str) -> list[WeightSet]:
    found = [weights for (model, _), weights in first.items() if model == name]
    return sorted(
        found, key=lambda item: (-(item.commit.position if item.commit else 0), item.component, item.files[0].name)
    )


def _joined(source: ModelSource, history: Sequence[WeightSet], clean: Mapping[object, str]) -> ModelSource:
    """A model's present weights and its earlier ones; a file as it was committed is read from the lake, and once."""
    earlier = {weights.identity: weights for weights in history}
    present: list[WeightSet] = []
    for weights in source.weights:
        committed = frozenset(
            ("git", clean[item.identity]) if item.identity in clean else item.identity for item in weights.files
        )
        same = earlier.pop(committed, None)
        if same is None:
            present.append(weights)
        elif same.size != weights.size:
            # The lake has pointers of Git LFS, and the repository what they stand for.
            present.append(same)
        else:
            present.append(replace(weights, commit=same.commit, revision=same.revision))
    return replace(source, weights=(*present, *(replace(weights, earlier=True) for weights in earlier.values())))


def _states(
    repository: GitRepository, root: Path, boundary: Path, absent: set[str]
) -> Iterator[tuple[Commit, list[ModelSource]]]:
    """The commits in which weights changed, oldest first, with the models that each of them holds.

    Pointers of Git LFS that lead to no file here are put into `absent`.
    """
    large: dict[str, StoredFile | None] = {}
    for commit in _commits(repository) if repository.tips else ():
        entries = list(_tree(repository, commit.id))
        unknown = [item for item in entries if item.object_id not in large and _may_be_pointer(item)]
        large.update(_large_files(repository, unknown, boundary))
        absent.update(found for found, file in large.items() if file is None)
        files = [_file(repository, item, large.get(item.object_id)) for item in entries]
        yield commit, list(group(files, root))


def _commits(repository: GitRepository) -> Iterator[Commit]:
    patterns = [f":(icase)*{suffix}" for suffix in _SUFFIXES]
    arguments = ["log", "--stdin", "--ignore-missing", "--topo-order", "--reverse", "--full-history", "--no-patch"]
    output = _git(
        repository, [*arguments, "--format=%H%x00%ct%x00%an", "--", *patterns], "\n".join(repository.tips) + "\n"
    )
    lines = output.decode("utf-8", "replace").splitlines()
    if len(lines) > COMMITS_LIMIT:
        raise UnsafeFileError(f"its weights changed {len(lines)} times", where=repository.folder)
    for position, line in enumerate(lines):
        found, seconds, author = (*line.split("\0"), "", "")[:3]
        if not OBJECT_ID.fullmatch(found):
            raise FormatError("its history cannot be read", where=repository.folder)
        name = clean_name(_MAIL.sub("", author))[:200]
        yield Commit(id=found, position=position, time=_time(seconds), author=name or None)


def _time(seconds: str) -> str | None:
    try:
        return datetime.fromtimestamp(int(seconds), UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return None


def _tree(repository: GitRepository, commit: str) -> Iterator[_Entry]:
    """The files of a state that hold weights or say something about them."""
    output = _git(repository, ["ls-tree", "-r", "-z", "-l", "--full-tree", commit])
    for count, line in enumerate(output.decode("utf-8", "surrogateescape").split("\0")):
        fields, _, path = line.partition("\t")
        if not path:
            continue
        mode, kind, found, size = fields.split()
        if count > FILES_LIMIT:
            raise UnsafeFileError("a state of its history holds too many files", where=repository.folder)
        base = PurePosixPath(path).name
        if kind != "blob" or not mode.startswith("100") or {"", ".", ".."} & set(path.split("/")):
            continue
        wanted = base in DOCUMENTS or index_family(base) or base.lower().endswith(_SUFFIXES)
        if wanted and size.isdigit():
            yield _Entry(object_id=found, size=int(size), path=path)


def _may_be_pointer(item: _Entry) -> bool:
    return item.size < _POINTER_LIMIT and item.path.lower().endswith(_SUFFIXES)


def _large_files(repository: GitRepository, entries: Sequence[_Entry], boundary: Path) -> dict[str, StoredFile | None]:
    """The file that each pointer of Git LFS stands for, by the pointer's object; None for one that is not here."""
    found: dict[str, StoredFile | None] = {}
    if not entries:
        return found
    output = _git(repository, ["cat-file", "--batch"], "".join(f"{item.object_id}\n" for item in entries))
    position = 0
    for item in entries:
        line_end = output.find(b"\n", position)
        header = output[position:line_end].split()
        if len(header) != 3 or not header[2].isdigit():
            position = line_end + 1
            continue
        begin, size = line_end + 1, int(header[2])
        match = _POINTER.match(output[begin : begin + size].decode("utf-8", "replace"))
        position = begin + size + 1
        if match is None:
            continue
        path = repository.large_files / match["id"][:2] / match["id"][2:4] / match["id"]
        try:
            file = stored_file(path, name=item.path, boundary=boundary)
        except ModelLakeError:
            found[item.object_id] = None
            continue
        whole = file.size == int(match["size"])
        found[item.object_id] = replace(file, object_id=item.object_id) if whole else None
    return found


def _file(repository: GitRepository, item: _Entry, large: StoredFile | None) -> StoredFile:
    name = f"{repository.folder}/{item.path}" if repository.folder else item.path
    if large is not None:
        return replace(large, name=name)
    return StoredFile(path=repository.objects, name=name, size=item.size, object_id=item.object_id)


def _unchanged_files(repository: GitRepository, models: Sequence[ModelSource]) -> dict[object, str]:
    """Objects of the files in the working tree that are as they were committed, by the files' identity.

    Told as Git tells it, by size and time in the index, and not where the file is as young as the index; a file that is
    not recognised is read beside its object.
    """
    try:
        index = repository.index.lstat() if repository.index is not None else None
    except OSError:
        index = None
    if repository.index is None or index is None or not stat.S_ISREG(index.st_mode):
        return {}
    output = _git(repository, ["ls-files", "--stage", "--debug", "-z"], index=repository.index)
    prefix = f"{repository.folder}/" if repository.folder else ""
    entries: dict[str, tuple[str, int, int]] = {}
    for match in _INDEX_ENTRY.finditer(output):
        name = prefix + match["path"].decode("utf-8", "surrogateescape")
        time = int(match["seconds"]) * 10**9 + int(match["nanoseconds"])
        entries[name] = (match["id"].decode(), time, int(match["size"]))
    found: dict[object, str] = {}
    for item in (item for source in models for weights in source.weights for item in weights.files):
        object_id, time, size = entries.get(item.name, ("", 0, 0))
        # The index keeps 32 bits of a size.
        if object_id and time == item.mtime_ns < index.st_mtime_ns and size == item.size & 0xFFFFFFFF:
            found[item.identity] = object_id
    return found


def _git(repository: GitRepository, arguments: Sequence[str], text: str = "", index: Path | None = None) -> bytes:
    return git_output(
        repository.objects,
        arguments,
        object_id=repository.tips[0],
        shallow=repository.shallow,
        index=index,
        text=text,
        where=repository.folder or "its Git repository",
    )
