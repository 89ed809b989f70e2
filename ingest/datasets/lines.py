"""JSON Lines, JSON arrays and plain text as batches of rows, read in a stream."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import Any, BinaryIO

import pyarrow as pa

from graph_schema.errors import FormatError, UnsafeFileError
from ingest.datasets.columns import Batch, json_column
from ingest.datasets.sketching import COLUMNS_MOST
from ingest.datasets.tables import LeftOut

BLOCK_BYTES = 4 << 20
LINE_LIMIT = 16 << 20
"""Bytes of the longest line, and characters of the longest element of an array."""

_BATCH_ROWS = 8_192
_BATCH_CELLS = 1 << 20
_BATCH_BYTES = 32 << 20
_AFTER_VALUE = frozenset(" \t\r\n,]")
TEXT, VALUE = "text", "value"


def read_text(stream: BinaryIO, where: str) -> Iterator[Batch]:
    """Batches of one column, `text`, a row a line; empty lines are no rows."""
    for lines in _lines(stream, where):
        kept = [line for line in lines if line]
        if kept:
            yield Batch(names=(TEXT,), columns=(pa.array(kept, pa.large_binary()),), rows=len(kept))


def read_json_lines(stream: BinaryIO, where: str, left_out: LeftOut) -> Iterator[Batch]:
    """Batches of JSON Lines: an object's keys are the columns, anything else is a column `value`.

    Parameters
    ----------
    stream : binary file
    where : str
    left_out : LeftOut
        Gets the lines that are no JSON.
    """

    number = 0
    for lines in _lines(stream, where):
        for start in range(0, len(lines), _BATCH_ROWS):
            part = lines[start : start + _BATCH_ROWS]
            yield from _batches(_parsed(part, number + start, left_out), where)
        number += len(lines)


def _parsed(lines: list[bytes], before: int, left_out: LeftOut) -> list[Any]:
    """The rows of some lines: parsed at once where all are objects, else each by itself."""
    if all(line.startswith(b"{") and line.endswith(b"}") for line in lines):
        try:
            rows: list[Any] = json.loads(b"[" + b",".join(lines) + b"]")
            if len(rows) == len(lines):
                return rows
        except (ValueError, RecursionError):
            pass
    rows = []
    for number, line in enumerate(lines, start=before + 1):
        if not line.strip():
            continue
        try:
            rows.append(json.loads(line))
        except (ValueError, RecursionError) as error:
            left_out.add(partial("line {}: {:.200}".format, number, str(error)))
    return rows


def read_json_array(stream: BinaryIO, where: str) -> Iterator[Batch]:
    """Batches of a JSON array, an element a row, without holding more than one element and one block of it."""
    rows: list[Any] = []
    size = 0
    for row, length in _elements(stream, where):
        rows.append(row)
        size += length
        if len(rows) == _BATCH_ROWS or size > _BATCH_BYTES:
            yield from _batches(rows, where)
            rows, size = [], 0
    yield from _batches(rows, where)


def _lines(stream: BinaryIO, where: str) -> Iterator[list[bytes]]:
    """Lines without their ends, a block's at a time."""
    rest = b""
    first = True
    while block := stream.read(BLOCK_BYTES):
        if first:
            block, first = block.removeprefix(codecs.BOM_UTF8), False
        head, newline, tail = block.rpartition(b"\n")
        if not newline:
            rest += block
            if len(rest) > LINE_LIMIT:
                raise UnsafeFileError(f"has a line longer than {LINE_LIMIT >> 20} MiB", where=where)
            continue
        yield [line.removesuffix(b"\r") for line in (rest + head).split(b"\n")]
        rest = tail
    if rest:
        yield [rest.removesuffix(b"\r")]


def _batches(rows: list[Any], where: str) -> Iterator[Batch]:
    """Rows as columns; in halves where they have so many keys that most cells would be empty."""
    if not rows:
        return
    objects = [row if isinstance(row, dict) else {VALUE: row} for row in rows]
    names = dict.fromkeys(chain.from_iterable(objects))
    if len(names) > COLUMNS_MOST:
        raise UnsafeFileError(f"has more than {COLUMNS_MOST} columns", where=where)
    if len(names) * len(rows) > _BATCH_CELLS and len(rows) > 1:
        middle = len(rows) // 2
        yield from _batches(rows[:middle], where)
        yield from _batches(rows[middle:], where)
        return
    columns = [json_column([row.get(name) for row in objects]) for name in names]
    # A name may hold lone surrogates, which nothing else takes.
    fit = [name.encode("utf-8", "replace").decode("utf-8") for name in names]
    yield Batch(names=fit, columns=columns, rows=len(rows))


def _elements(stream: BinaryIO, where: str) -> Iterator[tuple[Any, int]]:
    decoder = json.JSONDecoder()
    decode = codecs.getincrementaldecoder("utf-8-sig")("replace")
    text, place, ended = "", 0, False

    def more() -> bool:
        nonlocal text, place, ended
        block = stream.read(BLOCK_BYTES)
        ended = not block
        text, place = text[place:] + decode.decode(block, ended), 0
        return not ended

    def damaged(reason: str) -> FormatError:
        return FormatError(f"is no JSON array of rows: {reason}", where=where, remedy="write it again")

    def mark() -> str:
        nonlocal place
        while True:
            while place < len(text) and text[place] in " \t\r\n":
                place += 1
            if place < len(text):
                return text[place]
            if not more():
                raise damaged("it ends early")

    if mark() != "[":
        raise damaged("it does not begin with a bracket")
    place += 1
    if mark() == "]":
        return
    while True:
        mark()
        while True:
            try:
                value, end = decoder.raw_decode(text, place)
                # A number where a block ends may go on: only what follows shows that it is whole.
                if ended or text[end : end + 1] in _AFTER_VALUE:
                    break
            except RecursionError:
                raise UnsafeFileError("is nested too deeply", where=where) from None
            except ValueError as error:
                if ended:
                    raise damaged(str(error)[:200]) from error
            if len(text) - place > LINE_LIMIT:
                raise UnsafeFileError(f"has an element longer than {LINE_LIMIT >> 20} MiB", where=where)
            more()
        length, place = end - place, end
        yield value, length
        follows = mark()
        if follows not in ",]":
            raise damaged(f"{follows!r} where a comma should be")
        place += 1
        if follows == "]":
            return
