"""Members of zip files, read in place where they are stored, and unpacked within limits where they are compressed."""

from __future__ import annotations

import io
import os
import struct
import tempfile
import zipfile
import zlib
from threading import Lock
from typing import IO

from graph_schema.errors import FormatError, ResourceError, UnsafeFileError
from ingest.blobs import Blob, FileBlob, MemoryBlob, WindowBlob, read_bytes

DIRECTORY_LIMIT = 64 << 20
"""Largest central directory, in bytes."""

MEMBERS_LIMIT = 200_000
UNPACKED_LIMIT = 64 << 30
"""Largest member that is unpacked, in bytes; stored members may be of any size."""

RATIO_LIMIT = 200
"""Weights hardly compress: a member that shrank more than this is a bomb."""

_MEMORY_LIMIT = 8 << 20
_LOCAL_HEADER = 30  # bytes at least, before name and extra fields
_START = 4096
_STEP = 1 << 20
_END = b"PK\x05\x06"
_END_64 = b"PK\x06\x06"
_LOCATOR_64 = b"PK\x06\x07"


class BlobStream(io.RawIOBase):
    """A blob as a file object, for libraries that want one; closing it leaves the blob open."""

    def __init__(self, blob: Blob) -> None:
        super().__init__()
        self._blob = blob
        self._position = 0

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """Position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move; positions beyond either end are brought back to it."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._blob.size}[whence]
        self._position = min(max(base + offset, 0), self._blob.size)
        return self._position

    def readinto(self, target: memoryview) -> int:  # type: ignore[override]
        """Read what is left, at most as much as fits."""
        view = memoryview(target).cast("B")
        length = min(len(view), self._blob.size - self._position)
        self._blob.read_into(self._position, view[:length])
        self._position += length
        return length


def zip_directory(blob: Blob) -> dict[str, zipfile.ZipInfo]:
    """The members of a zip file by name.

    Raises
    ------
    FormatError
        If the directory is damaged, or names one member twice.
    UnsafeFileError
        If it is absurdly large, or members overlap: a small file could then stand for any amount of data.
    """
    if _directory_size(blob) > DIRECTORY_LIMIT:
        raise UnsafeFileError(f"zip directory is larger than {DIRECTORY_LIMIT} bytes", where=blob.name)
    try:
        with zipfile.ZipFile(io.BufferedReader(BlobStream(blob))) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, struct.error, RuntimeError, OSError) as error:
        raise FormatError(f"zip directory is damaged: {error}", where=blob.name, remedy="fetch it again") from error
    if len(members) > MEMBERS_LIMIT:
        raise UnsafeFileError(f"zip file has {len(members)} members", where=blob.name)
    directory = {item.filename: item for item in members}
    if len(directory) < len(members):
        raise FormatError("zip file names a member twice", where=blob.name)
    end = 0
    for item in sorted(members, key=lambda item: item.header_offset):
        if item.header_offset < end:
            raise UnsafeFileError("zip members overlap", where=f"{blob.name}: {item.filename}")
        end = item.header_offset + _LOCAL_HEADER + item.compress_size
    return directory


def _directory_size(blob: Blob) -> int:
    tail_size = min(blob.size, 22 + (1 << 16) + 20)
    tail = read_bytes(blob, blob.size - tail_size, tail_size)
    end = tail.rfind(_END)
    if end < 0 or len(tail) - end < 22:
        raise FormatError("zip directory is missing", where=blob.name, remedy="the file is cut short: fetch it again")
    size = int(struct.unpack_from("<I", tail, end + 12)[0])
    if size == 0xFFFFFFFF and tail[max(end - 20, 0) : end].startswith(_LOCATOR_64):
        offset = int(struct.unpack_from("<Q", tail, end - 20 + 8)[0])
        record = read_bytes(blob, offset, 56)
        if not record.startswith(_END_64):
            raise FormatError("zip directory is damaged", where=blob.name, remedy="fetch it again")
        size = int(struct.unpack_from("<Q", record, 40)[0])
    return size


def open_zip_member(blob: Blob, item: zipfile.ZipInfo, *, name: str) -> Blob:
    """One member as a blob: a window of the file where it is stored, unpacked on demand where it is compressed.

    The unpacked copy lives in memory up to 8 MiB and in an unnamed temporary file beyond.

    Raises
    ------
    UnsafeFileError
        If it is encrypted, or unpacks to more than it may.
    FormatError
        If it is damaged or compressed in an unknown way.
    """
    if item.flag_bits & 0x1:
        raise UnsafeFileError("is encrypted", where=name)
    header = read_bytes(blob, item.header_offset, _LOCAL_HEADER)
    if not header.startswith(b"PK\x03\x04"):
        raise FormatError("has no header in the zip file", where=name, remedy="fetch it again")
    begin = item.header_offset + _LOCAL_HEADER + sum(struct.unpack_from("<HH", header, 26))
    if item.compress_type == zipfile.ZIP_STORED:
        if item.compress_size != item.file_size:
            raise FormatError("is stored, but its two sizes differ", where=name)
        return WindowBlob(blob, begin, item.file_size, name=name)
    if item.compress_type != zipfile.ZIP_DEFLATED:
        raise FormatError("is compressed in a way other than deflate", where=name, remedy="unpack the archive")
    if item.file_size > UNPACKED_LIMIT or item.file_size > RATIO_LIMIT * max(item.compress_size, 1 << 10):
        raise UnsafeFileError(
            f"would unpack from {item.compress_size} to {item.file_size} bytes", where=name, remedy="unpack it yourself"
        )
    return InflatedBlob(WindowBlob(blob, begin, item.compress_size, name=name), item, name=name)


class InflatedBlob:
    """A compressed member: its first bytes are unpacked alone, the whole of it once, when more is asked for."""

    def __init__(self, packed: Blob, item: zipfile.ZipInfo, *, name: str) -> None:
        self.name = name
        self.size = item.file_size
        self._packed = packed
        self._item = item
        self._lock = Lock()
        self._whole: Blob | None = None

    def read_into(self, offset: int, target: memoryview) -> None:
        """Fill `target` with the bytes from `offset` on."""
        with self._lock:
            if self._whole is None and offset + len(target) <= min(_START, self.size):
                data = read_bytes(self._packed, 0, min(self._packed.size, 2 * _START))
                try:
                    start = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, _START)
                except zlib.error as error:
                    raise FormatError(f"cannot be unpacked: {error}", where=self.name) from error
                if len(start) >= offset + len(target):
                    target[:] = start[offset : offset + len(target)]
                    return
            if self._whole is None:
                self._whole = _unpacked(self._packed, self._item, self.name)
        self._whole.read_into(offset, target)

    def close(self) -> None:
        """Close the copy and the archive."""
        if self._whole is not None:
            self._whole.close()
        self._packed.close()


def _unpacked(packed: Blob, item: zipfile.ZipInfo, name: str) -> Blob:
    small = item.file_size <= _MEMORY_LIMIT
    target: IO[bytes] = io.BytesIO() if small else tempfile.TemporaryFile()  # noqa: SIM115 - closed by the with statement below
    with target:
        inflater, checksum, written = zlib.decompressobj(-zlib.MAX_WBITS), 0, 0
        try:
            for offset in range(0, packed.size, _STEP):
                data = read_bytes(packed, offset, min(_STEP, packed.size - offset))
                while data:
                    part = inflater.decompress(data, _STEP)
                    data = inflater.unconsumed_tail
                    written += len(part)
                    if written > item.file_size:
                        raise UnsafeFileError("unpacks to more than the zip file states", where=name)
                    checksum = zlib.crc32(part, checksum)
                    target.write(part)
        except zlib.error as error:
            raise FormatError(f"cannot be unpacked: {error}", where=name, remedy="fetch it again") from error
        except OSError as error:
            raise ResourceError(f"cannot be unpacked: {error.strerror}", where=name, remedy="free some disk") from error
        if written != item.file_size or checksum != item.CRC:
            raise FormatError("does not unpack to what the zip file states", where=name, remedy="fetch it again")
        if isinstance(target, io.BytesIO):
            return MemoryBlob(target.getvalue(), name=name)
        target.flush()
        return FileBlob.of_descriptor(os.dup(target.fileno()), name=name)
