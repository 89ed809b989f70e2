"""The registry of formats: which reader knows a file, told by its first bytes and never by its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Self

from graph_schema.errors import FormatError, UnsupportedFormatError
from ingest.blobs import Blob, read_bytes
from ingest.readers import (
    flax_file,
    gguf_file,
    keras_file,
    numpy_files,
    onnx_file,
    safetensors,
    tflite_file,
    torch_files,
)
from ingest.readers.framework_names import flax_tensor
from ingest.readers.sharded import JoinedSource, check_against_index, index_family, read_index, shard_key
from ingest.stored_file import StoredFile
from ingest.tensors import TensorSource
from ingest.zip_members import zip_directory

HEAD = 64
"""How many bytes a format is told by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a format is told by: the first bytes (more of an HDF5 file), the size, a zip file's names of members."""

    start: bytes
    size: int
    members: frozenset[str] = frozenset()

    @classmethod
    def of(cls, blob: Blob) -> Self:
        """The head of a file; raises FormatError for a zip file whose directory is damaged."""
        start = read_bytes(blob, 0, min(blob.size, HEAD))
        if start.startswith(keras_file.MAGIC):
            start = read_bytes(blob, 0, min(blob.size, keras_file.HEAD))
        zipped = start.startswith(b"PK\x03\x04")
        return cls(start=start, size=blob.size, members=frozenset(zip_directory(blob)) if zipped else frozenset())


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One file format.

    Attributes
    ----------
    name : str
        As in `Version.formats`.
    matches : callable (head) -> bool
        Whether a file with such a `Head` is of the format.
    open : callable (blob) -> TensorSource
        The reader; it owns the blob from then on.
    """

    name: str
    matches: Callable[[Head], bool]
    open: Callable[[Blob], TensorSource]


FORMATS: tuple[Format, ...] = (
    Format(
        name="safetensors",
        matches=lambda head: safetensors.looks_like(head.start, head.size),
        open=safetensors.SafetensorsSource,
    ),
    Format(name="gguf", matches=lambda head: gguf_file.looks_like(head.start), open=gguf_file.GgufSource),
    Format(name="torch", matches=lambda head: torch_files.is_checkpoint(head.members), open=torch_files.open_torch_zip),
    Format(name="torch", matches=lambda head: torch_files.is_pickle(head.start), open=torch_files.open_torch_legacy),
    Format(name="numpy", matches=lambda head: head.start.startswith(numpy_files.MAGIC), open=numpy_files.open_npy),
    Format(name="onnx", matches=lambda head: onnx_file.looks_like(head.start), open=onnx_file.OnnxSource),
    Format(name="tflite", matches=lambda head: tflite_file.looks_like(head.start), open=tflite_file.open_tflite),
    Format(name="keras", matches=lambda head: keras_file.looks_like(head.start), open=keras_file.KerasSource),
    Format(name="keras", matches=lambda head: keras_file.is_keras(head.members), open=keras_file.open_keras_zip),
    Format(name="flax", matches=lambda head: flax_file.looks_like(head.start), open=flax_file.open_flax),
    Format(name="numpy", matches=lambda head: numpy_files.is_npz(head.members), open=numpy_files.open_npz),
)


def sniff(blob: Blob) -> Format | None:
    """The format of a file; None where no reader knows it.

    Examples
    --------
    >>> from ingest.blobs import MemoryBlob
    >>> sniff(MemoryBlob(b"\\x02\\0\\0\\0\\0\\0\\0\\0{}", name="a")).name
    'safetensors'
    >>> sniff(MemoryBlob(b"# a readme", name="b")) is None
    True
    """
    head = Head.of(blob)
    return next((known for known in FORMATS if known.matches(head)), None)


def sniff_file(file: StoredFile) -> Format | None:
    """The format of a file of the lake."""
    blob = file.open()
    try:
        return sniff(blob)
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
        known = sniff(blob)
        if known is None:
            raise unknown_format(read_bytes(blob, 0, min(blob.size, HEAD)), file.name)
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
    known = ", ".join(dict.fromkeys(item.name for item in FORMATS))
    return UnsupportedFormatError("no reader knows this format", where=where, remedy=f"known formats: {known}")


def open_tensors(files: Sequence[StoredFile]) -> TensorSource:
    """Open the files of one set of weights: one file, or shards with or without their index.

    Parameters
    ----------
    files : sequence of StoredFile
        At least one. An index (`*.index.json`, `*.index.fp16.json`) among them says which shards belong; without one,
        all files do, and numbered ones must be complete.

    Raises
    ------
    FormatError
        If a shard is missing (it is named), holds what another holds, or is damaged.
    UnsafeFileError
        If the index names a file outside its own directory.
    """
    if not files:
        raise FormatError("no files to read weights from")
    index = next((item for item in files if index_family(item.base)), None)
    shards = [item for item in files if item is not index]
    if len(shards) > 1 and any(onnx_file.is_external_data(item.base, shards[0].base) for item in shards[1:]):
        return _open_onnx(shards[0], shards[1:])
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
            if joined.format == "flax":
                weight_map = {flax_tensor(name.split("/"), 0)[0]: shard for name, shard in weight_map.items()}
            check_against_index(joined, weight_map, index.name)
        stack.pop_all()
        return joined


def _open_onnx(model: StoredFile, data: Sequence[StoredFile]) -> TensorSource:
    with ExitStack() as stack:
        blobs = [item.open() for item in (model, *data)]
        for blob in blobs:
            stack.callback(blob.close)
        names = [item.base for item in data]
        source = onnx_file.OnnxSource(blobs[0], dict(zip(names, blobs[1:], strict=True)))
        stack.pop_all()
        return source


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
