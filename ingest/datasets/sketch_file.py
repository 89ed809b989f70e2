"""The file of a data set's sketch: a safetensors container, the same to the byte wherever it is written.

`rows` (U64) holds the hashes of the rows, `columns` (U64) those of all columns one after the other, `ends` (I64) where
each column's end, `splits` (U64) and `split_ends` (I64) the same of the rows of each split. The metadata's one key,
`modellake.dataset_sketch`, is a JSON object with the format's version, the counts, the names and a digest of the rest.
No row and no value of the data is in it.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray
from safetensors.numpy import save

from graph_schema.errors import FingerprintError, PathNotFoundError
from graph_schema.row_sketch import DATASET_SKETCH_VERSION, BottomSketch, ColumnSketch, DatasetSketch, SplitSketch
from ingest.atomic_file import write_atomically

SUFFIX = ".sketch"
_KEY = "modellake.dataset_sketch"
_ARRAYS = (("rows", "<u8"), ("columns", "<u8"), ("ends", "<i8"), ("splits", "<u8"), ("split_ends", "<i8"))
_REMEDY = "delete it and ingest the data set again"


def write_sketch(path: Path, sketch: DatasetSketch) -> None:
    """Write a sketch to a file, whole or not at all.

    Raises
    ------
    ResourceError
        If the file cannot be written.
    """
    write_atomically(path, sketch_bytes(sketch), what="the sketch")


def read_sketch(path: Path) -> DatasetSketch:
    """Read a sketch file.

    Raises
    ------
    PathNotFoundError
        If there is no such file.
    FingerprintError
        If it is damaged, no sketch, or written by a newer version.
    """
    try:
        content = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError) as error:
        raise PathNotFoundError("no sketch of a data set here", where=str(path)) from error
    except OSError as error:
        raise FingerprintError(f"cannot be read: {error.strerror or error}", where=str(path)) from error
    return sketch_of_bytes(content, where=str(path))


def sketch_bytes(sketch: DatasetSketch) -> bytes:
    """The content of the file; equal sketches give equal bytes."""
    columns = [item.distinct.hashes for item in sketch.columns]
    splits = [item.distinct.hashes for item in sketch.splits]
    arrays = {
        "rows": sketch.distinct.hashes.astype("<u8"),
        "columns": np.concatenate([np.zeros(0, np.uint64), *columns]).astype("<u8"),
        "ends": np.cumsum([len(hashes) for hashes in columns]).astype("<i8"),
        "splits": np.concatenate([np.zeros(0, np.uint64), *splits]).astype("<u8"),
        "split_ends": np.cumsum([len(hashes) for hashes in splits]).astype("<i8"),
    }
    description = {
        "format": DATASET_SKETCH_VERSION,
        "version": sketch.version,
        "rows": sketch.rows,
        "multiset": sketch.multiset,
        "size": sketch.distinct.size,
        "columns": [[c.name, c.type, c.values, c.multiset, c.distinct.size] for c in sketch.columns],
        "splits": [[split.name, split.rows, split.distinct.size] for split in sketch.splits],
    }
    description["digest"] = _digest(description, arrays)
    return bytes(save(arrays, {_KEY: json.dumps(description, sort_keys=True)}))


def sketch_of_bytes(content: bytes, *, where: str = "sketch") -> DatasetSketch:
    """A sketch from the content of its file; errors name `where`."""
    try:
        return _parse(content, where)
    except FingerprintError:
        raise
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        raise _damaged("its parts do not fit together", where) from error


def _parse(content: bytes, where: str) -> DatasetSketch:
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    description = json.loads(header.pop("__metadata__")[_KEY])
    version = description["format"]
    if version > DATASET_SKETCH_VERSION:
        raise FingerprintError(
            f"written by a newer version (format {version}; this one reads up to {DATASET_SKETCH_VERSION})",
            where=where,
            remedy="update modellake",
        )
    body = content[8 + length :]
    arrays: dict[str, NDArray[np.generic]] = {}
    for name, dtype in _ARRAYS:
        start, end = header[name]["data_offsets"]
        arrays[name] = np.frombuffer(body[start:end], dtype)
    if description.pop("digest") != _digest(description, arrays):
        raise _damaged("its content does not match its digest", where)
    columns = tuple(
        ColumnSketch(
            name=name,
            type=kind,
            values=values,
            multiset=multiset,
            distinct=_sketch(hashes, size, where),
        )
        for hashes, (name, kind, values, multiset, size) in zip(
            _cut(arrays["columns"], arrays["ends"]), description["columns"], strict=True
        )
    )
    splits = tuple(
        SplitSketch(name=name, rows=rows, distinct=_sketch(hashes, size, where))
        for hashes, (name, rows, size) in zip(
            _cut(arrays["splits"], arrays["split_ends"]), description["splits"], strict=True
        )
    )
    return DatasetSketch(
        version=description["version"],
        rows=description["rows"],
        multiset=description["multiset"],
        distinct=_sketch(arrays["rows"], description["size"], where),
        columns=columns,
        splits=splits,
    )


def _cut(hashes: NDArray[np.generic], ends: NDArray[np.generic]) -> list[NDArray[np.generic]]:
    places = [0, *map(int, ends)]
    return [hashes[start:end] for start, end in pairwise(places)]


def _sketch(hashes: NDArray[np.generic], size: int, where: str) -> BottomSketch:
    found = hashes.astype(np.uint64)
    if len(found) > size or not bool((found[1:] > found[:-1]).all()):
        raise _damaged("hashes out of order", where)
    return BottomSketch(hashes=found, size=size)


def _digest(description: dict[str, object], arrays: dict[str, NDArray[np.generic]]) -> str:
    hasher = blake3(json.dumps(description, sort_keys=True).encode())
    for name in sorted(arrays):
        hasher.update(arrays[name].tobytes())
    return str(hasher.hexdigest(length=16))


def _damaged(what: str, where: str) -> FingerprintError:
    return FingerprintError(f"damaged: {what}", where=where, remedy=_REMEDY)
