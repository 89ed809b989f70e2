"""Files within archives, archives within archives included: opened without unpacking anything into the lake."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from graph_schema.errors import FormatError, UnsafeFileError
from ingest.blobs import Blob, FileBlob
from ingest.zip_members import open_zip_member, zip_directory

NESTING_LIMIT = 3
"""How many archives may lie one within the other."""


def open_nested(path: Path, members: tuple[str, ...], *, stamp: tuple[int, int], name: str) -> Blob:
    """The blob of a member of an archive.

    Parameters
    ----------
    path : Path
        The archive on disk.
    members : tuple of str
        Names, outermost first; all but the last are archives themselves.
    stamp : (mtime_ns, inode)
        Of the archive, so that a changed one is opened anew.
    name : str
        For messages.

    Raises
    ------
    FormatError
        If the archive is damaged or the member gone.
    UnsafeFileError
        If archives are nested too deeply, or unpacking would exhaust the disk.
    """
    if len(members) > NESTING_LIMIT:
        raise UnsafeFileError("lies in too many archives one within the other", where=name)
    return _member(_archive(path, members[:-1], stamp), members[-1], name)


@lru_cache(maxsize=4)
def _archive(path: Path, members: tuple[str, ...], stamp: tuple[int, int]) -> _Shared:
    # Kept open for a while: a compressed archive within an archive would be unpacked again for each of its files.
    if not members:
        return _Shared(FileBlob(path))
    return _Shared(_member(_archive(path, members[:-1], stamp), members[-1], f"{path.name}/{'/'.join(members)}"))


def _member(archive: _Shared, member: str, name: str) -> Blob:
    item = zip_directory(archive).get(member)
    if item is None:
        raise FormatError("is no longer in its archive", where=name)
    return open_zip_member(archive, item, name=name)


class _Shared:
    """A blob that several readers use: it closes when the last of them is gone, not when one of them closes."""

    def __init__(self, blob: Blob) -> None:
        self.name = blob.name
        self.size = blob.size
        self._blob = blob

    def read_into(self, offset: int, target: memoryview) -> None:
        """Fill `target` with the bytes from `offset` on."""
        self._blob.read_into(offset, target)

    def close(self) -> None:
        """Leave it open for the others."""
