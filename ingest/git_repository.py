"""Where a Git repository keeps its objects and what its references are, read as files and checked; no `git` is run.

Everything must lie inside the lake: the objects, and whatever a `.git` file or a worktree points to. A repository that
borrows objects from another is refused, and so is one whose store holds anything but files and folders.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from graph_schema.errors import FormatError, UnsafeFileError
from ingest.blobs import FileBlob, read_bytes
from ingest.git_objects import OBJECT_ID

_FILE_LIMIT = 64 << 20
_LINK_LIMIT = 4096
_REFERENCES_LIMIT = 100_000
_OBJECTS_LIMIT = 5_000_000
_REFERENCE = re.compile(r"ref: (refs/[^\s]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class GitRepository:
    """A repository of the lake.

    Attributes
    ----------
    folder : str
        The folder whose history it is, relative to the lake; a bare repository's without `.git`.
    objects : Path
        Where its objects lie.
    tips : tuple of str
        Ids of what its references name: branches, tags and the head.
    head : str
        Id of the commit that is checked out; empty where there is none.
    shallow : str
        Lines of its `shallow` file.
    large_files : Path
        Where Git LFS keeps objects; need not exist.
    index : Path, optional
        Its index, where it has a working tree.
    """

    folder: str
    objects: Path
    tips: tuple[str, ...]
    head: str
    shallow: str
    large_files: Path
    index: Path | None = None


def is_bare(names: frozenset[str]) -> bool:
    """Whether a folder with these entries is a bare repository.

    Examples
    --------
    >>> is_bare(frozenset({"HEAD", "objects", "refs", "config"})), is_bare(frozenset({"HEAD"}))
    (True, False)
    """
    return {"HEAD", "objects", "refs"} <= names


def open_repository(path: Path, *, folder: str, boundary: Path) -> GitRepository:
    """The repository in `path`: a `.git` folder, a `.git` file that points to one, or a bare repository.

    Raises
    ------
    UnsafeFileError
        If it, or what it points to, lies outside the boundary, borrows objects, or is not made of files and folders.
    FormatError
        If it is no repository, or one of a kind that is not known.
    """
    where = f"{folder or path.parent.name}/{path.name}"
    place = _inside(path, boundary, where)
    bare = path.name != ".git"
    if place.is_file():
        text = _text(place, _LINK_LIMIT, where)
        if not text.startswith("gitdir: "):
            raise FormatError("is no Git repository", where=where)
        place = _inside(place.parent / text[8:].strip(), boundary, where)
    common = place
    if (place / "commondir").is_file():
        common = _inside(place / _text(place / "commondir", _LINK_LIMIT, where).strip(), boundary, where)
    objects = _inside(common / "objects", boundary, where)
    _check_objects(objects, where)
    if (common / "reftable").exists():
        raise FormatError("keeps its references in a table, which is not read", where=where)
    tips = dict(_references(common, where))
    head = _head(place, tips, where)
    shallow = _text(common / "shallow", _FILE_LIMIT, where) if (common / "shallow").is_file() else ""
    if not all(OBJECT_ID.fullmatch(line) for line in shallow.split()):
        raise FormatError("its shallow file is damaged", where=where)
    return GitRepository(
        folder=folder.removesuffix(".git") if bare else folder,
        objects=objects,
        tips=tuple(dict.fromkeys(filter(None, (head, *tips.values())))),
        head=head,
        shallow=shallow,
        large_files=common / "lfs" / "objects",
        index=None if bare else place / "index",
    )


def _inside(path: Path, boundary: Path, where: str) -> Path:
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise FormatError("is a Git repository that lacks its parts", where=where) from error
    if not target.is_relative_to(boundary):
        raise UnsafeFileError("is a Git repository that leads out of the lake", where=where)
    return target


def _text(path: Path, limit: int, where: str) -> str:
    blob = FileBlob(path, name=where)
    try:
        if blob.size > limit:
            raise UnsafeFileError(f"has a file {path.name} of {blob.size} bytes", where=where)
        return read_bytes(blob, 0, blob.size).decode("utf-8", "replace")
    finally:
        blob.close()


def _check_objects(objects: Path, where: str) -> None:
    # `git` follows links and opens whatever is there: a pipe would hang it, a link lead out of the lake.
    count = 0
    pending = [objects]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                found = [(entry, entry.stat(follow_symlinks=False).st_mode) for entry in entries]
        except OSError as error:
            raise FormatError(f"its objects cannot be listed: {error.strerror}", where=where) from error
        count += len(found)
        for entry, mode in found:
            if stat.S_ISDIR(mode):
                pending.append(Path(entry.path))
            elif not stat.S_ISREG(mode) or count > _OBJECTS_LIMIT:
                raise UnsafeFileError("its store of objects holds what it should not", where=where)
            elif entry.name in ("alternates", "http-alternates"):
                raise UnsafeFileError("borrows objects from another repository", where=where)


def _references(common: Path, where: str) -> Iterator[tuple[str, str]]:
    """Names and ids, those of files last, which hold good."""
    if (common / "packed-refs").is_file():
        for line in _text(common / "packed-refs", _FILE_LIMIT, where).splitlines():
            found, _, name = line.partition(" ")
            if OBJECT_ID.fullmatch(found) and _wanted(name):
                yield name, found
    if (common / "refs").is_symlink():
        raise UnsafeFileError("keeps its references behind a link", where=where)
    count = 0
    for folder, folders, names in os.walk(common / "refs", followlinks=False):
        folders.sort()
        for name in sorted(names):
            path = Path(folder) / name
            reference = path.relative_to(common).as_posix()
            count += 1
            if count > _REFERENCES_LIMIT:
                raise UnsafeFileError("has too many references", where=where)
            if _wanted(reference) and path.is_file() and not path.is_symlink():
                found = _text(path, _LINK_LIMIT, where).strip()
                if OBJECT_ID.fullmatch(found):
                    yield reference, found


def _wanted(name: str) -> bool:
    return name.startswith(("refs/heads/", "refs/tags/", "refs/remotes/"))


def _head(place: Path, references: dict[str, str], where: str) -> str:
    if not (place / "HEAD").is_file() or (place / "HEAD").is_symlink():
        raise FormatError("is no Git repository: it has no HEAD", where=where)
    text = _text(place / "HEAD", _LINK_LIMIT, where).strip()
    match = _REFERENCE.fullmatch(text)
    if match is not None:
        return references.get(match[1], "")
    return text if OBJECT_ID.fullmatch(text) else ""
