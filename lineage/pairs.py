"""Unordered pairs of a family's members, and the parts that they connect."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Pair = tuple[int, int]
"""Two members, the smaller first."""


def pair_of(one: int, two: int) -> Pair:
    """Two members in their order.

    Examples
    --------
    >>> pair_of(3, 1)
    (1, 3)
    """
    return (one, two) if one <= two else (two, one)


def connected_parts(size: int, pairs: Collection[Pair]) -> tuple[int, NDArray[np.int64]]:
    """The parts into which some pairs connect the members 0 to `size` - 1.

    Returns
    -------
    count : int
    part : (size,) int64 array
        Which part each member is in, numbered by their smallest members.

    Examples
    --------
    >>> count, part = connected_parts(4, [(0, 2), (1, 3)])
    >>> count, part.tolist()
    (2, [0, 1, 0, 1])
    """
    one, two = np.array(list(pairs), dtype=np.int64).reshape(-1, 2).T
    count, part = connected_components(coo_array((np.ones(len(one)), (one, two)), shape=(size, size)), directed=False)
    return int(count), part.astype(np.int64)
