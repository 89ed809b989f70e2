"""Batches of rows into the sketch of a data set, in memory that does not grow with the rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graph_schema.errors import UnsafeFileError
from graph_schema.row_sketch import (
    COLUMN_LIMIT,
    COLUMN_SKETCH_SIZE,
    ROW_SKETCH_SIZE,
    BottomSketch,
    ColumnSketch,
    DatasetSketch,
    SplitSketch,
)
from ingest.datasets import cell_hashing as cells
from ingest.datasets.columns import Batch, hash_column, spelled_type, type_name

COLUMNS_MOST = 32_768
ROW_LABELS = frozenset(("", "Unnamed: 0", "__index_level_0__"))
"""Names under which pandas writes the labels of rows, which are no data; in text files, of the first column alone."""


class _Smallest:
    """The smallest distinct hashes of a stream."""

    def __init__(self, size: int) -> None:
        self._sketch = BottomSketch.empty(size)

    def add(self, hashes: NDArray[np.uint64]) -> None:
        known = self._sketch
        if not known.complete:
            hashes = hashes[hashes < np.uint64(known.threshold)]
        if len(hashes):
            self._sketch = known.union(BottomSketch.of(hashes, known.size))

    def sketch(self) -> BottomSketch:
        return self._sketch


@dataclass(slots=True)
class _Sums:
    """Two sums modulo 2**64, as one digest."""

    first: int = 0
    second: int = 0

    def add(self, parts: tuple[Any, Any]) -> None:
        self.first = (self.first + int(parts[0])) % (1 << 64)
        self.second = (self.second + int(parts[1])) % (1 << 64)

    @property
    def hexadecimal(self) -> str:
        return f"{self.first:016x}{self.second:016x}"


@dataclass(slots=True)
class _Column:
    name: np.uint64
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(cells.KINDS, np.int64))
    sums: _Sums = field(default_factory=_Sums)
    smallest: _Smallest = field(default_factory=lambda: _Smallest(COLUMN_SKETCH_SIZE))
    types: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True)
class _Split:
    rows: int = 0
    smallest: _Smallest = field(default_factory=lambda: _Smallest(ROW_SKETCH_SIZE))


class Sketcher:
    """Takes batches of rows, gives the sketch of all of them.

    The hash of a row is m(G + sum of m(cell ^ name)) over its cells that are not nothing, modulo 2**64, where `name` is
    the hash of the column's name as text and `cell` that of the cell: neither the order of the columns nor a cell that
    is absent rather than empty makes a difference.
    """

    def __init__(self) -> None:
        self.rows = 0
        self._columns: dict[str, _Column] = {}
        self._sums = _Sums()
        self._smallest = _Smallest(ROW_SKETCH_SIZE)
        self._splits: dict[str, _Split] = {}

    def add(self, batch: Batch, *, spelled: bool, where: str, split: str | None = None) -> None:
        """Add the rows of a batch.

        Parameters
        ----------
        batch : Batch
        spelled : bool
            Whether the format has nothing but text, so that a column's type is what its texts spell.
        where : str
            The file, for messages.
        split : str, optional
            The split that the rows belong to.

        Raises
        ------
        UnsafeFileError
            If there are more than `COLUMNS_MOST` columns by now.
        """
        sums = np.zeros(batch.rows, np.uint64)
        for place, (name, array) in enumerate(zip(batch.names, batch.columns, strict=True)):
            if name in ROW_LABELS and (place == 0 or name == "__index_level_0__"):
                continue
            column = self._column(name, where)
            hashes, kinds = hash_column(array)
            if not spelled:
                column.types[type_name(array)] = None
            column.sums.add(cells.add_column(column.name, hashes, kinds, sums, column.counts))
            column.smallest.add(hashes[kinds != cells.NOTHING])
        self._sums.add(cells.finish_rows(sums))
        self._smallest.add(sums)
        self.rows += batch.rows
        if split is not None:
            part = self._splits.setdefault(split, _Split())
            part.smallest.add(sums)
            part.rows += batch.rows

    def _column(self, name: str, where: str) -> _Column:
        found = self._columns.get(name)
        if found is None:
            if len(self._columns) == COLUMNS_MOST:
                raise UnsafeFileError(f"has more than {COLUMNS_MOST} columns", where=where)
            text = np.frombuffer(name.encode("utf-8", "surrogatepass"), np.uint8)
            hashed = np.uint64(cells.hash_bytes(cells.TEXT, text, 0, len(text)))
            found = self._columns[name] = _Column(hashed)
        return found

    def schema(self) -> tuple[tuple[str, str], ...]:
        """Names and types of the columns, in the order in which they were met."""
        return tuple((name, _type(column)) for name, column in self._columns.items())

    def sketch(self, version: str) -> DatasetSketch:
        """The sketch of everything added so far."""
        return DatasetSketch(
            version=version,
            rows=self.rows,
            multiset=self._sums.hexadecimal,
            distinct=self._smallest.sketch(),
            columns=tuple(
                ColumnSketch(
                    name=name,
                    type=_type(column),
                    values=int(column.counts[1:].sum()),
                    multiset=column.sums.hexadecimal,
                    distinct=column.smallest.sketch(),
                )
                for name, column in sorted(self._columns.items())[:COLUMN_LIMIT]
            ),
            splits=tuple(
                SplitSketch(name=name, rows=part.rows, distinct=part.smallest.sketch())
                for name, part in sorted(self._splits.items())
            ),
        )


def _type(column: _Column) -> str:
    types = set(column.types) - {"null"}
    if not column.types:
        return spelled_type(column.counts)
    if len(types) <= 1:
        return next(iter(types), "null")
    if types <= {"int64", "double"}:
        return "double"
    return "string" if types & {"string", "binary"} else sorted(types)[0]
