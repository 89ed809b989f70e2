"""How a tensor is cut for the pass: chunks of whole rows, or pieces of one row where a row is longer than a chunk.

The cut depends on shape and dtype alone, never on the number of workers or on how the file is laid out, because the
order in which floating-point sums are taken follows it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

CHUNK_BYTES = 4 << 20
"""Bytes of a chunk, at most: it fits the last-level cache, so that memory is read once for all that is computed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A window of a matrix that is contiguous in row-major order."""

    first_row: int
    rows: int
    first_column: int
    columns: int
    start: int
    stop: int


def chunks_of(height: int, width: int, itemsize: int, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
    """The chunks of a height x width matrix, in row-major order; none if it is empty.

    Examples
    --------
    >>> [(c.start, c.stop) for c in chunks_of(5, 3, 4, chunk_bytes=24)]
    [(0, 6), (6, 12), (12, 15)]
    """
    values = max(1, chunk_bytes // itemsize)
    if width <= values:
        step = values // max(width, 1)
        for row in range(0, height if width else 0, step):
            rows = min(step, height - row)
            yield Chunk(
                first_row=row,
                rows=rows,
                first_column=0,
                columns=width,
                start=row * width,
                stop=(row + rows) * width,
            )
        return
    for row in range(height):
        for column in range(0, width, values):
            columns = min(values, width - column)
            start = row * width + column
            yield Chunk(first_row=row, rows=1, first_column=column, columns=columns, start=start, stop=start + columns)
