"""The sketch of a set of rows: its smallest hashes, enough to compare data sets without keeping a row.

A sketch is taken by `ingest` and compared by `lineage`; neither knows the other, so its shape is part of the
vocabulary. It is the bottom-k form of MinHash, Broder's "s smallest" sketch, which is also the KMV synopsis: of all
distinct hashes of a set, the k smallest. What can be read off two of them is in `lineage.row_overlap`; how a row gets
its hash, in `docs/datasets.md`.

References
----------
Broder, "On the resemblance and containment of documents", SEQUENCES 1997.
Beyer, Haas, Reinwald, Sismanis and Gemulla, "On synopses for distinct-value estimation under multiset operations",
SIGMOD 2007.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

ROW_SKETCH_SIZE = 32_768
"""Hashes kept of the rows of a data set: 256 KiB."""

COLUMN_SKETCH_SIZE = 1024
"""Hashes kept of the values of a column: 8 KiB."""

COLUMN_LIMIT = 256
"""Columns that are sketched, the first by name."""

DATASET_SKETCH_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BottomSketch:
    """The k smallest of a set's distinct 64-bit hashes.

    Attributes
    ----------
    hashes : (n,) uint64 array, n <= size
        Ascending, without repetition.
    size : int
        k, at least 1. A sketch of fewer hashes than that is the whole set.

    Notes
    -----
    Sketches of one size form a semilattice under `union`: it is associative, commutative and idempotent, and the sketch
    of a union is the union of the sketches.
    """

    hashes: Hashes
    size: int

    @classmethod
    def of(cls, hashes: Hashes, size: int) -> Self:
        """The sketch of some hashes, in any order and however often repeated; O(n log n) time.

        Raises
        ------
        ValueError
            If `size` is not positive.

        Examples
        --------
        >>> BottomSketch.of(np.array([5, 3, 9, 3], np.uint64), 2).hashes.tolist()
        [3, 5]
        """
        if size < 1:
            raise ValueError(f"a sketch holds at least one hash, got {size}")
        return cls(hashes=np.unique(hashes.astype(np.uint64, copy=False))[:size], size=size)

    @classmethod
    def empty(cls, size: int) -> Self:
        """The sketch of the empty set, the identity of `union`."""
        return cls.of(np.zeros(0, np.uint64), size)

    @property
    def complete(self) -> bool:
        """Whether every hash of the set is here, so that what is read off is exact."""
        return len(self.hashes) < self.size

    @property
    def threshold(self) -> int:
        """Every hash of the set up to this value is here: the largest one kept, or 2**64 - 1 where all are."""
        return (1 << 64) - 1 if self.complete else int(self.hashes[-1])

    def union(self, other: Self) -> Self:
        """The sketch of the union of the two sets, of the smaller of the two sizes.

        Examples
        --------
        >>> one, two = (BottomSketch.of(np.array(values, np.uint64), 3) for values in ([1, 5, 9], [2, 5]))
        >>> one.union(two).hashes.tolist()
        [1, 2, 5]
        """
        return type(self).of(np.concatenate((self.hashes, other.hashes)), min(self.size, other.size))

    def up_to(self, threshold: int) -> int:
        """How many of the kept hashes are at most `threshold`."""
        return int(np.searchsorted(self.hashes, np.uint64(threshold), side="right"))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ColumnSketch:
    """What is kept of one column.

    Attributes
    ----------
    name, type : str
        The type in Arrow's words; for a format without types, what all its values can be read as.
    values : int
        How many rows have a value.
    multiset : str
        Hexadecimal digest (128 bits) of the values as a multiset: equal columns in any order of rows have the same.
    distinct : BottomSketch
    """

    name: str
    type: str
    values: int
    multiset: str
    distinct: BottomSketch


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SplitSketch:
    """What is kept of one split, such as `test`: its rows with repetitions, and their sketch."""

    name: str
    rows: int
    distinct: BottomSketch


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DatasetSketch:
    """What is kept of one state of a data set.

    Attributes
    ----------
    version : str
        Id of the DatasetVersion.
    rows : int
        With repetitions.
    multiset : str
        Hexadecimal digest (128 bits) of the rows as a multiset; no defence against forgery, the id is.
    distinct : BottomSketch
        Of the rows.
    columns : tuple of ColumnSketch
        By name; at most `COLUMN_LIMIT` of them.
    splits : tuple of SplitSketch
        By name; empty where the files are not told apart as splits.
    """

    version: str
    rows: int
    multiset: str
    distinct: BottomSketch
    columns: tuple[ColumnSketch, ...] = ()
    splits: tuple[SplitSketch, ...] = ()
