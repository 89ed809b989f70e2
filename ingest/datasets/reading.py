"""Reading one data set: its content into an id, its rows into a schema and a sketch, its documents into a record."""

from __future__ import annotations

import gzip
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import BinaryIO, cast

import pyarrow as pa
from blake3 import blake3

from graph_schema.errors import FormatError, ModelLakeError, UnsafeFileError
from graph_schema.identity import dataset_version_id
from graph_schema.records import Dataset, DatasetVersion
from graph_schema.row_sketch import DatasetSketch
from ingest.blobs import Blob
from ingest.claims.statements import excerpt
from ingest.datasets.columns import Batch
from ingest.datasets.dataset_source import GZIP, DatasetSource, Form, split_of
from ingest.datasets.descriptions import describe
from ingest.datasets.lines import read_json_array, read_json_lines, read_text
from ingest.datasets.sketching import Sketcher
from ingest.datasets.tables import LeftOut, read_arrow, read_csv, read_parquet
from ingest.stored_file import StoredFile
from ingest.zip_members import BlobStream

Progress = Callable[[int], None]

_STEP = 1 << 20
_SCHEMA_LIMIT = 1000
_UNPACKED_FREE = 1 << 30
_UNPACKED_RATIO = 500
_SPELLED = frozenset((Form.CSV, Form.TSV, Form.TEXT, Form.IMAGE))
_IMAGES = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"RIFF", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetReading:
    """One data set, read.

    Attributes
    ----------
    source : DatasetSource
    dataset : Dataset
    version : DatasetVersion
    sketch : DatasetSketch
    problems : tuple of ModelLakeError
        Rows, images and documents that were left out, and why; the rest was read.
    """

    source: DatasetSource
    dataset: Dataset
    version: DatasetVersion
    sketch: DatasetSketch
    problems: tuple[ModelLakeError, ...] = ()


def read_dataset(source: DatasetSource, *, progress: Progress | None = None) -> DatasetReading:
    """Read a data set: each file once for its content's hash, and once for its rows.

    Parameters
    ----------
    source : DatasetSource
    progress : callable, optional
        Called with the number of bytes of data that were hashed since the last call.

    Returns
    -------
    DatasetReading

    Raises
    ------
    FormatError, UnsafeFileError
        If a file is damaged, or made to exhaust the machine: a data set is read whole or not at all.

    Notes
    -----
    Memory is bounded by some blocks of the file and the sketch, whatever the number of rows; a row of
    CSV may take 4 MiB, a line of JSON or text 16.
    """
    pa.set_cpu_count(1)
    sketcher = Sketcher()
    contents: list[tuple[str, str]] = []
    problems: list[ModelLakeError] = []
    images: defaultdict[str | None, list[bytes]] = defaultdict(list)
    for item, form in zip(source.files, source.forms, strict=True):
        name = source.inner_name(item)
        with closing(item.open()) as blob:
            content = _content(blob, progress)
            if form is Form.IMAGE and not _is_image(blob):
                problems.append(FormatError("is no image", where=item.name, remedy="fetch it again"))
                continue
            before, split = sketcher.rows, split_of(name)
            if form is Form.IMAGE:
                images[split].append(content.encode())
            else:
                left_out = LeftOut()
                for batch in _batches(blob, item, form, left_out):
                    sketcher.add(batch, spelled=form in _SPELLED, where=item.name, split=split)
                if left_out.rows:
                    problems.append(_left_out(left_out, sketcher.rows - before, item.name))
        contents.append((name, content))
    for split, digests in images.items():
        rows = Batch(names=(str(Form.IMAGE),), columns=(pa.array(digests, pa.binary()),), rows=len(digests))
        sketcher.add(rows, spelled=True, where=source.location, split=split)
    if not contents or not sketcher.schema():
        raise FormatError("holds no rows", where=source.files[0].name)
    version = dataset_version_id(contents)
    sketch = sketcher.sketch(version)
    described = describe(source)
    return DatasetReading(
        source=source,
        dataset=described.dataset,
        version=DatasetVersion(
            id=version,
            name=source.id,
            format=", ".join(sorted({str(form) for form in source.forms})),
            rows=sketcher.rows,
            bytes=source.size,
            files=len(source.files),
            columns=tuple(f"{excerpt(name)}: {kind}" for name, kind in sketcher.schema()[:_SCHEMA_LIMIT]),
            splits=tuple(f"{split.name}: {split.rows}" for split in sketch.splits),
        ),
        sketch=sketch,
        problems=(*described.problems, *problems),
    )


def _content(blob: Blob, progress: Progress | None) -> str:
    hasher = blake3()
    buffer = bytearray(min(_STEP, blob.size))
    for start in range(0, blob.size, _STEP):
        view = memoryview(buffer)[: min(_STEP, blob.size - start)]
        blob.read_into(start, view)
        hasher.update(view)
        if progress is not None:
            progress(len(view))
    return str(hasher.hexdigest())


def _is_image(blob: Blob) -> bool:
    start = bytearray(min(8, blob.size))
    blob.read_into(0, memoryview(start))
    return bytes(start).startswith(_IMAGES)


def _left_out(left_out: LeftOut, kept: int, where: str) -> FormatError:
    if left_out.rows > kept:
        raise FormatError(
            f"more rows cannot be read than can: {left_out.rows} of {left_out.rows + kept}; {left_out.first}",
            where=where,
            remedy="write it again",
        )
    return FormatError(
        f"{left_out.rows} of {left_out.rows + kept} rows left out; {left_out.first}", where=where, remedy="mend them"
    )


def _batches(blob: Blob, item: StoredFile, form: Form, left_out: LeftOut) -> Iterator[Batch]:
    raw = BlobStream(blob)
    where = item.name
    if form is Form.PARQUET:
        yield from read_parquet(cast(BinaryIO, raw), where, blob.size)
        return
    if form is Form.ARROW:
        yield from read_arrow(cast(BinaryIO, raw), where)
        return
    packed = item.base.lower().endswith(GZIP)
    stream = cast(BinaryIO, _Unpacked(gzip.GzipFile(fileobj=raw), blob.size, where) if packed else raw)
    try:
        if form in (Form.CSV, Form.TSV):
            yield from read_csv(stream, where, left_out, delimiter="\t" if form is Form.TSV else None)
        elif form is Form.TEXT:
            yield from read_text(stream, where)
        elif form is Form.JSON_LINES or _begins_with_object(stream):
            yield from read_json_lines(stream, where, left_out)
        else:
            yield from read_json_array(stream, where)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise FormatError(f"is damaged: {error}", where=where, remedy="fetch it again") from error


class _Unpacked:
    """What a gzipped file holds, as long as it is no bomb."""

    def __init__(self, file: gzip.GzipFile, packed: int, where: str) -> None:
        self._file = file
        self._most = max(_UNPACKED_FREE, packed * _UNPACKED_RATIO)
        self._where = where

    def read(self, size: int) -> bytes:
        content = self._file.read(size)
        if self._file.tell() > self._most:
            raise UnsafeFileError(f"unpacks to more than {_UNPACKED_RATIO} times its size", where=self._where)
        return content

    def seek(self, place: int) -> int:
        return self._file.seek(place)


def _begins_with_object(stream: BinaryIO) -> bool:
    """Whether a `.json` file holds JSON Lines after all."""
    start = stream.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    stream.seek(0)
    return start.startswith(b"{")
