"""The initialisers of ONNX models (onnx/onnx.proto), found by walking the protocol buffer; no graph is built or run.

Quantised initialisers stay the integers they are. External data is read from the files beside the model alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from graph_schema.errors import FormatError, UnsafeFileError, UnsupportedFormatError
from ingest.blobs import Blob, MemoryBlob, WindowBlob, read_bytes
from ingest.readers.sharded import is_plain_name
from ingest.tensors import STORAGE, TensorInfo

TENSORS_LIMIT = 1_000_000
_DTYPES = {
    **{1: "F32", 2: "U8", 3: "I8", 4: "U16", 5: "I16", 6: "I32", 7: "I64", 9: "BOOL", 10: "F16", 11: "F64", 12: "U32"},
    **{13: "U64", 16: "BF16", 17: "F8_E4M3", 19: "F8_E5M2"},
}
_SMALL = 1 << 16
_SHARED = 16
"""How often the files beside a model may be named as a whole: tied weights share values, a bomb shares one file."""

_NEXT_FIELDS = frozenset((0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42))
# Lists whose packed form is the values themselves; those of int32_data are varints and only hold small tensors.
_PACKED = {1: 4, 11: 10}


def looks_like(head: bytes) -> bool:
    """Whether a file begins like an ONNX model: a small `ir_version`, then another field of ModelProto."""
    return len(head) > 3 and head[0] == 0x08 and 1 <= head[1] <= 64 and head[2] in _NEXT_FIELDS


@dataclass(slots=True)
class _Tensor:
    """One TensorProto, as far as it is read."""

    name: str = ""
    dims: list[int] = field(default_factory=list)
    kind: int = 0
    raw: tuple[int, int] | None = None
    lists: dict[int, tuple[int, int]] = field(default_factory=dict)
    external: dict[str, str] = field(default_factory=dict)


class OnnxSource:
    """The initialisers of one ONNX file; implements `ingest.tensors.TensorSource`.

    Parameters
    ----------
    blob : Blob
        The model.
    beside : mapping, optional
        Blobs of the files that external data may lie in, by name.

    Raises
    ------
    FormatError
        If the file is damaged, or external data is missing or too short.
    UnsafeFileError
        If external data lies outside the model's directory, or tensors share it so often that reading would never end.
    """

    format = "onnx"
    model_type = ""

    def __init__(self, blob: Blob, beside: Mapping[str, Blob] | None = None) -> None:
        self._blob = blob
        self._beside = dict(beside or {})
        self.location = blob.name
        self._values: dict[str, Blob] = {}
        infos: list[TensorInfo] = []
        most, beside_bytes = _SHARED * sum(item.size for item in self._beside.values()), 0
        for begin, end in _messages(blob, 0, blob.size, 7):
            for start, stop in _messages(blob, begin, end, 5):
                item = _tensor(blob, start, stop)
                if item.kind not in _DTYPES:
                    raise UnsupportedFormatError(f"{item.name[:120]!r} has the type {item.kind}", where=blob.name)
                info = TensorInfo(name=item.name, dtype=_DTYPES[item.kind], shape=tuple(item.dims))
                if item.name in self._values or len(infos) >= TENSORS_LIMIT:
                    raise FormatError(f"initialiser {item.name[:120]!r} occurs twice, or too many", where=blob.name)
                self._values[item.name] = self._place(item, info)
                beside_bytes += info.nbytes if item.external else 0
                if beside_bytes > most:
                    raise UnsafeFileError("its tensors share their values too often", where=blob.name)
                infos.append(info)
        if not infos:
            raise FormatError("holds no initialisers", where=blob.name)
        self.tensors: Sequence[TensorInfo] = tuple(sorted(infos, key=lambda info: info.name))

    def _place(self, item: _Tensor, info: TensorInfo) -> Blob:
        shown = f"{self._blob.name}: {item.name[:120]!r}"
        if any(length < 0 for length in item.dims):
            raise FormatError("has no valid shape", where=shown)
        home, place = self._blob, item.raw or item.lists.get(_PACKED.get(item.kind, -1)) or (0, 0)
        if item.external:
            name = item.external.get("location", "").removeprefix("./")
            if not is_plain_name(name):
                raise UnsafeFileError(f"external data lies at {name[:120]!r}, outside its directory", where=shown)
            if name not in self._beside:
                raise FormatError(f"external data file {name[:120]!r} is missing", where=shown, remedy="fetch it")
            home = self._beside[name]
            try:
                offset = int(item.external.get("offset", "0")[:20])
                place = (offset, offset + int(item.external.get("length", str(info.nbytes))[:20]))
            except ValueError as error:
                raise FormatError("external data has no valid offset or length", where=shown) from error
        elif item.raw is None and info.size and item.kind == 7 and 7 in item.lists:
            return _varints(self._blob, item.lists[7], info, shown)
        if place[1] - place[0] != info.nbytes:
            raise FormatError(f"holds {place[1] - place[0]} bytes instead of {info.nbytes}", where=shown)
        return WindowBlob(home, place[0], info.nbytes, name=shown)

    def read(self, tensor: TensorInfo, start: int, stop: int) -> NDArray[np.generic]:
        """Values `start` to `stop` of a tensor, in row-major order."""
        values = np.empty(max(stop - start, 0), dtype=STORAGE[tensor.dtype])
        if values.size:
            self._values[tensor.name].read_into(start * values.itemsize, values.data.cast("B"))
        return values

    def close(self) -> None:
        """Close the files."""
        self._blob.close()
        for blob in self._beside.values():
            blob.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _tensor(blob: Blob, begin: int, end: int) -> _Tensor:
    item = _Tensor()
    for number, value in _fields(blob, begin, end):
        match number, value:
            case 1, int(length):
                item.dims.append(length)
            case 1, (start, stop):
                item.dims += _integers(_short(blob, start, stop))
            case 2, int(kind):
                item.kind = kind
            case 8, (start, stop):
                item.name = _short(blob, start, stop).decode("utf-8", "replace")
            case 9, (start, stop):
                item.raw = (start, stop)
            case 13, (start, stop):
                entry = {key: place for key, place in _fields(blob, start, stop) if isinstance(place, tuple)}
                key, text = (_short(blob, *entry.get(part, (0, 0))).decode("utf-8", "replace") for part in (1, 2))
                item.external[key] = text
            case ((4 | 5 | 7 | 10 | 11), (start, stop)):
                item.lists[number] = (start, stop)
            case _:
                pass
    return item


def _varints(blob: Blob, place: tuple[int, int], info: TensorInfo, where: str) -> Blob:
    values = _integers(_short(blob, *place))
    if len(values) != info.size:
        raise FormatError(f"holds {len(values)} values instead of {info.size}", where=where)
    signed = [value - (1 << 64) if value >> 63 else value for value in values]
    return MemoryBlob(np.array(signed, dtype="<i8").tobytes(), name=where)


def _messages(blob: Blob, begin: int, end: int, number: int) -> Iterator[tuple[int, int]]:
    for found, value in _fields(blob, begin, end):
        if found == number and isinstance(value, tuple):
            yield value


def _fields(blob: Blob, begin: int, end: int) -> Iterator[tuple[int, int | tuple[int, int]]]:
    """Fields of one message: number, and an integer or the place of its bytes; nothing is descended into."""
    position = begin
    while position < end:
        head = read_bytes(blob, position, min(20, end - position))
        tag, used = _varint(head, 0, blob.name)
        if tag & 7 == 0:
            value, used = _varint(head, used, blob.name)
            position += used
            yield tag >> 3, value
            continue
        length, used = (8, used) if tag & 7 == 1 else (4, used) if tag & 7 == 5 else (-1, used)
        if tag & 7 == 2:
            length, used = _varint(head, used, blob.name)
        start = position + used
        position = start + length
        if length < 0 or position > end:
            raise FormatError("is no ONNX model, or is cut short", where=blob.name, remedy="fetch it again")
        yield tag >> 3, (start, position)


def _varint(data: bytes, position: int, where: str) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            break
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise FormatError("is no ONNX model, or is cut short", where=where, remedy="fetch it again")


def _integers(data: bytes) -> list[int]:
    values, position = [], 0
    while position < len(data):
        value, position = _varint(data, position, "list of integers")
        values.append(value)
    return values


def _short(blob: Blob, start: int, stop: int) -> bytes:
    if stop - start > _SMALL:
        raise UnsafeFileError(f"a name or a list of {stop - start} bytes", where=blob.name)
    return read_bytes(blob, start, stop - start)


def is_external_data(name: str, model: str) -> bool:
    """Whether a file is named as the external data of an ONNX model beside it is.

    Examples
    --------
    >>> is_external_data("model.onnx_data", "model.onnx"), is_external_data("other.onnx", "model.onnx")
    (True, False)
    """
    return name.startswith((f"{model}_data", f"{model}.data")) or name == model.removesuffix(".onnx") + ".data"
