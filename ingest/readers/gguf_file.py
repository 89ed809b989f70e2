"""GGUF, the container of llama.cpp (ggml/docs/gguf.md): header parsed with caps, blocks decoded as they are read.

Quantised tensors are offered as F32, decoded block by block by the `gguf` package. Shapes are in row-major order, so
reversed from the file's. Rows and axes that llama.cpp reorders are offered in the order of the checkpoint that was
converted (`ingest.readers.gguf_layout`).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from math import prod
from typing import Self

import numpy as np
from numpy.typing import NDArray

from graph_schema.errors import FormatError, UnsafeFileError, UnsupportedFormatError
from ingest.blobs import Blob, read_bytes
from ingest.readers.gguf_layout import Layout, layouts
from ingest.tensors import STORAGE, TensorInfo

MAGIC = b"GGUF"
FIELDS_LIMIT = 65_536
TENSORS_LIMIT = 1_000_000
STRING_LIMIT = 16 << 20
ITEMS_LIMIT = 50_000_000
HEADER_LIMIT = 1 << 30
KEPT_ITEMS = 1024
"""Items of an array field that are kept: one a layer is wanted, vocabularies are passed over."""

_NESTING_LIMIT = 4
_WINDOW = 1 << 20
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9
_PLAIN = {0: "F32", 1: "F16", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 30: "BF16"}

Field = str | int | float | bool | tuple[object, ...]


def looks_like(head: bytes) -> bool:
    """Whether a file begins as a GGUF file does."""
    return head.startswith(MAGIC)


class _Header:
    """Reads the header forward, a window at a time."""

    def __init__(self, blob: Blob) -> None:
        self._blob = blob
        self._window = b""
        self._begin = 0
        self.position = 0
        self._items = 0

    def take(self, length: int) -> bytes:
        """The next bytes."""
        if self.position + length > HEADER_LIMIT:
            raise UnsafeFileError(f"header is longer than {HEADER_LIMIT} bytes", where=self._blob.name)
        start = self.position - self._begin
        if start < 0 or start + length > len(self._window):
            self._begin = self.position
            wanted = min(max(length, _WINDOW), self._blob.size - self.position)
            self._window = read_bytes(self._blob, self.position, max(wanted, length))
            start = 0
        self.position += length
        return self._window[start : start + length]

    def number(self, code: str) -> int:
        """An integer by its `struct` code."""
        return int(struct.unpack(code, self.take(struct.calcsize(code)))[0])

    def text(self) -> str:
        """A string with its length before it."""
        length = self.number("<Q")
        if length > STRING_LIMIT:
            raise UnsafeFileError(f"a string of {length} bytes in the header", where=self._blob.name)
        return self.take(length).decode("utf-8", "replace")

    def value(self, kind: int, depth: int = 0) -> Field:
        """A value of one of GGUF's types; of a long array, its first items."""
        if kind in _SCALARS:
            value: Field = struct.unpack(_SCALARS[kind], self.take(struct.calcsize(_SCALARS[kind])))[0]
            return value
        if kind == _STRING:
            return self.text()
        if kind != _ARRAY or depth >= _NESTING_LIMIT:
            raise UnsafeFileError(f"a field of unknown type {kind}, or nested too deeply", where=self._blob.name)
        inner, count = self.number("<I"), self.number("<Q")
        self._items += count
        if self._items > ITEMS_LIMIT:
            raise UnsafeFileError(f"arrays of {self._items} items in the header", where=self._blob.name)
        kept = [self.value(inner, depth + 1) for _ in range(min(count, KEPT_ITEMS))]
        if inner in _SCALARS:
            self.skip((count - len(kept)) * struct.calcsize(_SCALARS[inner]))
        else:
            for _ in range(count - len(kept)):
                self.value(inner, depth + 1)
        return tuple(kept)

    def skip(self, length: int) -> None:
        """Pass over bytes."""
        self.position += length
        if self.position > min(self._blob.size, HEADER_LIMIT):
            raise FormatError("header ends early", where=self._blob.name, remedy="fetch it again")


class GgufSource:
    """The tensors of one GGUF file; implements `ingest.tensors.TensorSource`.

    Attributes
    ----------
    fields : mapping
        The header's fields: strings, numbers, and the first items of arrays.
    quantized : bool
        Whether most of the values are stored in quantised blocks.

    Raises
    ------
    FormatError
        If the header is damaged or lies.
    UnsafeFileError
        If its counts are absurd.
    """

    format = "gguf"

    def __init__(self, blob: Blob) -> None:
        self._blob = blob
        self.location = blob.name
        header = _Header(blob)
        if header.take(4) != MAGIC:
            raise FormatError("is no GGUF file", where=blob.name)
        version = header.number("<I")
        if version not in {2, 3}:
            raise UnsupportedFormatError(f"is GGUF version {version}; 2 and 3 are known", where=blob.name)
        count, fields = header.number("<Q"), header.number("<Q")
        if count > TENSORS_LIMIT or fields > FIELDS_LIMIT:
            raise UnsafeFileError(f"header states {count} tensors and {fields} fields", where=blob.name)
        self.fields: Mapping[str, Field] = {header.text(): header.value(header.number("<I")) for _ in range(fields)}
        self.model_type = str(self.fields.get("general.architecture", ""))
        stated = [self._stated(header) for _ in range(count)]
        alignment = self.fields.get("general.alignment", 32)
        if not isinstance(alignment, int) or not 1 <= alignment <= 1 << 20:
            raise FormatError(f"has the alignment {alignment!r}", where=blob.name)
        data = -(-header.position // alignment) * alignment
        self._places: dict[str, tuple[int, int, Layout]] = {}
        infos: list[TensorInfo] = []
        decoded = 0
        for name, shape, kind, offset in stated:
            info = TensorInfo(name=name, dtype=_PLAIN.get(kind, "F32"), shape=shape)
            self._check(info, kind, data + offset)
            decoded += info.size if kind not in _PLAIN else 0
            for layout in layouts(name, shape, self.fields):
                self._places[layout.name] = (kind, data + offset, layout)
                infos.append(TensorInfo(name=layout.name, dtype=info.dtype, shape=layout.shape))
                if len(infos) > TENSORS_LIMIT:
                    raise UnsafeFileError(f"has more than {TENSORS_LIMIT} tensors", where=blob.name)
        if len(self._places) < len(infos):
            raise FormatError("two tensors have one name", where=blob.name)
        self.quantized = 2 * decoded > sum(info.size for info in infos)
        self.tensors: Sequence[TensorInfo] = tuple(sorted(infos, key=lambda info: info.name))

    def _stated(self, header: _Header) -> tuple[str, tuple[int, ...], int, int]:
        name, axes = header.text(), header.number("<I")
        if axes > 8:
            raise FormatError(f"tensor {name[:120]!r} has {axes} axes", where=self._blob.name)
        shape = tuple(reversed([header.number("<Q") for _ in range(axes)]))
        return name, shape, header.number("<I"), header.number("<Q")

    def _check(self, info: TensorInfo, kind: int, begin: int) -> None:
        block, width = _block(kind, f"{self._blob.name}: tensor {info.name[:120]!r}")
        if info.size % block:
            raise FormatError(f"tensor {info.name[:120]!r} does not fill whole blocks", where=self._blob.name)
        end = begin + prod(info.shape) // block * width
        if end > self._blob.size:
            raise FormatError(
                f"tensor {info.name[:120]!r} reaches {end - self._blob.size} bytes beyond the end",
                where=self._blob.name,
                remedy="the file is cut short: fetch it again",
            )

    def read(self, tensor: TensorInfo, start: int, stop: int) -> NDArray[np.generic]:
        """Values `start` to `stop` of a tensor, in row-major order; quantised ones decoded to F32."""
        kind, begin, layout = self._places[tensor.name]
        if stop <= start:
            return np.empty(0, dtype=STORAGE[tensor.dtype])
        return layout.read(lambda first, last: self._read_stored(kind, begin, first, last), start, stop)

    def _read_stored(self, kind: int, begin: int, start: int, stop: int) -> NDArray[np.generic]:
        block, width = _block(kind, self.location)
        first, last = start // block, -(-stop // block)
        packed = np.empty((last - first) * width, dtype=np.uint8)
        self._blob.read_into(begin + first * width, packed.data.cast("B"))
        if kind in _PLAIN:
            return packed.view(STORAGE[_PLAIN[kind]])
        from gguf import GGMLQuantizationType
        from gguf.quants import dequantize

        values = dequantize(packed.reshape(last - first, width), GGMLQuantizationType(kind)).reshape(-1)
        return np.ascontiguousarray(values[start - first * block : stop - first * block], dtype="<f4")

    def close(self) -> None:
        """Close the file."""
        self._blob.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _block(kind: int, where: str) -> tuple[int, int]:
    """Values and bytes of one block of a type."""
    if kind in _PLAIN:
        return 1, STORAGE[_PLAIN[kind]].itemsize
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
    from gguf.quants import _type_traits

    try:
        known = GGMLQuantizationType(kind)
        values, width = GGML_QUANT_SIZES[known]
        if known not in _type_traits:
            raise KeyError(kind)
    except (ValueError, KeyError) as error:
        raise UnsupportedFormatError(f"has the quantised type {kind}, which cannot be decoded", where=where) from error
    return int(values), int(width)
