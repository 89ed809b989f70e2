"""The constant tensors of TFLite models (tensorflow/lite/schema/schema.fbs), found by walking the flat buffer.

No graph is built or run. Quantised tensors stay the integers they are, axes stay in the order of the file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from math import prod

from graph_schema.errors import FormatError, UnsafeFileError, UnsupportedFormatError
from ingest.blobs import Blob, WindowBlob, read_bytes
from ingest.readers.pickle_machine import Storage, StridedTensor
from ingest.readers.strided import StridedSource
from ingest.tensors import STORAGE

IDENTIFIER = b"TFL3"
TENSORS_LIMIT = 200_000
RANK_LIMIT = 32
NAME_LIMIT = 4096

_DTYPES = {
    **{0: "F32", 1: "F16", 2: "I32", 3: "U8", 4: "I64", 6: "BOOL", 7: "I16", 9: "I8", 10: "F64"},
    **{12: "U64", 15: "U32", 16: "U16", 18: "BF16"},
}
_STRING = 5
_SHARED = 16
"""How often the whole file may be named: signatures of a model share their weights, a bomb shares one buffer."""

# Numbers of fields in the tables of the schema.
_SUBGRAPHS, _BUFFERS = 2, 4
_TENSORS = 0
_SHAPE, _TYPE, _BUFFER, _NAME, _SPARSITY = 0, 1, 2, 3, 6
_DATA, _OFFSET, _SIZE = 0, 1, 2


def looks_like(head: bytes) -> bool:
    """Whether a file begins as a TFLite model does."""
    return head[4:8] == IDENTIFIER


def open_tflite(blob: Blob) -> StridedSource:
    """The constants of a model by their names; those of further subgraphs bear the subgraph's number.

    Raises
    ------
    FormatError
        If an offset leads out of the file, or a tensor does not fill its shape.
    UnsafeFileError
        If it has absurdly many tensors.
    UnsupportedFormatError
        If a tensor has a type that no weights have here, such as packed integers of 4 bits, or is sparse.
    """
    model = _Table(blob, _pointed(blob, 0))
    buffers = list(model.places(_BUFFERS))
    tensors: dict[str, StridedTensor] = {}
    storages: dict[str, Blob] = {}
    count = total = 0
    for number, graph in enumerate(model.places(_SUBGRAPHS)):
        for place in _Table(blob, graph).places(_TENSORS):
            count += 1
            if count > TENSORS_LIMIT:
                raise UnsafeFileError(f"has more than {TENSORS_LIMIT} tensors", where=blob.name)
            item = _Table(blob, place)
            index = item.number(_BUFFER, "<I")
            begin, size = _data(blob, buffers[index]) if index < len(buffers) else (0, 0)
            kind = item.number(_TYPE, "<b")
            if not size or kind == _STRING:
                # A value that the graph works out, or text.
                continue
            total += size
            if total > _SHARED * blob.size:
                raise UnsafeFileError("its tensors share their values too often", where=blob.name)
            name = _unused(f"subgraph{number}/{item.text(_NAME)}" if number else item.text(_NAME), tensors)
            where = f"{blob.name}: {name[:120]!r}"
            dtype = _DTYPES.get(kind)
            if dtype is None or item.has(_SPARSITY):
                what = "is stored sparsely" if dtype else f"has the type {kind}"
                raise UnsupportedFormatError(f"{what}, which is not unpacked", where=where)
            shape = item.shape(where)
            if prod(shape) * STORAGE[dtype].itemsize != size:
                raise FormatError(f"holds {size} bytes, which do not fill its shape", where=where)
            steps = tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))
            storage = Storage(key=name, dtype=dtype, size=prod(shape))
            tensors[name] = StridedTensor(storage=storage, dtype=dtype, offset=0, shape=shape, strides=steps)
            storages[name] = WindowBlob(blob, begin, size, name=where)
    if not tensors:
        raise FormatError("holds no constant tensors", where=blob.name)
    return StridedSource(tensors, storages, owner=blob, format="tflite")


def _unused(name: str, taken: dict[str, StridedTensor]) -> str:
    found, count = name, 1
    while found in taken:
        count += 1
        found = f"{name}~{count}"
    return found


def _data(blob: Blob, place: int) -> tuple[int, int]:
    """Where the bytes of a buffer lie: in the buffer, or behind the model where it is larger than 2 GiB."""
    table = _Table(blob, place)
    begin, length = table.vector(_DATA)
    if length:
        return begin, length
    # Of a buffer within the model, these two are 1 or nothing.
    offset, size = table.number(_OFFSET, "<Q"), table.number(_SIZE, "<Q")
    return (offset, size) if offset > 1 and size > 1 else (0, 0)


def _pointed(blob: Blob, place: int) -> int:
    """Where the offset that stands in a place leads."""
    return place + _unpack(blob, place, "<I")


def _unpack(blob: Blob, place: int, code: str) -> int:
    return int(struct.unpack(code, read_bytes(blob, place, struct.calcsize(code)))[0])


class _Table:
    """A table of a flat buffer: its fields are looked up through the list of their places that it refers to."""

    def __init__(self, blob: Blob, place: int) -> None:
        self._blob = blob
        self._place = place
        listed = place - _unpack(blob, place, "<i")
        length = _unpack(blob, listed, "<H")
        if length < 4 or length % 2:
            raise FormatError("is no TFLite model, or is damaged", where=blob.name, remedy="fetch it again")
        self._fields = struct.unpack(f"<{length // 2 - 2}H", read_bytes(blob, listed + 4, length - 4))

    def _field(self, number: int) -> int:
        offset = self._fields[number] if number < len(self._fields) else 0
        return self._place + offset if offset else 0

    def has(self, number: int) -> bool:
        """Whether a field is there."""
        return self._field(number) > 0

    def number(self, number: int, code: str) -> int:
        """A scalar; 0 where it is absent."""
        place = self._field(number)
        return _unpack(self._blob, place, code) if place else 0

    def vector(self, number: int) -> tuple[int, int]:
        """Where the items of a vector begin, and how many there are."""
        place = self._field(number)
        if not place:
            return 0, 0
        begin = _pointed(self._blob, place)
        return begin + 4, _unpack(self._blob, begin, "<I")

    def places(self, number: int) -> Iterator[int]:
        """Where the tables of a vector lie."""
        begin, length = self.vector(number)
        if length > TENSORS_LIMIT:
            raise UnsafeFileError(f"a list of {length} tables", where=self._blob.name)
        offsets = struct.unpack(f"<{length}I", read_bytes(self._blob, begin, 4 * length))
        yield from (begin + 4 * index + offset for index, offset in enumerate(offsets))

    def text(self, number: int) -> str:
        """A string."""
        begin, length = self.vector(number)
        if length > NAME_LIMIT:
            raise UnsafeFileError(f"a name of {length} bytes", where=self._blob.name)
        return read_bytes(self._blob, begin, length).decode("utf-8", "replace")

    def shape(self, where: str) -> tuple[int, ...]:
        """Lengths of the axes."""
        begin, length = self.vector(_SHAPE)
        if length > RANK_LIMIT:
            raise FormatError(f"has {length} axes", where=where)
        lengths = struct.unpack(f"<{length}i", read_bytes(self._blob, begin, 4 * length))
        if any(axis < 0 for axis in lengths):
            raise FormatError("has no valid shape", where=where)
        return tuple(lengths)
