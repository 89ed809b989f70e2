"""Occurrences of every bit pattern of one or two bytes, compiled: they say everything about narrow values, exactly."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, call-arg, untyped-decorator"
# Numba infers types from the arguments; annotations of scalars would claim what does not hold inside.

from __future__ import annotations

from threading import Lock

import numpy as np
from numpy.typing import NDArray

from ingest.fingerprint.compiling import compiled

_BANKS = {1: 4, 2: 2}
_SAFE_COUNT = (1 << 32) - 1
_STRETCH = 64


class CountTables:
    """Empty tables of counts, handed from one tensor to the next: each is half a megabyte that would be made anew."""

    def __init__(self) -> None:
        self._free: dict[int, list[NDArray[np.uint32]]] = {itemsize: [] for itemsize in _BANKS}

    def take(self, itemsize: int) -> NDArray[np.uint32]:
        """A table of zeros for values of one or two bytes: (banks, patterns)."""
        try:
            return self._free[itemsize].pop()
        except IndexError:
            return np.zeros((_BANKS[itemsize], 1 << (8 * itemsize)), np.uint32)

    def give(self, itemsize: int, table: NDArray[np.uint32]) -> None:
        """Take back a table, which is empty again."""
        self._free[itemsize].append(table)


class PatternCounts:
    """How often each bit pattern occurs in one tensor of `size` values; `add` may be called from several threads."""

    def __init__(self, itemsize: int, size: int, tables: CountTables) -> None:
        self._itemsize, self._size, self._pool = itemsize, size, tables
        self._lock = Lock()
        self._tables: list[NDArray[np.uint32]] = []
        self._long = np.zeros(1 << (8 * itemsize) if size > _SAFE_COUNT else 0, np.int64)

    def add(self, stored: NDArray[np.generic]) -> None:
        """Count the values of a chunk, given at an address that is a multiple of eight."""
        try:
            table = self._tables.pop()  # one for each worker, used for all its chunks
        except IndexError:
            table = self._pool.take(self._itemsize)
        if self._itemsize == 1:
            count8(stored.view(np.uint8), table)
        else:
            bits = stored.view(np.uint16)
            full = bits.size & ~3
            count16(bits[:full].view(np.uint64), bits[full:], table)
        if self._long.size:
            with self._lock:
                self._long += table.sum(axis=0, dtype=np.int64)
            table[:] = 0
        self._tables.append(table)

    def finish(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The patterns that occur, ascending, and how often; once every chunk is counted."""
        patterns, counts = np.empty((2, 1 << (8 * self._itemsize)), np.int64)
        seen = 0
        while self._tables:
            table = self._tables.pop()
            if self._tables:
                self._tables[-1] += table
                table[:] = 0
            else:
                seen = take_counts(table, patterns, counts)
            self._pool.give(self._itemsize, table)
        if self._long.size:
            patterns = np.flatnonzero(self._long)
            return patterns, self._long[patterns]
        return patterns[:seen].copy(), counts[:seen].copy()


@compiled
def take_counts(table, patterns, counts):
    """List the patterns that occur, ascending, with the sums of their banks, and empty the table; returns how many."""
    seen = 0
    for start in range(0, table.shape[1], _STRETCH):
        some = np.uint32(0)
        for bank in range(table.shape[0]):
            row = table[bank, start : start + _STRETCH]
            for i in range(row.size):
                some = np.uint32(some | row[i])
        if some == np.uint32(0):
            continue  # most patterns never occur
        for pattern in range(start, start + _STRETCH):
            count = np.int64(0)
            for bank in range(table.shape[0]):
                count += np.int64(table[bank, pattern])
                table[bank, pattern] = np.uint32(0)
            if count:
                patterns[seen] = pattern
                counts[seen] = count
                seen += 1
    return seen


@compiled
def count16(words, rest, counts):
    """Occurrences of each 16-bit pattern; `words` holds four of them each, `counts` is (2, 65536) and is added to.

    Two tables, used in turn: increments of one entry in a row would wait for each other.
    """
    even = counts[0]
    odd = counts[1]
    mask = np.uint64(0xFFFF)
    for i in range(words.size):
        word = words[i]
        even[word & mask] += np.uint32(1)
        odd[(word >> np.uint64(16)) & mask] += np.uint32(1)
        even[(word >> np.uint64(32)) & mask] += np.uint32(1)
        odd[word >> np.uint64(48)] += np.uint32(1)
    for i in range(rest.size):
        even[rest[i]] += np.uint32(1)


@compiled
def count8(codes, counts):
    """Occurrences of each byte, added to `counts` (4, 256)."""
    full = codes.size & ~3
    for i in range(0, full, 4):
        counts[0, codes[i]] += np.uint32(1)
        counts[1, codes[i + 1]] += np.uint32(1)
        counts[2, codes[i + 2]] += np.uint32(1)
        counts[3, codes[i + 3]] += np.uint32(1)
    for i in range(full, codes.size):
        counts[0, codes[i]] += np.uint32(1)
