"""Finding models: in directory trees, Hugging Face model directories, hub caches, archives and single files.

What a file is, its first bytes say; which files make one model, their folder says. Nothing is read beyond that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from graph_schema.errors import EmptyLakeError, ModelLakeError, NameConflictError, PathNotFoundError
from graph_schema.identity import clean_name
from ingest.archive_walk import archive_name, expand, is_archive
from ingest.archives import close_archives
from ingest.git_history import with_history
from ingest.git_repository import GitRepository
from ingest.grouping import DOCUMENTS, group
from ingest.model_source import ModelSource, Rejected
from ingest.readers.sharded import index_family, shard_key
from ingest.stored_file import StoredFile
from ingest.walk import link_boundary, stored_file, walk


def discover(paths: Sequence[Path]) -> Iterator[ModelSource | Rejected]:
    """Find the models below some paths.

    Parameters
    ----------
    paths : sequence of Path
        Directories and single files. The id of a model is `org/name` in a hub cache, and its path relative to the
        directory given (its name, where that directory is the model) otherwise.

    Yields
    ------
    ModelSource or Rejected
        In the order of the paths, then of the ids. Whatever cannot be taken is rejected with its reason: pipes and
        devices, links out of the lake, a second model of an id that is taken.

    Raises
    ------
    PathNotFoundError
        If one of the paths does not exist; before anything is yielded.
    EmptyLakeError
        If no model was found; after everything rejected was yielded.
    """
    for path in paths:
        if not path.exists():
            raise PathNotFoundError("no such file or directory", where=str(path), remedy="check the path")
    taken: dict[str, ModelSource] = {}
    for path in paths:
        for found in _discover_one(path):
            if isinstance(found, Rejected):
                yield found
                continue
            first = taken.setdefault(found.id, found)
            if first is found:
                yield found
            elif _files(first) != _files(found):
                yield Rejected(location=found.location, error=_conflict(first, found))
    if not taken:
        shown = ", ".join(str(path) for path in paths[:3]) or "no path given"
        raise EmptyLakeError(
            "nothing that looks like a model or data",
            where=shown,
            remedy="give a directory that holds model weights or data sets",
        )


def _files(source: ModelSource) -> frozenset[object]:
    return frozenset(item.identity for weights in source.weights for item in weights.files)


def _conflict(first: ModelSource, second: ModelSource) -> NameConflictError:
    return NameConflictError(
        f"the name {second.id!r} is taken by {first.location}",
        where=second.location,
        remedy="rename one of the two, or read them as two lakes",
    )


def _discover_one(path: Path) -> Iterator[ModelSource | Rejected]:
    root = path.resolve()
    if not root.is_dir():
        yield from _discover_file(path, root)
        return
    files: list[StoredFile] = []
    repositories: list[GitRepository] = []
    boundary = link_boundary(root)
    for item in walk(root, boundary=boundary):
        if isinstance(item, Rejected):
            yield item
        elif isinstance(item, GitRepository):
            repositories.append(item)
        else:
            files.append(item)
    found = _grouped(files, root)
    yield from _with_histories(found, repositories, root, boundary) if repositories else found


def _with_histories(
    found: Iterator[ModelSource | Rejected], repositories: Sequence[GitRepository], root: Path, boundary: Path
) -> Iterator[ModelSource | Rejected]:
    models: list[ModelSource] = []
    for item in found:
        if isinstance(item, Rejected):
            yield item
        else:
            models.append(item)
    for repository in repositories:
        joined = list(with_history(models, repository, root=root, boundary=boundary))
        yield from (item for item in joined if isinstance(item, Rejected))
        models = [item for item in joined if isinstance(item, ModelSource)]
    yield from sorted(models, key=lambda source: (source.id, source.location))


def _grouped(files: Sequence[StoredFile], root: Path) -> Iterator[ModelSource | Rejected]:
    """Models of a lake's files, and then of the archives among them."""
    archives = [item for item in files if is_archive(item)]
    apart = set(map(id, archives))
    yield from group([item for item in files if id(item) not in apart], root)
    for archive in archives:
        members: list[StoredFile] = []
        for item in expand(archive):
            if isinstance(item, Rejected):
                yield item
            else:
                members.append(item)
        inside = list(group(members, root))
        close_archives()
        # An archive that holds one model is that model, wherever in the archive it lies.
        prefix = clean_name(archive_name(archive.name))
        yield from [replace(inside[0], id=prefix)] if len(inside) == 1 else inside


def _discover_file(path: Path, target: Path) -> Iterator[ModelSource | Rejected]:
    # A single file is read with the documents beside it, but without the other weights there. Its folder is where the
    # name that was given lies, not where a link leads: whoever gave the name meant that file.
    folder = path.parent.resolve()
    try:
        chosen = stored_file(target, name=path.name, boundary=target.parent)
    except ModelLakeError as error:
        yield Rejected(location=str(path), error=error)
        return
    files = [chosen]
    for item in walk_flat(folder, link_boundary(folder)):
        index = index_family(chosen.base) is not None
        same = (shard_key(item.base) or ("",))[0] == (shard_key(chosen.base) or (chosen.base,))[0]
        if item.base != chosen.base and (item.base in DOCUMENTS or same or index):
            files.append(item)
    yield from _grouped(files, folder)


def walk_flat(folder: Path, boundary: Path) -> Iterator[StoredFile]:
    """The regular files of one folder, sorted by name; those that must not be opened are passed over."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.is_dir():
            continue
        try:
            yield stored_file(path, name=path.name, boundary=boundary)
        except ModelLakeError:
            continue
