"""Reading in one order of rows and columns what a container stores in another, a slice at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

ReadFlat = Callable[[int, int], NDArray[np.generic]]
"""Gives values `start` to `stop` of a tensor, counted in the order in which it is stored."""

_PIECE = 1 << 20
"""Values that are read at once, at most."""


def read_transposed(read: ReadFlat, shape: tuple[int, int], start: int, stop: int) -> NDArray[np.generic]:
    """Values `start` to `stop` of a matrix of `shape` whose transpose is what is stored.

    Parameters
    ----------
    read : callable
        Reads the stored matrix, of `shape[1]` rows and `shape[0]` columns.
    shape : (rows, columns)
        Of the matrix that is asked for.
    start, stop : int
        Counted in row-major order of that matrix; at least one value.

    Notes
    -----
    The rows asked for are columns of what is stored: of each stored row a piece is read, several rows at once where the
    pieces are most of them. Time and memory are linear in what is asked for, up to a factor of four, as long as that is
    whole rows.

    Examples
    --------
    >>> stored = np.arange(6)  # (3, 2): [[0, 1], [2, 3], [4, 5]]
    >>> read_transposed(lambda start, stop: stored[start:stop], (2, 3), 1, 5).tolist()
    [2, 4, 1, 3]
    """
    rows, columns = shape
    first, last = start // columns, -(-stop // columns)
    count = last - first
    # A slice within one row needs only the stored rows that it names.
    begin, end = (start - first * columns, stop - first * columns) if count == 1 else (0, columns)
    parts: list[NDArray[np.generic]] = []
    if 4 * count >= rows:
        step = max(1, _PIECE // rows)
        for row in range(begin, end, step):
            upto = min(row + step, end)
            parts.append(read(row * rows, upto * rows).reshape(upto - row, rows)[:, first:last].T)
    else:
        parts = [read(row * rows + first, row * rows + last).reshape(count, 1) for row in range(begin, end)]
    whole = np.concatenate(parts, axis=1).reshape(-1)
    return whole if count == 1 else whole[start - first * columns : stop - first * columns]


def read_half_split(read: ReadFlat, heads: int, rows: int, width: int, start: int, stop: int) -> NDArray[np.generic]:
    """Values `start` to `stop` of a projection whose rows are stored in pairs, head by head.

    A rotary embedding turns pairs of rows of each head. One convention keeps the two halves of a head apart: row `j` of
    the first half belongs to row `j` of the second. The other stores the two beside each other, as rows `2 j` and
    `2 j + 1`. This reads the second as the first.

    Parameters
    ----------
    read : callable
        Reads what is stored.
    heads, rows : int
        Heads, and rows of each; `rows` is even.
    width : int
        Values of a row.
    start, stop : int
        Counted in row-major order.

    Notes
    -----
    Whole heads are read in one go. Of the head at either end at most twice what is asked for is read, and never more
    than a row is held beyond that.

    Examples
    --------
    >>> stored = np.array([0, 2, 1, 3, 4, 6, 5, 7])  # two heads of four rows of one value
    >>> read_half_split(lambda start, stop: stored[start:stop], 2, 4, 1, 1, 8).tolist()
    [1, 2, 3, 4, 5, 6, 7]
    """
    size = rows * width
    first, last = -(-start // size), stop // size
    parts: list[NDArray[np.generic]] = []
    if start < first * size:
        parts += _of_head(read, rows, width, start, min(stop, first * size))
    if first < last:
        whole = read(first * size, last * size).reshape(last - first, rows // 2, 2, width)
        parts.append(whole.swapaxes(1, 2).reshape(-1))
    if first <= last and last * size < stop:
        parts += _of_head(read, rows, width, max(start, last * size), stop)
    return np.concatenate(parts) if len(parts) > 1 else parts[0]


def _of_head(read: ReadFlat, rows: int, width: int, start: int, stop: int) -> list[NDArray[np.generic]]:
    """A slice within one head, as runs of values."""
    head = start // (rows * width) * rows
    half = rows // 2

    def stored(row: int) -> int:
        inner = row - head
        return (head + 2 * (inner % half) + inner // half) * width

    parts: list[NDArray[np.generic]] = []
    first, last = -(-start // width), stop // width
    if start < first * width:
        row, offset = divmod(start, width)
        upto = min(stop - row * width, width)
        parts.append(read(stored(row) + offset, stored(row) + upto))
    for begin, end in ((first, min(last, head + half)), (max(first, head + half), last)):
        if begin < end:
            # Every second row from the first to the last of them.
            run = read(stored(begin), stored(end - 1) + width).reshape(-1, width)
            parts.append(run[::2].reshape(-1))
    if first <= last and last * width < stop:
        parts.append(read(stored(last), stored(last) + stop - last * width))
    return parts


def read_regrouped(
    read: ReadFlat, groups: int, members: int, length: int, start: int, stop: int
) -> NDArray[np.generic]:
    """Values `start` to `stop` of blocks that stand group by group and are stored member by member.

    Parameters
    ----------
    read : callable
        Reads what is stored: first the first member of every group, then the second of every group, ...
    groups, members : int
    length : int
        Values of a block.
    start, stop : int
        Counted in the order in which all members of a group follow each other.

    Examples
    --------
    >>> stored = np.array([0, 3, 1, 4, 2, 5])  # two groups of three blocks of one value
    >>> read_regrouped(lambda start, stop: stored[start:stop], 2, 3, 1, 1, 6).tolist()
    [1, 2, 3, 4, 5]
    """
    parts = []
    for block in range(start // length, -(-stop // length)):
        group, member = divmod(block, members)
        place = (member * groups + group - block) * length
        parts.append(read(max(start, block * length) + place, min(stop, (block + 1) * length) + place))
    return np.concatenate(parts)
