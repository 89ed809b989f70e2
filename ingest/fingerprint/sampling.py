"""Which rows, columns and sketch buckets: decided by keyed hashes of the indices, the same in every model.

Index `i` of an axis has the priority `mix(seed(key, axis), i)`, and a sample of `s` indices takes the `s` smallest
priorities (bottom-k, or priority, sampling: Cohen and Kaplan, "Summarizing data using bottom-k sketches", PODC 2007).
The length of the axis does not enter, so that samples are *nested*: a vocabulary that grew by a few rows, or a smaller
block of the same tensor, shares nearly all its indices with the larger. The key is the tensor's role with its numbers
taken out, so that all layers, and networks of different depth, are sampled and sketched alike.

Where the architecture is unknown, a role is but a name that somebody chose. There all tensors share one key, and
columns are sampled as rows are: the same network is sampled alike under any names, and a matrix like its transpose.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

GOLDEN = 0x9E3779B97F4A7C15
FIRST_MULTIPLIER = 0xBF58476D1CE4E5B9
SECOND_MULTIPLIER = 0x94D049BB133111EB
SKETCH_SIDE = 16
SKETCH_SIDES = (4, 8, 16)
"""Sides a sketch may have; the smaller ones are sums of neighbouring buckets of the largest."""

NAMELESS = "*"
"""The key of all tensors of a network whose architecture is unknown."""

_SLAB = 1 << 20


def layer_free(role: str) -> str:
    """The role with the numbers of layers and experts replaced, so that it names a kind of tensor.

    Examples
    --------
    >>> layer_free("layers.11.attention.query.weight")
    'layers.*.attention.query.weight'
    """
    return ".".join("*" if part.isdecimal() else part for part in role.split("."))


def seed(key: str, purpose: str) -> int:
    """64-bit seed of a hash: the first eight bytes, little-endian, of the BLAKE2b digest of `purpose`, NUL, `key`."""
    return int.from_bytes(blake2b(f"{purpose}\0{key}".encode(), digest_size=8).digest(), "little")


def mix(start: int, indices: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) of `start + (index + 1) * GOLDEN`, modulo 2**64."""
    with np.errstate(over="ignore"):
        x = np.uint64(start) + (indices + np.uint64(1)) * np.uint64(GOLDEN)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(FIRST_MULTIPLIER)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(SECOND_MULTIPLIER)
        return x ^ (x >> np.uint64(31))


@lru_cache(maxsize=4096)
def sample(key: str, axis: str, length: int, count: int) -> NDArray[np.int64]:
    """The `count` indices of least priority along one axis, ascending; read-only.

    Parameters
    ----------
    key : str
        Layer-free role, or `NAMELESS`.
    axis : str
        `rows` or `columns`.
    length, count : int
        Of the axis and of the sample; all indices where `count` reaches `length`. Equal priorities, of which there are
        hardly any, go to the smaller index.

    Notes
    -----
    Time O(length); memory bounded, however long the axis. The outcome is kept, so that a hundred layers cost one.

    Examples
    --------
    >>> grown = sample("embed.token.weight", "rows", 1010, 8)
    >>> set(sample("embed.token.weight", "rows", 1010, 4)) <= set(grown)
    True
    """
    if count >= length:
        chosen = np.arange(length, dtype=np.int64)
    else:
        start = seed(key, axis)
        kept = np.empty(0, np.uint64)
        priorities = np.empty(0, np.uint64)
        for begin in range(0, length, _SLAB):
            indices = np.arange(begin, min(begin + _SLAB, length), dtype=np.uint64)
            kept = np.concatenate((kept, indices))
            priorities = np.concatenate((priorities, mix(start, indices)))
            if kept.size > count:
                bound = np.partition(priorities, count - 1)[count - 1] if count else np.uint64(0)
                near = np.flatnonzero(priorities <= bound)
                near = near[np.lexsort((kept[near], priorities[near]))][:count]
                kept, priorities = kept[near], priorities[near]
        chosen = np.sort(kept).astype(np.int64)
    chosen.flags.writeable = False
    return chosen
