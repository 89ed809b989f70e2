"""Files within archives, archives within archives included: opened without unpacking anything into the lake."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path

from graph_schema.errors import FormatError, UnsafeFileError
from ingest.blobs import Blob, FileBlob, read_bytes
from ingest.tar_members import BLOCK, TarDirectory, looks_like_tar, open_tar_member, tar_directory
from ingest.unpacking import ForwardBlob, is_compressed, unpacked
from ingest.zip_members import open_zip_member, zip_directory

NESTING_LIMIT = 3
"""How many archives may lie one within the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What an archive holds.

    Attributes
    ----------
    sizes : mapping of str to int
        Bytes of each member by its name.
    refused : tuple of (name, kind)
        Members that are no regular files, such as links.
    packed : bool
        Whether it is compressed as a whole, so that opening any member unpacks it all.
    """

    sizes: Mapping[str, int]
    refused: tuple[tuple[str, str], ...] = ()
    packed: bool = False


def list_members(path: Path, members: tuple[str, ...], *, stamp: tuple[int, int], name: str) -> Listing:
    """The members of an archive on disk, or of one within it; arguments and errors as of `open_nested`."""
    if len(members) >= NESTING_LIMIT - 1:
        raise UnsafeFileError("has archives within archives", where=name)
    return _listing(path, members, stamp)


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
    return _archive(path, members[:-1], stamp).open(members[-1], name)


def close_archives() -> None:
    """Close what is kept open between members; unpacked copies go with it."""
    _archive.cache_clear()


@lru_cache(maxsize=32)
def _listing(path: Path, members: tuple[str, ...], stamp: tuple[int, int]) -> Listing:
    blob = _opened(path, members, stamp)
    try:
        if not is_compressed(blob):
            archive = _Archive(blob)
            return Listing(sizes={name: size for name, (size, _) in archive.members.items()}, refused=archive.refused)
        # Listed on the way: a data set of pictures is not unpacked to find that it is no model.
        forward = ForwardBlob(blob)
        if not looks_like_tar(read_bytes(forward, 0, BLOCK)):
            raise FormatError("is compressed, but no tar file", where=blob.name)
        found = tar_directory(forward)
        forward.finish()
        sizes = {name: item.size for name, item in found.members.items()}
        return Listing(sizes=sizes, refused=found.refused, packed=True)
    finally:
        blob.close()


def _opened(path: Path, members: tuple[str, ...], stamp: tuple[int, int]) -> Blob:
    if not members:
        return FileBlob(path)
    return _archive(path, members[:-1], stamp).open(members[-1], f"{path.name}/{'/'.join(members)}")


@lru_cache(maxsize=4)
def _archive(path: Path, members: tuple[str, ...], stamp: tuple[int, int]) -> _Archive:
    # Kept open for a while: a compressed archive would be unpacked again for each of its files.
    blob = _opened(path, members, stamp)
    return _Archive(unpacked(blob) if is_compressed(blob) else blob)


class _Archive:
    """An open archive; its blob is shared by the readers of its members and closes when the last of them is gone."""

    def __init__(self, blob: Blob) -> None:
        self._blob = _Shared(blob)

    @cached_property
    def members(self) -> Mapping[str, tuple[int, Callable[..., Blob]]]:
        """Size of each member, and what opens it."""
        if self._is_tar:
            items = self._tar.members.items()
            return {name: (item.size, partial(open_tar_member, self._blob, item)) for name, item in items}
        found = zip_directory(self._blob)
        return {name: (item.file_size, partial(open_zip_member, self._blob, item)) for name, item in found.items()}

    @property
    def refused(self) -> tuple[tuple[str, str], ...]:
        """Members that are no regular files."""
        return self._tar.refused if self._is_tar else ()

    @cached_property
    def _tar(self) -> TarDirectory:
        return tar_directory(self._blob)

    @cached_property
    def _is_tar(self) -> bool:
        return looks_like_tar(read_bytes(self._blob, 0, min(self._blob.size, BLOCK)))

    def open(self, member: str, name: str) -> Blob:
        """The blob of a member."""
        if member not in self.members:
            raise FormatError("is no longer in its archive", where=name)
        _, opens = self.members[member]
        return opens(name=name)


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
