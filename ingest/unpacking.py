"""Files compressed as a whole, such as `.tar.gz`: unpacked once, within limits, into an unnamed temporary file."""

from __future__ import annotations

import bz2
import gzip
import importlib
import io
import lzma
import os
import tempfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from graph_schema.errors import FormatError, MissingDependencyError, ResourceError, UnsafeFileError
from ingest.blobs import Blob, FileBlob, read_bytes
from ingest.zip_members import RATIO_LIMIT, UNPACKED_LIMIT, BlobStream

PACKED_LIMIT = 16 << 30
"""Largest compressed file that is unpacked, in bytes: it is gone through once to be listed, and once to be read."""

_STEP = 1 << 20
_XZ_MEMORY = 128 << 20
"""Bytes of memory that unpacking xz may take; its highest preset takes 65 MiB."""

_MAGIC = ((b"\x1f\x8b\x08", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ\0", "xz"), (b"\x28\xb5\x2f\xfd", "zstd"))


def compression(start: bytes) -> str:
    """How a file that begins so is compressed; empty where it is not.

    Examples
    --------
    >>> compression(b"BZh91AY"), compression(b"ustar")
    ('bzip2', '')
    """
    return next((name for magic, name in _MAGIC if start.startswith(magic)), "")


def is_compressed(blob: Blob) -> bool:
    """Whether a file is compressed as a whole."""
    return bool(compression(read_bytes(blob, 0, min(blob.size, 8))))


def unpacked(blob: Blob) -> Blob:
    """The content of a compressed file, in a temporary one; errors as of `content`, a full disk's among them."""
    with tempfile.TemporaryFile() as target:
        for part in content(blob):
            try:
                target.write(part)
            except OSError as error:
                raise ResourceError(
                    f"cannot be unpacked: {error.strerror}", where=blob.name, remedy="free some disk"
                ) from error
        target.flush()
        return FileBlob.of_descriptor(os.dup(target.fileno()), name=blob.name)


def content(blob: Blob) -> Iterator[bytes]:
    """The content of a compressed file, part by part.

    Raises
    ------
    UnsafeFileError
        If it unpacks to more than 64 GiB, or to more than two hundred times its size: weights hardly compress.
    FormatError
        If it is damaged.
    ResourceError
        If it is too large to be unpacked.
    MissingDependencyError
        If it is zstd's and this Python cannot unpack that.
    """
    kind = compression(read_bytes(blob, 0, min(blob.size, 8)))
    if blob.size > PACKED_LIMIT:
        raise ResourceError(
            f"{blob.size >> 30} GiB are compressed as a whole", where=blob.name, remedy="unpack it yourself"
        )
    written = 0
    try:
        for part in _parts(blob, kind):
            written += len(part)
            if written > UNPACKED_LIMIT or written > RATIO_LIMIT * max(blob.size, 1 << 14):
                raise UnsafeFileError(
                    f"would unpack from {blob.size} to more than {written} bytes",
                    where=blob.name,
                    remedy="unpack it yourself",
                )
            yield part
    except (EOFError, OSError, zlib.error, lzma.LZMAError, ValueError) as error:
        raise FormatError(f"cannot be unpacked: {error}", where=blob.name, remedy="fetch it again") from error


class ForwardBlob:
    """The content of a compressed file, to be read from its beginning to its end and not back.

    Parameters
    ----------
    blob : Blob
        Closed with this one.

    Notes
    -----
    The size is not known beforehand: `size` is the most that it may be.
    """

    size = UNPACKED_LIMIT

    def __init__(self, blob: Blob) -> None:
        self.name = blob.name
        self._blob = blob
        self._parts = content(blob)
        self._begin = 0
        self._held = b""

    def read_into(self, offset: int, target: memoryview) -> None:
        """Fill `target` with the bytes from `offset` on, which must not lie before those that were read last."""
        while offset + len(target) > self._begin + len(self._held):
            part = next(self._parts, b"")
            if not part:
                raise FormatError("ends early", where=self.name, remedy="the file is cut short: fetch it again")
            passed = min(max(offset - self._begin, 0), len(self._held))
            self._begin += passed
            self._held = self._held[passed:] + part
        begin = offset - self._begin
        target[:] = self._held[begin : begin + len(target)]

    def finish(self) -> None:
        """Read on to the end, where damage shows."""
        for _ in self._parts:
            pass

    def close(self) -> None:
        """Close the file."""
        self._blob.close()


def _parts(blob: Blob, kind: str) -> Iterator[bytes]:
    stream: Any
    if kind == "gzip":
        stream = gzip.GzipFile(fileobj=io.BufferedReader(BlobStream(blob)), mode="rb")
    elif kind == "zstd":
        stream = _zstd(blob)
    else:
        factory: Callable[[], Any] = bz2.BZ2Decompressor if kind == "bzip2" else _xz
        yield from _stream(blob, factory)
        return
    with stream:
        while part := stream.read(_STEP):
            yield part


def _xz() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)


def _zstd(blob: Blob) -> Any:
    try:
        module = importlib.import_module("compression.zstd")
    except ImportError as error:
        raise MissingDependencyError(
            "is compressed by zstd, which Python can unpack from 3.14 on", where=blob.name, remedy="unpack it yourself"
        ) from error
    return module.ZstdFile(io.BufferedReader(BlobStream(blob)), mode="rb")


def _stream(blob: Blob, factory: Callable[[], Any]) -> Iterator[bytes]:
    """The content of one or more streams, one after the other, in parts of bounded size."""
    decompressor, position, data = factory(), 0, b""
    while True:
        if decompressor.eof:
            data = decompressor.unused_data
            if not data.strip(b"\0") and position >= blob.size:
                return
            decompressor = factory()
        elif decompressor.needs_input and not data:
            if position >= blob.size:
                raise FormatError("cannot be unpacked: it ends early", where=blob.name, remedy="fetch it again")
            length = min(_STEP, blob.size - position)
            data = read_bytes(blob, position, length)
            position += length
        part = decompressor.decompress(data, _STEP)
        data = b""
        if part:
            yield part
