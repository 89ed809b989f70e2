"""safetensors: a length, a JSON header, the values (https://github.com/huggingface/safetensors, "Format").

The header is checked before a value is read: every name once, offsets within the file, in order, without overlap and
without holes, and each tensor's size the product of its shape and dtype. A header that lies is an error, not a crash.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from graph_schema.errors import FormatError, UnsafeFileError, UnsupportedFormatError
from ingest.blobs import Blob, read_bytes
from ingest.tensors import STORAGE, TensorInfo

HEADER_LIMIT = 64 << 20
"""Largest header that is parsed, in bytes: some 500,000 tensors."""

_RANK_LIMIT = 64


def looks_like(head: bytes, size: int) -> bool:
    """Whether the first bytes of a file of `size` bytes could begin a safetensors file."""
    return len(head) >= 10 and head[8:9] == b"{" and 2 <= int.from_bytes(head[:8], "little") <= max(size, 1 << 40)


class SafetensorsSource:
    """The tensors of one safetensors file; implements `ingest.tensors.TensorSource`.

    Parameters
    ----------
    blob : Blob
        Closed with the source.

    Raises
    ------
    FormatError
        If the header is damaged or lies.
    UnsafeFileError
        If the header is larger than `HEADER_LIMIT`.
    """

    format = "safetensors"
    model_type = ""

    def __init__(self, blob: Blob) -> None:
        self._blob = blob
        self.location = blob.name
        self.metadata: Mapping[str, str] = {}
        header, start = _header(blob)
        self.metadata = _metadata(header.pop("__metadata__", {}), blob.name)
        self._offsets: dict[str, int] = {}
        infos: list[tuple[int, int, TensorInfo]] = []
        for name, entry in header.items():
            info, begin, end = _tensor(name, entry, blob.name)
            infos.append((begin, end, info))
            self._offsets[name] = start + begin
        _check_layout(infos, blob.size - start, blob.name)
        self.tensors: Sequence[TensorInfo] = tuple(sorted((info for _, _, info in infos), key=lambda info: info.name))

    def read(self, tensor: TensorInfo, start: int, stop: int) -> NDArray[np.generic]:
        """Values `start` to `stop` of a tensor, in row-major order."""
        storage = STORAGE[tensor.dtype]
        values = np.empty(stop - start, dtype=storage)
        if values.size:
            self._blob.read_into(self._offsets[tensor.name] + start * storage.itemsize, values.data.cast("B"))
        return values

    def close(self) -> None:
        """Close the file."""
        self._blob.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _header(blob: Blob) -> tuple[dict[str, object], int]:
    if blob.size < 8:
        raise FormatError(f"has {blob.size} bytes, too few for a header", where=blob.name, remedy="fetch it again")
    length = int.from_bytes(read_bytes(blob, 0, 8), "little")
    if length > blob.size - 8:
        raise FormatError(
            f"header of {length} bytes is longer than the file ({blob.size} bytes)",
            where=blob.name,
            remedy="the file is cut short or damaged: fetch it again",
        )
    if length > HEADER_LIMIT:
        raise UnsafeFileError(f"header of {length} bytes exceeds the limit of {HEADER_LIMIT}", where=blob.name)
    try:
        header = json.loads(read_bytes(blob, 8, length).decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise FormatError(f"header is no valid JSON: {reason}", where=blob.name, remedy="fetch it again") from error
    if not isinstance(header, dict):
        raise FormatError("header is no JSON object", where=blob.name)
    return header, 8 + length


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        seen: set[str] = set()
        repeated = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"the name {repeated[:80]!r} occurs twice")
    return entries


def _metadata(entry: object, where: str) -> dict[str, str]:
    if not isinstance(entry, dict) or not all(isinstance(value, str) for value in entry.values()):
        raise FormatError("__metadata__ does not map names to strings", where=where)
    return entry


def _tensor(name: str, entry: object, where: str) -> tuple[TensorInfo, int, int]:
    shown = name[:120]
    if not isinstance(entry, dict) or not {"dtype", "shape", "data_offsets"} <= entry.keys():
        raise FormatError(f"tensor {shown!r} lacks dtype, shape or data_offsets", where=where)
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in STORAGE:
        raise UnsupportedFormatError(f"tensor {shown!r} has the unknown dtype {str(dtype)[:40]!r}", where=where)
    if not _naturals(shape) or len(shape) > _RANK_LIMIT:
        raise FormatError(f"tensor {shown!r} has no valid shape", where=where)
    if not _naturals(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise FormatError(f"tensor {shown!r} has no valid data_offsets", where=where)
    info = TensorInfo(name=name, dtype=dtype, shape=tuple(shape))
    begin, end = offsets
    if info.nbytes != end - begin:
        raise FormatError(
            f"tensor {shown!r} is said to fill {end - begin} bytes, but {dtype} {list(shape)} fills {info.nbytes}",
            where=where,
        )
    return info, begin, end


def _naturals(value: object) -> bool:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 1 << 63 for item in value)


def _check_layout(infos: list[tuple[int, int, TensorInfo]], size: int, where: str) -> None:
    position = 0
    for begin, end, info in sorted(infos, key=lambda item: item[:2]):
        if begin != position:
            fault = "overlaps another tensor" if begin < position else f"leaves a hole of {begin - position} bytes"
            raise FormatError(f"tensor {info.name[:120]!r} {fault}", where=where, remedy="fetch the file again")
        position = end
    if position != size:
        fault = f"is {position - size} bytes short" if position > size else f"holds {size - position} stray bytes"
        raise FormatError(f"the file {fault}", where=where, remedy="fetch the file again")
