"""Flax's msgpack files (flax.serialization): the tree is walked, arrays are left where they lie.

msgpack is data and no program, but its headers can state anything: every length is held against what is left of the
file, and trees have bounded depth and size. Kernels are offered in PyTorch's order of axes
(`ingest.readers.framework_names`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod

from graph_schema.errors import FormatError, UnsafeFileError, UnsupportedFormatError
from ingest.blobs import Blob, WindowBlob, read_bytes
from ingest.readers.framework_names import flax_tensor
from ingest.readers.pickle_machine import DTYPES, Storage, StridedTensor
from ingest.readers.strided import StridedSource
from ingest.tensors import STORAGE

NODES_LIMIT = 2_000_000
DEPTH_LIMIT = 64
NAME_LIMIT = 4096
RANK_LIMIT = 32

_WINDOW = 1 << 16
_WHOLE_HEAD = 64
"""A file that is shorter than this must show its array."""
_CHUNKED = "__msgpack_chunked_array__"
_SIDE = frozenset(("opt_state", "optimizer", "step", "rngs"))
_ARRAY, _SCALAR = 1, 3
_FIXED = {0xC0: 0, 0xC2: 0, 0xC3: 0, 0xCA: 4, 0xCB: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
_UNSIGNED = {0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q"}
_TEXT = {0xD9: ">B", 0xDA: ">H", 0xDB: ">I"}
_BINARY = {0xC4: ">B", 0xC5: ">H", 0xC6: ">I"}
_EXTENSION = {0xC7: ">B", 0xC8: ">H", 0xC9: ">I"}
_LIST = {0xDC: ">H", 0xDD: ">I"}
_MAP = {0xDE: ">H", 0xDF: ">I"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Array:
    """Where the values of an array lie."""

    dtype: str
    shape: tuple[int, ...]
    offset: int
    size: int


Node = Mapping[str, object] | _Array | int | None


def looks_like(head: bytes) -> bool:
    """Whether a file begins like a msgpack map with text for keys that leads to an array.

    As much of it is checked as the first bytes hold.
    """
    position, key = _after_map(head, 0), True
    while 0 < position < len(head):
        first = head[position]
        if key:
            position, key = _after_key(head, position), False
        elif first in _EXTENSION or 0xD4 <= first <= 0xD8:
            return True
        elif 0x80 < first <= 0x8F or first in _MAP:
            position, key = _after_map(head, position), True
        elif first <= 0x7F or first in _FIXED or first in _UNSIGNED:
            width = struct.calcsize(_UNSIGNED[first]) if first in _UNSIGNED else _FIXED.get(first, 0)
            position, key = position + 1 + width, True
        else:
            return False
    return position >= len(head) >= _WHOLE_HEAD


def _after_map(head: bytes, position: int) -> int:
    first = head[position] if position < len(head) else 0
    if first in _MAP:
        return position + 1 + struct.calcsize(_MAP[first])
    return position + 1 if 0x80 < first <= 0x8F else -1


def _after_key(head: bytes, position: int) -> int:
    first = head[position]
    begin = position + (2 if first == 0xD9 else 1)
    length = first & 0x1F if 0xA1 <= first <= 0xBF else int.from_bytes(head[position + 1 : begin])
    text = head[begin : begin + length]
    if (first != 0xD9 and not 0xA1 <= first <= 0xBF) or not text.isascii() or not text.decode("ascii").isprintable():
        return -1
    return begin + length


def open_flax(blob: Blob) -> StridedSource:
    """The parameters and batch statistics of a Flax file; an optimiser's state beside them is left out.

    Raises
    ------
    FormatError
        If it is damaged, holds no arrays, or two arrays come to one name.
    UnsafeFileError
        If it is nested too deeply or has absurdly many entries.
    UnsupportedFormatError
        If an array has a dtype that no weights have.
    """
    walker = _Walker(blob)
    root = walker.node(0)
    if not isinstance(root, dict):
        raise FormatError("holds no tree of parameters", where=blob.name)
    tensors: dict[str, StridedTensor] = {}
    storages: dict[str, Blob] = {}
    for path, array, pieces in _arrays(root, (), blob.name):
        name, axes = flax_tensor(path, len(array.shape))
        if name in tensors:
            raise FormatError(f"two arrays come to the name {name[:120]!r}", where=blob.name)
        storage = Storage(key=name, dtype=array.dtype, size=prod(array.shape))
        steps = [prod(array.shape[axis + 1 :]) for axis in range(len(array.shape))]
        tensors[name] = StridedTensor(
            storage=storage,
            dtype=array.dtype,
            offset=0,
            shape=tuple(array.shape[axis] for axis in axes),
            strides=tuple(steps[axis] for axis in axes),
        )
        windows = [WindowBlob(blob, piece.offset, piece.size, name=blob.name) for piece in pieces]
        storages[name] = windows[0] if len(windows) == 1 else _Pieces(windows, name=blob.name)
    if not tensors:
        raise FormatError("holds no tensors", where=blob.name)
    return StridedSource(tensors, storages, owner=blob, format="flax")


def _arrays(
    node: Mapping[str, object], path: tuple[str, ...], where: str
) -> Iterator[tuple[tuple[str, ...], _Array, list[_Array]]]:
    """Path of each array, the array, and the pieces that its values lie in."""
    for key, value in node.items():
        if isinstance(value, _Array):
            yield (*path, key), value, [value]
        elif isinstance(value, dict) and not (not path and key in _SIDE):
            if _CHUNKED in value:
                whole, pieces = _joined(value, where)
                yield (*path, key), whole, pieces
            else:
                yield from _arrays(value, (*path, key), where)


def _joined(node: Mapping[str, object], where: str) -> tuple[_Array, list[_Array]]:
    """An array that was written in pieces because it is larger than a message may be."""
    shape, chunks = _numbered(node.get("shape")), _numbered(node.get("chunks"))
    pieces = [piece for piece in chunks if isinstance(piece, _Array)]
    lengths = tuple(length for length in shape if isinstance(length, int))
    if not pieces or len(pieces) != len(chunks) or len(lengths) != len(shape) or len({p.dtype for p in pieces}) != 1:
        raise FormatError("an array in pieces lacks its shape or its pieces", where=where)
    whole = replace(pieces[0], shape=lengths)
    if prod(lengths) != sum(prod(piece.shape) for piece in pieces):
        raise FormatError("the pieces of an array do not add up to its shape", where=where)
    return whole, pieces


def _numbered(node: object) -> list[object]:
    """The items of a list that is written as a map from numbers."""
    if not isinstance(node, dict):
        return []
    return [node.get(str(number)) for number in range(len(node))]


class _Walker:
    """Reads msgpack forward, a window at a time, and passes over values."""

    def __init__(self, blob: Blob) -> None:
        self._blob = blob
        self._begin = 0
        self._window = b""
        self._nodes = 0
        self.position = 0

    def take(self, length: int) -> bytes:
        """The next bytes."""
        start = self.position - self._begin
        if start < 0 or start + length > len(self._window):
            self._begin = self.position
            wanted = max(length, min(_WINDOW, self._blob.size - self.position))
            self._window = read_bytes(self._blob, self.position, wanted)
            start = 0
        self.position += length
        return self._window[start : start + length]

    def node(self, depth: int) -> Node:
        """The next object; of what is neither a map, an array nor a whole number, nothing."""
        self._nodes += 1
        if self._nodes > NODES_LIMIT or depth > DEPTH_LIMIT:
            raise UnsafeFileError("has too many entries, or entries nested too deeply", where=self._blob.name)
        first = self.take(1)[0]
        if first <= 0x7F:
            return first
        if first in _UNSIGNED:
            return self._number(_UNSIGNED[first])
        if first >= 0xE0 or first in _FIXED:
            self.take(_FIXED.get(first, 0))
            return None
        if 0x80 <= first <= 0x8F or first in _MAP:
            return self._map(first & 0x0F if first <= 0x8F else self._number(_MAP[first]), depth)
        if 0x90 <= first <= 0x9F or first in _LIST:
            count = first & 0x0F if first <= 0x9F else self._number(_LIST[first])
            return {str(number): self.node(depth + 1) for number in range(count)}
        if 0xA0 <= first <= 0xBF or first in _TEXT:
            self._skip(first & 0x1F if first <= 0xBF else self._number(_TEXT[first]))
            return None
        if first in _BINARY:
            self._skip(self._number(_BINARY[first]))
            return None
        if first in _EXTENSION or 0xD4 <= first <= 0xD8:
            length = self._number(_EXTENSION[first]) if first in _EXTENSION else 1 << (first - 0xD4)
            kind = self._number(">b")
            end = self.position + length
            if end > self._blob.size:
                raise self._damaged("an array reaches beyond the end")
            array = self._array(end) if kind in (_ARRAY, _SCALAR) else None
            self.position = end
            return array
        raise self._damaged(f"a byte {first:#x} where an object should begin")

    def _map(self, count: int, depth: int) -> Mapping[str, object]:
        found: dict[str, object] = {}
        for _ in range(count):
            key = self._text()
            if key in found:
                raise self._damaged(f"the key {key[:80]!r} occurs twice")
            found[key] = self.node(depth + 1)
        return found

    def _array(self, end: int) -> _Array:
        """The payload of an array: its shape, the name of its dtype, its bytes."""
        if self.take(1) != b"\x93":
            raise self._damaged("an array is not made of shape, dtype and bytes")
        first = self.take(1)[0]
        if not 0x90 <= first <= 0x9F and first not in _LIST:
            raise self._damaged("an array has no shape")
        rank = first & 0x0F if first <= 0x9F else self._number(_LIST[first])
        if rank > RANK_LIMIT:
            raise self._damaged(f"an array has {rank} axes")
        lengths = [self.node(DEPTH_LIMIT) for _ in range(rank)]
        shape = tuple(length for length in lengths if isinstance(length, int))
        dtype = self._text()
        kind = DTYPES.get(dtype)
        if kind is None:
            raise UnsupportedFormatError(f"an array has the dtype {dtype[:40]!r}", where=self._blob.name)
        code = self.take(1)[0]
        if code not in _BINARY:
            raise self._damaged("an array has no bytes")
        size = self._number(_BINARY[code])
        if len(shape) != rank or prod(shape) * STORAGE[kind].itemsize != size or self.position + size != end:
            raise self._damaged("the bytes of an array do not fill its shape")
        return _Array(dtype=kind, shape=shape, offset=self.position, size=size)

    def _text(self) -> str:
        first = self.take(1)[0]
        if not 0xA0 <= first <= 0xBF and first not in (_TEXT | _BINARY):
            raise self._damaged("a key is no text")
        length = first & 0x1F if 0xA0 <= first <= 0xBF else self._number((_TEXT | _BINARY)[first])
        if length > NAME_LIMIT:
            raise UnsafeFileError(f"a key of {length} bytes", where=self._blob.name)
        return self.take(length).decode("utf-8", "replace")

    def _number(self, code: str) -> int:
        return int(struct.unpack(code, self.take(struct.calcsize(code)))[0])

    def _skip(self, length: int) -> None:
        self.position += length
        if self.position > self._blob.size:
            raise self._damaged("it ends early")

    def _damaged(self, what: str) -> FormatError:
        return FormatError(
            f"is damaged at byte {self.position}: {what}", where=self._blob.name, remedy="fetch it again"
        )


class _Pieces:
    """Blobs one after the other as one; closing it closes them."""

    def __init__(self, parts: list[WindowBlob], *, name: str) -> None:
        self.name = name
        self._parts = parts
        self.size = sum(part.size for part in parts)

    def read_into(self, offset: int, target: memoryview) -> None:
        """Fill `target` with the bytes from `offset` on."""
        done = 0
        for part in self._parts:
            if offset < part.size and done < len(target):
                count = min(part.size - offset, len(target) - done)
                part.read_into(offset, target[done : done + count])
                done += count
                offset = 0
            else:
                offset -= part.size if done == 0 else 0
        if done < len(target):
            raise FormatError("ends before the values that are asked for", where=self.name)

    def close(self) -> None:
        """Close the parts."""
        for part in self._parts:
            part.close()
