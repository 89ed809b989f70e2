"""The file of a fingerprint: a safetensors container of columns, the same to the byte wherever it is written.

`docs/fingerprint.md` specifies it. Any safetensors reader opens it; `read_fingerprint` checks it first: the digest of
its data, every length, index and shape, so that a damaged or forged file is an error and never a wrong array.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from graph_schema.errors import FingerprintError, PathNotFoundError
from graph_schema.fingerprint import FINGERPRINT_VERSION, Fingerprint, TensorFingerprint
from ingest.atomic_file import write_atomically
from ingest.fingerprint.sampling import SKETCH_SIDES
from ingest.fingerprint.values import WIDE, decode, encode
from ingest.tensors import STORAGE

SUFFIX = ".fingerprint"
_KEY = "modellake.fingerprint"
_COUNTS = ("size", "zeros", "nonfinite", "bf16_exact", "f16_exact", "mantissa_bits", "levels")
_STATISTICS = ("mean", "variance", "skewness", "kurtosis", "minimum", "maximum", "l1", "l2")
_HEADER_LIMIT = 64 << 20
_REMEDY = "delete it and ingest the model again"
_NUMPY = {"I64": "<i8", "F64": "<f8", "F32": "<f4", "U8": "u1"}

Column = tuple[str, str, NDArray[np.generic]]
"""Name, dtype in the names of safetensors, and the values."""


def write_fingerprint(path: Path | str, fingerprint: Fingerprint, *, samples: bool = True) -> None:
    """Write a fingerprint to a file, whole or not at all.

    Parameters
    ----------
    path : path
        Its folder exists; a file that is there is replaced.
    fingerprint : Fingerprint
    samples : bool
        False leaves the sampled values (blocks, rows, columns) out, to share what identifies weights but no weight.

    Raises
    ------
    ResourceError
        If the file cannot be written; whatever was there before is then still there.
    """
    write_atomically(Path(path), to_bytes(fingerprint, samples=samples), what="the fingerprint")


def read_fingerprint(path: Path | str) -> Fingerprint:
    """Read a fingerprint file.

    Raises
    ------
    PathNotFoundError
        If there is no such file.
    FingerprintError
        If it is damaged, no fingerprint, or written by a newer or an older version.
    """
    try:
        content = Path(path).read_bytes()
    except (FileNotFoundError, IsADirectoryError) as error:
        raise PathNotFoundError("no fingerprint file here", where=str(path)) from error
    except OSError as error:
        raise FingerprintError(f"cannot be read: {error.strerror or error}", where=str(path)) from error
    return from_bytes(content, where=str(path))


def to_bytes(fingerprint: Fingerprint, *, samples: bool = True) -> bytes:
    """The content of the file; equal fingerprints give equal bytes, on every machine."""
    tensors = fingerprint.tensors
    indices = _IndexTable()
    sampled = np.full((len(tensors), 2), -1, np.int64)
    blocks: dict[str, list[NDArray[np.generic]]] = {}
    for row, tensor in enumerate(tensors):
        if samples and tensor.block.size:
            sampled[row] = indices.add(tensor.rows), indices.add(tensor.columns)
            stored = _block_dtype(tensor.dtype)
            blocks.setdefault(stored, []).append(encode(stored, tensor.block).ravel())
    columns: list[Column] = [
        ("counts", "I64", np.array([[getattr(t, name) for name in _COUNTS] for t in tensors], "<i8").reshape(-1, 7)),
        ("index_ends", "I64", indices.ends()),
        ("indices", "I64", indices.values()),
        ("sampled", "I64", sampled),
        ("sketch_sides", "I64", np.array([len(t.sketch) for t in tensors], "<i8")),
        (
            "statistics",
            "F64",
            np.array([[getattr(t, name) for name in _STATISTICS] for t in tensors], "<f8").reshape(-1, 8),
        ),
        ("sketches", "F32", _joined([t.sketch for t in tensors], "<f4")),
        ("contents", "U8", _hexadecimal([t.content for t in tensors], 32)),
        ("multisets", "U8", _hexadecimal([t.multiset for t in tensors], 16)),
    ]
    columns += [(f"block.{dtype}", dtype, _joined(parts, STORAGE[dtype])) for dtype, parts in blocks.items()]
    columns.sort(key=lambda column: (-STORAGE[column[1]].itemsize, column[0]))
    body = b"".join(np.ascontiguousarray(values).tobytes() for _, _, values in columns)
    description = {
        "format": fingerprint.format,
        "version": fingerprint.version,
        "architecture": fingerprint.architecture,
        "kind": fingerprint.kind,
        "scale": fingerprint.scale,
        "tensors": [[t.role, t.name, t.dtype, list(t.shape)] for t in tensors],
    }
    if fingerprint.batches is not None:
        description["batches"] = fingerprint.batches
    header: dict[str, object] = {}
    offset = 0
    for name, dtype, values in columns:
        header[name] = {"dtype": dtype, "shape": list(values.shape), "data_offsets": [offset, offset + values.nbytes]}
        offset += values.nbytes
    description["digest"] = _digest(header, description, body)
    text = _json(header | {"__metadata__": {_KEY: _json(description)}}).encode("ascii")
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + body


def from_bytes(content: bytes, *, where: str = "fingerprint") -> Fingerprint:
    """A fingerprint from the content of its file; errors name `where`."""
    try:
        return _parse(content, where)
    except FingerprintError:
        raise
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        raise FingerprintError("damaged: its parts do not fit together", where=where, remedy=_REMEDY) from error


def _parse(content: bytes, where: str) -> Fingerprint:
    def check(condition: bool, what: str) -> None:
        if not condition:
            raise FingerprintError(f"damaged: {what}", where=where, remedy=_REMEDY)

    check(len(content) >= 8, "shorter than its own length field")
    length = int.from_bytes(content[:8], "little")
    check(2 <= length <= min(_HEADER_LIMIT, len(content) - 8), "the header ends after the file")
    header = json.loads(content[8 : 8 + length])
    description = json.loads(header.pop("__metadata__")[_KEY])
    version = description["format"]
    check(isinstance(version, int) and version >= 1, "no format version")
    if version > FINGERPRINT_VERSION:
        raise FingerprintError(
            f"written by a newer version (format {version}; this one reads format {FINGERPRINT_VERSION})",
            where=where,
            remedy="update modellake",
        )
    if version < FINGERPRINT_VERSION:
        raise FingerprintError(
            f"written by an older version (format {version}; this one reads format {FINGERPRINT_VERSION})",
            where=where,
            remedy="ingest the model again",
        )
    body = memoryview(content)[8 + length :]
    check(description.pop("digest") == _digest(header, description, body), "its content does not match its digest")
    columns = {name: _column(entry, body) for name, entry in header.items()}
    rows = description["tensors"]
    n = len(rows)
    counts, statistics = columns["counts"], columns["statistics"]
    contents, multisets = columns["contents"], columns["multisets"]
    sampled, sides = columns["sampled"], columns["sketch_sides"]
    shapes = [counts.shape, statistics.shape, contents.shape, multisets.shape, sampled.shape, sides.shape]
    check(shapes == [(n, 7), (n, 8), (n, 32), (n, 16), (n, 2), (n,)], "columns of the wrong length")
    check(bool(np.isfinite(statistics).all()) and bool((counts >= 0).all()), "impossible statistics")
    check(set(sides.tolist()) <= {0, *SKETCH_SIDES}, "sketches of an unknown size")
    check(int((sides**2).sum()) == columns["sketches"].size, "sketches missing")
    tables = _index_arrays(columns["index_ends"], columns["indices"], check)
    blocks = _Blocks(columns, check)
    content_text, multiset_text = contents.tobytes().hex(), multisets.tobytes().hex()
    tensors = []
    ends = np.concatenate(([0], np.cumsum(sides**2))).tolist()
    for i, ((role, name, dtype, shape), count, statistic, places, side) in enumerate(
        zip(rows, counts.tolist(), statistics.tolist(), sampled.tolist(), sides.tolist(), strict=True)
    ):
        check(isinstance(role, str) and isinstance(name, str) and dtype in STORAGE, "a tensor without role or dtype")
        check(all(type(axis) is int and axis >= 0 for axis in shape) and prod(shape) == count[0], "a wrong shape")
        check((places[0] < 0) == (places[1] < 0) and max(places) < len(tables), "samples without an index")
        tensor = TensorFingerprint(
            name=name,
            role=role,
            shape=tuple(shape),
            dtype=dtype,
            content=content_text[64 * i : 64 * i + 64],
            multiset=multiset_text[32 * i : 32 * i + 32],
            **dict(zip(_COUNTS, count, strict=True)),
            **dict(zip(_STATISTICS, statistic, strict=True)),
            rows=tables[places[0]] if places[0] >= 0 else _EMPTY,
            columns=tables[places[1]] if places[1] >= 0 else _EMPTY,
            block=blocks.take(dtype, *(len(tables[place]) if place >= 0 else 0 for place in places)),
            sketch=columns["sketches"][ends[i] : ends[i + 1]].reshape(side, side),
        )
        height, width = tensor.matrix_shape
        for places_on_axis, axis in ((tensor.rows, height), (tensor.columns, width)):
            check(not places_on_axis.size or int(places_on_axis[-1]) < axis, "samples from outside a tensor")
        tensors.append(tensor)
    blocks.check_finished()
    batches = description.get("batches")
    check(batches is None or (type(batches) is int and batches >= 0), "an impossible count of batches")
    keys = [(tensor.role, tensor.name) for tensor in tensors]
    check(keys == sorted(keys) and len({role for role, _ in keys}) == n, "roles out of order or not unique")
    return Fingerprint(
        version=_text(description, "version"),
        format=version,
        architecture=_text(description, "architecture"),
        tensors=tuple(tensors),
        kind=_text(description, "kind"),
        scale=float(description["scale"]),
        batches=batches,
    )


_EMPTY: NDArray[np.int64] = np.zeros(0, np.int64)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _digest(columns: Mapping[str, object], description: Mapping[str, object], body: bytes | memoryview) -> str:
    """Of everything that is in the file but the digest itself."""
    hasher = blake3(_json([columns, description]).encode("ascii"))
    hasher.update(body)
    return hasher.hexdigest()


def _text(description: Mapping[str, object], key: str) -> str:
    value = description[key]
    if not isinstance(value, str):
        raise TypeError(f"{key} is no text")
    return value


def _block_dtype(dtype: str) -> str:
    """Dtype in which a block is filed: the tensor's own, but float64 for integers that may not fit it back."""
    return "F64" if dtype in ("I64", "U64") else "U8" if dtype == "BOOL" else dtype


def _hexadecimal(digests: list[str], width: int) -> NDArray[np.uint8]:
    return np.frombuffer(bytes.fromhex("".join(digests)), np.uint8).reshape(-1, width)


def _joined(parts: list[NDArray[Any]], dtype: np.dtype[Any] | str) -> NDArray[Any]:
    return np.concatenate([part.ravel() for part in parts] or [np.zeros(0, dtype)]).astype(dtype)


def _column(entry: Mapping[str, Any], body: memoryview) -> NDArray[Any]:
    begin, end = entry["data_offsets"]
    storage = np.dtype(_NUMPY.get(entry["dtype"]) or STORAGE[entry["dtype"]])
    shape = tuple(entry["shape"])
    if not 0 <= begin <= end <= len(body) or end - begin != prod(shape) * storage.itemsize:
        raise ValueError("a column reaches out of the file")
    # A view would keep the whole file in memory, beside the samples that were decoded from it.
    return np.frombuffer(bytes(body[begin:end]), storage).reshape(shape)


def _index_arrays(ends: NDArray[np.int64], values: NDArray[np.int64], check: Any) -> list[NDArray[np.int64]]:
    bounds = [0, *ends.tolist()]
    check(bounds == sorted(bounds) and bounds[-1] == values.size, "indices out of order")
    arrays = [values[begin:end].astype(np.int64, copy=False) for begin, end in pairwise(bounds)]
    check(all(a.size and a[0] >= 0 and bool((a[1:] > a[:-1]).all()) for a in arrays), "indices out of order")
    return arrays


class _IndexTable:
    """Distinct index arrays, numbered in order of first use: all layers share theirs."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._arrays: list[NDArray[np.int64]] = []

    def add(self, indices: NDArray[np.int64]) -> int:
        key = indices.astype("<i8").tobytes()
        if key not in self._numbers:
            self._numbers[key] = len(self._arrays)
            self._arrays.append(indices)
        return self._numbers[key]

    def ends(self) -> NDArray[np.int64]:
        return np.cumsum([len(array) for array in self._arrays], dtype=np.int64)

    def values(self) -> NDArray[np.int64]:
        return _joined(list(self._arrays), "<i8")


class _Blocks:
    """The sampled values, taken dtype by dtype in the order of the tensors."""

    def __init__(self, columns: Mapping[str, NDArray[Any]], check: Any) -> None:
        self._stored = {name[6:]: values for name, values in columns.items() if name.startswith("block.")}
        self._values = {dtype: decode(dtype, values) for dtype, values in self._stored.items()}
        self._taken = dict.fromkeys(self._stored, 0)
        self._check = check

    def take(self, dtype: str, rows: int, columns: int) -> NDArray[np.floating]:
        kind = np.float64 if dtype in WIDE else np.float32
        if not rows * columns:
            return np.zeros((rows, columns), kind)
        stored = _block_dtype(dtype)
        self._check(stored in self._values, "samples missing")
        begin = self._taken[stored]
        end = self._taken[stored] = begin + rows * columns
        self._check(end <= self._values[stored].size, "samples missing")
        return self._values[stored][begin:end].reshape(rows, columns).astype(kind, copy=False)

    def check_finished(self) -> None:
        unread = [dtype for dtype, taken in self._taken.items() if taken != self._values[dtype].size]
        self._check(not unread, "more samples than tensors")
