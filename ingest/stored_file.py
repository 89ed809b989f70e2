"""A file of the lake as discovery hands it on: on disk, or inside an archive, opened only when it is needed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from graph_schema.identity import digest
from ingest.archives import open_nested
from ingest.blobs import Blob, FileBlob, read_bytes
from ingest.git_objects import GitObjectBlob


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """Where one file lies.

    Attributes
    ----------
    path : Path
        The file on disk, links resolved and found to lie inside the lake; for a member of an archive, the archive.
    name : str
        POSIX path relative to the lake, as people know it; a member's follows its archive's.
    size : int
        In bytes, as the directory (or the archive) states it.
    mtime_ns, inode, device : int
        Of the file on disk, to tell whether it changed and whether two names are one file.
    members : tuple of str
        Names within archives, outermost first; empty for a file on disk.
    object_id : str
        Of a file in the history of a Git repository: its object there. `path` is then the repository's `objects`, or
        the file itself where Git LFS keeps it.
    """

    path: Path
    name: str
    size: int
    mtime_ns: int = 0
    inode: int = 0
    device: int = 0
    members: tuple[str, ...] = ()
    object_id: str = ""

    @property
    def base(self) -> str:
        """The last part of the name."""
        return PurePosixPath(self.name).name

    @property
    def folder(self) -> str:
        """The name without its last part; empty at the top of the lake."""
        parent = str(PurePosixPath(self.name).parent)
        return "" if parent == "." else parent

    @property
    def identity(self) -> tuple[object, ...]:
        """Equal for two names of one file (a hub cache links one blob from several snapshots)."""
        if self.object_id:
            return ("git", self.object_id)
        return (self.device, self.inode, self.members) if self.inode else (str(self.path), self.members)

    def open(self) -> Blob:
        """Open the file for reading.

        Raises
        ------
        graph_schema.errors.InputError
            If it is gone, is no regular file, or its archive is damaged or a bomb.
        """
        if self.object_id and not self.inode:
            return GitObjectBlob(self.path, self.object_id, self.size, name=self.name)
        if self.members:
            return open_nested(self.path, self.members, stamp=(self.mtime_ns, self.inode), name=self.name)
        return FileBlob(self.path, name=self.name)

    def read_text(self, limit: int) -> tuple[str, bool]:
        """The file as UTF-8 text, undecodable bytes replaced, and whether it was cut at `limit` bytes."""
        blob = self.open()
        try:
            length = min(blob.size, limit)
            return read_bytes(blob, 0, length).decode("utf-8", "replace"), blob.size > limit
        finally:
            blob.close()


def signature(files: tuple[StoredFile, ...]) -> str:
    """Changes when a file of the model does, at the cost of no reading: name, size, time and inode of each.

    Examples
    --------
    >>> one = StoredFile(path=Path("a"), name="a", size=1, mtime_ns=5)
    >>> signature((one,)) == signature((StoredFile(path=Path("a"), name="a", size=1, mtime_ns=6),))
    False
    """
    rows = sorted(
        (item.name, *item.members, item.object_id, str(item.size), str(item.mtime_ns), str(item.inode))
        for item in files
    )
    # One digest a row, so that rows of different lengths cannot run into each other.
    return digest("signature", *(digest(*map(_encodable, row)) for row in rows))


def _encodable(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").hex()
