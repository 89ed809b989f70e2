"""Walking a lake: its regular files in a fixed order, links resolved and kept inside, everything else refused aloud."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from graph_schema.errors import ModelLakeError, PathNotFoundError, ResourceError, UnsafeFileError
from ingest.git_repository import GitRepository, is_bare, open_repository
from ingest.model_source import Rejected
from ingest.stored_file import StoredFile

DEPTH_LIMIT = 64
FILE_LIMIT = 5_000_000

_KINDS = (
    (stat.S_ISFIFO, "is a named pipe"),
    (stat.S_ISSOCK, "is a socket"),
    (stat.S_ISCHR, "is a character device"),
    (stat.S_ISBLK, "is a block device"),
)


def walk(root: Path, *, boundary: Path, prefix: str = "") -> Iterator[StoredFile | Rejected | GitRepository]:
    """Every regular file below `root`, sorted by name within each directory, and every Git repository.

    Parameters
    ----------
    root : Path
        A directory, resolved.
    boundary : Path
        Links are followed to files within it (a hub cache links its snapshots to its blobs), and never to directories.
    prefix : str
        Put before every name.

    Yields
    ------
    StoredFile, Rejected or GitRepository
        Pipes, sockets, devices, links out of the boundary and directories that cannot be read are rejected, each with
        its reason. Names that begin with a dot are passed over.
    """
    # A stack, not recursion: depth is the attacker's to choose.
    pending: list[tuple[Path, str, int]] = [(root, prefix, 0)]
    count = 0
    while pending:
        folder, name, depth = pending.pop()
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            reason = PathNotFoundError(f"cannot be listed: {error.strerror}", where=name or os.fspath(folder))
            yield Rejected(location=name, error=reason)
            continue
        names = frozenset(entry.name for entry in entries)
        if ".git" in names or is_bare(names):
            try:
                place = folder / ".git" if ".git" in names else folder
                yield open_repository(place, folder=name, boundary=boundary)
            except ModelLakeError as error:
                yield Rejected(location=name or folder.name, error=error)
            if ".git" not in names:
                continue
        folders: list[tuple[Path, str, int]] = []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            child = f"{name}/{entry.name}" if name else entry.name
            if entry.is_dir(follow_symlinks=False):
                if depth + 1 < DEPTH_LIMIT:
                    folders.append((Path(entry.path), child, depth + 1))
                else:
                    yield Rejected(location=child, error=UnsafeFileError("lies too deep", where=child))
                continue
            try:
                found = stored_file(Path(entry.path), name=child, boundary=boundary)
            except ModelLakeError as error:
                yield Rejected(location=child, error=error)
                continue
            count += 1
            if count > FILE_LIMIT:
                raise ResourceError(f"holds more than {FILE_LIMIT} files", where=os.fspath(root))
            yield found
        pending.extend(reversed(folders))


def link_boundary(root: Path) -> Path:
    """How far links may lead: the directory itself, or the repository of a hub cache that it is a snapshot of."""
    for folder in (root, *root.parents):
        if folder.name.startswith(("models--", "datasets--")) and (folder / "blobs").is_dir():
            return folder
    return root


def stored_file(path: Path, *, name: str, boundary: Path) -> StoredFile:
    """The regular file that a path leads to, through links inside `boundary` alone.

    Raises
    ------
    PathNotFoundError
        If a link leads nowhere.
    UnsafeFileError
        If it leads out of the boundary or to a directory, or what is there is no regular file.
    """
    try:
        target = path
        if path.is_symlink():
            target = path.resolve(strict=True)
            if not target.is_relative_to(boundary):
                raise UnsafeFileError("is a symbolic link that leads out of the lake", where=name)
        status = target.lstat()
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "a loop of links"
        raise PathNotFoundError(f"leads nowhere: {reason}", where=name) from error
    if stat.S_ISDIR(status.st_mode):
        raise UnsafeFileError("is a link to a directory, which is not followed", where=name)
    for test, kind in _KINDS:
        if test(status.st_mode):
            raise UnsafeFileError(kind, where=name)
    if not stat.S_ISREG(status.st_mode):
        raise UnsafeFileError("is no regular file", where=name)
    return StoredFile(
        path=target,
        name=name,
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        inode=status.st_ino,
        device=status.st_dev,
    )
