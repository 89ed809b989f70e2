"""The registry of formats: which reader knows a file, told by its first bytes and never by its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from graph_schema.errors import FormatError, UnsupportedFormatError
from ingest.blobs import Blob, read_bytes
from ingest.readers import safetensors
from ingest.readers.sharded import INDEX_SUFFIX, JoinedSource, check_against_index, read_index, shard_key
from ingest.stored_file import StoredFile
from ingest.tensors import TensorSource

HEAD = 64
"""How many bytes a format is told by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One file format.

    Attributes
    ----------
    name : str
        As in `Version.formats`.
    matches : callable (head, size) -> bool
        Whether a file that begins with `head` and has `size` bytes is of the format.
    open : callable (blob) -> TensorSource
        The reader; it owns the blob from then on.
    """

    name: str
    matches: Callable[[bytes, int], bool]
    open: Callable[[Blob], TensorSource]


FORMATS: tuple[Format, ...] = (
    Format(name="safetensors", matches=safetensors.looks_like, open=safetensors.SafetensorsSource),
)


def sniff(head: bytes, size: int) -> Format | None:
    """The format of a file, by its first `HEAD` bytes; None where no reader knows it.

    Examples
    --------
    >>> sniff(b"\\x02\\0\\0\\0\\0\\0\\0\\0{}", 10).name
    'safetensors'
    >>> sniff(b"# a readme", 10) is None
    True
    """
    return next((known for known in FORMATS if known.matches(head, size)), None)


def sniff_file(file: StoredFile) -> Format | None:
    """The format of a file of the lake."""
    blob = file.open()
    try:
        return sniff(read_bytes(blob, 0, min(blob.size, HEAD)), blob.size)
    finally:
        blob.close()


def open_file(file: StoredFile) -> TensorSource:
    """Open one file as a source of tensors.

    Raises
    ------
    UnsupportedFormatError
        If no reader knows it.
    FormatError
        If it is damaged.
    """
    blob = file.open()
    try:
        head = read_bytes(blob, 0, min(blob.size, HEAD))
        known = sniff(head, blob.size)
        if known is None:
            raise unknown_format(head, file.name)
        return known.open(blob)
    except BaseException:
        blob.close()
        raise


def unknown_format(head: bytes, where: str) -> FormatError:
    """The error for a file that no reader knows: what it is instead, where that can be told."""
    if head.startswith(b"version https://git-lfs"):
        return FormatError("is a Git LFS pointer, not the weights", where=where, remedy="run git lfs pull")
    if not head:
        return FormatError("is empty", where=where, remedy="fetch it again")
    if head.lstrip()[:1] == b"<":
        return FormatError("is a web page, not weights", where=where, remedy="fetch it again")
    known = ", ".join(item.name for item in FORMATS)
    return UnsupportedFormatError("no reader knows this format", where=where, remedy=f"known formats: {known}")


def open_tensors(files: Sequence[StoredFile]) -> TensorSource:
    """Open the files of one set of weights: one file, or shards with or without their index.

    Parameters
    ----------
    files : sequence of StoredFile
        At least one. An index (`*.index.json`) among them says which shards belong; without one, all files do, and
        numbered ones must be complete.

    Raises
    ------
    FormatError
        If a shard is missing (it is named), holds what another holds, or is damaged.
    UnsafeFileError
        If the index names a file outside its own directory.
    """
    if not files:
        raise FormatError("no files to read weights from")
    index = next((item for item in files if item.base.endswith(INDEX_SUFFIX)), None)
    shards = [item for item in files if item is not index]
    by_name = {item.base: item for item in shards}
    weight_map = read_index(index) if index is not None else {}
    if index is not None:
        missing = sorted(set(weight_map.values()) - by_name.keys())
        if missing:
            raise FormatError(
                f"shard {missing[0][:120]!r} is missing ({len(missing)} of {len(set(weight_map.values()))})",
                where=index.name,
                remedy="fetch the missing shard",
            )
        shards = [by_name[name] for name in sorted(set(weight_map.values()))]
    else:
        check_complete(shards)
    with ExitStack() as stack:
        sources = [stack.enter_context(open_file(item)) for item in shards]
        joined = sources[0] if len(sources) == 1 else JoinedSource(sources, location=shards[0].folder or shards[0].name)
        if index is not None:
            check_against_index(joined, weight_map, index.name)
        stack.pop_all()
        return joined


def check_complete(shards: Sequence[StoredFile]) -> None:
    """Raise FormatError where numbered shards (`-00002-of-00003`) lack one of their number."""
    numbered = [(key, item) for item in shards if (key := shard_key(item.base)) is not None]
    for (family, _, count), item in numbered:
        present = {number for (other, number, _), _ in numbered if other == family}
        missing = sorted(set(range(1, min(count, 10_000) + 1)) - present)
        if missing and 0 not in present:
            raise FormatError(
                f"shard {missing[0]} of {count} of {family} is missing",
                where=item.folder or item.name,
                remedy="fetch the missing shard",
            )
