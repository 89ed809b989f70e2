"""CSV, Parquet and Arrow files as batches of rows, read in a stream by pyarrow."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as parquet

from graph_schema.errors import FormatError, UnsafeFileError
from ingest.datasets.columns import Batch
from ingest.datasets.sketching import COLUMNS_MOST

BLOCK_BYTES = 4 << 20
"""Bytes of text that are parsed at once, and so the longest row."""

BATCH_ROWS = 65_536
BATCH_BYTES = 32 << 20
_HEAD_BYTES = 4 << 20
_VALUES_PER_BYTE = 1 << 12
"""What writers make of a column of one value is some hundred a byte."""

_FEW_VALUES = 1 << 24
_COMMENT = re.compile(rb"#(?:\s|$)")
_RAGGED_MOST = 1_000_000


@dataclass(slots=True)
class LeftOut:
    """Rows that could not be read while the others were."""

    rows: int = 0
    first: str = ""

    def add(self, reason: Callable[[], str]) -> None:
        """One more; the first one's reason is kept."""
        if not self.rows:
            self.first = reason()
        self.rows += 1


@contextmanager
def arrow_errors(where: str, form: str) -> Iterator[None]:
    """What pyarrow raises about a file, as an error of the project's own."""
    try:
        yield
    except MemoryError:
        raise
    except (pa.ArrowException, OSError, ValueError, KeyError, EOFError) as error:
        reason = " ".join(str(error).split())[:200]
        if "straddling object" in reason or "block boundaries" in reason:
            reason = f"a row is longer than {BLOCK_BYTES >> 20} MiB"
        raise FormatError(f"is no readable {form}: {reason}", where=where, remedy="fetch or write it again") from error


def read_csv(stream: BinaryIO, where: str, left_out: LeftOut, *, delimiter: str | None = None) -> Iterator[Batch]:
    """Batches of a CSV file; every cell is the bytes it has there.

    Parameters
    ----------
    stream : binary file
        UTF-8, or UTF-16 with a mark of its byte order; other bytes are taken as they are.
    where : str
    left_out : LeftOut
        Gets the rows that have more or fewer cells than the header.
    delimiter : str, optional
        The one of comma, semicolon, tab and bar that the header has most of by default.

    Notes
    -----
    The first row is the header, lines above it that begin with `#` and a blank aside. Rows may break within quotes;
    empty lines are no rows. Memory is some blocks of `BLOCK_BYTES`.
    """
    buffered = io.BufferedReader(_utf8(stream), _HEAD_BYTES)
    names, delimiter, comments = _header(buffered, where, delimiter)

    def skip(row: Any) -> str:
        left_out.add(lambda: f"row {row.number} has {row.actual_columns} cells instead of {row.expected_columns}")
        return "skip" if left_out.rows < _RAGGED_MOST else "error"

    places = [str(place) for place in range(len(names))]
    with arrow_errors(where, "CSV"):
        reader = arrow_csv.open_csv(
            buffered,
            read_options=arrow_csv.ReadOptions(
                use_threads=False,
                block_size=BLOCK_BYTES,
                skip_rows=comments,
                column_names=places,
                skip_rows_after_names=1,
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, invalid_row_handler=skip
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(places, pa.binary()), strings_can_be_null=False, check_utf8=False
            ),
        )
        for batch in reader:
            # A block of short rows has millions of them: slices keep what hashing adds in bounds.
            for start in range(0, batch.num_rows, BATCH_ROWS):
                yield Batch.of(batch.slice(start, BATCH_ROWS), names)


def _utf8(stream: BinaryIO) -> io.RawIOBase:
    start = stream.read(2)
    stream.seek(0)
    if start not in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return _Raw(stream.read)
    text = io.TextIOWrapper(io.BufferedReader(_Raw(stream.read)), encoding="utf-16", errors="replace", newline="")
    return _Raw(lambda size: text.read(max(size // 4, 1)).encode("utf-8", "replace"))


class _Raw(io.RawIOBase):
    """A function that reads, as a raw stream."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        super().__init__()
        self._read = read

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        view = memoryview(target).cast("B")
        content = self._read(len(view))
        view[: len(content)] = content
        return len(content)


def _header(buffered: io.BufferedReader[Any], where: str, delimiter: str | None) -> tuple[list[str], str, int]:
    head = buffered.peek(_HEAD_BYTES).removeprefix(codecs.BOM_UTF8)
    lines = head.split(b"\n", 1000)
    comments = next((place for place, line in enumerate(lines) if line.strip() and not _COMMENT.match(line)), 0)
    first = next((line for line in lines[comments:] if line.strip()), b"")
    head = b"\n".join(lines[comments:])
    if not first:
        raise FormatError("is empty", where=where, remedy="a table has a header and rows")
    if b"\0" in first:
        raise FormatError("holds NUL bytes where its header should be: no CSV", where=where)
    if delimiter is None:
        delimiter = max(",;\t|", key=lambda mark: (first.count(mark.encode()), mark == ","))
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError:
        text = head.decode("latin-1")
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        names = next(row for row in rows if row)
    except (csv.Error, StopIteration) as error:
        raise FormatError(f"is no readable CSV: {error}", where=where, remedy="write it again") from error
    if len(names) > COLUMNS_MOST:
        raise UnsafeFileError(f"has {len(names)} columns, more than {COLUMNS_MOST}", where=where)
    return names, delimiter, comments


def read_parquet(stream: BinaryIO, where: str, size: int) -> Iterator[Batch]:
    """Batches of a Parquet file, one column chunk's pages at a time.

    Raises
    ------
    FormatError
        If it is damaged.
    UnsafeFileError
        If it states more rows than its size can bear: a run of one value takes a few bytes, whatever its length.
    """
    with arrow_errors(where, "Parquet file"):
        opened = parquet.ParquetFile(pa.PythonFile(stream, mode="r"), buffer_size=1 << 20, pre_buffer=False)
        described = opened.metadata
        values = described.num_rows * max(described.num_columns, 1)
        if described.num_columns > COLUMNS_MOST:
            raise UnsafeFileError(f"has {described.num_columns} columns, more than {COLUMNS_MOST}", where=where)
        if values > _FEW_VALUES and values > size * _VALUES_PER_BYTE:
            raise UnsafeFileError(f"states {described.num_rows} rows in {size} bytes", where=where)
        stated = sum(described.row_group(i).total_byte_size for i in range(described.num_row_groups))
        row = max(stated // max(described.num_rows, 1), 8 * described.num_columns, 1)
        rows = min(max(BATCH_BYTES // row, 1), BATCH_ROWS)
        for batch in opened.iter_batches(batch_size=rows, use_threads=False):
            yield Batch.of(batch)


def read_arrow(stream: BinaryIO, where: str) -> Iterator[Batch]:
    """Batches of an Arrow IPC file or stream, every offset in them checked."""
    with arrow_errors(where, "Arrow file"):
        start = stream.read(6)
        stream.seek(0)
        source = pa.PythonFile(stream, mode="r")
        if start == b"ARROW1":
            opened = pa.ipc.open_file(source)
            batches: Iterator[Any] = (opened.get_batch(place) for place in range(opened.num_record_batches))
        else:
            batches = iter(pa.ipc.open_stream(source))
        for batch in batches:
            batch.validate(full=True)
            for first in range(0, batch.num_rows, BATCH_ROWS):
                yield Batch.of(batch.slice(first, BATCH_ROWS))
