"""Bytes of one file of a lake, read by position and checked: a file on disk, a window of it, or a member of an archive.

Files are read with `pread` into buffers and never mapped: a file that is cut short while it is read raises an error
instead of a bus error, resident memory stays bounded, and threads can share one descriptor.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from threading import Lock
from typing import Protocol, Self

from graph_schema.errors import FormatError, PathNotFoundError, ResourceError, UnsafeFileError


class Blob(Protocol):
    """Bytes that can be read at any position, from several threads at once."""

    @property
    def name(self) -> str:
        """For messages."""
        ...

    @property
    def size(self) -> int:
        """In bytes."""
        ...

    def read_into(self, offset: int, target: memoryview) -> None:
        """Fill `target` with the bytes from `offset` on.

        Raises
        ------
        graph_schema.errors.FormatError
            If the file ends before `target` is full.
        """
        ...

    def close(self) -> None:
        """Close the file; closing twice does nothing."""
        ...


def read_bytes(blob: Blob, offset: int, length: int) -> bytes:
    """`length` bytes of a blob from `offset` on; raises FormatError where it ends early."""
    if offset < 0 or length < 0 or offset + length > blob.size:
        raise FormatError(
            f"bytes {offset} to {offset + length} lie beyond the end of the file ({blob.size} bytes)",
            where=blob.name,
            remedy="the file is cut short or damaged: fetch it again",
        )
    buffer = bytearray(length)
    blob.read_into(offset, memoryview(buffer))
    return bytes(buffer)


class FileBlob:
    """A regular file on disk.

    Parameters
    ----------
    path : Path
        Opened without following a symbolic link in its last part, and without waiting (a pipe would block for ever).
    name : str, optional
        For messages; the path where it is left out.

    Raises
    ------
    PathNotFoundError
        If there is no such file, or it may not be read.
    UnsafeFileError
        If it is anything but a regular file.
    """

    def __init__(self, path: Path, *, name: str | None = None) -> None:
        self.name = name if name is not None else os.fspath(path)
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
        try:
            descriptor = os.open(path, flags)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise UnsafeFileError("is a symbolic link where a file was expected", where=self.name) from error
            raise PathNotFoundError(
                f"cannot be opened: {error.strerror}", where=self.name, remedy="check the path and its permissions"
            ) from error
        self._adopt(descriptor)

    @classmethod
    def of_descriptor(cls, descriptor: int, *, name: str) -> Self:
        """A blob of an open descriptor, which it then owns."""
        blob = cls.__new__(cls)
        blob.name = name
        blob._adopt(descriptor)
        return blob

    def _adopt(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor
        self._lock = Lock()
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise UnsafeFileError("is not a regular file", where=self.name)
        self.size = status.st_size

    def read_into(self, offset: int, target: memoryview) -> None:
        """Fill `target` with the bytes from `offset` on."""
        descriptor = self._descriptor
        if descriptor is None:
            raise ResourceError("is read after it was closed", where=self.name)
        done = 0
        while done < len(target):
            try:
                count = os.preadv(descriptor, [target[done:]], offset + done)
            except OSError as error:
                raise ResourceError(f"cannot be read: {error.strerror}", where=self.name) from error
            if count == 0:
                raise FormatError(
                    f"ends at byte {offset + done}, {len(target) - done} bytes early",
                    where=self.name,
                    remedy="the file is cut short: fetch it again",
                )
            done += count

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __del__(self) -> None:
        if getattr(self, "_descriptor", None) is not None:
            self.close()


class WindowBlob:
    """A stretch of another blob, such as a member stored in an archive without compression; closing it closes both."""

    def __init__(self, blob: Blob, offset: int, size: int, *, name: str) -> None:
        if offset < 0 or size < 0 or offset + size > blob.size:
            raise FormatError(f"lies beyond the end of {blob.name}", where=name, remedy="the archive is damaged")
        self.name = name
        self.size = size
        self._blob = blob
        self._offset = offset

    def read_into(self, offset: int, target: memoryview) -> None:
        """Fill `target` with the bytes from `offset` on."""
        if offset < 0 or offset + len(target) > self.size:
            raise FormatError(f"ends at byte {self.size}, before byte {offset + len(target)}", where=self.name)
        self._blob.read_into(self._offset + offset, target)

    def close(self) -> None:
        """Close the blob beneath."""
        self._blob.close()


class MemoryBlob:
    """Bytes in memory."""

    def __init__(self, content: bytes, *, name: str) -> None:
        self.name = name
        self.size = len(content)
        self._content = memoryview(content)

    def read_into(self, offset: int, target: memoryview) -> None:
        """Fill `target` with the bytes from `offset` on."""
        part = self._content[offset : offset + len(target)]
        if offset < 0 or len(part) < len(target):
            raise FormatError(f"ends at byte {self.size}, before byte {offset + len(target)}", where=self.name)
        target[:] = part

    def close(self) -> None:
        """Nothing to close."""
