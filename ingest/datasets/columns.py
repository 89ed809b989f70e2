"""Columns of Arrow arrays into hashes of their cells, the same whatever the file they came from."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ingest.datasets import cell_hashing as cells

Hashed = tuple[NDArray[np.uint64], NDArray[np.uint8]]
"""Hash and kind of each cell."""


def hash_column(array: Any) -> Hashed:
    """Hash the cells of one column.

    Parameters
    ----------
    array : pyarrow.Array, or list of parsed JSON

    Returns
    -------
    hashes, kinds : (n,) uint64 and uint8 arrays
        As `ingest.datasets.cell_hashing` defines them; what is null, NaN or empty text is `NOTHING`.

    Examples
    --------
    >>> one, two = (hash_column(pa.array(values))[0] for values in ([1, 25], ["1.0", "25"]))
    >>> bool((one == two).all())
    True
    """
    if isinstance(array, list):
        return _hash_objects(array)
    hashes, kinds = _hash(array)
    if array.null_count:
        absent = np.asarray(array.is_null().to_numpy(zero_copy_only=False), bool)
        hashes[absent] = 0
        kinds[absent] = cells.NOTHING
    return hashes, kinds


def _hash(array: Any) -> Hashed:
    kind = array.type
    if pa.types.is_dictionary(kind):
        # The values are hashed once each.
        hashes, kinds = hash_column(array.dictionary)
        places = np.asarray(array.indices.fill_null(0).to_numpy(zero_copy_only=False), np.int64)
        return _taken(hashes, kinds, places)
    if isinstance(array, pa.ExtensionArray):
        return _hash(array.storage)
    if pa.types.is_null(kind):
        return np.zeros(len(array), np.uint64), np.zeros(len(array), np.uint8)
    if pa.types.is_boolean(kind):
        values = array.fill_null(False).to_numpy(zero_copy_only=False).astype(np.uint8)
        return _filled(len(array), cells.TRUTH, cells.hash_truths, values)
    if pa.types.is_uint64(kind):
        return _hash_texts(array.cast(pa.string()))
    if pa.types.is_integer(kind):
        values = array.fill_null(0).cast(pa.int64()).to_numpy()
        return _filled(len(array), cells.INTEGER, cells.hash_integers, values)
    if pa.types.is_floating(kind):
        return _hash_floats(_doubles(array))
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _hash_instants(array)
    if pa.types.is_decimal(kind):
        return _hash_texts(array.cast(pa.string()))
    if pa.types.is_time(kind) or pa.types.is_duration(kind):
        return _hash_texts(pa.array([None if item is None else str(item) for item in array.to_pylist()], pa.string()))
    if _is_text(kind):
        return _hash_texts(array)
    return _hash_nested(array.to_pylist(maps_as_pydicts="lossy"))


def _taken(hashes: NDArray[np.uint64], kinds: NDArray[np.uint8], places: NDArray[np.int64]) -> Hashed:
    if not len(hashes):
        return np.zeros(len(places), np.uint64), np.zeros(len(places), np.uint8)
    return hashes[places], kinds[places]


def _filled(length: int, kind: int, fill: Any, *values: NDArray[Any]) -> Hashed:
    hashes = np.empty(length, np.uint64)
    fill(*values, hashes)
    return hashes, np.full(length, kind, np.uint8)


def _doubles(array: Any) -> NDArray[np.float64]:
    if pa.types.is_float32(array.type):
        # The shortest decimal that a writer of text would choose, not the digits of the wider type.
        array = array.cast(pa.string()).cast(pa.float64())
    return np.ascontiguousarray(array.cast(pa.float64()).fill_null(math.nan).to_numpy(zero_copy_only=False))


def _hash_floats(values: NDArray[np.float64]) -> Hashed:
    hashes, kinds = np.empty(len(values), np.uint64), np.empty(len(values), np.uint8)
    cells.hash_floats(values, values.view(np.uint64), hashes, kinds)
    return hashes, kinds


_PARTS = {"s": (1, 10**9), "ms": (10**3, 10**6), "us": (10**6, 10**3), "ns": (10**9, 1)}


def _hash_instants(array: Any) -> Hashed:
    if pa.types.is_date32(array.type):
        days = array.cast(pa.int32()).cast(pa.int64()).fill_null(0).to_numpy()
        return _filled(len(array), cells.INSTANT, cells.hash_instants, days * 86400, np.zeros_like(days))
    unit = "ms" if pa.types.is_date64(array.type) else array.type.unit
    per_second, scale = _PARTS[unit]
    seconds, rest = np.divmod(array.cast(pa.int64()).fill_null(0).to_numpy(), per_second)
    return _filled(len(array), cells.INSTANT, cells.hash_instants, seconds, rest * scale)


def _is_text(kind: Any) -> bool:
    types = pa.types
    return bool(
        types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_fixed_size_binary(kind)
        or types.is_string_view(kind)
        or types.is_binary_view(kind)
    )


def _bytes_of(array: Any) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The bytes of a column of text and where its cells begin and end."""
    types = pa.types
    if types.is_string_view(array.type) or types.is_binary_view(array.type) or types.is_fixed_size_binary(array.type):
        array = array.cast(pa.large_binary())
    large = types.is_large_string(array.type) or types.is_large_binary(array.type)
    _, positions, content = array.buffers()
    if positions is None or not len(array):
        return np.zeros(0, np.uint8), np.zeros(len(array) + 1, np.int64)
    offsets = np.frombuffer(positions, np.int64 if large else np.int32)
    data = np.zeros(0, np.uint8) if content is None else np.frombuffer(content, np.uint8)
    return data, offsets[array.offset : array.offset + len(array) + 1].astype(np.int64)


def _hash_texts(array: Any) -> Hashed:
    data, offsets = _bytes_of(array)
    length = len(array)
    hashes, kinds = np.zeros(length, np.uint64), np.zeros(length, np.uint8)
    numbers = np.zeros(length, np.float64)
    cells.hash_texts(data, offsets, hashes, kinds, numbers)
    pending = np.flatnonzero(kinds == cells.PENDING)
    if len(pending):
        texts = array.take(pa.array(pending)).cast(pa.binary()).cast(pa.string())
        numbers[pending] = texts.cast(pa.float64()).to_numpy(zero_copy_only=False)
        kinds[pending] = cells.NUMBER
    decimal = np.flatnonzero(kinds == cells.NUMBER)
    if len(decimal):
        hashes[decimal], _ = _hash_floats(numbers[decimal])
    return hashes, kinds


def _hash_nested(values: list[Any]) -> Hashed:
    texts = pa.array([b"" if item is None else _canonical(item) for item in values], pa.large_binary())
    data, offsets = _bytes_of(texts)
    hashes, kinds = np.empty(len(values), np.uint64), np.full(len(values), cells.NESTED, np.uint8)
    cells.hash_tagged(cells.NESTED, data, offsets, hashes)
    return hashes, kinds


def _canonical(value: object) -> bytes:
    """Nested values as JSON: keys sorted, what is absent left out, numbers by their value, instants as ISO texts."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "surrogateescape"
    )


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            return None if value != value else str(value)
        return int(value) if value.is_integer() and abs(value) < 2**63 else value
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if value is None or isinstance(value, (str, int)):
        return value
    return str(value) if isinstance(value, timedelta) else repr(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Some rows: the names of the columns, in order, and each one's cells as `hash_column` takes them."""

    names: Sequence[str]
    columns: Sequence[Any]
    rows: int

    @classmethod
    def of(cls, batch: Any, names: Sequence[str] | None = None) -> Self:
        """The rows of a pyarrow.RecordBatch, under its own names or others."""
        return cls(names=names or batch.schema.names, columns=batch.columns, rows=batch.num_rows)


def type_name(array: Any) -> str:
    """The type of a column in Arrow's words, without the encoding it was stored in."""
    if isinstance(array, list):
        try:
            return str(pa.infer_type(array))[:200]
        except (pa.ArrowException, OverflowError, UnicodeEncodeError):
            return "json" if any(isinstance(item, (dict, list)) for item in array) else "string"
    kind = array.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return "string"
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return "binary"
    return str(kind)[:200]


def spelled_type(counts: NDArray[np.int64]) -> str:
    """The type that all texts of a column can be read as, from how many cells are of each kind.

    Examples
    --------
    >>> spelled_type(np.array([1, 5, 2, 0, 0, 0, 0, 0]))
    'double'
    """
    present = {kind for kind in range(1, cells.KINDS) if counts[kind]}
    names = {cells.INTEGER: "int64", cells.NUMBER: "double", cells.TRUTH: "bool", cells.INSTANT: "timestamp"}
    if not present:
        return "null"
    if present == {cells.INTEGER, cells.NUMBER}:
        return "double"
    return names.get(min(present), "string") if len(present) == 1 else "string"


def json_column(values: list[Any]) -> Any:
    """A column of parsed JSON: an Arrow array where its values are of one plain type, else the values themselves."""
    if any(isinstance(item, (dict, list)) for item in values):
        return values
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError):
        return values


def _hash_objects(values: list[Any]) -> Hashed:
    nested = np.fromiter((isinstance(item, (dict, list)) for item in values), bool, len(values))
    texts = [None if item is None or deep else _spelled(item) for item, deep in zip(values, nested, strict=True)]
    hashes, kinds = hash_column(pa.array(texts, pa.large_binary()))
    places = np.flatnonzero(nested)
    hashes[places], kinds[places] = _hash_nested([values[place] for place in places])
    return hashes, kinds


def _spelled(value: object) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, bool):
        return b"true" if value else b"false"
    return repr(value).encode()
